"""The way back of answers: where the config must tell of it, and where not; and MTUs with which none comes back."""

import pytest

from mesh.config import parse
from tests.mesh.config.configs import GONE, Row, changed, faults

WAY_OUT = (
    "lets other sites open flows to it, and nothing says how its hosts' answers come back; give it 'masquerade: true',"
    " or 'return_route: manual' where this host is their router or their router has a route through it"
)
AMS, FRA, NYC = "sites.ams.networks.lan", "sites.fra.networks.lan", "sites.nyc.networks.virbr0"
DUAL = {
    "mesh.tunnel": ["10.99.0.0/24", "fd99::/64"],
    "sites.nyc.address": ["10.99.0.1", "fd99::1"],
    "sites.ams.address": ["10.99.0.2", "fd99::2"],
    "sites.fra.address": ["10.99.0.3", "fd99::3"],
}

TABLE: list[Row] = [
    (
        "a network that others may open flows to has a way back",
        {f"{AMS}.return_route": GONE},
        [f"{AMS}: access[1] {WAY_OUT}"],
    ),
    (
        "it is told once for a network, with the first grant to it",
        {
            f"{AMS}.return_route": GONE,
            f"{NYC}.masquerade": False,
            "access": [
                {"from": "ams.lan", "to": "nyc"},
                {"from": "ams.*", "to": ["ams.lan", "nyc.*"]},
                {"from": "*", "to": "*"},
            ],
        },
        [f"{NYC}: access[1] {WAY_OUT}", f"{AMS}: access[2] {WAY_OUT}"],
    ),
    (
        "there is one word for a way back that is there",
        {f"{AMS}.return_route": "static", f"{FRA}.return_route": True},
        [
            f"{AMS}.return_route: 'static' is not known here; write manual",
            f"{FRA}.return_route: expected manual, found true",
        ],
    ),
    (
        "a masquerade that cannot be read is one fault",
        {f"{NYC}.masquerade": "yes"},
        [f"{NYC}.masquerade: expected true or false, found the text 'yes'; write true"],
    ),
    (
        "IPv6 in the tunnel needs an MTU of 1280 at every site",
        {**DUAL, "sites.nyc.mtu": 1279, "sites.fra.mtu": 1000},
        [
            "sites.nyc.mtu: 1279 is too small for IPv6, which mesh.tunnel has; it takes at least 1280",
            "sites.fra.mtu: 1000 is too small for IPv6, which mesh.tunnel has; it takes at least 1280",
        ],
    ),
    (
        "the mesh's MTU is none where those that have it have no IPv6",
        {"mesh.mtu": 1000, "sites.ams.mtu": 1200},
        ["sites.ams.mtu: 1200 is too small for IPv6, which sites.ams.networks.lan has; it takes at least 1280"],
    ),
    (
        "an MTU that cannot be read is not that of the mesh",
        {"mesh.mtu": 1000, "sites.ams.mtu": "1420"},
        ["sites.ams.mtu: expected a whole number from 576 to 9000, found the text '1420'; leave the quotes out"],
    ),
    (
        "the mesh's MTU is one fault, whoever has it",
        {"mesh.mtu": 1279, f"{FRA}.cidr": "fd40::/64", "access.0.from": "ams.lan"},
        ["mesh.mtu: 1279 is too small for IPv6, which sites.ams.networks.lan has; it takes at least 1280"],
    ),
    (
        "a site's MTU has the bounds of the mesh's",
        {"sites.nyc.mtu": 575, "sites.ams.mtu": 9001, "sites.fra.mtu": "1420"},
        [
            "sites.nyc.mtu: 575 is out of range; it goes from 576 to 9000",
            "sites.ams.mtu: 9001 is out of range; it goes from 576 to 9000",
            "sites.fra.mtu: expected a whole number from 576 to 9000, found the text '1420'; leave the quotes out",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({f"{FRA}.return_route": GONE}, id="a network that nobody may open flows to"),
        pytest.param({f"{AMS}.return_route": GONE, f"{AMS}.masquerade": True}, id="masquerade"),
        pytest.param({f"{AMS}.return_route": GONE, "access.1.to": "ams"}, id="a grant to the host itself"),
        pytest.param({f"{NYC}.return_route": "manual"}, id="both"),
        pytest.param({"mesh.mtu": 1000, "sites.ams.mtu": 1280}, id="a small MTU where there is no IPv6"),
        pytest.param({"sites.nyc.mtu": 576}, id="the least MTU of a site without IPv6"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(changed(changes)) == ()


def test_a_network_is_not_told_of_flows_from_its_own_site_or_in_a_family_that_it_has_not() -> None:
    own = changed({f"{AMS}.return_route": GONE, "access.1": {"from": ["ams", "fra"], "to": ["ams.*", "nyc.virbr0"]}})
    assert [fault.place for fault in faults(own)] == [AMS]
    own["access"][1]["from"] = ["ams"]
    assert faults(own) == ()
    sixth = changed({f"{FRA}.return_route": GONE, "access.1": {"from": "ams.lan", "to": ["nyc.virbr0", "fra.lan"]}})
    assert [fault.place for fault in faults(sixth)] == [FRA]
    sixth["sites"]["fra"]["networks"]["lan"]["cidr"] = "fd40::/64"
    sixth["sites"]["ams"]["networks"]["lan"]["cidr"] = "10.20.0.0/24"
    sixth["access"][0]["from"] = "ams.lan"
    assert faults(sixth) == ()


def test_a_site_has_an_mtu_of_its_own_or_that_of_the_mesh() -> None:
    mesh = parse(changed({"mesh.mtu": 1400, "sites.fra.mtu": 1412}))
    assert {site.name: site.mtu for site in mesh.sites} == {"ams": 1400, "fra": 1412, "nyc": 1400}
    assert {site.mtu for site in parse(changed({})).sites} == {1420}
