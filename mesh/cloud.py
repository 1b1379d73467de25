"""What the cloud around a gateway has to know: what its firewall lets in, and the routes that lead to the gateway."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Literal

from mesh.edge import edges
from mesh.model import Colo, IPNetwork, Mesh, Service, SiteName
from mesh.plan import SitePlan, contains
from mesh.services import merged

SSH_PORT = 22

_ANYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Opening:
    """Something that a gateway's cloud firewall lets in; answers pass both ways, and what the gateway sends does.

    `source` is a prefix, or the site whose machine's addresses are known once a cloud has made it. `protocol` None is
    every one; `first` and `last` are the ports of TCP and UDP, 0 for all else.
    """

    protocol: Literal["tcp", "udp", "icmp", "icmpv6"] | None
    first: int
    last: int
    source: IPNetwork | SiteName

    @property
    def name(self) -> str:
        """Made of all that it says: no two are of one name, and none is ever renamed, which would make it twice."""
        what: str = self.protocol or "all"
        if self.protocol in ("tcp", "udp"):
            what += f"-{self.first}" + (f"-{self.last}" if self.last > self.first else "")
        return f"{what}-from-{self.source}".replace("/", "-").replace(":", "_")


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix of another site that hosts behind a gateway send to it."""

    prefix: IPNetwork
    site: SiteName


def openings(mesh: Mesh, plan: SitePlan) -> tuple[Opening, ...]:
    """All that is let in to the gateway of a site in a cloud, each once, in the order of what it is for.

    SSH from the operators; WireGuard's port from what the other gateways send from, over IPv4, which is all that
    machines in clouds are reached by; and what the site's own networks may open through the tunnel: on its way there
    it comes in at the gateway's own interface. Nothing else.
    """
    found = [Opening("tcp", SSH_PORT, SSH_PORT, prefix) for prefix in mesh.operators]
    found += [Opening("udp", plan.listen_port, plan.listen_port, source) for source in _senders(mesh, plan)]
    return tuple(dict.fromkeys((*found, *_opened_from_behind(plan))))


def routes(plan: SitePlan) -> tuple[Route, ...]:
    """The other sites' prefixes that hosts behind a site send to its gateway, each once, in the order of its edges."""
    wanted = dict.fromkeys(prefix for edge in edges(plan) for prefix in edge.routes)
    return tuple(Route(prefix, _owner(plan, prefix)) for prefix in wanted)


def _senders(mesh: Mesh, plan: SitePlan) -> Iterator[IPNetwork | SiteName]:
    for site in mesh.sites:
        if site.name == plan.site.name:
            continue
        if isinstance(site.kind, Colo):
            known = [ip_network(address) for address in site.kind.sends_from if isinstance(address, IPv4Address)]
            yield from known or [_ANYWHERE]
        else:
            yield site.name


def _opened_from_behind(plan: SitePlan) -> Iterator[Opening]:
    services: dict[IPNetwork, dict[Service | None, None]] = {}
    for edge in edges(plan):
        for flow in edge.opens:
            services.setdefault(flow.source, {})[flow.service] = None
    for source, granted in services.items():
        for service in merged(tuple(granted)):
            if service is None:
                yield Opening(None, 0, 0, source)
            elif service.protocol == "icmp":
                yield Opening("icmp" if source.version == 4 else "icmpv6", 0, 0, source)
            else:
                yield Opening(service.protocol, service.first, service.last, source)


def _owner(plan: SitePlan, prefix: IPNetwork) -> SiteName:
    return next(peer.site for peer in plan.peers if any(contains(allowed, prefix) for allowed in peer.allowed_ips))
