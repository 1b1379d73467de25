"""What the flows that pass make use of: by it, a rule or prefix that none of them needs is told from the others."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from mesh.model import Family, SiteName
from mesh.reachability.flow import End
from mesh.reachability.network import Passing

_Place = tuple[Family, int]


@dataclass(slots=True)
class Usage:
    """Of one gateway, addresses each with its family.

    `tuples` has the services by the chain (`FWD` or `IN`) and the opener's tuple; `remote` are the addresses of other
    sites, as packets from the tunnel have them; `behind` are those of networks behind it, with the interface;
    `mapped_in`, `mapped_out` and `masqueraded` are what NAT was asked for. `clamped` are interfaces of forwarded TCP.
    """

    tuples: dict[tuple[Family, str, int, int], int] = field(default_factory=lambda: defaultdict(int))
    remote: set[_Place] = field(default_factory=set)
    behind: set[tuple[Family, str, int]] = field(default_factory=set)
    mapped_in: set[_Place] = field(default_factory=set)
    mapped_out: set[_Place] = field(default_factory=set)
    masqueraded: set[tuple[Family, int, int]] = field(default_factory=set)
    clamped: set[tuple[Family, str]] = field(default_factory=set)


def usage(passing: Iterable[Passing], sites: Iterable[SiteName], tcp: int) -> dict[SiteName, Usage]:
    """What of each site the flows use; `tcp` are the services that have an MSS."""
    used = {site: Usage() for site in sites}
    for one in passing:
        flow, family = one.flow, one.flow.family
        source, destination = flow.source, flow.destination
        near, far = used[source.gateway.site], used[destination.gateway.site]
        wire = one.outcome.wire or 0
        near.tuples[family, chain_of(source), source.address, destination.advertised] |= one.outcome.answered
        far.tuples[family, chain_of(destination), wire, destination.advertised] |= one.outcome.answered
        near.remote.add((family, destination.advertised))
        far.remote.add((family, wire))
        near.mapped_out.add((family, source.address))
        far.mapped_in.add((family, destination.advertised))
        for end, at in ((source, near), (destination, far)):
            if end.interface:
                at.behind.add((family, end.interface, end.address))
                if one.outcome.answered & tcp:
                    at.clamped.add((family, end.interface))
        if destination.interface:
            far.masqueraded.add((family, wire, destination.address))
    return used


def chain_of(end: End) -> str:
    """The chain of its gateway's that decides about packets for that end."""
    return "FWD" if end.interface else "IN"
