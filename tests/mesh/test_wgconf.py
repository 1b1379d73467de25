"""The wg-quick file: readable, complete, and a change of the mesh changes no more of it than it must."""

import re
import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Network, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.keys import generate_private_key, preshared_key
from mesh.model import DigitalOcean, Grant, Mesh, NewVpc, Party, SiteName
from mesh.plan import plan
from mesh.wgconf import render, render_without_keys
from tests.mesh.meshes import familiar, mesh, meshes, network, site

RULES = "0123456789abcdef"


def words(kind: str, mesh: Mesh) -> dict[SiteName, str]:
    return {site.name: f"<{kind} {site.name}>" for site in mesh.sites}


def texts(mesh: Mesh) -> dict[str, str]:
    return {
        str(name): render(
            site_plan, "<private>", words("public", mesh), words("preshared", mesh), addresses={}, rules=RULES
        )
        for name, site_plan in plan(mesh).items()
    }


def blocks(text: str) -> list[str]:
    return text.rstrip("\n").split("\n\n")


def test_a_site_reads_like_a_file_that_a_person_wrote() -> None:
    assert (
        texts(familiar())["nyc"]
        == """\
# Written by wireguard-mesh for site nyc. Change the stack config instead; a change here is drift.
[Interface]
PrivateKey = <private>
ListenPort = 51820
Address = 10.99.0.1/32
MTU = 1420
DNS = 192.168.122.1
PreUp = /usr/local/sbin/wireguard-mesh load %i 0123456789abcdef
PostUp = /usr/local/sbin/wireguard-mesh forward %i 0123456789abcdef
PostDown = /usr/local/sbin/wireguard-mesh unload %i

# ams
[Peer]
PublicKey = <public ams>
PresharedKey = <preshared ams>
Endpoint = 198.51.100.20:51820
PersistentKeepalive = 25
AllowedIPs = 10.20.0.0/24, 10.99.0.2/32

# sfo
[Peer]
PublicKey = <public sfo>
PresharedKey = <preshared sfo>
Endpoint = 198.51.100.30:51820
PersistentKeepalive = 25
AllowedIPs = 10.30.0.0/24, 10.99.0.3/32

# fra
[Peer]
PublicKey = <public fra>
PresharedKey = <preshared fra>
Endpoint = [2001:db8::4]:51820
PersistentKeepalive = 25
AllowedIPs = 10.99.0.4/32
"""
    )


def test_what_a_site_does_not_set_has_no_line() -> None:
    nyc = site("nyc", ["10.99.0.1", "fd99::1"], endpoint="203.0.113.10")
    ams = site("ams", ["10.99.0.2", "fd99::2"], endpoint="198.51.100.20", dns=["10.20.0.1", "fd20::1"])
    both = texts(mesh(nyc, ams, tunnel=["10.99.0.0/24", "fd99::/64"], persistent_keepalive=0))
    assert "DNS" not in both["nyc"]
    assert "DNS = 10.20.0.1, fd20::1\n" in both["ams"]
    assert "PersistentKeepalive" not in both["nyc"]
    assert "Address = 10.99.0.1/32\nAddress = fd99::1/128\n" in both["nyc"]
    assert both["nyc"].endswith("AllowedIPs = 10.99.0.2/32, fd99::2/128\n")


def test_a_peer_without_a_key_is_an_error_and_not_a_gap() -> None:
    nyc = plan(familiar())[SiteName("nyc")]
    with pytest.raises(KeyError, match="sfo"):
        render(
            nyc,
            "<private>",
            {SiteName("ams"): "<public ams>"},
            words("preshared", familiar()),
            addresses={},
            rules=RULES,
        )


def test_shown_to_people_it_has_words_for_keys_and_is_otherwise_the_same() -> None:
    for name, site_plan in plan(familiar()).items():
        shown = render_without_keys(site_plan, RULES)
        assert "PrivateKey = (private key)\n" in shown
        assert not re.search(r"[A-Za-z0-9+/]{42,}=", shown)
        anonymous = re.compile(r"^(PrivateKey|PublicKey|PresharedKey) = .*$", re.MULTILINE)
        assert anonymous.sub(r"\1", shown) == anonymous.sub(r"\1", texts(familiar())[name])


@given(meshes(min_sites=3), st.data())
def test_a_site_that_is_added_changes_exactly_one_block_at_each_other(mesh: Mesh, data: st.DataObject) -> None:
    added = data.draw(st.sampled_from(mesh.sites))
    others = tuple(one for one in mesh.sites if one != added)
    its_own: list[Party] = [added, *added.networks]
    access = []
    for grant in mesh.access:
        sources = tuple(one for one in grant.sources if one not in its_own)
        destinations = tuple(one for one in grant.destinations if one not in its_own)
        access.append(Grant(sources, destinations, grant.services))
    old, new = texts(replace(mesh, sites=others, access=tuple(access))), texts(mesh)
    for one in others:
        before, after = blocks(old[one.name]), blocks(new[one.name])
        (position,) = (number for number, block in enumerate(after) if block.startswith(f"# {added.name}\n"))
        # A link that carries less than this site's interface adds its routes' MTU to the first block.
        hooks = [line for line in after[0].splitlines() if line not in before[0].splitlines()]
        assert all(re.fullmatch(rf"PostUp = ip -[46] route replace \S+ dev %i mtu {added.mtu}", line) for line in hooks)
        assert bool(hooks) == (added.mtu < one.mtu)
        head = [line for line in after[0].splitlines() if line not in hooks]
        assert ["\n".join(head), *after[1:position], *after[position + 1 :]] == before


def test_the_mtu_of_a_link_that_carries_less_stands_at_its_routes() -> None:
    lan = network("lan", "10.20.0.0/24", "fd20::/64")
    sites = (
        site("ams", ["10.99.0.2", "fd99::2"], lan, endpoint="198.51.100.20", mtu=1412),
        site("nyc", ["10.99.0.1", "fd99::1"], network("lan", "10.5.0.0/24"), endpoint="203.0.113.10"),
        site("sfo", ["10.99.0.3", "fd99::3"], endpoint="192.0.2.30"),
    )
    both = texts(mesh(*sites, tunnel=["10.99.0.0/24", "fd99::/64"], access=[("ams.lan", "nyc.lan", "")]))
    assert {name: re.findall("MTU = .*", text) for name, text in both.items()} == {
        "ams": ["MTU = 1412"],
        "nyc": ["MTU = 1420"],
        "sfo": ["MTU = 1420"],
    }
    assert {name: re.findall("PostUp = (ip .*)", text) for name, text in both.items()} == {
        "ams": [],
        "nyc": [
            "ip -4 route replace 10.20.0.0/24 dev %i mtu 1412",
            "ip -4 route replace 10.99.0.2/32 dev %i mtu 1412",
            "ip -6 route replace fd99::2/128 dev %i mtu 1412",
        ],
        "sfo": [
            "ip -4 route replace 10.99.0.2/32 dev %i mtu 1412",
            "ip -6 route replace fd99::2/128 dev %i mtu 1412",
        ],
    }


@given(meshes())
def test_the_text_is_ascii_and_the_same_from_run_to_run(mesh: Mesh) -> None:
    for name, text in texts(mesh).items():
        assert text.isascii()
        assert not re.search(r"^@", text, re.MULTILINE)
        assert text == texts(mesh)[name]


def test_no_peer_gets_the_text_of_one_that_was_there_before() -> None:
    nyc = plan(familiar())[SiteName("nyc")]
    for number in range(5000):  # more than are kept
        prefix = ip_network((number, 32))
        one = replace(nyc, peers=(replace(nyc.peers[0], allowed_ips=(prefix,)),))
        text = render(
            one, "<private>", words("public", familiar()), words("preshared", familiar()), addresses={}, rules=RULES
        )
        assert text.endswith(f"AllowedIPs = {prefix}\n")


@pytest.mark.lab
@pytest.mark.skipif(
    shutil.which("wg-quick") is None, reason="needs the program wg-quick, of the package wireguard-tools"
)
def test_wg_quick_reads_it(tmp_path: Path) -> None:
    private = {name: generate_private_key() for name in plan(familiar())}
    public = {name: key.public_key() for name, key in private.items()}
    root = generate_private_key().reveal()
    for name, site_plan in plan(familiar()).items():
        preshared = {peer: preshared_key(root, name, peer) for peer in public if peer != name}
        file = tmp_path / "wg0.conf"
        file.touch(mode=0o600)
        file.write_text(render(site_plan, private[name].reveal(), public, preshared, addresses={}, rules=RULES))
        stripped = subprocess.run(["wg-quick", "strip", file], capture_output=True, text=True, check=True)
        assert stripped.stderr == ""
        assert stripped.stdout.count("[Peer]") == 3
        assert f"PrivateKey = {private[name].reveal()}" in stripped.stdout
        assert "PreUp" not in stripped.stdout


def test_an_address_that_a_cloud_gives_is_put_in_where_the_plan_has_none() -> None:
    droplet = DigitalOcean("fra1", NewVpc(IPv4Network("10.40.0.0/24")))
    of = mesh(site("ams", "10.99.0.2", endpoint="198.51.100.20"), site("fra", "10.99.0.4", endpoint=None, kind=droplet))
    ams = plan(of)[SiteName("ams")]
    keys = {SiteName("fra"): "<key>"}
    for address in ("192.0.2.7", "192.0.2.8"):
        text = render(ams, "<private>", keys, keys, addresses={SiteName("fra"): address}, rules=RULES)
        assert f"\nEndpoint = {address}:51820\n" in text
    with pytest.raises(KeyError, match="fra"):
        render(ams, "<private>", keys, keys, addresses={}, rules=RULES)
