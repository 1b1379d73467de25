"""Networks that others know by another prefix: what is accepted, and the whole report for what is not."""

from ipaddress import ip_network

import pytest

from mesh.config import parse
from tests.mesh.config.configs import HOST_KEY, Row, changed, faults

NYC, FRA, AMS = "sites.nyc.networks.virbr0", "sites.fra.networks.lan", "sites.ams.networks.lan"
SAME: dict[str, object] = {f"{NYC}.cidr": "192.168.122.0/24", f"{FRA}.cidr": "192.168.122.0/24"}
BOTH = {**SAME, f"{NYC}.advertise_as": "10.201.0.0/24", f"{FRA}.advertise_as": "10.202.0.0/24"}
OTHER = "advertise it as another prefix"

TABLE: list[Row] = [
    (
        "two sites with the same network have two ways out",
        SAME,
        [
            f"{FRA}.cidr: 192.168.122.0/24 overlaps {NYC}.cidr (192.168.122.0/24); renumber one of them, or give both"
            " of them 'advertise_as'"
        ],
    ),
    (
        "one of two sites with the same network is not enough, and the other one is named",
        {**SAME, f"{FRA}.advertise_as": "10.202.0.0/24"},
        [
            f"{NYC}.cidr: 192.168.122.0/24 overlaps {FRA}.cidr (192.168.122.0/24, advertised as 10.202.0.0/24);"
            " renumber it, or give it 'advertise_as' as well"
        ],
    ),
    (
        "a part of another site's own prefix is as bad as the whole",
        {f"{FRA}.cidr": "10.20.0.128/25", f"{FRA}.advertise_as": "10.202.0.0/25"},
        [
            f"{AMS}.cidr: 10.20.0.0/24 overlaps {FRA}.cidr (10.20.0.128/25, advertised as 10.202.0.0/25);"
            " renumber it, or give it 'advertise_as' as well"
        ],
    ),
    (
        "two networks are not advertised as the same prefix",
        {**SAME, f"{NYC}.advertise_as": "10.202.0.0/24", f"{FRA}.advertise_as": "10.202.0.0/24"},
        [
            f"{FRA}.advertise_as: 192.168.122.0/24, advertised as 10.202.0.0/24, overlaps {NYC}.advertise_as"
            f" (192.168.122.0/24, advertised as 10.202.0.0/24); {OTHER}"
        ],
    ),
    (
        "nothing is advertised as what another network has, at another site or at its own",
        {
            **SAME,
            f"{NYC}.advertise_as": "10.20.0.0/24",
            f"{FRA}.advertise_as": "10.60.0.0/24",
            "sites.fra.networks.dmz": {"cidr": "10.60.0.0/23", "interface": "eth2"},
        },
        [
            f"{NYC}.advertise_as: 192.168.122.0/24, advertised as 10.20.0.0/24, overlaps {AMS}.cidr (10.20.0.0/24);"
            f" {OTHER}",
            f"{FRA}.advertise_as: 192.168.122.0/24, advertised as 10.60.0.0/24, overlaps sites.fra.networks.dmz.cidr"
            f" (10.60.0.0/23); {OTHER}",
        ],
    ),
    (
        "nothing is advertised as what another network has under another name",
        {**BOTH, f"{NYC}.advertise_as": "10.40.0.0/24", f"{FRA}.cidr": "10.40.0.0/24"},
        [
            f"{NYC}.advertise_as: 192.168.122.0/24, advertised as 10.40.0.0/24, overlaps {FRA}.cidr"
            f" (10.40.0.0/24, advertised as 10.202.0.0/24); {OTHER}"
        ],
    ),
    (
        "neither a real nor an advertised prefix overlaps the tunnel",
        {
            f"{NYC}.advertise_as": "10.99.0.0/24",
            f"{FRA}.cidr": "10.99.0.128/25",
            f"{FRA}.advertise_as": "10.202.0.0/25",
        },
        [
            f"{NYC}.advertise_as: 192.168.122.0/24, advertised as 10.99.0.0/24, overlaps mesh.tunnel (10.99.0.0/24);"
            f" {OTHER}",
            f"{NYC}.advertise_as: 192.168.122.0/24, advertised as 10.99.0.0/24, overlaps {FRA}.cidr (10.99.0.128/25,"
            f" advertised as 10.202.0.0/25); {OTHER}",
            f"{FRA}.cidr: 10.99.0.128/25, advertised as 10.202.0.0/25, overlaps mesh.tunnel (10.99.0.0/24); give one of"
            " them another prefix",
        ],
    ),
    (
        "the networks of one site do not overlap, whatever they are advertised as",
        {
            f"{FRA}.advertise_as": "10.202.0.0/24",
            "sites.fra.networks.dmz": {"cidr": "10.40.0.0/25", "interface": "eth2", "advertise_as": "10.203.0.0/25"},
        },
        [
            "sites.fra.networks.dmz.cidr: 10.40.0.0/25, advertised as 10.203.0.0/25, overlaps"
            f" {FRA}.cidr (10.40.0.0/24, advertised as 10.202.0.0/24); a grant to a network holds for all of it, so"
            " give the hosts that need other grants a prefix of their own that does not overlap"
        ],
    ),
    (
        "an endpoint or a host in an advertised prefix is a fault",
        {
            f"{FRA}.advertise_as": "203.0.113.0/24",
            "sites.nyc.colo.host": "203.0.113.11",
            "sites.nyc.endpoint": "203.0.113.10",
        },
        [
            f"{FRA}.advertise_as: 10.40.0.0/24, advertised as 203.0.113.0/24, contains the endpoint sites.nyc.endpoint"
            " (203.0.113.10): its packets would be routed into the tunnel that they carry; advertise it as another"
            " prefix, or give the site another 'endpoint'",
            f"{FRA}.advertise_as: 10.40.0.0/24, advertised as 203.0.113.0/24, contains sites.nyc.colo.host"
            " (203.0.113.11): SSH to it would be routed into the tunnel; advertise it as another prefix, or reach the"
            " host at another one",
        ],
    ),
    (
        "a site's own host has no address in what its network is advertised as",
        {
            f"{FRA}.advertise_as": "10.202.0.0/24",
            "sites.fra.colo.host": "10.202.0.1",
            "sites.fra.endpoint": "fra.mesh.net",
        },
        [
            f"{FRA}.advertise_as: 10.40.0.0/24, advertised as 10.202.0.0/24, contains sites.fra.colo.host (10.202.0.1):"
            " SSH to it would be routed into the tunnel; advertise it as another prefix, or reach the host at another"
            " one"
        ],
    ),
    (
        "an endpoint in another site's own prefix is a fault also where that is advertised as something else",
        {f"{FRA}.cidr": "203.0.113.0/24", f"{FRA}.advertise_as": "10.202.0.0/24"},
        [
            f"{FRA}.cidr: 203.0.113.0/24, advertised as 10.202.0.0/24, contains the endpoint sites.nyc.colo.host"
            " (203.0.113.10): fra would look for it in that network, and not outside; leave that address out of the"
            " network, or give the site another 'endpoint'"
        ],
    ),
    (
        "an advertised prefix has the size of the real one",
        {f"{FRA}.advertise_as": "10.202.0.0/23", f"{AMS}.advertise_as": "fd21::/48"},
        [
            f"{AMS}.advertise_as: fd21::/48 is not of the same size as fd20::/64, whose addresses it stands for one by"
            " one; give a prefix with the length /64",
            f"{FRA}.advertise_as: 10.202.0.0/23 is not of the same size as 10.40.0.0/24, whose addresses it stands for"
            " one by one; give a prefix with the length /24",
        ],
    ),
    (
        "an advertised prefix is of a family that the network has",
        {f"{FRA}.advertise_as": ["10.202.0.0/24", "fd22::/64"]},
        [f"{FRA}.advertise_as: fd22::/64 is IPv6, and 'cidr' has no prefix of that family; leave it out"],
    ),
    (
        "a network is not advertised as itself",
        {f"{FRA}.advertise_as": "10.40.0.0/24"},
        [f"{FRA}.advertise_as: 10.40.0.0/24 is the network's own prefix; leave it out, or advertise another one"],
    ),
    (
        "two advertised prefixes of one family are a fault",
        {f"{FRA}.advertise_as": ["10.202.0.0/24", "10.203.0.0/24"]},
        [f"{FRA}.advertise_as: 10.202.0.0/24, 10.203.0.0/24: at most one prefix of each family, as in 'cidr'"],
    ),
    (
        "an advertised prefix that cannot be read is one fault, and no overlap",
        {**BOTH, f"{FRA}.advertise_as": "10.202.0.1/24"},
        [f"{FRA}.advertise_as: '10.202.0.1/24' has host bits set; the network is 10.202.0.0/24"],
    ),
    (
        "a prefix that cannot be read is one fault, and none of what it is advertised as",
        {f"{FRA}.cidr": "10.40.0.1/24", f"{FRA}.advertise_as": "10.202.0.0/24"},
        [f"{FRA}.cidr: '10.40.0.1/24' has host bits set; the network is 10.40.0.0/24"],
    ),
    (
        "a network without a prefix lacks that alone",
        {f"{FRA}.cidr": None, f"{FRA}.advertise_as": "10.202.0.0/24"},
        [f"{FRA}.cidr: is missing; give the network's prefix, for example 10.20.0.0/24"],
    ),
    (
        "a resolver is named by the address by which its network is known",
        {**BOTH, "sites.ams.dns": "10.201.0.53"},
        [
            "sites.ams.dns: 10.201.0.53 lies in nyc.virbr0, and no grant lets ams itself reach it; grant {from: ams,"
            " to: nyc, ports: [udp/53, tcp/53]} if it is the address of nyc itself, or else the same to nyc.virbr0"
        ],
    ),
    (
        "at its own site a network's resolver has its real address only, whatever is granted",
        {**BOTH, "sites.fra.dns": "10.202.0.53", "access.1": {"from": "*", "to": "*"}},
        [
            "sites.fra.dns: 10.202.0.53 is what other sites know an address of fra.lan as, and fra itself does not;"
            " name 192.168.122.53"
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(BOTH, id="two sites with the same network"),
        pytest.param(
            {
                f"{FRA}.cidr": "10.20.0.0/16",
                f"{FRA}.advertise_as": "10.203.0.0/16",
                f"{AMS}.advertise_as": "10.204.0.0/24",
            },
            id="one within the other",
        ),
        pytest.param({**BOTH, f"{NYC}.advertise_as": "192.168.0.0/24"}, id="advertised beside the real one"),
        pytest.param({f"{AMS}.advertise_as": "fd21::/64"}, id="one family of two"),
        pytest.param(
            {
                f"{FRA}.cidr": "203.0.113.0/28",
                f"{FRA}.advertise_as": "10.202.0.0/28",
                "sites.fra.colo.host": "203.0.113.1",
                "sites.fra.endpoint": "203.0.113.2",
                "sites.nyc.colo.host": "192.0.2.1",
            },
            id="a site's own host and endpoint in its own network",
        ),
        pytest.param(
            {
                **BOTH,
                "sites.ams.colo.host": "192.168.122.9",
                "sites.ams.endpoint": "198.51.100.20",
                "sites.ams.colo.proxy": {"host": "192.0.2.1", "host_key": HOST_KEY},
            },
            id="a host that is reached at an address of others' networks, which nobody routes",
        ),
        pytest.param({**BOTH, "sites.fra.dns": "192.168.122.1"}, id="a resolver in the site's own network"),
        pytest.param({**BOTH, "sites.ams.dns": "192.168.122.53"}, id="a resolver that only looks like one of others"),
        pytest.param(
            {**BOTH, "sites.ams.dns": "10.202.0.53", "access.1": {"from": "*", "to": "*"}},
            id="a resolver at another site, by what its network is advertised as",
        ),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(changed(changes)) == ()


def test_what_is_advertised_comes_with_the_network_ipv4_first() -> None:
    mesh = parse(changed({**BOTH, f"{AMS}.advertise_as": ["fd21::/64", "10.203.0.0/24"]}))
    (lan,), (virbr0,) = mesh.site("ams").networks, mesh.site("nyc").networks
    assert lan.advertise_as == (ip_network("10.203.0.0/24"), ip_network("fd21::/64"))
    assert lan.advertised == lan.advertise_as
    assert virbr0.advertised == (ip_network("10.201.0.0/24"),)
    (plain,) = parse(changed({})).site("ams").networks
    assert (plain.advertise_as, plain.advertised) == ((), plain.cidrs)


def test_of_a_hundred_sites_with_the_same_network_only_the_one_that_does_not_advertise_it_is_at_fault() -> None:
    sites = {
        f"s{number}": {
            "address": f"10.99.0.{number}",
            "colo": {"host": f"s{number}.mesh.net", "host_key": HOST_KEY},
            "networks": {
                "lan": {
                    "cidr": "192.168.122.0/24",
                    "interface": "virbr0",
                    "masquerade": True,
                    **({"advertise_as": f"10.200.{number}.0/24"} if number != 50 else {}),
                }
            },
        }
        for number in range(1, 101)
    }
    found = faults({"mesh": {"tunnel": "10.99.0.0/24"}, "sites": sites})
    assert {fault.place for fault in found} == {"sites.s50.networks.lan.cidr"}
    assert len(found) == 2
