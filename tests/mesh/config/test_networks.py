"""Bad stack configs, each with its whole report: networks, names and interfaces."""

import pytest

from tests.mesh.config.configs import HOST_KEY, Row, changed, faults


def _no_tunnel_name(name: str) -> Row:
    way_out = "it may hold a-z, 0-9 and _ . - and begins with a-z or 0-9"
    report = [f"mesh.interface: '{name}' is no name for the tunnel; {way_out}"]
    return f"the tunnel's interface is not called {name}", {"mesh.interface": name}, report


TABLE: list[Row] = [
    (
        "networks of two sites that overlap are a fault of the later one",
        {"sites.fra.networks.lan.cidr": "10.20.0.128/25"},
        [
            "sites.fra.networks.lan.cidr: 10.20.0.128/25 overlaps sites.ams.networks.lan.cidr (10.20.0.0/24);"
            " renumber one of them, or give both of them 'advertise_as'"
        ],
    ),
    (
        "networks of one site that overlap are a fault, whose way out needs no renumbering",
        {"sites.ams.networks.printer": {"cidr": "10.20.0.10/32", "interface": "eth1"}},
        [
            "sites.ams.networks.printer.cidr: 10.20.0.10/32 overlaps sites.ams.networks.lan.cidr (10.20.0.0/24);"
            " a grant to a network holds for all of it, so give the hosts that need other grants a prefix of their own"
            " that does not overlap"
        ],
    ),
    (
        "IPv6 networks that overlap are a fault",
        {"sites.fra.networks.lan.cidr": ["10.40.0.0/24", "fd20::/56"]},
        [
            "sites.fra.networks.lan.cidr: fd20::/56 overlaps sites.ams.networks.lan.cidr (fd20::/64); renumber one"
            " of them, or give both of them 'advertise_as'"
        ],
    ),
    (
        "a network that overlaps the tunnel's is a fault, and is found around or within it",
        {"sites.ams.networks.lan.cidr": "10.96.0.0/12", "sites.fra.networks.lan.cidr": "10.99.0.128/25"},
        [
            "sites.ams.networks.lan.cidr: 10.96.0.0/12 overlaps mesh.tunnel (10.99.0.0/24);"
            " give one of them another prefix",
            "sites.fra.networks.lan.cidr: 10.99.0.128/25 overlaps sites.ams.networks.lan.cidr (10.96.0.0/12);"
            " renumber one of them, or give both of them 'advertise_as'",
            "sites.fra.networks.lan.cidr: 10.99.0.128/25 overlaps mesh.tunnel (10.99.0.0/24);"
            " give one of them another prefix",
        ],
    ),
    (
        "a network that contains an endpoint is a fault",
        {"sites.ams.networks.lan.cidr": "203.0.113.0/24"},
        [
            "sites.ams.networks.lan.cidr: 203.0.113.0/24 contains the endpoint sites.nyc.colo.host (203.0.113.10): its"
            " packets would be routed into the tunnel that they carry; leave that address out of the network, or give"
            " the site another 'endpoint'"
        ],
    ),
    (
        "a site's own network that contains its endpoint is a fault",
        {"sites.nyc.networks.virbr0.cidr": "203.0.113.0/28", "sites.nyc.endpoint": "203.0.113.11:51820"},
        [
            "sites.nyc.networks.virbr0.cidr: 203.0.113.0/28 contains sites.nyc.colo.host (203.0.113.10): SSH to it"
            " would"
            " be routed into the tunnel; leave that address out of the network, or reach the host at another one",
            "sites.nyc.networks.virbr0.cidr: 203.0.113.0/28 contains the endpoint sites.nyc.endpoint"
            " (203.0.113.11): its"
            " packets would be routed into the tunnel that they carry; leave that address out of the network, or give"
            " the site another 'endpoint'",
        ],
    ),
    (
        "a network that contains the address of another site's host for SSH is a fault",
        {"sites.nyc.colo.host": "10.20.0.7", "sites.nyc.endpoint": "203.0.113.10"},
        [
            "sites.ams.networks.lan.cidr: 10.20.0.0/24 contains sites.nyc.colo.host (10.20.0.7): SSH to it would be"
            " routed into the tunnel; leave that address out of the network, or reach the host at another one"
        ],
    ),
    (
        "an endpoint or a host in the tunnel's network is a fault",
        {"sites.nyc.endpoint": "10.99.0.77:51820", "sites.ams.colo.host": "10.99.0.78"},
        [
            "sites.nyc.endpoint: 10.99.0.77 lies in mesh.tunnel (10.99.0.0/24); give one of them another address",
            "sites.ams.colo.host: 10.99.0.78 lies in mesh.tunnel (10.99.0.0/24); give one of them another address",
        ],
    ),
    (
        "a network with host bits is answered with the right one",
        {"sites.ams.networks.lan.cidr": ["10.20.0.7/24", "fd20::7/64"]},
        [
            "sites.ams.networks.lan.cidr[0]: '10.20.0.7/24' has host bits set; the network is 10.20.0.0/24",
            "sites.ams.networks.lan.cidr[1]: 'fd20::7/64' has host bits set; the network is fd20::/64",
        ],
    ),
    (
        "the whole internet is no network of a site",
        {"sites.ams.networks.lan.cidr": "0.0.0.0/0", "sites.fra.networks.lan.cidr": "::/0"},
        [
            "sites.ams.networks.lan.cidr: '0.0.0.0/0' is the whole internet; name the networks that are meant",
            "sites.fra.networks.lan.cidr: '::/0' is the whole internet; name the networks that are meant",
        ],
    ),
    (
        "networks that no machine can have are faults",
        {
            "sites.nyc.networks.virbr0.cidr": "127.0.0.0/8",
            "sites.ams.networks.lan.cidr": ["169.254.0.0/16", "fe80::/64"],
            "sites.fra.networks.lan.cidr": ["239.0.0.0/8", "::ffff:10.0.0.0/104"],
        },
        [
            "sites.nyc.networks.virbr0.cidr: '127.0.0.0/8' holds loopback addresses",
            "sites.ams.networks.lan.cidr[0]: '169.254.0.0/16' holds link-local addresses",
            "sites.ams.networks.lan.cidr[1]: 'fe80::/64' holds link-local addresses",
            "sites.fra.networks.lan.cidr[0]: '239.0.0.0/8' holds multicast addresses",
            "sites.fra.networks.lan.cidr[1]: '::ffff:10.0.0.0/104' holds IPv4-mapped addresses; write it as IPv4",
        ],
    ),
    (
        "a prefix is written in CIDR notation",
        {
            "sites.ams.networks.lan.cidr": ["10.20.0.0/255.255.255.0", "fd20::/129"],
            "sites.fra.networks.lan.cidr": "10.40.0.9",
        },
        [
            "sites.ams.networks.lan.cidr[0]: '10.20.0.0/255.255.255.0' has no valid prefix length; it goes from 1"
            " to 32",
            "sites.ams.networks.lan.cidr[1]: 'fd20::/129' has no valid prefix length; it goes from 1 to 128",
            "sites.fra.networks.lan.cidr: '10.40.0.9' has no prefix length; write it like 10.40.0.9/32",
        ],
    ),
    (
        "two prefixes of one family in one network are a fault",
        {"sites.fra.networks.lan.cidr": ["10.40.0.0/24", "10.41.0.0/24"]},
        [
            "sites.fra.networks.lan.cidr: 10.40.0.0/24, 10.41.0.0/24: at most one prefix of each family;"
            " make the other a network of its own"
        ],
    ),
    (
        "a network needs a prefix and an interface",
        {"sites.fra.networks.lan": None},
        [
            "sites.fra.networks.lan.cidr: is missing; give the network's prefix, for example 10.20.0.0/24",
            "sites.fra.networks.lan.interface: is missing; give the host's interface that leads to the network, for"
            " example eth1",
        ],
    ),
    (
        "a site's name is a DNS label in lower case",
        {"sites.NYC_2": {"address": "10.99.0.9", "colo": {"host": "192.0.2.9", "host_key": HOST_KEY}}},
        ["sites.NYC_2: 'NYC_2' is no site's name: 1 to 63 of a-z, 0-9 and -, and no - at an end; 'nyc-2' would do"],
    ),
    (
        "a network's name is a DNS label in lower case",
        {"sites.fra.networks.-": {"cidr": "10.41.0.0/24", "interface": "eth2"}},
        ["sites.fra.networks.-: '-' is no network's name: 1 to 63 of a-z, 0-9 and -, and no - at an end"],
    ),
    (
        "a name longer than a DNS label is a fault, and is cut short in the report",
        {"sites.fra.networks." + "long-" * 13: {"cidr": "10.41.0.0/24", "interface": "eth2"}},
        [
            "sites.fra.networks[\"<not shown>\"]: '<not shown>' is no network's name: 1 to 63 of a-z, 0-9 and -,"
            " and no - at"
            " an end"
        ],
    ),
    (
        "an interface's name has at most 15 characters",
        {"sites.fra.networks.lan.interface": "enp0s31f6vlan100", "mesh.interface": "wireguard-mesh-0"},
        [
            "mesh.interface: 'wireguard-mesh-0' has 16 characters; Linux takes at most 15",
            "sites.fra.networks.lan.interface: 'enp0s31f6vlan100' has 16 characters; Linux takes at most 15",
        ],
    ),
    (
        "an interface's name is one that wg-quick and iptables read as it stands",
        {
            "mesh.interface": "wg+",
            "sites.nyc.networks.virbr0.interface": "..",
            "sites.ams.networks.lan.interface": "-eth1",
            "sites.fra.networks.lan.interface": "eth1/2",
        },
        [
            "mesh.interface: 'wg+' contains '+', which iptables reads as 'any that begins so'; rename it",
            "sites.nyc.networks.virbr0.interface: '..' is no interface name; it may hold letters, digits and _ . = -",
            "sites.ams.networks.lan.interface: '-eth1' is no interface name; it may hold letters, digits and _ . = -",
            "sites.fra.networks.lan.interface: 'eth1/2' is no interface name; it may hold letters, digits and _ . = -",
        ],
    ),
    *(_no_tunnel_name(name) for name in ("Wg0", "wg=0", "_wg0", ".wg")),
    (
        "a network lies behind neither the loopback nor the tunnel's interface",
        {"sites.ams.networks.lan.interface": "lo", "sites.fra.networks.lan.interface": "wg0"},
        [
            "sites.ams.networks.lan.interface: 'lo' is the loopback interface; name another interface",
            "sites.fra.networks.lan.interface: 'wg0' is the tunnel's own interface (mesh.interface)",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report
