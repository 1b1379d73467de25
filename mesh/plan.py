"""The plan: for every site its peers, addresses, flows to let through and interfaces to forward on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, ip_network

from mesh.model import Endpoint, IPAddress, IPNetwork, Mesh, Network, Party, Service, Site, SiteName


@dataclass(frozen=True, slots=True)
class Flow:
    """One opener's tuple: hosts in `source` may open flows to `destination`. Both are of one family.

    `service` None means every protocol. `reason` names the grant's two sides, for people: `ams.lan -> nyc.virbr0`.
    """

    source: IPNetwork
    destination: IPNetwork
    service: Service | None
    reason: str


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """Another site as WireGuard sees it. `allowed_ips`: IPv4 first, by address, none contained in another."""

    site: SiteName
    endpoint: Endpoint
    allowed_ips: tuple[IPNetwork, ...]
    persistent_keepalive: int


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

    `addresses` are the gateway's own in the tunnel, as host prefixes. `lan` pairs an interface with the prefix that may
    send from it into the tunnel. `forward` flows pass the gateway, `input` flows begin or end at the gateway itself.
    """

    interface: str
    tunnel: tuple[IPNetwork, ...]
    addresses: tuple[IPNetwork, ...]
    lan: tuple[tuple[str, IPNetwork], ...]
    forward: tuple[Flow, ...]
    input: tuple[Flow, ...]
    masquerade: tuple[Masquerade, ...]


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


_FlowKey = tuple[IPNetwork, IPNetwork, Service | None]


@dataclass(slots=True)
class _Draft:
    """A site, and what the grants have added to it so far. Dicts, since they keep the order in which grants came."""

    site: Site
    own: tuple[IPNetwork, ...]
    forward: dict[_FlowKey, Flow] = field(default_factory=dict)
    input: dict[_FlowKey, Flow] = field(default_factory=dict)
    masquerade: dict[tuple[IPNetwork, IPNetwork, str], Masquerade] = field(default_factory=dict)
    involved: set[tuple[str, IPNetwork]] = field(default_factory=set)
    prefixes: dict[SiteName, dict[IPNetwork, None]] = field(default_factory=lambda: defaultdict(dict))


def plan(mesh: Mesh) -> dict[SiteName, SitePlan]:
    """The plan of every site, in the mesh's order: a full mesh, each pair of sites one link.

    The work grows with the number of sites and of pairs that a grant names; a peer that no grant names is one object,
    shared by all sites that see it.
    """
    drafts = {site.name: _Draft(site, tuple(ip_network(address) for address in site.addresses)) for site in mesh.sites}
    for grant in mesh.access:
        for source in grant.sources:
            for destination in grant.destinations:
                if _site_name(source) != _site_name(destination):
                    _add_path(drafts, source, destination, grant.services or (None,))
    bare = {
        name: PeerPlan(name, draft.site.endpoint, _minimal(draft.own), mesh.persistent_keepalive)
        for name, draft in drafts.items()
    }
    return {name: _site_plan(mesh, draft, bare) for name, draft in drafts.items()}


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
    reason = f"{source} -> {destination}"
    opening = source.cidrs if isinstance(source, Network) else near.own
    if isinstance(destination, Network):
        opened = destination.cidrs
    else:
        # A gateway has an address in each of its networks; INPUT alone lets them in, so the hosts behind stay closed.
        opened = far.own + tuple(cidr for network in far.site.networks for cidr in network.cidrs)
    for here in opening:
        for there in opened:
            if here.version != there.version:
                continue
            far.prefixes[from_site][here] = None
            near.prefixes[to_site][there] = None
            if isinstance(source, Network):
                near.involved.add((source.interface, here))
            if isinstance(destination, Network):
                far.involved.add((destination.interface, there))
                if destination.masquerade:
                    key = (here, there, destination.interface)
                    far.masquerade.setdefault(key, Masquerade(destination.interface, here, there, reason))
            for service in services:
                flow = Flow(here, there, service, reason)
                near_flows.setdefault((here, there, service), flow)
                far_flows.setdefault((here, there, service), flow)


def _site_plan(mesh: Mesh, draft: _Draft, bare: Mapping[SiteName, PeerPlan]) -> SitePlan:
    site = draft.site
    peers = dict(bare)
    del peers[site.name]
    for name, prefixes in draft.prefixes.items():
        peer = bare[name]
        allowed_ips = _minimal((*peer.allowed_ips, *prefixes))
        peers[name] = PeerPlan(name, peer.endpoint, allowed_ips, peer.persistent_keepalive)
    lan = tuple(
        (network.interface, cidr)
        for network in site.networks
        for cidr in network.cidrs
        if (network.interface, cidr) in draft.involved
    )
    firewall = FirewallPlan(
        interface=mesh.interface,
        tunnel=mesh.tunnel,
        addresses=draft.own,
        lan=lan,
        forward=tuple(draft.forward.values()),
        input=tuple(draft.input.values()),
        masquerade=tuple(draft.masquerade.values()),
    )
    return SitePlan(
        site=site,
        interface=mesh.interface,
        mtu=mesh.mtu,
        listen_port=site.listen_port,
        addresses=draft.own,
        dns=site.dns,
        peers=tuple(peers.values()),
        firewall=firewall,
        forwarding=tuple(dict.fromkeys((mesh.interface, *(interface for interface, _ in lan)))) if lan else (),
    )


def _site_name(party: Party) -> SiteName:
    return party.site if isinstance(party, Network) else party.name


@lru_cache(maxsize=4096)
def _minimal(prefixes: tuple[IPNetwork, ...]) -> tuple[IPNetwork, ...]:
    """The prefixes in order, without those that another one contains. Neighbours are not merged: users wrote them."""
    kept: list[IPNetwork] = []
    for prefix in sorted(prefixes, key=lambda prefix: (prefix.version, int(prefix.network_address), prefix.prefixlen)):
        if not (kept and _contains(kept[-1], prefix)):
            kept.append(prefix)
    return tuple(kept)


def _contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return not isinstance(inner, IPv4Network) and inner.subnet_of(outer)
