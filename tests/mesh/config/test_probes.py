"""Probes in the stack config: what they become, and the whole report for those that cannot come true."""

from ipaddress import ip_address
from typing import Any

import pytest

from mesh.config import parse
from mesh.model import Probe, Service, SiteName
from tests.mesh.config.configs import Row, changed, faults

GOOD = {"from": "ams", "to": "192.168.122.9", "port": "tcp/443", "expect": "allow"}
GRANTED = [{"from": "ams", "to": "nyc.virbr0", "ports": "tcp/443"}]
ALWAYS = "what always passes between endpoints"

TABLE: list[Row] = [
    (
        "a probe says from where, to where, what, and what is expected",
        {"probes": [{}]},
        [
            "probes[0].from: is missing; name the site whose host opens it",
            "probes[0].to: is missing; give the address to reach, for example 10.20.0.5",
            "probes[0].port: is missing; write it like tcp/443, or icmp",
            "probes[0].expect: is missing; write allow or deny",
        ],
    ),
    (
        "a probe goes out from a site, to an address, by one port that answers",
        {
            "access": GRANTED,
            "probes": [
                {**GOOD, "from": "amz"},
                {**GOOD, "from": "ams.lan"},
                {**GOOD, "from": ["ams"], "to": "nyc"},
                {**GOOD, "port": "udp/53", "expect": "yes"},
                {**GOOD, "port": "tcp/80-90"},
                {**GOOD, "port": "tcp", "at": 1},
            ],
        },
        [
            "probes[0].from: 'amz' is no site; did you mean 'ams'?",
            "probes[1].from: 'ams.lan' is a network: a probe goes out from a site's host; did you mean 'ams'?",
            "probes[2].from: expected the name of a site, found a list",
            "probes[2].to: 'nyc' is no IP address",
            "probes[3].port: 'udp/53': nobody says whether a datagram arrived; try one port of TCP, or icmp",
            "probes[3].expect: 'yes' is not known here; write allow or deny",
            "probes[4].port: 'tcp/80-90' is more than one port; a probe tries one, for example tcp/80",
            "probes[5].port: 'tcp' is more than one port; a probe tries one, for example tcp/443",
            "probes[5].at: unknown key; known here: from, to, port, expect",
        ],
    ),
    (
        "a probe goes to an address of another site, in a family that its own has",
        {
            "access": GRANTED,
            "sites.nyc.networks.six": {"cidr": "fd22::/64", "interface": "eth6", "masquerade": True},
            "probes": [
                {**GOOD, "to": "198.51.100.7"},
                {**GOOD, "to": "10.20.0.9"},
                {**GOOD, "to": "10.99.0.2"},
                {**GOOD, "to": "fd22::9"},
            ],
        },
        [
            "probes[0].to: 198.51.100.7 is at no site of this mesh; give a tunnel address, or an address in a network"
            " as other sites know it",
            "probes[1].to: 10.20.0.9 is at ams itself (ams.lan); no tunnel lies between",
            "probes[2].to: 10.99.0.2 is at ams itself (ams); no tunnel lies between",
            "probes[3].to: ams has no IPv6 address in the tunnel to reach that from",
        ],
    ),
    (
        "what the grants say otherwise is no probe",
        {
            "access": GRANTED,
            "probes": [
                {**GOOD, "expect": "deny"},
                {**GOOD, "port": "tcp/444"},
                {**GOOD, "from": "fra"},
                {**GOOD, "to": "10.99.0.1", "port": "icmp", "expect": "deny"},
            ],
        },
        [
            "probes[0]: ams may open tcp/443 to nyc.virbr0, by access[0]; take it out of that, or expect allow",
            "probes[1]: ams cannot open tcp/444 to nyc.virbr0; grant it, or expect deny",
            "probes[2]: fra cannot open tcp/443 to nyc.virbr0; grant it, or expect deny",
            f"probes[3]: ams may open icmp to nyc, by {ALWAYS}; take it out of that, or expect allow",
        ],
    ),
    (
        "a network is known by what it is advertised as",
        {
            "access": GRANTED,
            "sites.nyc.networks.virbr0.advertise_as": "10.201.0.0/24",
            "probes": [GOOD, {**GOOD, "to": "10.201.0.9"}],
        },
        [
            "probes[0].to: 192.168.122.9 is at no site of this mesh; give a tunnel address, or an address in a network"
            " as other sites know it",
        ],
    ),
    (
        "while there are other faults, the grants are not asked",
        {"mesh.mtu": 1, "probes": [{**GOOD, "to": "198.51.100.7"}]},
        ["mesh.mtu: 1 is out of range; it goes from 576 to 9000"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_fault_of_a_probe_is_reported(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


@pytest.mark.parametrize(
    ("grants", "probe"),
    [
        (GRANTED, GOOD),
        (GRANTED, {**GOOD, "port": "tcp/22", "expect": "deny"}),
        ([{"from": "ams", "to": "nyc"}], {**GOOD, "to": "10.99.0.1"}),
        ([], {**GOOD, "to": "10.99.0.1", "port": "icmp"}),
        # 192.168.122.1 may be nyc's own address in that network: which it is, only the host knows.
        ([{"from": "ams", "to": "nyc"}], {**GOOD, "to": "192.168.122.1"}),
        ([{"from": "ams", "to": "nyc"}], {**GOOD, "to": "192.168.122.1", "expect": "deny"}),
    ],
    ids=["granted", "denied", "a site", "an echo", "an address of a gateway", "or of none"],
)
def test_a_probe_that_may_come_true_is_none(grants: list[Any], probe: dict[str, Any]) -> None:
    assert faults(changed({"access": grants, "probes": [probe]})) == ()


def test_a_probe_is_what_was_written_and_a_config_needs_none() -> None:
    mesh = parse(changed({"access": GRANTED, "probes": [GOOD]}))
    (probe,) = mesh.probes
    assert probe == Probe(SiteName("ams"), ip_address("192.168.122.9"), Service("tcp", 443, 443), "allow")
    assert parse(changed({"access": GRANTED})).probes == ()
