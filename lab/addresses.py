"""Which addresses the lab itself may use: for names in the config, the operator, and what clouds give out. Pure."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from lab.namespaces import LabError
from mesh.model import Colo, IPAddress, IPNetwork, Mesh, NewVpc

# Where addresses come from that the config does not say: set aside for benchmarks, shared and private use
# (RFC 2544, RFC 6598, RFC 5180, RFC 4193). The first that overlaps nothing of the mesh is taken.
_SPARE: tuple[IPNetwork, ...] = tuple(
    ip_network(text) for text in ("198.18.0.0/15", "100.64.0.0/10", "2001:2::/48", "fd77:6d:6c61::/48")
)
# As many as the lab's own machines may have of a pool; the clouds have as many after these.
_OWN = 65536


class Spare:
    """Addresses that nothing in the mesh has. None is given twice."""

    def __init__(self, mesh: Mesh, used: Iterable[IPAddress]) -> None:
        """`used` are public addresses of the config."""
        self._mesh = mesh
        self._used = set(used)
        self._left = {family: self._addresses(family) for family in (4, 6)}

    def next(self, family: int) -> IPAddress:
        """The next one of a family. Raises LabError where the mesh leaves none."""
        return self._take(next(self._left[family]))

    def operator(self, family: int) -> IPAddress:
        """One that the mesh's operators may come from; where anybody is one, or none is named, one of the lab's own.

        Raises LabError where the named ones have no free address.
        """
        named = [prefix for prefix in self._mesh.operators if prefix.version == family]
        if not named or any(prefix.prefixlen == 0 for prefix in named):
            return self.next(family)
        inner = inside(self._mesh)
        for prefix in named:
            size = prefix.num_addresses
            for index in range(1 if size > 2 else 0, min(size, _OWN)):
                address = prefix[index]
                if address not in self._used and not any(address in network for network in inner):
                    return self._take(address)
        prefixes = ", ".join(str(prefix) for prefix in named)
        raise LabError(f"the lab's operator finds no free address in {prefixes}; name more in 'operators'")

    def clouds(self, *names: str) -> dict[str, IPv4Network]:
        """A network of public addresses for each cloud; no address of it is the config's or the lab's own."""
        pool = self._pool(4)
        halves = IPv4Network((int(pool.network_address) + _OWN, 16)).subnets(new_prefix=24)
        free = (
            network
            for network in halves
            if not any(address in network for address in self._used)
            and not any(overlap(network, prefix) for prefix in self._mesh.operators if prefix.prefixlen)
        )
        return dict(zip(names, free, strict=False))

    def _take(self, address: IPAddress) -> IPAddress:
        self._used.add(address)
        return address

    def _addresses(self, family: int) -> Iterator[IPAddress]:
        pool = self._pool(family)
        yield from (address for index in range(1, _OWN) if (address := pool[index]) not in self._used)
        raise LabError(f"the lab has given out all of its IPv{family} addresses")

    def _pool(self, family: int) -> IPNetwork:
        prefixes = inside(self._mesh)
        for pool in _SPARE:
            if pool.version == family and not any(overlap(pool, prefix) for prefix in prefixes):
                return pool
        pools = ", ".join(str(pool) for pool in _SPARE if pool.version == family)
        raise LabError(f"the mesh leaves no IPv{family} addresses for the lab itself; free one of {pools}")


def inside(mesh: Mesh) -> list[IPNetwork]:
    """Every prefix of the mesh that is not of the internet: tunnel, VPCs, networks and what they are known as."""
    networks = [network for site in mesh.sites for network in site.networks]
    vpcs = [site.kind.vpc for site in mesh.sites if not isinstance(site.kind, Colo)]
    made = [vpc.cidr for vpc in vpcs if isinstance(vpc, NewVpc)]
    return [*mesh.tunnel, *made, *(cidr for network in networks for cidr in (*network.cidrs, *network.advertise_as))]


def overlap(a: IPNetwork, b: IPNetwork) -> bool:
    """True where some address is in both; prefixes of different families have none."""
    if isinstance(a, IPv4Network) and isinstance(b, IPv4Network):
        return a.overlaps(b)
    return isinstance(a, IPv6Network) and isinstance(b, IPv6Network) and a.overlaps(b)
