"""What is told: grants in others, ways back left unused, and doors that stand open to everyone; nothing else."""

from dataclasses import replace
from ipaddress import IPv4Network, ip_address, ip_network

import pytest

from mesh.model import Colo, Endpoint, Mesh, NewVpc, Secret, Site
from mesh.model import DigitalOcean as Cloud
from mesh.warnings import warnings
from tests.mesh.meshes import mesh, network, site

SITES = (
    site("ams", "10.99.0.2", network("lan", "10.20.0.0/24"), endpoint="198.51.100.20"),
    site("fra", "10.99.0.3", network("lan", "10.40.0.0/24"), endpoint="198.51.100.40"),
    site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24"), endpoint="203.0.113.10"),
)
BOTH = ("ams.lan fra.lan", "nyc.virbr0 nyc", "tcp/80-90 icmp")


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        pytest.param(("ams.lan", "nyc", "icmp"), BOTH, id="in every respect less"),
        pytest.param(("ams.lan fra.lan", "nyc nyc.virbr0", "tcp/80 tcp/85-90"), BOTH, id="fewer ports"),
        pytest.param(("fra.lan", "nyc nyc.virbr0", "icmp tcp/80-90"), BOTH, id="fewer sources"),
        pytest.param(("fra.lan ams.lan", "nyc", "icmp tcp/80-90"), BOTH, id="fewer destinations"),
        pytest.param(("ams", "nyc", "tcp udp icmp"), ("ams", "nyc", ""), id="every known protocol"),
        pytest.param(("ams", "nyc", "tcp/81-90"), ("ams", "nyc", "tcp/80-85 tcp/86-90"), id="a range in two pieces"),
    ],
)
def test_a_grant_that_another_one_contains_is_told_wherever_it_stands(
    inner: tuple[str, str, str], outer: tuple[str, str, str]
) -> None:
    other = ("nyc", "fra", "")
    assert [str(each) for each in warnings(mesh(*SITES, access=[other, inner, outer]))] == [
        "access[1]: is contained in access[2]; leave it out"
    ]
    assert [str(each) for each in warnings(mesh(*SITES, access=[outer, other, inner]))] == [
        "access[2]: is contained in access[0]; leave it out"
    ]


def test_of_two_equal_grants_the_later_is_told() -> None:
    same = ("fra.lan ams.lan", "nyc nyc.virbr0", "icmp tcp/80-85 tcp/86-90")
    assert [str(each) for each in warnings(mesh(*SITES, access=[BOTH, same, BOTH]))] == [
        "access[1]: says the same as access[0]; leave it out",
        "access[2]: says the same as access[0]; leave it out",
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("ams.lan", "nyc.virbr0 nyc", "tcp/79-80"), id="another port"),
        pytest.param(("ams.lan", "nyc", "udp/80"), id="another protocol"),
        pytest.param(("ams.lan", "nyc", ""), id="every protocol"),
        pytest.param(("ams.lan ams", "nyc", "icmp"), id="another source"),
        pytest.param(("ams.lan", "nyc fra", "icmp"), id="another destination"),
        pytest.param(("nyc", "ams.lan", "icmp"), id="the other direction"),
    ],
)
def test_a_grant_with_anything_of_its_own_is_not_told(other: tuple[str, str, str]) -> None:
    assert warnings(mesh(*SITES, access=[BOTH, other])) == ()
    assert warnings(mesh(*SITES, access=[other, BOTH])) == ()


def test_a_mesh_without_grants_has_no_warning() -> None:
    assert warnings(mesh(*SITES)) == ()


def test_a_way_back_beside_masquerading_is_told_and_either_alone_is_not() -> None:
    nets = (
        network("both", "10.20.0.0/24", masquerade=True, return_route="manual"),
        network("routed", "10.21.0.0/24", return_route="manual"),
        network("hidden", "10.22.0.0/24", masquerade=True, return_route=None),
    )
    assert [str(each) for each in warnings(mesh(site("ams", "10.99.0.2", *nets, endpoint="198.51.100.20")))] == [
        "sites.ams.networks.both.return_route: says nothing beside 'masquerade: true', with which answers go to this"
        " host without a route; leave one of them out"
    ]


FAR = tuple(
    replace(
        site(name, f"10.99.0.{number}", endpoint="192.0.2.1"),
        kind=Cloud("fra1", NewVpc(IPv4Network("10.50.0.0/24"))),
        endpoint=Endpoint(None, 51820),
    )
    for name, number in (("use1", 5), ("usw2", 6))
)


def unknown(name: str) -> Site:
    """A colo of which it is not known what it sends from."""
    found = next(each for each in SITES if each.name == name)
    assert isinstance(found.kind, Colo)
    return replace(found, kind=replace(found.kind, sends_from=()))


def known(found: Site) -> Site:
    assert isinstance(found.kind, Colo)
    return replace(found, kind=replace(found.kind, sends_from=(ip_address("9.9.9.9"),)))


def told(found: Mesh) -> list[str]:
    return [str(each) for each in warnings(found)]


def test_operators_who_are_everyone_are_told_with_the_machines_that_they_reach() -> None:
    everyone = (ip_network("0.0.0.0/0"), ip_network("192.0.2.0/24"), ip_network("::/0"))
    way_out = "name the prefixes that people and CI come from"
    assert told(replace(mesh(*map(known, SITES), *FAR), operators=everyone)) == [
        f"operators: 0.0.0.0/0 lets anyone try SSH at use1, usw2; {way_out}",
        f"operators: ::/0 lets anyone try SSH at use1, usw2; {way_out}",
    ]
    assert told(replace(mesh(*SITES), operators=everyone[:2])) == [
        f"operators: 0.0.0.0/0 says nothing, since that is everyone; {way_out}"
    ]
    assert told(replace(mesh(*map(known, SITES), *FAR), operators=(ip_network("0.0.0.0/1"),))) == []


def test_each_colo_without_a_fixed_address_is_told_whatever_is_granted_where_there_are_machines_in_clouds() -> None:
    by_ipv6 = unknown("nyc")
    assert isinstance(by_ipv6.kind, Colo)
    by_ipv6 = replace(by_ipv6, kind=replace(by_ipv6.kind, sends_from=(ip_address("2001:db8::1"),)))
    sites = (unknown("ams"), known(SITES[1]), by_ipv6)
    what = "what it sends from is not known, so that"
    way_out = "WireGuard's packets in from anywhere; give it 'sends_from', where it has a fixed public address"
    for access in ((), (("ams.lan", "usw2", ""), ("nyc", "fra ams", ""))):
        assert told(mesh(*sites, *FAR, access=access)) == [
            f"sites.ams.colo: {what} use1, usw2 let {way_out}",
            f"sites.nyc.colo: {what} use1, usw2 let {way_out}",
        ]
    assert told(mesh(*sites[:2], FAR[0])) == [f"sites.ams.colo: {what} use1 lets {way_out}"]
    assert told(mesh(*sites, access=[("nyc", "fra ams", "")])) == []


def test_a_host_that_is_taken_over_without_its_key_is_told_and_one_with_it_is_not() -> None:
    def adopting(found: Site) -> Site:
        assert isinstance(found.kind, Colo)
        return replace(found, kind=replace(found.kind, adopt=True))

    with_key = replace(adopting(SITES[1]), private_key=Secret(None))
    assert told(mesh(adopting(SITES[0]), with_key, SITES[2])) == [
        "sites.ams.colo.adopt: stands without a 'private_key': the host gets a new key, and its tunnels are down until"
        " all others know it; give the site the key that the host has (leave 'adopt' out once it is taken over)"
    ]
