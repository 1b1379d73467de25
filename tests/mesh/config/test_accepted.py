"""What good stack configs become: the mesh, its defaults, and what is accepted beside what is refused."""

import json
import re
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from mesh.config import ConfigError, documentation_addresses, engine_sections, parse, report
from mesh.config.stackfile import read_stack_file
from mesh.firewall import render
from mesh.model import Aws, Colo, DigitalOcean, Endpoint, Network, Party, Site, SiteName
from mesh.plan import plan
from mesh.warnings import warnings
from tests.mesh.config.configs import (
    ECDSA_HOST_KEY,
    HOST_KEY,
    SEALED,
    SSH_KEY,
    WIREGUARD_KEY,
    changed,
    faults,
    good,
    ssh,
)

BASTION = {"host": "192.0.2.1", "host_key": HOST_KEY}
SAMPLE = Path(__file__).parents[3] / "Pulumi.dev.yaml"


def test_a_good_config_becomes_a_mesh() -> None:
    mesh = parse(good())
    assert mesh.tunnel == (ip_network("10.99.0.0/24"),)
    assert (mesh.interface, mesh.persistent_keepalive) == ("wg0", 25)
    nyc = mesh.site("nyc")
    assert (nyc.addresses, nyc.mtu) == ((ip_address("10.99.0.1"),), 1420)
    assert nyc.endpoint == Endpoint("203.0.113.10", 51820)
    assert nyc.networks == (Network(SiteName("nyc"), "virbr0", (ip_network("192.168.122.0/24"),), "virbr0", True),)
    assert (ssh(nyc).user, ssh(nyc).port, ssh(nyc).proxy) == ("root", 22, None)
    first, second = mesh.access
    assert [str(party) for party in first.sources] == ["ams.lan", "fra.lan"]
    assert [str(party) for party in first.destinations] == ["nyc.virbr0"]
    assert [str(party) for party in second.sources] == ["fra"]


def test_the_order_of_the_file_does_not_matter_since_the_engine_sorts_it_away() -> None:
    assert [site.name for site in parse(good()).sites] == ["ams", "fra", "nyc"]
    assert parse(good()) == parse(json.loads(json.dumps(good(), sort_keys=True)))


def test_a_site_may_set_what_the_mesh_sets_for_all() -> None:
    changes = {"mesh.listen_port": 50000, "sites.nyc.listen_port": 50001, "sites.fra.endpoint": "fra.mesh.net:443"}
    mesh = parse(changed(dict(changes)))
    assert mesh.site("ams").endpoint.at("") == "198.51.100.20:50000"
    assert mesh.site("nyc").endpoint.at("") == "203.0.113.10:50001"
    assert mesh.site("fra").endpoint.at("") == "fra.mesh.net:443"
    assert mesh.site("fra").listen_port == 50000


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("gw.mesh.net", "gw.mesh.net:51820"),
        ("GW.mesh.net:1", "gw.mesh.net:1"),
        ("2001:DB8:0::1", "[2001:db8::1]:51820"),
        ("[2001:db8::1]", "[2001:db8::1]:51820"),
        ("[2001:db8::1]:65535", "[2001:db8::1]:65535"),
    ],
)
def test_an_endpoint_is_a_host_with_or_without_port(written: str, endpoint: str) -> None:
    assert parse(changed({"sites.nyc.endpoint": written})).site("nyc").endpoint.at("") == endpoint


def test_ssh_defaults_hold_for_every_colo_that_says_nothing_else() -> None:
    bastion = {"host": "192.0.2.1", "host_key": ECDSA_HOST_KEY}
    mesh = parse(
        changed(
            {
                "ssh": {"user": "ops", "port": 2222, "private_key": SSH_KEY, "proxy": bastion},
                "sites.fra.colo.user": "admin",
                "sites.fra.colo.port": 22,
                "sites.fra.colo.private_key": SEALED,
                "sites.fra.colo.proxy": {**bastion, "host": "192.0.2.2", "user": "jump", "port": 2200},
            }
        )
    )
    nyc, fra = ssh(mesh.site("nyc")), ssh(mesh.site("fra"))
    assert (nyc.user, nyc.port) == ("ops", 2222)
    assert nyc.private_key is not None
    assert nyc.private_key.reveal() == SSH_KEY
    assert nyc.proxy is not None
    assert (nyc.proxy.host, nyc.proxy.port, nyc.proxy.user, nyc.proxy.host_key) == (
        "192.0.2.1",
        22,
        "root",
        ECDSA_HOST_KEY,
    )
    assert nyc.proxy.private_key == nyc.private_key
    assert (fra.user, fra.port) == ("admin", 22)
    assert fra.private_key is not None
    assert fra.private_key.sealed
    assert fra.proxy is not None
    assert (fra.proxy.host, fra.proxy.port, fra.proxy.user) == ("192.0.2.2", 2200, "jump")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sites.nyc.private_key": WIREGUARD_KEY}, id="a key of the user's own"),
        pytest.param({"sites.nyc.private_key": SEALED}, id="an encrypted key"),
        pytest.param({"sites.nyc.colo.host_key": ECDSA_HOST_KEY}, id="an ECDSA host key"),
        pytest.param({"sites.nyc.colo.host_key": f"{HOST_KEY} root@nyc"}, id="a host key with a comment"),
        pytest.param({"sites.nyc.dns": ["192.168.122.1", "127.0.0.53"]}, id="resolvers, one on the host"),
        pytest.param({"sites.nyc.networks": None, "access": None}, id="no networks and no grants"),
        pytest.param({"mesh.tunnel": ["10.99.0.0/24"]}, id="a list of one"),
        pytest.param({"mesh.tunnel": "10.99.0.0/29"}, id="a small tunnel network"),
        pytest.param({"mesh.mtu": 1280}, id="the least MTU of IPv6"),
        pytest.param({"mesh.interface": "wg-mesh_0.1-abcd"[:15]}, id="the longest interface name"),
        pytest.param({"sites.fra.networks.lan.cidr": "10.20.1.0/24"}, id="a network beside another"),
        pytest.param(
            {"sites.fra.networks.dmz": {"cidr": "10.41.0.0/24", "interface": "eth1"}}, id="two on an interface"
        ),
        pytest.param(
            {"sites.ams.colo.host": "10.20.0.1", "sites.ams.endpoint": "198.51.100.20"},
            id="a host reached in its own private network",
        ),
        pytest.param(
            {"sites.ams.colo.host": "203.0.113.10", "sites.ams.colo.port": 23, "sites.ams.listen_port": 51821},
            id="two sites behind one address, by other ports",
        ),
        pytest.param({"access.0.from": ["ams.lan", "nyc.*"]}, id="a party that reaches only some of the others"),
        pytest.param({"access.0.to": "nyc"}, id="a site as a party"),
        pytest.param(
            {"mesh.listen_port": 65535, "mesh.persistent_keepalive": 65535, "mesh.mtu": 9000, "ssh.port": 1},
            id="the last number of each range",
        ),
        pytest.param({"mesh.persistent_keepalive": 0}, id="no keepalive"),
        pytest.param(
            {
                "sites.nyc.colo.host": "192.168.122.1",
                "sites.nyc.colo.proxy": BASTION,
                "sites.nyc.endpoint": "203.0.113.1:1",
                "sites.fra.colo.host": "192.168.122.1",
                "sites.fra.colo.proxy": {**BASTION, "port": 23},
                "sites.fra.endpoint": "203.0.113.1:2",
                "sites.nyc.networks.virbr0.cidr": "10.50.0.0/24",
            },
            id="two hosts with one private address, behind two bastions",
        ),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(changed(changes)) == ()


def test_the_longest_name_of_an_interface_leaves_room_for_the_names_of_its_chains() -> None:
    """iptables takes 28 characters (XT_EXTENSION_MAXNAMELEN: 29 with the closing zero), and nothing is cut short."""
    longest = "wg-mesh_0.1-abc"
    assert [fault.place for fault in faults(changed({"mesh.interface": longest + "d"}))] == ["mesh.interface"]
    plans = plan(parse(changed({"mesh.interface": longest})))
    for family in (4, 6):
        chains = re.findall(r"^:(\S+)", render(plans[SiteName("nyc")].firewall, family), re.MULTILINE)
        assert "WG-MESH_0.1-ABC-FWD" in chains
        assert {name.rpartition("-")[0] for name in chains} == {longest.upper()}
        assert max(len(name) for name in chains) <= 28


def test_one_site_alone_is_a_mesh_to_begin_with() -> None:
    config = good()
    config["sites"] = {"nyc": config["sites"]["nyc"]}
    config["access"] = []
    assert [site.name for site in parse(config).sites] == ["nyc"]


def test_a_report_counts_the_faults_and_lists_them() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(changed({"mesh.mtu": 1, "acess": []}))
    assert report(caught.value.faults) == (
        "the stack config has 2 faults:\n"
        "  mesh.mtu: 1 is out of range; it goes from 576 to 9000\n"
        "  acess: unknown key; did you mean 'access'?"
    )
    assert str(caught.value).splitlines() == [str(fault) for fault in caught.value.faults]


def test_the_engines_config_gives_the_same_mesh_as_the_stack_file() -> None:
    engine = {f"wireguard-mesh:{name}": json.dumps(section) for name, section in good().items()}
    engine |= {"aws:region": "us-east-1", "wireguard-mesh:ssh": ""}
    assert parse(engine_sections(engine)) == parse(good())


def test_another_programs_config_is_left_alone_and_ours_under_a_misspelt_name_is_not() -> None:
    for name in ("wireguard_mesh", "Wireguard-mesh", "wireguardmesh", "wiregaurd-mesh"):
        assert list(engine_sections({f"{name}:assert": "[]", "aws:region": "x", "mesh:sites": "{}"})) == [
            f"{name}:assert"
        ]


def test_a_section_that_is_a_mere_word_is_a_fault_like_others() -> None:
    sections = engine_sections({f"wireguard-mesh:{name}": "word" for name in ("mesh", "sites", "acess")})
    assert [str(fault) for fault in faults(sections)] == [
        "mesh: expected a mapping of keys and values, found the text 'word'",
        "sites: expected a mapping of keys and values, found the text 'word'",
        "acess: unknown key; did you mean 'access'?",
    ]


def test_a_section_that_is_nested_without_end_is_a_fault_like_others() -> None:
    sections = engine_sections({"wireguard-mesh:access": "[" * 100_000})
    assert [str(fault) for fault in faults({**good(), **sections})] == [
        f"access: expected a list, found the text '{'[' * 60}...'"
    ]


def test_where_a_colo_sends_from_is_written_or_its_endpoint_unless_that_is_no_public_one_of_ipv4() -> None:
    def sends_from(changes: dict[str, object]) -> list[str]:
        kind = parse(changed(changes)).site("ams").kind
        assert isinstance(kind, Colo)
        return [str(address) for address in kind.sends_from]

    assert sends_from({}) == ["198.51.100.20"]
    assert sends_from({"sites.ams.endpoint": "198.51.100.21:1"}) == ["198.51.100.21"]
    assert sends_from({"sites.ams.endpoint": "ams.mesh.net"}) == []
    assert sends_from({"sites.ams.endpoint": "[2001:db8::1]:1"}) == []
    assert sends_from({"sites.ams.endpoint": "10.1.2.3:1"}) == []
    assert sends_from({"sites.ams.colo.sends_from": "203.0.113.20"}) == ["203.0.113.20"]
    several = ["203.0.113.20", "2001:db8::20", "203.0.113.20"]
    assert sends_from({"sites.ams.colo.sends_from": several}) == several[:2]


def test_the_sample_has_a_site_of_each_kind_and_grants_between_all() -> None:
    mesh = parse(read_stack_file(SAMPLE.read_text()), stack_file=True)
    kinds = {site.name: type(site.kind) for site in mesh.sites}
    assert kinds == {"ams": Colo, "fra": DigitalOcean, "nyc": Colo, "use1": Aws}
    networks = {
        str(network): (*map(str, network.cidrs), network.interface, network.masquerade, network.return_route)
        for site in mesh.sites
        for network in site.networks
    }
    assert networks == {
        "ams.lan": ("10.20.0.0/24", "eth1", False, "manual"),
        "fra.vpc": ("10.40.0.0/24", "eth1", True, None),
        "nyc.virbr0": ("192.168.122.0/24", "virbr0", True, None),
        "use1.vpc": ("10.10.0.0/16", "ens5", False, None),
    }
    granted = {
        (kinds[_site(source)], kinds[_site(destination)])
        for grant in mesh.access
        for source in grant.sources
        for destination in grant.destinations
        if _site(source) != _site(destination)
    }
    assert granted == {
        (Colo, Colo),
        (Colo, Aws),
        (Colo, DigitalOcean),
        (Aws, Colo),
        (Aws, DigitalOcean),
        (DigitalOcean, Colo),
        (DigitalOcean, Aws),
    }
    (denied,) = mesh.assertions
    assert ([str(party) for party in denied.sources], denied.expect) == (["nyc.virbr0"], "deny")


def _site(party: Party) -> SiteName:
    return party.name if isinstance(party, Site) else party.site


def test_the_sample_needs_no_warning_and_its_assertion_can_fail() -> None:
    sections = read_stack_file(SAMPLE.read_text())
    assert warnings(parse(sections)) == ()
    sections["access"] = [{"from": "nyc.virbr0", "to": "fra", "ports": "tcp/22"}]
    assert [str(fault) for fault in faults(sections)] == [
        "assert[0]: nyc.virbr0 may open tcp/22 to fra, by access[0] (from nyc.virbr0 to fra, tcp/22); take it out of"
        " that grant, or change the assertion"
    ]


def test_the_sample_is_for_the_lab_only() -> None:
    mesh = parse(read_stack_file(SAMPLE.read_text()))
    assert [note.place for note in documentation_addresses(mesh)] == [
        "sites.ams.colo.host",
        "sites.nyc.colo.host",
        "operators",
    ]
