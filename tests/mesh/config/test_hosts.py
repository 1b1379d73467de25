"""Bad stack configs, each with its whole report: hosts, endpoints, ports."""

import pytest

from mesh.config import parse
from tests.mesh.config.configs import GONE, HOST_KEY, Row, changed, faults

TABLE: list[Row] = [
    (
        "a site without a kind is a fault",
        {"sites.fra.colo": GONE},
        [
            "sites.fra: is of no kind; give it 'colo', with the 'host' and 'host_key' of a host that exists, or 'aws'"
            " or 'digitalocean' for a machine that is to be made"
        ],
    ),
    (
        "a kind that is not known is a fault beside the one that is given",
        {"sites.fra.gcp": {"region": "europe-west3"}},
        [
            "sites.fra.gcp: unknown key; known here: address, colo, aws, digitalocean, networks, endpoint,"
            " listen_port, mtu, dns, private_key, key_generation, paused, reapply"
        ],
    ),
    (
        "a host is an address or a DNS name",
        {
            "sites.nyc.colo.host": "203.0.113.300",
            "sites.ams.colo.host": "ams_1.mesh.net",
            "sites.fra.colo.host": "localhost",
            "sites.nyc.endpoint": "[203.0.113.10]:51820",
        },
        [
            "sites.nyc.colo.host: '203.0.113.300' is no IP address",
            "sites.nyc.endpoint: '[203.0.113.10]:51820': brackets are for IPv6 addresses only",
            "sites.ams.colo.host: 'ams_1.mesh.net' is neither an address nor a DNS name",
            "sites.fra.colo.host: 'localhost' is the machine itself; give the name that others use",
        ],
    ),
    (
        "a name that ends with a dot is answered with the way out",
        {"sites.nyc.colo.host": "nyc.mesh.net.", "sites.nyc.endpoint": "nyc.mesh.net.:51820"},
        [
            "sites.nyc.colo.host: 'nyc.mesh.net.' ends with a dot; leave the last dot out",
            "sites.nyc.endpoint: 'nyc.mesh.net.' ends with a dot; leave the last dot out",
        ],
    ),
    (
        "an endpoint is an address that a machine can have",
        {
            "sites.nyc.endpoint": "127.0.0.1:51820",
            "sites.ams.endpoint": "[fe80::1%eth0]:51820",
            "sites.fra.endpoint": "[::ffff:203.0.113.1]:51820",
        },
        [
            "sites.nyc.endpoint: '127.0.0.1' belongs to the loopback addresses",
            "sites.ams.endpoint: 'fe80::1%eth0' has a zone; write the address alone",
            "sites.fra.endpoint: '::ffff:203.0.113.1' belongs to the IPv4-mapped addresses; write it as IPv4",
        ],
    ),
    (
        "two sites cannot have one endpoint, nor one host",
        {"sites.fra.colo.host": "203.0.113.10"},
        [
            "sites.fra.colo.host: 203.0.113.10, port 51820, is the endpoint of sites.nyc too;"
            " give one of them another address, or another 'listen_port'",
            "sites.fra.colo.host: 203.0.113.10, port 22, is the host of sites.nyc too; one site a host",
        ],
    ),
    (
        "two sites cannot have one host behind one bastion",
        {
            "ssh.proxy": {"host": "192.0.2.1", "host_key": HOST_KEY},
            "sites.ams.colo.host": "172.16.0.1",
            "sites.fra.colo.host": "172.16.0.1",
            "sites.ams.endpoint": "198.51.100.20",
            "sites.fra.endpoint": "198.51.100.40",
        },
        ["sites.fra.colo.host: 172.16.0.1, port 22, is the host of sites.ams too; one site a host"],
    ),
    (
        "resolvers are addresses",
        {"sites.fra.dns": ["9.9.9.9", "dns.mesh.net", "224.0.0.251"]},
        [
            "sites.fra.dns[1]: 'dns.mesh.net' is no IP address",
            "sites.fra.dns[2]: '224.0.0.251' belongs to the multicast addresses",
        ],
    ),
    (
        "a bastion needs a host and a host key",
        {"ssh": {"proxy": {"user": "jump"}}, "sites.fra.colo.proxy": {"host": "192.0.2.1"}},
        [
            "sites.fra.colo.proxy.host_key: is missing; give the host's public key, one line of"
            " /etc/ssh/ssh_host_ed25519_key.pub on that host",
            "ssh.proxy.host: is missing; give the address or DNS name for SSH",
            "ssh.proxy.host_key: is missing; give the host's public key, one line of"
            " /etc/ssh/ssh_host_ed25519_key.pub on"
            " that host",
        ],
    ),
    (
        "ports, MTU and keepalive have their bounds",
        {
            "mesh.listen_port": 0,
            "mesh.mtu": 9001,
            "mesh.persistent_keepalive": -1,
            "sites.nyc.listen_port": 65536,
            "sites.nyc.colo.port": "22",
            "sites.nyc.endpoint": "203.0.113.10:99999",
        },
        [
            "mesh.listen_port: 0 is out of range; it goes from 1 to 65535",
            "mesh.mtu: 9001 is out of range; it goes from 576 to 9000",
            "mesh.persistent_keepalive: -1 is out of range; it goes from 0 to 65535",
            "sites.nyc.colo.port: expected a whole number from 1 to 65535, found the text '22'; leave the quotes out",
            "sites.nyc.listen_port: 65536 is out of range; it goes from 1 to 65535",
            "sites.nyc.endpoint: '99999' is no port; it goes from 1 to 65535",
        ],
    ),
    (
        "IPv6 in any network needs an MTU of 1280",
        {"mesh.mtu": 1279},
        ["mesh.mtu: 1279 is too small for IPv6, which sites.ams.networks.lan has; it takes at least 1280"],
    ),
    (
        "a number is neither true nor a fraction",
        {"mesh.listen_port": True, "mesh.mtu": 1420.5},
        [
            "mesh.listen_port: expected a whole number from 1 to 65535, found true",
            "mesh.mtu: expected a whole number from 576 to 9000, found the number 1420.5",
        ],
    ),
    (
        "only a colo can have an interface that is taken over",
        {"sites.nyc.adopt": True, "sites.ams.colo.adopt": "yes"},
        [
            "sites.nyc.adopt: unknown key; it belongs to sites.nyc.colo; known here: address, colo, aws, digitalocean,"
            " networks, endpoint, listen_port, mtu, dns, private_key, key_generation, paused, reapply",
            "sites.ams.colo.adopt: expected true or false, found the text 'yes'; write true",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


def test_an_interface_is_taken_over_where_that_is_said_and_nowhere_else() -> None:
    mesh = parse(changed({"sites.nyc.colo.adopt": True, "sites.ams.colo.adopt": False}), stack_file=False)
    assert {str(site): site.adopts for site in mesh.sites} == {"ams": False, "fra": False, "nyc": True}
