"""Bad stack configs, each with its whole report: grants, and resolvers that take one."""

import pytest

from tests.mesh.config.configs import Row, changed, faults

SIX: dict[str, object] = {
    "sites.ams.networks.six": {"cidr": "fd21::/64", "interface": "eth2", "return_route": "manual"}
}
NO_COMMON = "no two parties of different sites have an IP version in common; nothing could pass"

TABLE: list[Row] = [
    (
        "a grant that names an unknown network is answered with the nearest one",
        {"access.0.from": ["ams.lna", "fra.lan"]},
        ["access[0].from[0]: 'ams.lna' is no site or network; did you mean 'ams.lan'?"],
    ),
    (
        "a grant that names an unknown site is answered with what there is",
        {"access.1.to": "zzz"},
        ["access[1].to: 'zzz' is no site or network; known here: ams, ams.lan, fra, fra.lan, nyc, nyc.virbr0"],
    ),
    (
        "a network and itself is a fault",
        {"access.0.to": ["nyc.virbr0", "fra.lan"]},
        ["access[0].to[1]: 'fra.lan' is in 'from' as well; a network's own hosts reach each other without the mesh"],
    ),
    (
        "a grant within one site is a fault",
        {"access.1": {"from": "ams", "to": "ams.lan"}},
        ["access[1]: both sides are at the site 'ams'; what does not cross a tunnel is not the mesh's to grant"],
    ),
    (
        "a grant between IPv4 and IPv6 only is a fault",
        {"sites.ams.networks.lan.cidr": "fd20::/64"},
        ["access[1]: one side has only IPv4 and the other only IPv6; nothing could pass"],
    ),
    (
        "that each side has both families is of no use where other sites have not the same one",
        {**SIX, "access.1": {"from": "nyc", "to": ["nyc.*", "ams.six"]}},
        [f"access[1]: {NO_COMMON}"],
    ),
    (
        "what is written of one site by name is told beside that",
        {**SIX, "access.1": {"from": "nyc", "to": ["nyc.virbr0", "ams.six"]}},
        [
            f"access[1]: {NO_COMMON}",
            "access[1].to[0]: 'nyc.virbr0' and 'nyc' in 'from' are both at the site 'nyc'; what does not cross a tunnel"
            " is not the mesh's to grant; take one of them out",
        ],
    ),
    (
        "what a misspelt grant is about is unknown",
        {"access.1": {"from": ["ams", "frx"], "to": "ams.lan"}},
        ["access[1].from[1]: 'frx' is no site or network; did you mean 'fra'?"],
    ),
    (
        "a grant has two sides, and no empty ones",
        {"access.0": {"from": []}, "access.1": {"from": ["fra", None], "to": "ams.lan"}},
        [
            "access[0].to: is missing; name a site or a network, as 'site' or 'site.network'",
            "access[0].from: is an empty list; leave the key out, or give it a value",
            "access[1].from[1]: is empty; name a site or a network, or leave the place out",
        ],
    ),
    (
        "a party is named once",
        {"access.0.from": ["ams.lan", "ams.lan"]},
        ["access[0].from[1]: 'ams.lan' is named twice"],
    ),
    (
        "a resolver in another site's network takes a grant from the site itself, not from its network",
        {"sites.fra.dns": "192.168.122.1"},
        [
            "sites.fra.dns: 192.168.122.1 lies in nyc.virbr0, and no grant lets fra itself reach it; grant"
            " {from: fra, to: nyc, ports: [udp/53, tcp/53]} if it is the address of nyc itself, or else the same to"
            " nyc.virbr0"
        ],
    ),
    (
        "a grant of other ports than DNS's is none to the resolver",
        {"sites.fra.dns": "10.99.0.2", "access.1": {"from": "fra", "to": "ams", "ports": ["tcp/53", "udp/54"]}},
        [
            "sites.fra.dns: 10.99.0.2 is an address of ams, and no grant lets fra itself reach it;"
            " grant {from: fra, to: ams, ports: [udp/53, tcp/53]}"
        ],
    ),
    (
        "another site's tunnel address as a resolver takes a grant to that site, not to its network",
        {"sites.fra.dns": ["9.9.9.9", "10.99.0.2"]},
        [
            "sites.fra.dns: 10.99.0.2 is an address of ams, and no grant lets fra itself reach it;"
            " grant {from: fra, to: ams, ports: [udp/53, tcp/53]}"
        ],
    ),
    (
        "a grant to the site that asks is none to the resolver",
        {"sites.ams.dns": "10.40.0.53"},
        [
            "sites.ams.dns: 10.40.0.53 lies in fra.lan, and no grant lets ams itself reach it; grant"
            " {from: ams, to: fra, ports: [udp/53, tcp/53]} if it is the address of fra itself, or else the same to"
            " fra.lan"
        ],
    ),
    (
        "a resolver of a family that the site has not in the tunnel is a fault whatever is granted",
        {"sites.fra.dns": "fd20::53"},
        [
            "sites.fra.dns: fd20::53 lies in ams.lan, and fra has no IPv6 address in the tunnel to reach it from; name"
            " one of another family"
        ],
    ),
    (
        "a misspelt grant to the resolver is one fault, not two",
        {"sites.fra.dns": "192.168.122.1", "access.1.to": "nyc.virtbr0"},
        ["access[1].to: 'nyc.virtbr0' is no site or network; did you mean 'nyc.virbr0'?"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sites.fra.dns": "192.168.122.1", "access.1.to": ["ams.lan", "nyc"]}, id="granted to the site"),
        pytest.param({"sites.fra.dns": "192.168.122.1", "access.1.to": "nyc.virbr0"}, id="granted to the network"),
        pytest.param(
            {"sites.fra.dns": "10.99.0.1", "access.1": {"from": "*", "to": "nyc", "ports": ["tcp/53", "udp/1-99"]}},
            id="granted among other ports",
        ),
        pytest.param({"sites.fra.dns": "10.99.0.1", "access.1.to": "nyc"}, id="another site's tunnel address, granted"),
        pytest.param({"sites.fra.dns": ["10.40.0.1", "10.99.0.3", "127.0.0.53"]}, id="the site's own"),
        pytest.param({"sites.fra.dns": ["9.9.9.9", "2620:fe::fe"]}, id="outside the mesh"),
        pytest.param(
            {
                "mesh.tunnel": ["10.99.0.0/24", "fd99::/64"],
                "sites.nyc.address": ["10.99.0.1", "fd99::1"],
                "sites.ams.address": ["10.99.0.2", "fd99::2"],
                "sites.fra.address": ["10.99.0.3", "fd99::3"],
                "sites.fra.dns": "fd20::53",
            },
            id="IPv6, granted and in the tunnel",
        ),
    ],
)
def test_a_resolver_that_the_site_may_reach_is_taken(changes: dict[str, object]) -> None:
    assert faults(changed(changes)) == ()
