"""Who reaches machines in clouds: operators, and the addresses that colos send from; whole reports."""

import pytest

from mesh.cloud import openings
from mesh.config import parse
from mesh.model import SiteName
from mesh.plan import plan
from mesh.warnings import warnings
from tests.mesh.config.configs import EXISTING, GONE, HOST_KEY, Row, clouds, faults

AWS = "sites.use1.aws"
NYC = "sites.nyc.networks.virbr0"
MADE = "machines in clouds (use1, fra)"
NOT_PUBLIC = (
    f"operators: has no public IPv4 prefix, and {MADE} are reached by IPv4, over the internet; add the prefixes that"
    " people and CI have there"
)


def _private(address: str) -> str:
    return (
        f"sites.nyc.colo.sends_from: {address} is private, and no packet reaches {MADE} from it; give the address that"
        " the host has on the internet, or leave it out where that is not fixed"
    )


NOWHERE: list[Row] = [
    (f"operators in private prefixes reach nothing in a cloud: {prefix}", {"operators": prefix}, [NOT_PUBLIC])
    for prefix in ("10.1.2.0/24", "172.31.0.0/16", "192.168.5.0/24", "100.64.7.0/24")
]
TABLE: list[Row] = [
    (
        "operators are named, and never by default",
        {"operators": GONE},
        [
            f"operators: is missing; {MADE} take SSH from nowhere else: name the prefixes that people and CI come"
            " from, for example 192.0.2.0/24"
        ],
    ),
    (
        "operators without a value are missing too, for a machine whose own part has a fault as well",
        {"operators": None, AWS: "us-east-1", "sites.fra": GONE, "access": []},
        [
            f"operators: is missing; {MADE.replace(', fra', '')} take SSH from nowhere else: name the prefixes that"
            " people and CI come from, for example 192.0.2.0/24",
            f"{AWS}: expected a mapping of keys and values, found the text 'us-east-1'",
        ],
    ),
    (
        "operators that cannot be read are one fault",
        {"operators": "9.9.7.1"},
        ["operators: '9.9.7.1' has no prefix length; write it like 9.9.7.1/32"],
    ),
    (
        "operators and colos have a public IPv4 address to reach machines in clouds from",
        {"operators": ["fd64::/64", "::/0"], "sites.nyc.colo.sends_from": "2001:db8::1"},
        [
            NOT_PUBLIC,
            f"sites.nyc.colo.sends_from: has no IPv4 address, and {MADE} are reached by IPv4; add it",
        ],
    ),
    *NOWHERE,
    (
        "operators in private prefixes of both families reach nothing either",
        {"operators": ["10.1.2.0/24", "2001:db8::/32"]},
        [NOT_PUBLIC],
    ),
    (
        "no packet comes to a cloud from a private address, also beside one that is public",
        {"sites.nyc.colo.sends_from": ["10.0.0.1", "9.9.9.10", "100.127.255.255", "fd00::1", "172.31.0.1"]},
        [_private(address) for address in ("10.0.0.1", "100.127.255.255", "fd00::1", "172.31.0.1")],
    ),
    (
        "operators in a network that is joined to machines in clouds are cut off, whatever is granted",
        {"operators": ["192.168.122.0/28", "9.9.7.0/24"], "access": [{"from": "*", "to": "*"}]},
        [
            "operators: 192.168.122.0/28 overlaps nyc.virbr0 (192.168.122.0/24): fra (an address that DigitalOcean"
            " gives), use1 (an address that AWS gives) are not reached by the tunnel, and packets from 192.168.122.0/28"
            " beside it are dropped; name the prefix that the host really sees"
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(clouds(changes))] == report


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"operators": "0.0.0.0/0"}, id="operators anywhere"),
        pytest.param({"operators": ["9.9.7.0/24", "fd64::/64", "172.30.0.0/16"]}, id="operators of both families"),
        pytest.param({"sites.nyc.colo.sends_from": ["9.9.9.10", "2001:db8::1"]}, id="addresses of both families"),
        pytest.param(
            {"operators": "192.0.2.0/24", "sites.nyc.colo.sends_from": ["198.51.100.1", "203.0.113.1"]},
            id="examples, which the lab takes",
        ),
        pytest.param({"operators": "100.0.0.0/8"}, id="operators in more than a private prefix"),
        pytest.param(
            {"operators": ["172.32.0.0/16"], "sites.nyc.colo.sends_from": ["100.128.0.1", "11.0.0.1"]},
            id="beside private prefixes",
        ),
        pytest.param({"sites.nyc.colo.sends_from": None}, id="a colo that sends from anywhere"),
        pytest.param(
            {"operators": ["192.168.122.0/28", "9.9.7.0/24"], "access": [{"from": "fra", "to": "use1"}]},
            id="operators without a flow",
        ),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(clouds(changes)) == ()


def test_a_mesh_of_colos_needs_no_operators_and_may_have_private_addresses() -> None:
    gone: dict[str, object] = {"operators": GONE, "sites.use1": GONE, "sites.fra": GONE, "access": []}
    assert parse(clouds(gone)).operators == ()
    private = {"operators": "10.1.2.0/24", "sites.nyc.colo.sends_from": "10.0.0.1"}
    assert faults(clouds({**gone, **private})) == ()


@pytest.mark.parametrize("host", ["10.1.2.3", "172.16.0.1", "192.168.9.9", "100.64.0.1"])
def test_a_private_address_that_a_colo_is_reached_at_says_nothing_of_where_it_sends_from(host: str) -> None:
    changes: dict[str, object] = {
        "sites.nyc.colo.host": host,
        "sites.nyc.colo.sends_from": None,
        "sites.nyc.colo.proxy": {"host": "bastion.mesh.net", "host_key": HOST_KEY},
    }

    def let_in(changes: dict[str, object]) -> list[str]:
        mesh = parse(clouds(changes))
        return [each.name for each in openings(mesh, plan(mesh)[SiteName("use1")]) if each.protocol == "udp"]

    assert let_in(changes) == ["udp-51820-from-fra", "udp-51820-from-0.0.0.0-0"]
    assert [fault.place for fault in warnings(parse(clouds(changes)))] == ["sites.nyc.colo"]
    changes["sites.nyc.endpoint"] = "203.0.113.10"
    assert let_in(changes) == ["udp-51820-from-fra", "udp-51820-from-203.0.113.10-32"]
    assert warnings(parse(clouds(changes))) == ()


def test_operators_whom_no_machine_in_a_cloud_answers_by_the_tunnel_need_ssh_to_colos_only() -> None:
    changes: dict[str, object] = {
        **EXISTING,
        "operators": ["fd22::/64", "9.9.7.0/24"],
        f"{NYC}.cidr": ["192.168.122.0/24", "fd22::/64"],
        "sites.use1.networks.vpc.cidr": ["10.10.0.0/16", "fd10::/56"],
        "access": [{"from": "nyc.virbr0", "to": "use1.vpc"}],
    }
    assert faults(clouds(changes)) == ()
    changes["operators"] = ["192.168.122.0/24", "9.9.7.0/24"]
    assert [fault.place for fault in faults(clouds(changes))] == ["operators"]
