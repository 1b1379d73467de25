"""Collects what there is to remark about a pair of names, with the services that it holds for, and puts it in words."""

from collections.abc import Iterator

from mesh.reachability.boundaries import Services


class Remarks:
    """Remarks by source, destination and text. What is said twice is said once, for the services of both."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._said: dict[tuple[str, str], dict[str, int]] = {}

    def about(self, source: str, destination: str, remark: str, services: int) -> None:
        """Something passes, or could: `all (posing as ams.lan)`. Nothing is said about no services."""
        if services:
            said = self._said.setdefault((source, destination), {})
            said[remark] = said.get(remark, 0) | services

    def plainly(self, source: str, destination: str, remark: str) -> None:
        """Something holds whatever the service: `MSS not clamped`."""
        self._said.setdefault((source, destination), {}).setdefault(remark, 0)

    def words(self) -> Iterator[tuple[str, str, str]]:
        """Source, destination, and all that is to be said about them, in an order that hangs on nothing else."""
        for (source, destination), said in self._said.items():
            texts = (
                f"{self._services.describe(services)} ({remark})" if services else remark
                for remark, services in sorted(said.items())
            )
            yield source, destination, "; ".join(texts)
