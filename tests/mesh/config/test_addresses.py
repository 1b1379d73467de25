"""Bad stack configs, each with its whole report: the tunnel's networks and the sites' addresses in them."""

import pytest

from tests.mesh.config.configs import GONE, Row, changed, faults

TABLE: list[Row] = [
    (
        "a tunnel network with host bits is answered with the right one",
        {"mesh.tunnel": "10.99.0.1/24"},
        ["mesh.tunnel: '10.99.0.1/24' has host bits set; the network is 10.99.0.0/24"],
    ),
    (
        "two tunnel networks of one family are a fault",
        {"mesh.tunnel": ["10.99.0.0/24", "10.98.0.0/24"]},
        ["mesh.tunnel: 10.99.0.0/24, 10.98.0.0/24: at most one network of each family, IPv4 and IPv6"],
    ),
    (
        "a missing address is answered with the next free one",
        {"sites.ams.address": GONE},
        ["sites.ams.address: is missing; the next free address is 10.99.0.2"],
    ),
    (
        "two missing addresses are not answered with the same one",
        {"sites.nyc.address": GONE, "sites.fra.address": GONE},
        [
            "sites.nyc.address: is missing; the next free address is 10.99.0.1",
            "sites.fra.address: is missing; the next free address is 10.99.0.3",
        ],
    ),
    (
        "an address without a value counts as missing",
        {"sites.ams.address": None},
        ["sites.ams.address: is missing; the next free address is 10.99.0.2"],
    ),
    (
        "an address that another site has is answered with the next free one",
        {"sites.fra.address": "10.99.0.1"},
        ["sites.fra.address: 10.99.0.1 is taken by sites.nyc; the next free address is 10.99.0.3"],
    ),
    (
        "an address outside the tunnel's network is a fault",
        {"sites.fra.address": "10.98.0.3"},
        ["sites.fra.address: 10.98.0.3 lies outside mesh.tunnel (10.99.0.0/24); the next free address is 10.99.0.3"],
    ),
    (
        "the network's own and the broadcast address are nobody's",
        {"sites.nyc.address": "10.99.0.0", "sites.ams.address": "10.99.0.255"},
        [
            "sites.nyc.address: 10.99.0.0 is the network's address of 10.99.0.0/24; the next free address is 10.99.0.1",
            "sites.ams.address: 10.99.0.255 is the broadcast address of 10.99.0.0/24; the next free address is"
            " 10.99.0.2",
        ],
    ),
    (
        "every tunnel network takes an address of every site",
        {"mesh.tunnel": ["10.99.0.0/24", "fd99::/64"], "sites.nyc.address": ["10.99.0.1", "fd99::1"]},
        [
            "sites.ams.address: there is no address in fd99::/64; the next free address is fd99::2",
            "sites.fra.address: there is no address in fd99::/64; the next free address is fd99::3",
        ],
    ),
    (
        "two addresses in one tunnel network are a fault",
        {"sites.nyc.address": ["10.99.0.1", "10.99.0.7"]},
        ["sites.nyc.address: 10.99.0.1 and 10.99.0.7 are both in 10.99.0.0/24; one address for each network"],
    ),
    (
        "a tunnel network that is full is said to be so",
        {"mesh.tunnel": "10.99.0.0/30", "sites.fra.address": GONE},
        ["sites.fra.address: is missing; 10.99.0.0/30 is full; give mesh.tunnel a larger network"],
    ),
    (
        "an address with a prefix length is a fault",
        {"sites.nyc.address": "10.99.0.1/24"},
        ["sites.nyc.address: '10.99.0.1/24' is no IP address"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report
