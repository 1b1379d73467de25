"""Quotas of clouds: what is told of a mesh that needs more than they take by default, and what is just enough."""

from dataclasses import replace
from ipaddress import IPv4Network, ip_network

import pytest

from mesh.model import Aws, DigitalOcean, ExistingVpc, Mesh, NewVpc, Site
from mesh.warnings import warnings
from tests.mesh.meshes import mesh, network, site

NEW = Aws("us-east-1", NewVpc(IPv4Network("10.10.0.0/16")))
LISTED = Aws("us-east-1", ExistingVpc("vpc-0a1b2c3d", "subnet-0a1b2c3d", ("rtb-0a1b2c3d",)))
NONE_LISTED = Aws("us-east-1", ExistingVpc("vpc-0a1b2c3d", "subnet-0a1b2c3d"))
DROPLET = DigitalOcean("fra1", NewVpc(IPv4Network("10.40.0.0/24")))


def colo(networks: int = 1, ipv6_networks: int = 0) -> Site:
    """One with that many networks, of which some have IPv6 as well."""
    return site(
        "ams",
        "10.99.0.2",
        *(
            network(
                f"n{number}",
                f"10.{20 + number // 250}.{number % 250}.0/24",
                *([f"fd20:{number:x}::/64"] if number < ipv6_networks else []),
            )
            for number in range(networks)
        ),
        endpoint="198.51.100.20",
    )


def cloudy(kind: Aws | DigitalOcean, other: Site, ports: str = "", *, operators: int = 1) -> Mesh:
    """A machine in a cloud whose network may open flows to all of the other site's, and that many operators."""
    made = site("use1", "10.99.0.1", network("vpc", "10.10.0.0/16", "fd10::/64"), endpoint=None, kind=kind)
    far = " ".join(str(each) for each in other.networks)
    of = mesh(other, made, access=[("use1.vpc", far, ports)] if ports else [])
    return replace(of, operators=tuple(ip_network(f"192.0.{number}.0/24") for number in range(operators)))


def told(of: Mesh) -> list[str]:
    return [str(each) for each in warnings(of)]


def ports(count: int) -> str:
    return " ".join(f"tcp/{2 * number + 1000}" for number in range(count))


def test_more_rules_than_a_security_group_takes_are_told_for_each_family() -> None:
    """Beside the ports: one for the operators and one for the peer, both of IPv4."""
    rules = "have the quota 'Inbound or outbound rules per security group' raised, or name fewer, wider 'operators' and"
    one_each = colo(ipv6_networks=1)
    assert told(cloudy(NEW, one_each, ports(58))) == []
    assert told(cloudy(NEW, one_each, ports(59))) == [
        f"sites.use1.aws: its security group lets IPv4 in by 61 rules, and AWS takes 60 by default; {rules} 'ports'"
    ]
    assert [each[:51] for each in told(cloudy(LISTED, one_each, ports(61)))] == [
        "sites.use1.aws: its security group lets IPv4 in by ",
        "sites.use1.aws: its security group lets IPv6 in by ",
    ]
    assert told(cloudy(NEW, colo(), operators=59)) == []
    assert len(told(cloudy(NEW, colo(), operators=60))) == 1


def test_other_machines_in_clouds_are_rules_of_a_security_group_as_well() -> None:
    of = cloudy(NEW, colo(), operators=59)
    other = site("fra", "10.99.0.3", endpoint=None, kind=DROPLET)
    assert [each.place for each in warnings(replace(of, sites=(*of.sites, other)))] == ["sites.use1.aws"]


@pytest.mark.parametrize("kind", [NEW, LISTED], ids=["a new VPC's", "one that exists"])
def test_more_routes_than_a_route_table_takes_are_told(kind: Aws) -> None:
    routes = "have the quota 'Routes per route table' raised, or grant it fewer, wider networks"
    assert told(cloudy(kind, colo(499), "tcp/443")) == []
    assert told(cloudy(kind, colo(500, 500), "tcp/443")) == [
        f"sites.use1.aws: each of its route tables has 501 routes of IPv{version}, the default one included, and AWS"
        f" takes 500 by default; {routes}"
        for version in (4, 6)
    ]


def test_routes_that_no_table_gets_are_not_counted() -> None:
    assert told(cloudy(NONE_LISTED, colo(500), "tcp/443")) == []


def test_more_rules_than_a_firewall_of_digitalocean_takes_are_told() -> None:
    """Three send, one is for the operators and one for the peer; sources and families share a rule."""
    assert told(cloudy(DROPLET, colo(ipv6_networks=1), ports(45), operators=200)) == []
    assert told(cloudy(DROPLET, colo(ipv6_networks=1), f"{ports(44)} icmp", operators=200)) == []
    assert told(cloudy(DROPLET, colo(), ports(46))) == [
        "sites.use1.digitalocean: its firewall has 51 rules, and DigitalOcean takes 50; grant its networks fewer, wider"
        " ranges of ports"
    ]


def test_everything_is_three_rules_of_a_firewall_and_other_machines_are_in_one_of_their_own() -> None:
    of = cloudy(DROPLET, colo(2), ports(43))
    spare = site("spare", "10.99.0.3", network("lan", "10.60.0.0/24"), endpoint=None, kind=DROPLET)
    of = replace(of, sites=(*of.sites, spare))
    assert told(of) == []
    more = network("open", "10.61.0.0/24")
    made = next(each for each in of.sites if each.name == "use1")
    with_more = replace(made, networks=(*made.networks, more(made.name)))
    sites = (of.sites[0], with_more, spare)
    everything = mesh(*sites, access=[("use1.vpc", "ams.n0", ports(43)), ("use1.open", "ams.n1", "")])
    assert told(replace(everything, operators=of.operators)) == [
        "sites.use1.digitalocean: its firewall has 51 rules, and DigitalOcean takes 50; grant its networks fewer, wider"
        " ranges of ports"
    ]


def test_a_mesh_of_colos_has_no_quotas() -> None:
    far = site("fra", "10.99.0.3", network("lan", "10.60.0.0/24"), endpoint="198.51.100.30")
    assert told(mesh(colo(), far, access=[("fra.lan", "ams.n0", ports(100))])) == []
