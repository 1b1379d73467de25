"""Random plans, held against the plainest reading of the grants."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import combinations, permutations, product

from hypothesis import given

from mesh.model import IPNetwork, Mesh, Network, Party, Service, Site
from mesh.plan import PeerPlan, SitePlan, plan
from tests.mesh.meshes import meshes


def peer(site_plan: SitePlan, name: str) -> PeerPlan:
    (found,) = (each for each in site_plan.peers if each.site == name)
    return found


@dataclass(frozen=True)
class Prefix:
    """A prefix by what its own gateway calls it, and by what all others do."""

    real: IPNetwork
    shown: IPNetwork


def readings(mesh: Mesh) -> Iterator[tuple[Party, Party, Prefix, Prefix, Service | None]]:
    """Every source and destination of every grant, with every pair of prefixes that one packet could carry."""
    for grant in mesh.access:
        for source, destination in product(grant.sources, grant.destinations):
            if home(source) == home(destination):
                continue
            opening = behind(source) if isinstance(source, Network) else own(source)
            opened = behind(destination) if isinstance(destination, Network) else everything(destination)
            for here, there, service in product(opening, opened, grant.services or [None]):
                if here.real.version == there.real.version:
                    yield source, destination, here, there, service


def home(party: Party) -> str:
    return party.site if isinstance(party, Network) else party.name


def own(site: Site) -> list[Prefix]:
    prefixes = [ip_network(f"{address}/{address.max_prefixlen}") for address in site.addresses]
    return [Prefix(prefix, prefix) for prefix in prefixes]


def behind(network: Network) -> list[Prefix]:
    shown = {prefix.version: prefix for prefix in network.advertise_as}
    return [Prefix(cidr, shown.get(cidr.version, cidr)) for cidr in network.cidrs]


def everything(site: Site) -> list[Prefix]:
    return own(site) + [prefix for each in site.networks for prefix in behind(each)]


def packets(services: Iterable[Service | None]) -> dict[str, int]:
    """A set of services as what they let pass, a bit for each port, whatever the pieces that it is written in."""
    let: dict[str, int] = {}
    for service in services:
        if service is None:
            return {"everything": 1}
        ports = (1 << service.last + 1) - (1 << service.first)
        let[service.protocol] = let.get(service.protocol, 0) | ports
    return let


def count(services: Iterable[Service | None]) -> int:
    return sum(ports.bit_count() for ports in packets(services).values())


def covers(wider: IPNetwork, prefix: IPNetwork) -> bool:
    return wider != prefix and wider.version == prefix.version and prefix.network_address in wider


@given(meshes())
def test_allowed_ips_are_complete_and_minimal(mesh: Mesh) -> None:
    plans = plan(mesh)
    for each, other in permutations(mesh.sites, 2):
        needed = {prefix.shown for prefix in own(other)}
        for source, destination, here, there, _ in readings(mesh):
            if (home(source), home(destination)) == (other.name, each.name):
                needed.add(here.shown)
            if (home(source), home(destination)) == (each.name, other.name):
                needed.add(there.shown)
        needed = {prefix for prefix in needed if not any(covers(wider, prefix) for wider in needed)}
        allowed_ips = peer(plans[each.name], other.name).allowed_ips
        assert set(allowed_ips) == needed
        assert len(allowed_ips) == len(needed)
        assert [prefix.version for prefix in allowed_ips] == sorted(prefix.version for prefix in allowed_ips)


@given(meshes())
def test_each_end_of_a_grant_lets_exactly_its_flows_pass(mesh: Mesh) -> None:
    plans = plan(mesh)
    for each in mesh.sites:
        firewall = plans[each.name].firewall
        for flows, kind in ((firewall.forward, Network), (firewall.input, Site)):
            granted: dict[tuple[IPNetwork, IPNetwork], list[Service | None]] = {}
            for source, destination, here, there, service in readings(mesh):
                if home(source) == each.name and isinstance(source, kind):
                    granted.setdefault((here.real, there.shown), []).append(service)
                if home(destination) == each.name and isinstance(destination, kind):
                    granted.setdefault((here.shown, there.shown), []).append(service)
            planned: dict[tuple[IPNetwork, IPNetwork], list[Service | None]] = {}
            for flow in flows:
                planned.setdefault((flow.source, flow.destination), []).append(flow.service)
            assert planned.keys() == granted.keys()
            for pair, services in planned.items():
                assert packets(services) == packets(granted[pair])
                assert sum(count([service]) for service in services) == count(services)


@given(meshes())
def test_masquerade_and_forwarding_are_where_a_grant_needs_them(mesh: Mesh) -> None:
    plans = plan(mesh)
    for each in mesh.sites:
        firewall = plans[each.name].firewall
        assert {(entry.interface, entry.source, entry.destination) for entry in firewall.masquerade} == {
            (destination.interface, here.shown, there.real)
            for _, destination, here, there, _ in readings(mesh)
            if isinstance(destination, Network) and destination.site == each.name and destination.masquerade
        }
        involved = {
            (party.interface, prefix.real)
            for source, destination, here, there, _ in readings(mesh)
            for party, prefix in ((source, here), (destination, there))
            if isinstance(party, Network) and party.site == each.name
        }
        assert set(firewall.lan) == involved
        interfaces = {interface for interface, _ in involved}
        assert set(plans[each.name].forwarding) == (interfaces | {mesh.interface} if involved else set())


@given(meshes())
def test_no_prefix_belongs_to_two_peers_of_a_site(mesh: Mesh) -> None:
    for site_plan in plan(mesh).values():
        prefixes = [prefix for each in site_plan.peers for prefix in each.allowed_ips]
        for one, other in combinations(prefixes, 2):
            assert not (one.version == other.version and one.overlaps(other))
