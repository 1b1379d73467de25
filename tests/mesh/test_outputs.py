"""What the stack shows: who reaches whom, in words, and each site's texts without keys."""

import re
from dataclasses import replace

from mesh.keys import generate_private_key
from mesh.model import Colo, Mesh, Secret, Site
from mesh.outputs import outputs, reachability_text
from mesh.plan import plan
from tests.mesh.meshes import mesh, network, site
from tests.mesh.reachability.handwritten import ACCEPT, NYC, Texts

ECHO_REQUEST = "-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"


def small() -> Mesh:
    """Three sites: one LAN reaches another, one host reaches a port of another host."""
    return mesh(
        site("ams", "10.99.0.2", network("lan", "10.20.0.0/24", interface="eth1"), endpoint="198.51.100.20"),
        site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24", masquerade=True), endpoint="203.0.113.10"),
        site("sfo", "10.99.0.3", endpoint="192.0.2.30"),
        access=[("ams.lan", "nyc.virbr0", ""), ("sfo", "ams", "tcp/443")],
    )


def handwritten() -> Mesh:
    """The mesh whose texts the tests of reachability have, written by hand."""
    lan, guests = network("lan", "10.20.0.0/24", interface="eth1"), network("guests", "10.21.0.0/24", interface="eth2")
    return mesh(
        site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24"), endpoint="203.0.113.10"),
        site("ams", "10.99.0.2", lan, guests, endpoint="198.51.100.20"),
    )


def test_the_reachability_of_a_mesh_is_a_line_for_pings_and_one_for_each_grant() -> None:
    assert outputs(small(), plan(small()))["reachability"] == (
        "every endpoint -> every endpoint (ping)\nams.lan -> nyc.virbr0 (all)\nsfo -> ams (ping, tcp/443)\n"
    )


def test_it_is_told_from_the_texts_and_not_from_the_grants() -> None:
    assert reachability_text(handwritten(), Texts().sites()) == (
        "every endpoint -> every endpoint (ping)\nams.lan -> nyc.virbr0 (all)\n"
    )
    without = reachability_text(handwritten(), Texts().both(ACCEPT).sites())
    assert without.startswith("every endpoint -> every endpoint (ping)\n")
    assert "ams.lan -> nyc.virbr0" not in without


def test_a_pair_whose_ping_is_missing_is_named() -> None:
    assert reachability_text(handwritten(), Texts().edit(NYC, ECHO_REQUEST).sites()) == (
        "every endpoint -> every endpoint (ping)\nams -> nyc (nothing, not even ping)\nams.lan -> nyc.virbr0 (all)\n"
    )


def test_every_site_has_its_file_and_its_rules_and_the_reachability_has_no_colon() -> None:
    shown = outputs(small(), plan(small()))
    sites = ("ams", "nyc", "sfo")
    texts = {f"{name}.{text}" for name in sites for text in ("config", "rules")}
    assert set(shown) == {"reachability", "ams.routes", *texts}
    # The hosts behind ams have to be told of nyc's LAN; those behind nyc see nobody but their own gateway.
    assert shown["ams.routes"] == "lan -> 192.168.122.0/24\n"
    assert ":" not in shown["reachability"]
    assert "\nAddress = 10.99.0.2/32\n" in shown["ams.config"]
    assert shown["ams.rules"].startswith("# IPv4\n*raw\n")
    assert "\n# IPv6\n*raw\n" in shown["ams.rules"]


def _adopting(site: Site, **changes: object) -> Site:
    assert isinstance(site.kind, Colo)
    return replace(site, kind=replace(site.kind, adopt=True), **changes)  # type: ignore[arg-type]


def test_a_site_that_is_taken_over_says_what_becomes_of_its_file_rules_and_flows() -> None:
    ams, nyc, sfo = small().sites
    of = replace(small(), sites=(ams, _adopting(nyc), _adopting(sfo, private_key=Secret(None))), interface="mesh0")
    shown = outputs(of, plan(of))
    assert [name for name in shown if name.endswith(".adoption")] == ["nyc.adoption", "sfo.adoption"]
    said = shown["nyc.adoption"]
    for words in (
        "Where mesh0 was set up by hand", "a new private key", "before all others, so that what only other rules allow",
        "until that is confirmed /etc/wireguard/mesh0.conf stays", "becomes /etc/wireguard/mesh0.conf.adopted",
        "PreDown and PostDown are run",
    ):  # fmt: skip
        assert words in said
    assert said.endswith("go on or begin\n  ams.lan -> nyc.virbr0 (all)\n")
    assert ":" not in said
    assert "new private key" not in shown["sfo.adoption"]
    assert shown["sfo.adoption"].endswith("go on or begin\n  sfo -> ams (ping, tcp/443)\n")


def test_a_site_that_is_taken_over_without_a_grant_keeps_no_flow() -> None:
    of = replace(small(), sites=tuple(map(_adopting, small().sites)), access=())
    assert outputs(of, plan(of))["nyc.adoption"].endswith("go on or begin\n  none but ping between the endpoints\n")


def test_no_output_holds_key_material() -> None:
    own = generate_private_key()
    of = small()
    of = replace(of, sites=(_adopting(of.sites[0], private_key=Secret(own.reveal())), *of.sites[1:]))
    text = "\n".join(outputs(of, plan(of)).values())
    assert own.reveal() not in text
    assert own.public_key() not in text
    assert not re.search(r"[A-Za-z0-9+/]{43}=", text)
    assert set(re.findall(r"(?:PrivateKey|PublicKey|PresharedKey) = (.)", text)) == {"("}
