"""The plan: for every site its peers, addresses, flows to let through and interfaces to forward on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Network, ip_network

from mesh.model import Endpoint, IPAddress, IPNetwork, Mesh, Network, Party, Service, Site, SiteName
from mesh.services import merged


@dataclass(frozen=True, slots=True)
class Flow:
    """One opener's tuple: hosts in `source` may open flows to `destination`. Both are of one family.

    The tuple is the one that the gateway's own conntrack has as the original: a source behind the gateway is there by
    its own prefix, everything else by the prefix that it is advertised as. `service` None means every protocol.
    `opener` and `opened` name the grant's two sides, for people: `ams.lan` and `nyc.virbr0`.
    """

    source: IPNetwork
    destination: IPNetwork
    service: Service | None
    opener: str
    opened: str

    @property
    def reason(self) -> str:
        """Why it passes: `ams.lan -> nyc.virbr0`."""
        return f"{self.opener} -> {self.opened}"


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """Another site as WireGuard sees it. `allowed_ips`: IPv4 first, by address, none contained in another.

    `mtu` is the link's, in bytes: the lower one of both ends.
    """

    site: SiteName
    endpoint: Endpoint
    allowed_ips: tuple[IPNetwork, ...]
    persistent_keepalive: int
    mtu: int


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Flows from `source` to `destination` leave `interface` with the gateway's own address there."""

    interface: str
    source: IPNetwork
    destination: IPNetwork
    reason: str


@dataclass(frozen=True, slots=True)
class FirewallPlan:
    """What a gateway lets through its tunnel `interface`; everything else is dropped.

    `addresses` are the gateway's own in the tunnel, as host prefixes. `remote` are the prefixes that packets come from
    out of the tunnel, and from nowhere else. `lan` pairs an interface with the prefix behind it that has a part in some
    flow. `forward` flows pass the gateway, `input` flows begin or end at the gateway itself. `netmap_in` pairs an
    advertised prefix with the real one that packets from the tunnel go to, `netmap_out` a real one with the advertised
    one that packets into the tunnel come from.
    """

    interface: str
    listen_port: int
    tunnel: tuple[IPNetwork, ...]
    addresses: tuple[IPNetwork, ...]
    remote: tuple[IPNetwork, ...]
    lan: tuple[tuple[str, IPNetwork], ...]
    forward: tuple[Flow, ...]
    input: tuple[Flow, ...]
    masquerade: tuple[Masquerade, ...]
    netmap_in: tuple[tuple[IPNetwork, IPNetwork], ...]
    netmap_out: tuple[tuple[IPNetwork, IPNetwork], ...]


@dataclass(frozen=True, slots=True)
class SitePlan:
    """Everything that one gateway is configured with, keys aside. `forwarding` names the interfaces that forward."""

    site: Site
    interface: str
    mtu: int
    listen_port: int
    addresses: tuple[IPNetwork, ...]
    dns: tuple[IPAddress, ...]
    peers: tuple[PeerPlan, ...]
    firewall: FirewallPlan
    forwarding: tuple[str, ...]


_Pair = tuple[IPNetwork, IPNetwork]


# What the grants let pass between two prefixes: each service with the names of a pair of parties that has it.
_Granted = dict[Service | None, tuple[str, str]]


@dataclass(slots=True)
class _Draft:
    """A site, and what the grants have added to it so far. Dicts, since they keep the order in which grants came."""

    site: Site
    own: tuple[IPNetwork, ...]
    forward: dict[_Pair, _Granted] = field(default_factory=dict)
    input: dict[_Pair, _Granted] = field(default_factory=dict)
    masquerade: dict[tuple[IPNetwork, IPNetwork, str], Masquerade] = field(default_factory=dict)
    involved: set[tuple[str, IPNetwork]] = field(default_factory=set)
    netmap_in: dict[_Pair, None] = field(default_factory=dict)
    netmap_out: dict[_Pair, None] = field(default_factory=dict)
    prefixes: dict[SiteName, dict[IPNetwork, None]] = field(default_factory=lambda: defaultdict(dict))


def plan(mesh: Mesh) -> dict[SiteName, SitePlan]:
    """The plan of every site, in the mesh's order: a full mesh, each pair of sites one link.

    The work grows with the number of sites and of pairs that a grant names; a peer that no grant names is one object,
    shared by all sites that see it with the same MTU.
    """
    drafts = {site.name: _Draft(site, tuple(ip_network(address) for address in site.addresses)) for site in mesh.sites}
    for grant in mesh.access:
        for source in grant.sources:
            for destination in grant.destinations:
                if _site_name(source) != _site_name(destination):
                    _add_path(drafts, source, destination, grant.services or (None,))
    bare = {
        mtu: {
            name: PeerPlan(
                name, draft.site.endpoint, _minimal(draft.own), mesh.persistent_keepalive, min(mtu, draft.site.mtu)
            )
            for name, draft in drafts.items()
        }
        for mtu in {site.mtu for site in mesh.sites}
    }
    return {name: _site_plan(mesh, draft, bare[draft.site.mtu]) for name, draft in drafts.items()}


def _add_path(
    drafts: Mapping[SiteName, _Draft],
    source: Party,
    destination: Party,
    services: Iterable[Service | None],
) -> None:
    """Adds one pair of a grant to the drafts of the two sites at its ends."""
    from_site, to_site = _site_name(source), _site_name(destination)
    near, far = drafts[from_site], drafts[to_site]
    near_flows = near.forward if isinstance(source, Network) else near.input
    far_flows = far.forward if isinstance(destination, Network) else far.input
    names = str(source), str(destination)
    for real, shown in _opening(source, near):
        for opened, known in _opened(destination, far):
            if real.version != opened.version:
                continue
            far.prefixes[from_site][shown] = None
            near.prefixes[to_site][known] = None
            if real != shown:
                near.netmap_out[real, shown] = None
            if opened != known:
                far.netmap_in[known, opened] = None
            if isinstance(source, Network):
                near.involved.add((source.interface, real))
            if isinstance(destination, Network):
                far.involved.add((destination.interface, opened))
                if destination.masquerade:
                    key = (shown, opened, destination.interface)
                    far.masquerade.setdefault(key, Masquerade(destination.interface, shown, opened, " -> ".join(names)))
            for flows, pair in ((near_flows, (real, known)), (far_flows, (shown, known))):
                granted = flows.setdefault(pair, {})
                for service in services:
                    # A gateway's address in a network and the network itself are one prefix: the rule is the network's.
                    if service not in granted or isinstance(destination, Network):
                        granted[service] = names


def _opening(source: Party, near: _Draft) -> Iterable[_Pair]:
    """The prefixes that a party opens flows from: as its own gateway sees them, and as all others do."""
    if isinstance(source, Network):
        return zip(source.cidrs, source.advertised, strict=True)
    return zip(near.own, near.own, strict=True)


def _opened(destination: Party, far: _Draft) -> Iterable[_Pair]:
    """The prefixes that a party is reached at: as its own gateway sees them, and as all others do."""
    if isinstance(destination, Network):
        return zip(destination.cidrs, destination.advertised, strict=True)
    # A gateway has an address in each of its networks; INPUT alone lets them in, so the hosts behind stay closed.
    behind = (pair for network in far.site.networks for pair in zip(network.cidrs, network.advertised, strict=True))
    return (*zip(far.own, far.own, strict=True), *behind)


def _site_plan(mesh: Mesh, draft: _Draft, bare: Mapping[SiteName, PeerPlan]) -> SitePlan:
    site = draft.site
    peers = dict(bare)
    del peers[site.name]
    for name, prefixes in draft.prefixes.items():
        peer = bare[name]
        peers[name] = replace(peer, allowed_ips=_minimal((*peer.allowed_ips, *prefixes)))
    lan = tuple(
        (network.interface, cidr)
        for network in site.networks
        for cidr in network.cidrs
        if (network.interface, cidr) in draft.involved
    )
    elsewhere = (prefix for prefixes in draft.prefixes.values() for prefix in prefixes)
    firewall = FirewallPlan(
        interface=mesh.interface,
        listen_port=site.listen_port,
        tunnel=mesh.tunnel,
        addresses=draft.own,
        remote=_minimal((*mesh.tunnel, *elsewhere)),
        lan=lan,
        forward=_flows(draft.forward),
        input=_flows(draft.input),
        masquerade=tuple(draft.masquerade.values()),
        netmap_in=tuple(draft.netmap_in),
        netmap_out=tuple(draft.netmap_out),
    )
    return SitePlan(
        site=site,
        interface=mesh.interface,
        mtu=site.mtu,
        listen_port=site.listen_port,
        addresses=draft.own,
        dns=site.dns,
        peers=tuple(peers.values()),
        firewall=firewall,
        forwarding=tuple(dict.fromkeys((mesh.interface, *(interface for interface, _ in lan)))) if lan else (),
    )


def _flows(granted: Mapping[_Pair, _Granted]) -> tuple[Flow, ...]:
    return tuple(
        Flow(source, destination, service, *_names(service, services))
        for (source, destination), services in granted.items()
        for service in merged(tuple(services))
    )


def _names(service: Service | None, granted: _Granted) -> tuple[str, str]:
    """Two parties that were granted the service, or the first piece of it where several are merged in one."""
    if service is None:
        return granted[None]
    return next(names for piece, names in granted.items() if piece is not None and service.contains(piece))


def _site_name(party: Party) -> SiteName:
    return party.site if isinstance(party, Network) else party.name


@lru_cache(maxsize=4096)
def _minimal(prefixes: tuple[IPNetwork, ...]) -> tuple[IPNetwork, ...]:
    """The prefixes in order, without those that another one contains. Neighbours are not merged: users wrote them."""
    kept: list[IPNetwork] = []
    for prefix in sorted(prefixes, key=lambda prefix: (prefix.version, int(prefix.network_address), prefix.prefixlen)):
        if not (kept and contains(kept[-1], prefix)):
            kept.append(prefix)
    return tuple(kept)


def contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    """True where every address of the inner prefix is one of the outer."""
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return not isinstance(inner, IPv4Network) and inner.subnet_of(outer)
