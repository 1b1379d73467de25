"""Selectors that stand for several parties: what they become, and the whole report for what they cannot be."""

import pytest

from mesh.config import parse
from tests.mesh.config.configs import HOST_KEY, Row, changed, faults

EMPTY = "is empty; name a site or a network, or leave the place out"
ENGINES = "the engine keeps that word for encrypted values; take another one"
DMZ = {"cidr": "10.21.0.0/24", "interface": "eth2", "return_route": "manual"}
LAN = {"cidr": "10.90.0.0/24", "interface": "eth1"}
COLO = {"host": "new.mesh.net", "host_key": HOST_KEY}

TABLE: list[Row] = [
    (
        "a group is among the names that are near",
        {"groups": {"clients": ["ams.lan"]}, "access.0.from": "client"},
        ["access[0].from: 'client' is no site, network or group; did you mean 'clients'?"],
    ),
    (
        "every network of an unknown site is answered with that of the nearest one",
        {"access.0.from": "asm.*"},
        ["access[0].from: 'asm.*' is no site or network; did you mean 'ams.*'?"],
    ),
    (
        "every network of a site that has none is a fault",
        {"sites.fra.networks": {}, "access.0.from": ["ams.lan", "fra.*"]},
        [
            "access[0].from[1]: 'fra.*' is every network of fra, which has none; name 'fra' for the host itself",
        ],
    ),
    (
        "a star stands where it has a meaning, and nowhere else",
        {"access.0.from": ["*.lan", "ams*", "ams.l*"]},
        [
            f"access[0].from[{number}]: '{written}': a * stands for everything, alone, or for every network of a site,"
            " as in 'nyc.*'"
            for number, written in enumerate(("*.lan", "ams*", "ams.l*"))
        ],
    ),
    (
        "a group names what there is, once, and leaves no place empty",
        {"groups": {"clients": ["ams.lna", "fra.lan", None, "fra.lan"]}},
        [
            "groups.clients[0]: 'ams.lna' is no site, network or group; did you mean 'ams.lan'?",
            f"groups.clients[2]: {EMPTY}",
            "groups.clients[3]: 'fra.lan' is named twice",
        ],
    ),
    (
        "a group with a fault is one fault, however often it is used",
        {
            "groups": {"clients": "ams.lna", "all": ["clients", "fra.lan"]},
            "access.0.from": "all",
            "access.1.to": "clients",
        },
        ["groups.clients: 'ams.lna' is no site, network or group; did you mean 'ams.lan'?"],
    ),
    (
        "what a group with a fault stands for is unknown, also where another one names it",
        {
            "groups": {
                "clients": ["ams", "frx"],
                "others": ["ams", "clients"],
                "self": ["ams", "self"],
                "near": "self",
            },
            "access": [{"from": group, "to": "ams.lan"} for group in ("clients", "others", "near")],
        },
        [
            "groups.clients[1]: 'frx' is no site, network or group; did you mean 'fra'?",
            "groups.self: contains itself: self -> self; leave 'self' out of it, or break the ring elsewhere",
        ],
    ),
    (
        "a group without a member is a fault",
        {"groups": {"a": [], "b": None, "c": [None]}},
        [
            "groups.a: is an empty list; leave the key out, or give it a value",
            "groups.b: is empty; name a site or a network, or leave the group out",
            "groups.c: is empty; name a site or a network, or leave the group out",
        ],
    ),
    (
        "a group that names itself is a fault",
        {"groups": {"clients": ["ams", "clients"]}, "access.0": {"from": "clients", "to": "ams.lan"}},
        ["groups.clients: contains itself: clients -> clients; leave 'clients' out of it, or break the ring elsewhere"],
    ),
    (
        "groups that contain each other are one fault, with the ring, and none where one leads to them",
        {
            "groups": {"outer": ["web"], "web": ["nyc", "db"], "db": ["fra", "cache"], "cache": ["web", "ams"]},
            "access.0.from": "outer",
            "access.1.to": "db",
        },
        ["groups.web: contains itself: web -> db -> cache -> web; leave 'db' out of it, or break the ring elsewhere"],
    ),
    (
        "a group's name is a DNS label in lower case, and no site's",
        {"groups": {"Web_1": "ams.lan", "fra": "ams.lan", "ams.lan": "fra.lan"}},
        [
            "groups.Web_1: 'Web_1' is no group's name: 1 to 63 of a-z, 0-9 and -, and no - at an end; 'web-1' would do",
            "groups.fra: sites.fra has that name already; give the group another one",
            "groups[\"ams.lan\"]: 'ams.lan' is no group's name: 1 to 63 of a-z, 0-9 and -, and no - at an end;"
            " 'ams-lan' would do",
        ],
    ),
    (
        "the engine's own word is no name of a group, whatever is wrong beside it",
        {"groups": {"secure": "ams.lan", "clients": 7}, "access.0.from": "secure", "access.1.to": "clients"},
        [
            f"groups.secure: 'secure' is no group's name: {ENGINES}",
            "groups.clients: expected a site or site.network, found the number 7; put it in quotes",
        ],
    ),
    (
        "the engine's own word is no name of a site or a network either",
        {"sites.secure": {"networks": {"secure": LAN}, "address": "10.99.0.9", "colo": COLO}},
        [
            f"sites.secure: 'secure' is no site's name: {ENGINES}",
            f"sites.secure.networks.secure: 'secure' is no network's name: {ENGINES}",
        ],
    ),
    (
        "groups that are encrypted as a whole are one fault, and so is a part of which that could be said",
        {"groups": {"secure": "v1:abc:def"}, "sites.fra.networks": {"secure": "v1:abc:def"}, "access": []},
        [
            "sites.fra.networks: is encrypted as a whole; encrypt only the values in it that are secret",
            "groups: is encrypted as a whole; encrypt only the values in it that are secret",
        ],
    ),
    (
        "two networks of one site, both by their names, are a fault also beside others",
        {"sites.ams.networks.dmz": DMZ, "access.0": {"from": ["fra.lan", "ams.dmz"], "to": ["ams.lan", "nyc"]}},
        [
            "access[0].to[0]: 'ams.lan' and 'ams.dmz' in 'from' are both at the site 'ams'; what does not cross a"
            " tunnel is not the mesh's to grant; take one of them out"
        ],
    ),
    (
        "a host and a network of its own site, or the host itself, are no pair either; in an assertion as in a grant",
        {
            "access.0": {"from": ["nyc", "fra"], "to": "nyc.virbr0"},
            "assert": [{"from": ["nyc", "fra"], "to": ["fra", "ams.lan"], "expect": "deny"}],
        },
        [
            "access[0].to: 'nyc.virbr0' and 'nyc' in 'from' are both at the site 'nyc'; what does not cross a tunnel is"
            " not the mesh's to grant; take one of them out",
            "assert[0].to[0]: 'fra' is in 'from' as well; no grant could ever decide that; take it out of one of them",
        ],
    ),
    (
        "groups that are no mapping are one fault, also where they are used",
        {"groups": ["ams.lan"], "access.0.from": "clients"},
        ["groups: expected a mapping of keys and values, found a list"],
    ),
    (
        "a grant within one site is a fault also where a group made it",
        {"groups": {"ams-all": ["ams", "ams.*"]}, "access.0": {"from": "ams-all", "to": "ams.*"}},
        ["access[0]: both sides are at the site 'ams'; what does not cross a tunnel is not the mesh's to grant"],
    ),
    (
        "a fault of a site is not one of everything as well",
        {"sites.fra.address": "10.99.0.300", "access.0.from": "*"},
        ["sites.fra.address: '10.99.0.300' is no IP address"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


GROUPS = {"offices": ["fra.lan", "ams.*"], "hosts": ["nyc", "fra"], "everyone": ["offices", "hosts", "fra.lan"]}


@pytest.mark.parametrize(
    ("written", "parties"),
    [
        ("fra", ["fra"]),
        ("fra.lan", ["fra.lan"]),
        ("ams.*", ["ams.dmz", "ams.lan"]),
        ("*", ["ams", "ams.dmz", "ams.lan", "fra", "fra.lan", "nyc", "nyc.virbr0"]),
        ("offices", ["fra.lan", "ams.dmz", "ams.lan"]),
        ("everyone", ["fra.lan", "ams.dmz", "ams.lan", "nyc", "fra"]),
        (["ams.lan", "offices", "ams.*"], ["ams.lan", "fra.lan", "ams.dmz"]),
    ],
)
def test_a_selector_stands_for_parties_each_once_in_the_order_of_their_mention(
    written: object, parties: list[str]
) -> None:
    config = changed({"sites.ams.networks.dmz": DMZ, "groups": GROUPS, "access.0.from": written})
    assert [str(party) for party in parse(config).access[0].sources] == parties
    config["access"][0] = {"from": "nyc", "to": written}
    assert [str(party) for party in parse(config).access[0].destinations] == parties


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"groups": {"unused": ["ams", "unused-too"], "unused-too": "nyc"}}, id="a group that nobody uses"),
        pytest.param({"groups": {}}, id="no groups"),
        pytest.param({"groups": None}, id="groups without a value"),
        pytest.param(
            {"groups": {"lans": ["ams.lan", "fra.lan"]}, "access.0": {"from": "lans", "to": "lans"}}, id="among"
        ),
        pytest.param({"access.0": {"from": "ams.lan", "to": "*"}}, id="everything, one's own site among it"),
        pytest.param({"access.0": {"from": "ams.*", "to": ["ams", "nyc"]}}, id="a pair at one site beside another"),
        pytest.param(
            {"groups": {"lan": "ams.lan"}, "access.0": {"from": ["ams", "fra"], "to": ["lan", "nyc"]}},
            id="a pair at one site that a group made",
        ),
        pytest.param({"groups": {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["ams"]}}, id="one group by two ways"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(changed(changes)) == ()


def test_a_site_with_a_dot_in_its_name_is_one_fault_whatever_names_it() -> None:
    everything = {"from": "*", "to": ["us.east", "us.east.lan", "nyc", "ams", "fra"]}
    hosts = {f"sites.{site}.colo.host": f"{site}.mesh.net" for site in ("nyc", "ams")}
    config = changed({**hosts, "operators": "10.90.0.0/24", "access.1": everything})
    config["sites"]["us.east"] = {
        "address": "10.99.0.9",
        "colo": {"host": "us.mesh.net", "host_key": HOST_KEY},
        "networks": {"lan": {"cidr": "10.90.0.0/24", "interface": "eth1", "return_route": "manual"}},
    }
    message = "'us.east' is no site's name: 1 to 63 of a-z, 0-9 and -, and no - at an end; 'us-east' would do"
    assert [str(fault) for fault in faults(config)] == [f'sites["us.east"]: {message}']


def test_everything_may_be_granted_before_there_is_a_second_site() -> None:
    config = changed({"access": [{"from": "*", "to": "*"}], "assert": [{"from": "*", "to": "*", "expect": "allow"}]})
    config["sites"] = {"nyc": config["sites"]["nyc"]}
    assert faults(config) == ()


def test_groups_may_be_nested_deeper_than_a_program_may_recurse() -> None:
    groups: dict[str, object] = {f"g{number}": f"g{number + 1}" for number in range(3000)}
    config = changed({"groups": {**groups, "g3000": "ams.lan"}, "access.0.from": "g0"})
    assert [str(party) for party in parse(config).access[0].sources] == ["ams.lan"]
