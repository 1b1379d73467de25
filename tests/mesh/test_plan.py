"""The plan: peers, allowed IPs, flows and interfaces follow from the grants, and nothing else does."""

from ipaddress import ip_network

from mesh.model import Mesh
from mesh.plan import Flow, Masquerade, PeerPlan, SitePlan, plan
from tests.mesh.meshes import familiar, mesh, network, site

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
    assert peer(nyc, "fra").endpoint.at("") == "[2001:db8::4]:51820"
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


def test_a_flow_that_two_grants_give_is_planned_once_and_for_the_network_where_one_names_it() -> None:
    plans = plans_of(
        mesh(NYC, AMS, access=[("ams.lan", "nyc", ""), ("ams.lan", "nyc.virbr0", ""), ("ams.lan", "nyc", "")])
    )
    assert [flow.reason for flow in plans["ams"].firewall.forward] == ["ams.lan -> nyc", "ams.lan -> nyc.virbr0"]
    assert [flow.reason for flow in plans["nyc"].firewall.forward] == ["ams.lan -> nyc.virbr0"]


def test_a_flow_is_named_for_a_grant_that_holds_its_service() -> None:
    access = [("ams.lan", "nyc", "tcp/22"), ("ams.lan", "nyc.virbr0", "tcp/443 tcp/23")]
    lan = ip_network("192.168.122.0/24")
    flows = [
        flow for flow in plans_of(mesh(NYC, AMS, access=access))["ams"].firewall.forward if flow.destination == lan
    ]
    assert [(str(flow.service), flow.reason) for flow in flows] == [
        ("tcp/22-23", "ams.lan -> nyc"),
        ("tcp/443", "ams.lan -> nyc.virbr0"),
    ]
    everything = plans_of(mesh(NYC, AMS, access=[*access, ("ams.lan", "nyc.virbr0", "")]))["ams"].firewall.forward
    assert [(flow.service, flow.reason) for flow in everything if flow.destination == lan] == [
        (None, "ams.lan -> nyc.virbr0")
    ]


def test_services_are_flows_of_their_own_and_none_is_there_twice() -> None:
    access = [
        ("ams.lan", "nyc.virbr0", "tcp/443 icmp tcp/8000-8100"),
        ("ams.lan", "nyc.virbr0", "icmp tcp/8101 udp/53"),
        ("ams.lan", "nyc", "tcp/22"),
        ("ams.lan", "nyc", ""),
    ]
    nyc = plans_of(mesh(NYC, AMS, access=access))["nyc"].firewall
    assert [str(flow.service) for flow in nyc.forward] == ["icmp", "tcp/443", "tcp/8000-8101", "udp/53"]
    assert [flow.service for flow in nyc.input] == [None, None]


TWINS = (
    site(
        "nyc",
        "10.99.0.1",
        network("lan", "192.168.122.0/24", advertise_as=["10.202.0.0/24"], masquerade=True),
        endpoint="203.0.113.10",
    ),
    site(
        "ams",
        "10.99.0.2",
        network("lan", "192.168.122.0/24", interface="br0", advertise_as=["10.201.0.0/24"]),
        endpoint="198.51.100.20",
    ),
)
REAL, OF_NYC, OF_AMS = (ip_network(text) for text in ("192.168.122.0/24", "10.202.0.0/24", "10.201.0.0/24"))


def test_two_sites_with_one_prefix_know_each_other_by_what_they_advertise() -> None:
    plans = plans_of(mesh(*TWINS, access=[("ams.lan", "nyc.lan", "")]))
    assert allowed(plans["ams"], "nyc") == ["10.99.0.1/32", "10.202.0.0/24"]
    assert allowed(plans["nyc"], "ams") == ["10.99.0.2/32", "10.201.0.0/24"]
    # The opener's own gateway sees its real source, the other one the advertised; both see where it is sent.
    assert tuples(plans["ams"].firewall.forward) == [("192.168.122.0/24", "10.202.0.0/24")]
    assert tuples(plans["nyc"].firewall.forward) == [("10.201.0.0/24", "10.202.0.0/24")]
    assert plans["nyc"].firewall.lan == (("lan", REAL),)
    assert plans["nyc"].firewall.masquerade == (Masquerade("lan", OF_AMS, REAL, "ams.lan -> nyc.lan"),)


def test_a_prefix_is_mapped_only_in_the_direction_that_a_grant_opens() -> None:
    plans = plans_of(mesh(*TWINS, access=[("ams.lan", "nyc.lan", "")]))
    assert (plans["ams"].firewall.netmap_in, plans["ams"].firewall.netmap_out) == ((), ((REAL, OF_AMS),))
    assert (plans["nyc"].firewall.netmap_in, plans["nyc"].firewall.netmap_out) == (((OF_NYC, REAL),), ())
    host = plans_of(mesh(*TWINS, access=[("ams", "nyc", "tcp/22")]))
    assert host["nyc"].firewall.netmap_in == ((OF_NYC, REAL),)
    assert host["ams"].firewall.netmap_out == ()


def test_the_prefixes_of_others_are_those_that_grants_bring_and_the_tunnel() -> None:
    plans = plans_of(mesh(*TWINS, access=[("ams.lan", "nyc.lan", "")]))
    assert [str(prefix) for prefix in plans["nyc"].firewall.remote] == ["10.99.0.0/24", "10.201.0.0/24"]
    assert [str(prefix) for prefix in plans_of(mesh(*TWINS))["nyc"].firewall.remote] == ["10.99.0.0/24"]


def test_a_link_has_the_lower_mtu_of_both_ends() -> None:
    sites = (
        site("ams", "10.99.0.2", endpoint="198.51.100.20", mtu=1412),
        site("nyc", "10.99.0.1", endpoint="203.0.113.10", mtu=8921),
        site("sfo", "10.99.0.3", endpoint="192.0.2.30"),
    )
    plans = plans_of(mesh(*sites))
    assert {name: one.mtu for name, one in plans.items()} == {"ams": 1412, "nyc": 8921, "sfo": 1420}
    assert {name: [each.mtu for each in one.peers] for name, one in plans.items()} == {
        "ams": [1412, 1412],
        "nyc": [1412, 1420],
        "sfo": [1412, 1420],
    }


def test_a_prefix_inside_another_of_the_same_peer_is_left_out_and_neighbours_stay_apart() -> None:
    nets = {"a": "10.20.0.0/24", "wide": "10.20.0.0/16", "b": "10.21.0.0/24", "c": "10.21.1.0/24"}
    ams = site("ams", "10.99.0.2", *(network(name, cidr) for name, cidr in nets.items()), endpoint="198.51.100.20")
    plans = plans_of(mesh(NYC, ams, access=[("ams.c ams.b ams.wide ams.a", "nyc.virbr0", "")]))
    assert allowed(plans["nyc"], "ams") == ["10.20.0.0/16", "10.21.0.0/24", "10.21.1.0/24", "10.99.0.2/32"]


def test_sites_that_no_grant_names_share_one_peer_object() -> None:
    plans = plans_of(familiar())
    assert peer(plans["ams"], "sfo") is peer(plans["fra"], "sfo")
