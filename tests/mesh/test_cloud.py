"""What the cloud around a gateway has to know: what its firewall lets in, and the routes in its route tables."""

from dataclasses import replace
from ipaddress import IPv4Network, ip_address, ip_network

import pytest

from mesh.cloud import openings, routes
from mesh.model import Aws, Colo, DigitalOcean, ExistingVpc, Kind, Mesh, NewVpc, Site, SiteName
from mesh.outputs import outputs
from mesh.plan import plan
from tests.mesh.meshes import mesh, network, site

AWS = Aws("us-east-1", NewVpc(IPv4Network("10.10.0.0/16")))
DROPLET = DigitalOcean("fra1", NewVpc(IPv4Network("10.40.0.0/24")))
NYC = site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24", masquerade=True), endpoint="203.0.113.10")
AMS = site("ams", "10.99.0.2", network("lan", "10.20.0.0/24", "fd20::/64"), endpoint="198.51.100.20")
FRA = site(
    "fra", "10.99.0.4", network("vpc", "10.40.0.0/24", interface="eth1", masquerade=True), endpoint=None, kind=DROPLET
)
USE1 = site(
    "use1",
    "10.99.0.3",
    network("vpc", "10.10.0.0/16", "fd10::/64", interface="ens5", return_route=None),
    endpoint=None,
    kind=AWS,
)


def around(*access: tuple[str, str, str], operators: tuple[str, ...] = ("192.0.2.0/24",), nyc: Site = NYC) -> Mesh:
    of = mesh(AMS, FRA, nyc, USE1, access=access)
    return replace(of, operators=tuple(ip_network(prefix) for prefix in operators))


def let_in(of: Mesh, name: str = "use1") -> list[str]:
    return [opening.name for opening in openings(of, plan(of)[SiteName(name)])]


def routed_to(of: Mesh, name: str = "use1") -> list[str]:
    return [f"{route.prefix} {route.site}" for route in routes(plan(of)[SiteName(name)])]


PEERS = ["udp-51820-from-198.51.100.20-32", "udp-51820-from-fra", "udp-51820-from-203.0.113.10-32"]


def test_without_grants_only_operators_and_peers_are_let_in_and_nothing_is_routed() -> None:
    assert let_in(around()) == ["tcp-22-from-192.0.2.0-24", *PEERS]
    assert routed_to(around()) == []
    assert let_in(around(operators=())) == PEERS


def test_what_own_networks_may_open_comes_in_on_its_way_out_by_port_and_family() -> None:
    of = around(("use1.vpc", "nyc.virbr0", "tcp/443 icmp"), ("use1.vpc", "ams.lan", "udp/53 tcp/444-450 icmp"))
    assert let_in(of)[4:] == [
        "icmp-from-10.10.0.0-16",
        "tcp-443-450-from-10.10.0.0-16",
        "udp-53-from-10.10.0.0-16",
        "icmpv6-from-fd10__-64",
        "tcp-444-450-from-fd10__-64",
        "udp-53-from-fd10__-64",
    ]
    everything = around(("use1.vpc", "nyc.virbr0", "tcp/443"), ("use1.vpc", "nyc", ""))
    assert let_in(everything)[4:] == ["all-from-10.10.0.0-16"]


def test_what_others_may_open_to_a_network_opens_nothing_in_its_cloud() -> None:
    """It comes out of the tunnel, and leaves by the gateway's interface; answers to it are let in as such."""
    of = around(("nyc", "use1.vpc", ""), ("ams.lan", "use1", "tcp/9100"), ("ams.lan", "fra.vpc", ""))
    assert let_in(of) == ["tcp-22-from-192.0.2.0-24", *PEERS]
    assert let_in(of, "fra") == [
        "tcp-22-from-192.0.2.0-24",
        PEERS[0],
        PEERS[2],
        "udp-51820-from-use1",
    ]


@pytest.mark.parametrize("sends_from", [(), ("2001:db8::10",)], ids=["unknown", "by IPv6 alone"])
def test_a_peer_without_a_fixed_address_is_let_in_from_anywhere_and_no_other(sends_from: tuple[str, ...]) -> None:
    """Machines in clouds are reached by IPv4."""
    assert isinstance(NYC.kind, Colo)
    nyc = replace(NYC, kind=replace(NYC.kind, sends_from=tuple(ip_address(address) for address in sends_from)))
    assert let_in(around(nyc=nyc)) == ["tcp-22-from-192.0.2.0-24", *PEERS[:2], "udp-51820-from-0.0.0.0-0"]


def test_two_peers_behind_one_address_and_operators_in_an_own_network_are_one_opening() -> None:
    nyc = replace(NYC, kind=AMS.kind)
    of = around(("use1.vpc", "ams.lan", "tcp/22"), operators=("10.10.0.0/16", "192.0.2.0/24"), nyc=nyc)
    assert let_in(of) == [
        "tcp-22-from-10.10.0.0-16",
        "tcp-22-from-192.0.2.0-24",
        "udp-51820-from-198.51.100.20-32",
        "udp-51820-from-fra",
        "tcp-22-from-fd10__-64",
    ]


def test_every_prefix_that_a_grant_involves_is_routed_in_both_families_and_no_other() -> None:
    assert routed_to(around(("use1.vpc", "nyc.virbr0", "tcp/443"))) == ["192.168.122.0/24 nyc"]
    assert routed_to(around(("ams.lan", "use1.vpc", "tcp/443"), ("nyc", "use1.vpc", "icmp"))) == [
        "10.20.0.0/24 ams",
        "10.99.0.1/32 nyc",
        "fd20::/64 ams",
    ]
    assert routed_to(around(("ams.lan", "use1", ""))) == []  # the gateway itself needs no route of the cloud's


def test_a_route_leads_to_the_peer_that_has_all_of_its_prefix_and_not_only_its_first_addresses() -> None:
    of = around(("use1.vpc", "ams.lan", ""))
    whole = plan(of)[SiteName("use1")]
    nearer = replace(whole.peers[0], site=SiteName("nearer"), allowed_ips=(IPv4Network("10.20.0.0/25"),))
    found = replace(whole, peers=(nearer, *whole.peers))
    assert [str(route.site) for route in routes(found)] == ["ams", "ams"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (AWS, True),
        (replace(AWS, vpc=ExistingVpc("vpc-0a1b2c3d", "subnet-0a1b2c3d", ("rtb-0a1b2c3d",))), True),
        (replace(AWS, vpc=ExistingVpc("vpc-0a1b2c3d", "subnet-0a1b2c3d")), False),
        (DROPLET, False),
        (NYC.kind, False),
    ],
    ids=["new VPC", "route tables", "none given", "DigitalOcean", "colo"],
)
def test_routes_that_the_program_makes_are_not_asked_of_the_user(kind: Kind, expected: bool) -> None:
    of = mesh(AMS, NYC, replace(USE1, kind=kind), access=[("use1.vpc", "nyc.virbr0", "tcp/443")])
    assert of.site("use1").routed == expected
    assert ("use1.routes" in outputs(of, plan(of))) == (not expected)


def test_the_texts_have_words_where_a_cloud_gives_the_address() -> None:
    shown = outputs(around(), plan(around()))
    assert "Endpoint = (address of use1):51820\n" in shown["nyc.config"]
    assert "Endpoint = (address of fra):51820\n" in shown["use1.config"]
    assert "Endpoint = 203.0.113.10:51820\n" in shown["use1.config"]
