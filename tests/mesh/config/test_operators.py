"""Operators whose SSH would end in a tunnel: what has to be granted to them, and the whole report where it is not."""

from ipaddress import ip_network

import pytest

from mesh.config import parse
from tests.mesh.config.configs import HOST_KEY, Row, changed, faults

NARROWER = ", or name narrower prefixes, without that one"


def _needs(prefix: str, where: str, sites: str, party: str, ports: str = "tcp/22", *, wider: bool = False) -> str:
    target = f"[{sites}]" if "," in sites else sites
    return (
        f"operators: {prefix} overlaps {where}: {sites} would answer SSH from there through the tunnel, and no grant"
        f" lets {party} open {ports} there; grant {{from: {party}, to: {target}, ports: {ports}}}"
        f"{NARROWER if wider else ''}"
    )


def _beside(prefix: str, where: str, hosts: str, verb: str = "is") -> str:
    return (
        f"operators: {prefix} overlaps {where}: {hosts} {verb} not reached by the tunnel, and packets from {prefix}"
        " beside it are dropped; reach the host at an address of a granted network, or name the prefix that the host"
        " really sees"
    )


# A host's name may lead into the tunnel; an address says whether it does.
NAMED: dict[str, object] = {"sites.nyc.colo.host": "nyc.mesh.net", "sites.ams.colo.host": "ams.mesh.net"}
FRA_LAN = "fra.lan (10.40.0.0/24)"
BASTION = {"host": "192.0.2.1", "host_key": HOST_KEY}
LITERAL = {"sites.nyc.colo.host": "203.0.113.10"}
IN_LAN = {"sites.nyc.colo.host": "192.168.122.1", "sites.nyc.endpoint": "203.0.113.10"}

# In the good config, access[0] joins ams.lan and fra.lan to nyc, access[1] fra itself to ams.
ROWS: list[Row] = [
    (
        "operators in a granted network need SSH to the site that it was granted to",
        {"operators": "10.40.0.0/28"},
        [_needs("10.40.0.0/28", "fra.lan (10.40.0.0/24)", "nyc", "fra.lan")],
    ),
    (
        "operators behind a site that others may open flows to need SSH to those others",
        {"operators": "192.168.122.0/24"},
        [_needs("192.168.122.0/24", "nyc.virbr0 (192.168.122.0/24)", "ams, fra", "nyc.virbr0")],
    ),
    (
        "a grant to a site takes along the networks behind it",
        {"operators": "10.40.0.7/32", "access": [{"from": "nyc.virbr0", "to": "fra"}]},
        [_needs("10.40.0.7/32", "fra.lan (10.40.0.0/24)", "nyc", "fra.lan")],
    ),
    (
        "operators that are more than a granted network may be named more narrowly",
        {"operators": ["10.40.0.0/16", "192.0.2.0/24"]},
        [_needs("10.40.0.0/16", "fra.lan (10.40.0.0/24)", "nyc", "fra.lan", wider=True)],
    ),
    (
        "operators at a site's address in the tunnel need SSH to every other site, at the port of each",
        {"operators": "10.99.0.1/32", "sites.fra.colo.port": 2222},
        [
            _needs("10.99.0.1/32", "nyc's address in the tunnel, 10.99.0.1", "ams", "nyc"),
            _needs("10.99.0.1/32", "nyc's address in the tunnel, 10.99.0.1", "fra", "nyc", "tcp/2222"),
        ],
    ),
    (
        "operators in the tunnel where no site is come from nowhere",
        {"operators": "10.99.0.128/25"},
        [
            "operators: 10.99.0.128/25 overlaps mesh.tunnel (10.99.0.0/24), where nobody but the sites has an address,"
            " and none is in both; name the prefix that SSH comes from, as the hosts see it"
        ],
    ),
    (
        "other ports than SSH's are no way in, nor is a grant to the network, nor one from somewhere else",
        {
            "operators": "10.40.0.0/24",
            "ssh.port": 2222,
            "access": [
                {"from": "fra.lan", "to": "nyc", "ports": ["tcp/22", "udp/2222", "icmp"]},
                {"from": "fra.lan", "to": "nyc.virbr0"},
                {"from": "ams.lan", "to": "nyc"},
            ],
        },
        [_needs("10.40.0.0/24", "fra.lan (10.40.0.0/24)", "nyc", "fra.lan", "tcp/2222")],
    ),
    (
        "what a network is advertised as is where operators are seen",
        {"operators": "10.202.0.0/24", "sites.fra.networks.lan.advertise_as": "10.202.0.0/24"},
        [_needs("10.202.0.0/24", "fra.lan (10.40.0.0/24, advertised as 10.202.0.0/24)", "nyc", "fra.lan")],
    ),
    (
        "operators of IPv6 are joined by grants between networks with IPv6",
        {"operators": "fd20::/64", "sites.nyc.networks.virbr0.cidr": ["192.168.122.0/24", "fd22::/64"]},
        [_needs("fd20::/64", "ams.lan (fd20::/64)", "nyc", "ams.lan")],
    ),
    (
        "operators are prefixes",
        {"operators": ["0.0.0.0/33", "192.0.2.1", "0.0.0.1/0"]},
        [
            "operators[0]: '0.0.0.0/33' has no valid prefix length; it goes from 1 to 32",
            "operators[1]: '192.0.2.1' has no prefix length; write it like 192.0.2.1/32",
            "operators[2]: '0.0.0.1/0' has host bits set; the network is 0.0.0.0/0",
        ],
    ),
    (
        "a misspelt grant to operators is one fault, not two",
        {"operators": "10.40.0.0/24", "access.1": {"from": "fra.lan", "to": "nyx", "ports": "tcp/22"}},
        ["access[1].to: 'nyx' is no site or network; did you mean 'nyc'?"],
    ),
    (
        "a grant to operators whose ports cannot be read is one fault, not two",
        {"operators": "10.40.0.0/24", "access.1": {"from": "fra.lan", "to": "nyc", "ports": ["icmp", "tcp/ssh"]}},
        ["access[1].ports[1]: 'tcp/ssh': 'ssh' is no port; it goes from 1 to 65535"],
    ),
    (
        "a host outside of its networks is reached beside the tunnel, whatever is granted",
        {**LITERAL, "operators": "10.40.0.0/24", "access.1": {"from": "fra.lan", "to": "nyc", "ports": "tcp/22"}},
        [_beside("10.40.0.0/24", FRA_LAN, "nyc (203.0.113.10)")],
    ),
    (
        "a grant to a host that is reached beside the tunnel is no way out, and not asked for",
        {**LITERAL, "operators": "10.40.0.0/24"},
        [_beside("10.40.0.0/24", FRA_LAN, "nyc (203.0.113.10)")],
    ),
    (
        "hosts that are reached beside the tunnel are told together, and apart from those that take a grant",
        {
            **LITERAL,
            "operators": "10.99.0.3/32",
            "sites.fra.colo.host": "198.51.100.40",
            "sites.oslo": {"address": "10.99.0.4", "colo": {"host": "192.0.2.4", "host_key": HOST_KEY}},
        },
        [
            _beside(
                "10.99.0.3/32", "fra's address in the tunnel, 10.99.0.3", "nyc (203.0.113.10), oslo (192.0.2.4)", "are"
            ),
            _needs("10.99.0.3/32", "fra's address in the tunnel, 10.99.0.3", "ams", "fra"),
        ],
    ),
    (
        "an address in a network that others know as something else is beside the tunnel",
        {
            **IN_LAN,
            "operators": "10.40.0.0/24",
            "sites.nyc.networks.virbr0.advertise_as": "10.201.0.0/24",
            "access.1": {"from": "fra.lan", "to": "nyc"},
        },
        [_beside("10.40.0.0/24", FRA_LAN, "nyc (192.168.122.1)")],
    ),
    (
        "a host in its own network takes a grant to the site",
        {**IN_LAN, "operators": "10.40.0.0/24"},
        [_needs("10.40.0.0/24", FRA_LAN, "nyc", "fra.lan")],
    ),
    (
        "whether a host with a fault is reached beside the tunnel is unknown",
        {
            **LITERAL,
            "operators": "10.40.0.0/24",
            "sites.nyc.networks.virbr0.cidr": "203.0.113.1/24",
            "access.1": {"from": "fra.lan", "to": "nyc"},
        },
        ["sites.nyc.networks.virbr0.cidr: '203.0.113.1/24' has host bits set; the network is 203.0.113.0/24"],
    ),
    (
        "whether a host is behind a bastion that has a fault is unknown",
        {
            **LITERAL,
            "operators": "10.40.0.0/24",
            "ssh": {"proxy": "192.0.2.1"},
            "access.1": {"from": "fra.lan", "to": "nyc"},
        },
        ["ssh.proxy: expected a mapping of keys and values, found the text '192.0.2.1'"],
    ),
    (
        "a site with a fault may be where operators are",
        {"operators": "10.99.0.3/32", "sites.fra.address": "10.99.0.3/24"},
        ["sites.fra.address: '10.99.0.3/24' is no IP address"],
    ),
]

TABLE: list[Row] = [(shows, {**NAMED, **changes}, report) for shows, changes, report in ROWS]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


SSH = {"from": "fra.lan", "to": "nyc", "ports": "tcp/22"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"operators": "192.0.2.0/28"}, id="operators outside"),
        pytest.param({"operators": "10.40.0.0/24", "access.1": SSH}, id="granted to the site"),
        pytest.param(
            {"operators": "10.40.0.0/24", "access.1": {**SSH, "ports": ["udp/1", "tcp/1-99"]}}, id="in a range"
        ),
        pytest.param({"operators": "10.40.0.0/24", "access.1": {"from": "*", "to": "*"}}, id="everything granted"),
        pytest.param(
            {"operators": "10.40.0.0/24", "groups": {"ops": ["fra.*"]}, "access.1": {**SSH, "from": "ops"}},
            id="granted by a group",
        ),
        pytest.param({"operators": "10.40.0.0/24", "access.0.from": "ams.lan"}, id="in a network without a grant"),
        pytest.param(
            {"operators": "10.40.0.0/24", "sites.fra.networks.lan.advertise_as": "10.202.0.0/24"},
            id="in a network that others know as something else",
        ),
        pytest.param(
            {"operators": "fd20::/64", "access.1.to": ["ams.lan", "nyc.virbr0"]}, id="of a family without a flow"
        ),
        pytest.param(
            {"operators": "10.99.0.1/32", "access.1": {"from": "nyc", "to": ["ams", "fra"], "ports": "tcp/22"}},
            id="at a site's tunnel address, granted",
        ),
        pytest.param({**LITERAL, "operators": "10.40.0.0/24", "access.0.from": "ams.lan"}, id="a host without a flow"),
        pytest.param({**IN_LAN, "operators": "10.40.0.0/24", "access.1": SSH}, id="a host in its own network, granted"),
        pytest.param(
            {**LITERAL, "operators": "10.40.0.0/24", "access.1": SSH, "sites.nyc.colo.proxy": BASTION},
            id="a host that sees its bastion",
        ),
        pytest.param(
            {**LITERAL, "operators": "10.40.0.0/24", "access.1": SSH, "ssh.proxy": BASTION}, id="the same by default"
        ),
        pytest.param(
            {
                "operators": "10.40.0.0/24",
                "access.1": SSH,
                "sites.nyc.colo.host": "2001:db8::10",
            },
            id="a host that sees another family",
        ),
        pytest.param({"operators": None}, id="operators without a value"),
        pytest.param({"operators": ["0.0.0.0/0", "::/0"]}, id="everyone, who is nowhere in particular"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(changed({**NAMED, **changes})) == ()


def test_operators_come_with_the_mesh_in_the_order_of_the_file() -> None:
    assert parse(changed({"operators": ["192.0.2.0/28", "2001:db8::/64"]})).operators == (
        ip_network("192.0.2.0/28"),
        ip_network("2001:db8::/64"),
    )
    assert parse(changed({})).operators == ()
