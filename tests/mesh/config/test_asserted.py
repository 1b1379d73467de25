"""Assertions in the stack config: what they become, and the whole report for those that mean nothing or do not hold."""

import pytest

from mesh.config import parse
from tests.mesh.config.configs import Row, changed, faults

NEVER = "no grant could ever decide that"
DENY = {"from": "nyc.virbr0", "to": "ams.lan", "expect": "deny"}

TABLE: list[Row] = [
    (
        "an assertion says what it expects, of whom",
        {"assert": [{"from": "nyc", "to": []}, {**DENY, "expect": "denied"}, {**DENY, "expect": False}]},
        [
            "assert[0].expect: is missing; write allow or deny",
            "assert[0].to: is an empty list; leave the key out, or give it a value",
            "assert[1].expect: 'denied' is not known here; write allow or deny",
            "assert[2].expect: expected allow or deny, found false",
        ],
    ),
    (
        "an assertion's selectors are those of a grant",
        {"assert": [{**DENY, "from": ["nyc.virtbr0", "zzz.*"], "to": ["ams.lan", None, "ams.lan"]}]},
        [
            "assert[0].from[0]: 'nyc.virtbr0' is no site or network; did you mean 'nyc.virbr0'?",
            "assert[0].from[1]: 'zzz.*' is no site or network; known here: ams, ams.*, ams.lan, fra, fra.*, fra.lan,"
            " nyc, nyc.*, nyc.virbr0",
            "assert[0].to[1]: is empty; name a site or a network, or leave the place out",
            "assert[0].to[2]: 'ams.lan' is named twice",
        ],
    ),
    (
        "an assertion within one site is decided by no grant",
        {"assert": [{"from": "ams", "to": "ams.lan", "expect": "allow"}]},
        [f"assert[0]: both sides are at the site 'ams'; {NEVER}"],
    ),
    (
        "an assertion between IPv4 and IPv6 only is decided by no grant",
        {
            "sites.ams.networks.lan.cidr": "fd20::/64",
            "access": [],
            "assert": [{"from": "ams.lan", "to": "nyc.virbr0", "expect": "deny"}],
        },
        [f"assert[0]: one side has only IPv4 and the other only IPv6; {NEVER}"],
    ),
    (
        "ICMP between hosts is more than echo in the tunnel, so that a grant decides it",
        {
            "access.1": {"from": "fra", "to": "ams", "ports": "icmp"},
            "assert": [{"from": ["nyc", "fra"], "to": "ams", "ports": "icmp", "expect": "deny"}],
        },
        [
            "assert[0]: fra may open icmp to ams, by access[1] (from fra to ams, icmp); take it out of that grant, or"
            " change the assertion"
        ],
    ),
    (
        "what an assertion lacks is told in ports that can be written",
        {
            "access": [{"from": "ams.lan", "to": "nyc.virbr0", "ports": ["tcp/443-500", "udp/1-52"]}],
            "assert": [{"from": "ams.lan", "to": "nyc.virbr0", "ports": ["tcp", "udp"], "expect": "allow"}],
        },
        [
            "assert[0]: ams.lan cannot open tcp/1-442, tcp/501-65535 and udp/53-65535 to nyc.virbr0; grant it, or"
            " change the assertion"
        ],
    ),
    (
        "an assertion is a mapping, of which every key is known",
        {"assert": ["deny", {**DENY, "port": "tcp/22"}]},
        [
            "assert[0]: expected a mapping of keys and values, found the text 'deny'",
            "assert[1].port: unknown key; did you mean 'ports'?",
        ],
    ),
    (
        "an assertion that does not hold is a fault, with the grant",
        {"assert": [DENY, {"from": "*", "to": "nyc.*", "ports": ["tcp/22", "icmp"], "expect": "deny"}]},
        [
            "assert[1]: ams.lan may open icmp and tcp/22 to nyc.virbr0, by access[0] (from ams.lan and fra.lan to"
            " nyc.virbr0, everything); take it out of that grant, or change the assertion"
        ],
    ),
    (
        "while there are other faults, assertions are not judged",
        {"mesh.mtu": 1, "assert": [{"from": "*", "to": "nyc.*", "expect": "deny"}]},
        ["mesh.mtu: 1 is out of range; it goes from 576 to 9000"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


@pytest.mark.parametrize(
    "assertion",
    [
        pytest.param({"from": "nyc", "to": "ams", "ports": "icmp", "expect": "deny"}, id="ICMP between hosts"),
        pytest.param({"from": "nyc", "to": "*", "expect": "deny"}, id="everything from a host"),
        pytest.param({"from": "ams.lan", "to": "nyc.virbr0", "expect": "allow"}, id="what is granted"),
        pytest.param({"from": "nyc", "to": "fra", "ports": "icmp", "expect": "allow"}, id="ICMP, granted to a host"),
        pytest.param({"from": "fra", "to": "nyc", "ports": "tcp", "expect": "allow"}, id="all ports in two ranges"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(assertion: dict[str, object]) -> None:
    access = [
        {"from": "ams.lan", "to": "nyc.virbr0"},
        {"from": "nyc", "to": "fra", "ports": "icmp"},
        {"from": "fra", "to": "nyc", "ports": ["tcp/1-442", "tcp/443-65535"]},
    ]
    grants = access if assertion["expect"] == "allow" else []
    assert faults(changed({"access": grants, "assert": [assertion]})) == ()


def test_an_assertion_comes_with_the_mesh() -> None:
    config = changed({"groups": {"lans": ["ams.lan", "fra.lan"]}})
    config["assert"] = [{"from": "nyc.*", "to": ["lans", "ams.*"], "ports": "tcp/443", "expect": "deny"}]
    (assertion,) = parse(config).assertions
    assert [str(party) for party in assertion.sources] == ["nyc.virbr0"]
    assert [str(party) for party in assertion.destinations] == ["ams.lan", "fra.lan"]
    assert ([str(each) for each in assertion.services], assertion.expect) == (["tcp/443"], "deny")
