"""The grants in the plainest reading: what each ordered pair of parties of different sites may open."""

from collections.abc import Iterator
from itertools import permutations

from mesh.model import Family, Grant, Mesh, Network, Party, Service, Site

TABLE = dict[str, dict[str, str]]


def parties(world: Mesh) -> list[Party]:
    return [*world.sites, *(each for one in world.sites for each in one.networks)]


def pairs(world: Mesh) -> Iterator[tuple[Party, Party]]:
    """Every ordered pair of parties of different sites."""
    return ((one, other) for one, other in permutations(parties(world), 2) if home(one) != home(other))


def granted(world: Mesh, source: Party, destination: Party) -> list[Grant]:
    return [grant for grant in world.access if source in grant.sources and destination in grant.destinations]


def home(party: Party) -> str:
    return party.site if isinstance(party, Network) else party.name


def versions(party: Party) -> set[int]:
    return {each.version for each in (party.cidrs if isinstance(party, Network) else party.addresses)}


def opened_versions(party: Party) -> set[int]:
    """A gateway is open at its addresses in its networks, too."""
    return versions(party).union(*(versions(each) for each in (party.networks if isinstance(party, Site) else ())))


def pinged(source: Party, destination: Party) -> bool:
    return isinstance(source, Site) and isinstance(destination, Site)


def may(grants: list[Grant], service: str, *, ping: bool) -> bool:
    """Whether the grants let a service pass: `icmp`, `ping`, or one port such as `tcp/443`."""
    protocol, _, port = service.partition("/")
    if service == "ping" and ping:
        return True
    if protocol in {"icmp", "ping"}:
        return any(not grant.services or Service("icmp") in grant.services for grant in grants)
    return any(
        not grant.services
        or any(each.protocol == protocol and each.first <= int(port) <= each.last for each in grant.services)
        for grant in grants
    )


def boundaries(world: Mesh) -> list[str]:
    """The first and the last port of every service, their neighbours, and what has no port."""
    ports = {0, 22, 65535}
    for grant in world.access:
        for each in grant.services:
            ports |= {each.first - 1, each.first, each.last, each.last + 1}
    known = sorted(port for port in ports if 0 <= port <= 65535)
    return ["icmp", "ping", *(f"{protocol}/{port}" for protocol in ("tcp", "udp") for port in known)]


def common(source: Party, destination: Party) -> set[Family]:
    """The families in which the source can send to the destination's own addresses, a gateway's in the tunnel."""
    return {family for family in (4, 6) if family in versions(source) & versions(destination)}


def table(world: Mesh) -> TABLE:
    """Who may open what to whom, in the words of `reachability`."""
    found: TABLE = {}
    for source, destination in pairs(world):
        words = in_words(granted(world, source, destination), ping=pinged(source, destination))
        if words and versions(source) & opened_versions(destination):
            found.setdefault(str(source), {})[str(destination)] = words
    return found


def in_words(grants: list[Grant], *, ping: bool) -> str:
    if any(not grant.services for grant in grants):
        return "all"
    services = [service for grant in grants for service in grant.services]
    icmp = ["icmp"] if Service("icmp") in services else ["ping"] * ping
    return ", ".join(icmp + [words for protocol in ("tcp", "udp") for words in ranges(protocol, services)])


def ranges(protocol: str, services: list[Service]) -> Iterator[str]:
    """The ports of a protocol in as few ranges as can be."""
    edges = sorted((each.first, each.last) for each in services if each.protocol == protocol)
    while edges:
        first, last = edges.pop(0)
        while edges and edges[0][0] <= last + 1:
            last = max(last, edges.pop(0)[1])
        if (first, last) == (0, 65535):
            yield protocol
        else:
            yield f"{protocol}/{first}" if first == last else f"{protocol}/{first}-{last}"
