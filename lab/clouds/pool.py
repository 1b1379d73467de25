"""The addresses of the isolated internet that a cloud gives out: always the first that is free."""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network

from lab.namespaces import LabError


@dataclass(frozen=True, slots=True)
class Pool:
    """One cloud's public IPv4 addresses. Each cloud has a network of its own, so that none is given twice."""

    network: IPv4Network

    def allocate(self, taken: Collection[str]) -> str:
        """The first address that is not `taken`. Raises LabError where all are."""
        for address in self.network.hosts():
            if str(address) not in taken:
                return str(address)
        raise LabError(f"all addresses of {self.network} are given out")
