"""Which probes a mesh needs, what is expected of each, and what became of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lab.policy import Judge, Point, allows, points, services
from lab.topology import Topology
from mesh.model import Family, IPAddress, Mesh, Network, Service

# The port that stands for all that no grant names.
ANSWER_PORT = 7007

Protocol: TypeAlias = Literal["tcp", "udp", "icmp"]
State: TypeAlias = Literal["answered", "open", "refused", "unreachable", "silent", "no source"]


@dataclass(frozen=True, slots=True)
class Address:
    """One that can be sent to: `known_as` by other sites, `real` where it is."""

    known_as: IPAddress
    real: IPAddress

    def __str__(self) -> str:
        return str(self.real) if self.known_as == self.real else f"{self.known_as} ({self.real} there)"


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to try from one point to another, and what is expected of it.

    `granted` is what the judge says of it, `disputed` that the grants, read plainly, say the opposite. `service` is
    what it stands for in the grants: `tcp/8000-8100` for port 8000, `all`, or "" where it is not granted. `arrives_as`
    is the source address that the destination has to see (None: not to be asked, as with ICMP).
    """

    source: Point
    destination: Point
    family: Family
    protocol: Protocol
    port: int
    sends_from: IPAddress
    to: Address
    granted: bool
    service: str = ""
    arrives_as: IPAddress | None = None
    disputed: bool = False

    def __str__(self) -> str:
        where = "" if self.to.known_as == self.to.real else f" to {self.to}"
        return f"IPv{self.family} {self.protocol}" + (f"/{self.port}" if self.port else "") + where


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a probe. `seen` is the source address that the destination saw, where it said so.

    `arrived` is True where a denied probe was seen at the destination itself, whatever became of the answer.
    """

    probe: Probe
    state: State
    seen: str | None = None
    seconds: float | None = None
    tries: int = 0
    arrived: bool = False

    @property
    def reached(self) -> bool:
        """True where it was seen at the other end, or something there said anything, "no" included."""
        return self.arrived or self.answered

    @property
    def answered(self) -> bool:
        """True where something at the other end said anything, "no" included: packets passed both ways."""
        return self.state in ("answered", "open", "refused")

    @property
    def blocked(self) -> bool:
        """True where it is granted and there was no answer."""
        return self.probe.granted and self.state not in ("answered", "open")

    @property
    def leaked(self) -> bool:
        """True where it is denied and got there."""
        return not self.probe.granted and self.reached

    @property
    def disguised(self) -> bool:
        """True where it arrived with another source address than `masquerade` and `advertise_as` say."""
        expected = self.probe.arrives_as
        return self.probe.granted and bool(expected) and self.seen is not None and self.seen != str(expected)

    @property
    def problem(self) -> str | None:
        """What is not as the policy says, as a few words, or None."""
        if self.probe.disputed:
            texts, grants = ("let it pass", "deny it") if self.probe.granted else ("block it", "grant it")
            return f"the hosts' texts {texts}, the grants {grants}; {self.state}" + (
                ", but arrives" if self.arrived and not self.answered else ""
            )
        if self.blocked:
            return f"granted, but {self.state} ({self.tries} {'try' if self.tries == 1 else 'tries'})"
        if self.leaked:
            if not self.answered:
                return "denied, but arrives, unanswered"
            return f"denied, but {self.state}" + (f", seen as {self.seen}" if self.seen else "")
        if self.disguised:
            return f"granted, but arrives as {self.seen} instead of {self.probe.arrives_as}"
        return None


def probes(mesh: Mesh, topology: Topology, judge: Judge, *, everywhere: bool = False) -> list[Probe]:
    """Probes for every ordered pair of points at different sites, in each family that both have.

    They are ICMP echo and, by TCP and by UDP, the port that stands for all others, the first and the last port of every
    service that the pair is granted, and the ports beside them. `everywhere`: those of every service in the mesh for
    every pair, and also to the gateways' own addresses in their networks. What is expected is what the judge says.
    """
    pairs = _Pairs(mesh, topology, judge, everywhere=everywhere)
    everything = points(mesh)
    return [
        probe
        for source in everything
        for destination in everything
        if source.site != destination.site
        for probe in pairs.probes(source, destination)
    ]


@dataclass(frozen=True, slots=True)
class _End:
    """Where a probe begins or ends. `in_tunnel` is False for an endpoint's address in a network behind it."""

    point: Point
    address: Address
    in_tunnel: bool = True


class _Pairs:
    """Makes the probes of one pair after the other."""

    def __init__(self, mesh: Mesh, topology: Topology, judge: Judge, *, everywhere: bool) -> None:
        self.mesh, self.topology, self.judge, self.everywhere = mesh, topology, judge, everywhere
        self.networks = {str(network): network for site in mesh.sites for network in site.networks}
        self.all_ports = _ports(service for grant in mesh.access for service in grant.services)

    def probes(self, source: Point, destination: Point) -> Iterator[Probe]:
        """Those of one pair."""
        ports = self.all_ports if self.everywhere else _ports(services(self.mesh, source, destination) or ())
        # There WireGuard itself listens, and answers to nothing that is not for it.
        silent = None if destination.network else self.mesh.site(destination.site).listen_port
        for here in self._ends(source):
            for there in [*self._ends(destination), *self._ends_in_its_networks(destination)]:
                if here.address.real.version != there.address.real.version:
                    continue
                yield self._probe(here, there, "icmp", 0)
                for port in sorted(ports | {ANSWER_PORT}):
                    yield self._probe(here, there, "tcp", port)
                    if port != silent:
                        yield self._probe(here, there, "udp", port)

    def _ends(self, point: Point) -> list[_End]:
        """At the point's own addresses: an endpoint's in the tunnel, or those of the host in a network."""
        if point.network is None:
            return [_End(point, Address(address, address)) for address in self.mesh.site(point.site).addresses]
        host = self.topology.lan_host(str(point))
        return [_End(point, _address(self.networks[str(point)], address.ip)) for address in host.addresses]

    def _ends_in_its_networks(self, point: Point) -> list[_End]:
        """At the other addresses of an endpoint, where everything is asked."""
        if point.network is not None or not self.everywhere:
            return []
        networks = self.mesh.site(point.site).networks
        routers = {network: self.topology.lan_host(str(network)).routers for network in networks}
        return [
            _End(point, _address(network, router), in_tunnel=False)
            for network in networks
            for router in routers[network]
            if any(router in cidr for cidr in network.cidrs)
        ]

    def _probe(self, here: _End, there: _End, protocol: Protocol, port: int) -> Probe:
        family = there.address.real.version
        # Between addresses in the tunnel an echo passes that no grant lets pass.
        asked: Protocol | Literal["ping"] = "ping" if protocol == "icmp" and there.in_tunnel else protocol
        name = f"{asked}/{port}" if port else asked
        granted = self.judge(str(here.point), str(there.point), name, family)
        plainly = allows(self.mesh, here.point, there.point, asked, port)
        return Probe(
            source=here.point,
            destination=there.point,
            family=family,
            protocol=protocol,
            port=port,
            sends_from=here.address.real,
            to=there.address,
            granted=granted,
            service=self._service(here.point, there.point, protocol, port) if granted else "",
            arrives_as=None if protocol == "icmp" else self._arrival(there.point, here.address),
            disputed=granted != plainly,
        )

    def _service(self, source: Point, destination: Point, protocol: Protocol, port: int) -> str:
        granted = services(self.mesh, source, destination)
        if granted is None:
            return "all"
        wanted = Service(protocol, port, port)
        return next((str(service) for service in granted if service.contains(wanted)), "ping" if not port else "")

    def _arrival(self, destination: Point, own: Address) -> IPAddress | None:
        """The gateway's own address in a network with masquerade, otherwise the opener's, as other sites know it."""
        network = self.networks.get(str(destination))
        if network is None or not network.masquerade:
            return own.known_as
        routers = self.topology.lan_host(str(destination)).routers
        # A gateway without an IPv6 address in the network takes one that it has elsewhere, and the kernel says which.
        found = [router for router in routers if router.version == own.real.version]
        return found[0] if found and not (found[0].version == 6 and found[0].is_link_local) else None


def _ports(granted: Iterable[Service]) -> frozenset[int]:
    """The first and the last port of each, and those beside them; nobody can listen at port 0."""
    ranges = [(max(service.first, 1), service.last) for service in granted if service.protocol != "icmp"]
    edges = {port for first, last in ranges for port in (first - 1, first, last, last + 1)}
    return frozenset(edges & set(range(1, 65536)))


def _address(network: Network, address: IPAddress) -> Address:
    """An address in a network, with the one that other sites know it by: one to one."""
    for cidr, advertised in zip(network.cidrs, network.advertised, strict=True):
        if address in cidr:
            return Address(advertised[int(address) - int(cidr.network_address)], address)
    return Address(address, address)
