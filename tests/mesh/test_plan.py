"""The plan: peers, allowed IPs, flows and interfaces follow from the grants, and nothing else does."""

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import combinations, permutations, product

from hypothesis import given

from mesh.model import IPNetwork, Mesh, Network, Party, Service, Site
from mesh.plan import Flow, Masquerade, PeerPlan, SitePlan, plan
from tests.mesh.meshes import familiar, mesh, meshes, network, site

NYC = site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24"), endpoint="203.0.113.10")
AMS = site("ams", "10.99.0.2", network("lan", "10.20.0.0/24", interface="br0"), endpoint="198.51.100.20")


def plans_of(mesh: Mesh) -> dict[str, SitePlan]:
    return {str(name): site_plan for name, site_plan in plan(mesh).items()}


def peer(site_plan: SitePlan, name: str) -> PeerPlan:
    (found,) = (each for each in site_plan.peers if each.site == name)
    return found


def allowed(site_plan: SitePlan, name: str) -> list[str]:
    return [str(prefix) for prefix in peer(site_plan, name).allowed_ips]


def tuples(flows: tuple[Flow, ...]) -> list[tuple[str, str]]:
    assert all(flow.service is None for flow in flows)
    return [(str(flow.source), str(flow.destination)) for flow in flows]


def test_every_pair_of_sites_is_a_link_and_everything_keeps_the_mesh_order() -> None:
    plans = plans_of(familiar())
    assert list(plans) == ["nyc", "ams", "sfo", "fra"]
    assert [each.site for each in plans["ams"].peers] == ["nyc", "sfo", "fra"]
    assert [each.site for each in plans["fra"].peers] == ["nyc", "ams", "sfo"]


def test_a_site_has_its_addresses_ports_and_peers_endpoints() -> None:
    nyc = plans_of(familiar())["nyc"]
    assert nyc.addresses == (ip_network("10.99.0.1/32"),)
    assert (nyc.interface, nyc.mtu, nyc.listen_port) == ("wg0", 1420, 51820)
    assert [str(address) for address in nyc.dns] == ["192.168.122.1"]
    assert str(peer(nyc, "fra").endpoint) == "[2001:db8::4]:51820"
    assert peer(nyc, "fra").persistent_keepalive == 25


def test_the_exposing_site_lets_the_granted_open_and_opens_nothing_itself() -> None:
    plans = plans_of(familiar())
    granted = [("10.20.0.0/24", "192.168.122.0/24"), ("10.30.0.0/24", "192.168.122.0/24")]
    assert tuples(plans["nyc"].firewall.forward) == granted
    assert granted[0] in tuples(plans["ams"].firewall.forward)
    assert tuples(plans["sfo"].firewall.forward) == granted[1:]
    for site_plan in plans.values():
        assert not [flow for flow in site_plan.firewall.forward if flow.source == ip_network("192.168.122.0/24")]
        assert site_plan.firewall.input == ()


def test_allowed_ips_are_what_a_grant_needs_and_the_peers_own_addresses() -> None:
    plans = plans_of(familiar())
    assert allowed(plans["nyc"], "ams") == ["10.20.0.0/24", "10.99.0.2/32"]
    assert allowed(plans["ams"], "nyc") == ["10.99.0.1/32", "192.168.122.0/24"]
    assert allowed(plans["nyc"], "fra") == ["10.99.0.4/32"]
    assert allowed(plans["ams"], "sfo") == ["10.99.0.3/32"]
    assert allowed(plans["ams"], "fra") == ["10.40.0.0/24", "10.99.0.4/32", "fd40::/64"]


def test_a_two_way_grant_is_two_flows_of_each_family() -> None:
    assert tuples(plans_of(familiar())["fra"].firewall.forward) == [
        ("10.20.0.0/24", "10.40.0.0/24"),
        ("fd20::/64", "fd40::/64"),
        ("10.40.0.0/24", "10.20.0.0/24"),
        ("fd40::/64", "fd20::/64"),
    ]


def test_masquerade_is_at_the_destination_for_the_granted_sources_alone() -> None:
    plans = plans_of(familiar())
    lan = ip_network("192.168.122.0/24")
    assert plans["nyc"].firewall.masquerade == (
        Masquerade("virbr0", ip_network("10.20.0.0/24"), lan, "ams.lan -> nyc.virbr0"),
        Masquerade("virbr0", ip_network("10.30.0.0/24"), lan, "sfo.lan -> nyc.virbr0"),
    )
    assert [name for name, site_plan in plans.items() if site_plan.firewall.masquerade] == ["nyc"]


def test_only_the_interfaces_of_granted_networks_forward() -> None:
    sites = (
        site(
            "nyc",
            "10.99.0.1",
            network("virbr0", "192.168.122.0/24"),
            network("dmz", "10.5.0.0/24"),
            endpoint="a.example",
        ),
        AMS,
        site("sfo", "10.99.0.3", network("lan", "10.30.0.0/24"), endpoint="b.example"),
    )
    plans = plans_of(mesh(*sites, access=[("ams.lan", "nyc.virbr0", "")]))
    assert plans["nyc"].forwarding == ("wg0", "virbr0")
    assert plans["nyc"].firewall.lan == (("virbr0", ip_network("192.168.122.0/24")),)
    assert plans["ams"].forwarding == ("wg0", "br0")
    assert plans["sfo"].forwarding == ()
    assert plans["sfo"].firewall.lan == ()


def test_a_site_as_destination_is_its_gateway_alone_in_each_of_its_networks() -> None:
    plans = plans_of(mesh(NYC, AMS, access=[("ams.lan", "nyc", "")]))
    opened = [("10.20.0.0/24", "10.99.0.1/32"), ("10.20.0.0/24", "192.168.122.0/24")]
    assert tuples(plans["nyc"].firewall.input) == opened
    assert plans["nyc"].firewall.forward == ()
    assert plans["nyc"].forwarding == ()
    assert tuples(plans["ams"].firewall.forward) == opened
    assert plans["ams"].firewall.input == ()
    assert allowed(plans["ams"], "nyc") == ["10.99.0.1/32", "192.168.122.0/24"]


def test_a_site_as_source_is_its_tunnel_address_and_hears_the_replies_itself() -> None:
    plans = plans_of(mesh(NYC, AMS, access=[("ams", "nyc.virbr0", "")]))
    opened = [("10.99.0.2/32", "192.168.122.0/24")]
    assert tuples(plans["nyc"].firewall.forward) == opened
    assert tuples(plans["ams"].firewall.input) == opened
    assert plans["ams"].firewall.forward == ()
    assert plans["ams"].forwarding == ()
    assert allowed(plans["nyc"], "ams") == ["10.99.0.2/32"]


def test_a_grant_within_one_site_adds_nothing() -> None:
    without = mesh(NYC, AMS)
    within = mesh(NYC, AMS, access=[("nyc nyc.virbr0", "nyc nyc.virbr0", "")])
    assert plan(within) == plan(without)
    assert plan(mesh(NYC, AMS, access=[("nyc ams.lan", "nyc.virbr0", "")])) != plan(without)


def test_families_do_not_mix() -> None:
    ams = site("ams", "10.99.0.2", network("lan", "fd20::/64"), endpoint="198.51.100.20")
    plans = plans_of(mesh(NYC, ams, access=[("ams.lan", "nyc.virbr0", "")]))
    assert plans["nyc"].firewall.forward == plans["ams"].firewall.forward == ()
    assert allowed(plans["nyc"], "ams") == ["10.99.0.2/32"]
    assert plans["nyc"].forwarding == plans["ams"].forwarding == ()


def test_a_flow_that_two_grants_give_is_planned_once_for_the_first_reason() -> None:
    plans = plans_of(
        mesh(NYC, AMS, access=[("ams.lan", "nyc", ""), ("ams.lan", "nyc.virbr0", ""), ("ams.lan", "nyc", "")])
    )
    assert [flow.reason for flow in plans["ams"].firewall.forward] == ["ams.lan -> nyc"] * 2
    assert [flow.reason for flow in plans["nyc"].firewall.forward] == ["ams.lan -> nyc.virbr0"]


def test_services_are_flows_of_their_own() -> None:
    plans = plans_of(
        mesh(NYC, AMS, access=[("ams.lan", "nyc.virbr0", "tcp/443 icmp"), ("ams.lan", "nyc.virbr0", "icmp")])
    )
    assert [flow.service for flow in plans["nyc"].firewall.forward] == [Service("tcp", 443, 443), Service("icmp")]


def test_a_prefix_inside_another_of_the_same_peer_is_left_out_and_neighbours_stay_apart() -> None:
    nets = {"a": "10.20.0.0/24", "wide": "10.20.0.0/16", "b": "10.21.0.0/24", "c": "10.21.1.0/24"}
    ams = site("ams", "10.99.0.2", *(network(name, cidr) for name, cidr in nets.items()), endpoint="198.51.100.20")
    plans = plans_of(mesh(NYC, ams, access=[("ams.c ams.b ams.wide ams.a", "nyc.virbr0", "")]))
    assert allowed(plans["nyc"], "ams") == ["10.20.0.0/16", "10.21.0.0/24", "10.21.1.0/24", "10.99.0.2/32"]


# The plainest reading of the grants, against which random plans are held.


def readings(mesh: Mesh) -> Iterator[tuple[Party, Party, IPNetwork, IPNetwork, Service | None]]:
    """Every source and destination of every grant, with every pair of prefixes that one packet could carry."""
    for grant in mesh.access:
        for source, destination in product(grant.sources, grant.destinations):
            if home(source) == home(destination):
                continue
            opening = source.cidrs if isinstance(source, Network) else own(source)
            opened = destination.cidrs if isinstance(destination, Network) else everything(destination)
            for here, there, service in product(opening, opened, grant.services or [None]):
                if here.version == there.version:
                    yield source, destination, here, there, service


def home(party: Party) -> str:
    return party.site if isinstance(party, Network) else party.name


def own(site: Site) -> list[IPNetwork]:
    return [ip_network(f"{address}/{address.max_prefixlen}") for address in site.addresses]


def everything(site: Site) -> list[IPNetwork]:
    return own(site) + [cidr for each in site.networks for cidr in each.cidrs]


def covers(wider: IPNetwork, prefix: IPNetwork) -> bool:
    return wider != prefix and wider.version == prefix.version and prefix.network_address in wider


@given(meshes())
def test_allowed_ips_are_complete_and_minimal(mesh: Mesh) -> None:
    plans = plan(mesh)
    for each, other in permutations(mesh.sites, 2):
        needed = set(own(other))
        for source, destination, here, there, _ in readings(mesh):
            if (home(source), home(destination)) == (other.name, each.name):
                needed.add(here)
            if (home(source), home(destination)) == (each.name, other.name):
                needed.add(there)
        needed = {prefix for prefix in needed if not any(covers(wider, prefix) for wider in needed)}
        allowed_ips = peer(plans[each.name], other.name).allowed_ips
        assert set(allowed_ips) == needed
        assert len(allowed_ips) == len(needed)
        assert [prefix.version for prefix in allowed_ips] == sorted(prefix.version for prefix in allowed_ips)


@given(meshes())
def test_each_end_of_a_grant_lets_exactly_its_flows_pass(mesh: Mesh) -> None:
    plans = plan(mesh)
    for each in mesh.sites:
        ends = [
            (party, (here, there, service))
            for source, destination, here, there, service in readings(mesh)
            for party in (source, destination)
            if home(party) == each.name
        ]
        firewall = plans[each.name].firewall
        for flows, kind in ((firewall.forward, Network), (firewall.input, Site)):
            planned = [(flow.source, flow.destination, flow.service) for flow in flows]
            assert set(planned) == {flow for party, flow in ends if isinstance(party, kind)}
            assert len(planned) == len(set(planned))


@given(meshes())
def test_masquerade_and_forwarding_are_where_a_grant_needs_them(mesh: Mesh) -> None:
    plans = plan(mesh)
    for each in mesh.sites:
        firewall = plans[each.name].firewall
        assert {(entry.interface, entry.source, entry.destination) for entry in firewall.masquerade} == {
            (destination.interface, here, there)
            for _, destination, here, there, _ in readings(mesh)
            if isinstance(destination, Network) and destination.site == each.name and destination.masquerade
        }
        involved = {
            (party.interface, prefix)
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


def test_sites_that_no_grant_names_share_one_peer_object() -> None:
    plans = plans_of(familiar())
    assert peer(plans["ams"], "sfo") is peer(plans["fra"], "sfo")
