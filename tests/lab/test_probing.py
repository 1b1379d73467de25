"""The matrix over real packets: of a hand-written WireGuard set-up that is open wider than the policy."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.matrix import Matrix
from lab.probing import measure, probes
from lab.world import World
from mesh.model import Mesh
from tests.lab.worlds import pair
from tests.mesh.meshes import mesh

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

CONF = """\
[Interface]
PrivateKey = {private_key}
ListenPort = 51820
Address = {address}
PreUp = sysctl -q net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
PostUp = {post_up}

[Peer]
PublicKey = {public_key}
Endpoint = {endpoint}:51820
AllowedIPs = {allowed_ips}
"""
MASQUERADE = (
    "iptables -t nat -A POSTROUTING -o virbr0 -j MASQUERADE; ip6tables -t nat -A POSTROUTING -o virbr0 -j MASQUERADE"
)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two sites joined without any firewall: everybody reaches everybody."""
    with World(pair(), "joined", tmp_path_factory.mktemp("labs") / "base") as world:
        nyc, ams = world.host("nyc"), world.host("ams")
        private = {host: host.run(["wg", "genkey"]).stdout.strip() for host in (nyc, ams)}
        public = {host: host.run(["wg", "pubkey"], input=private[host]).stdout.strip() for host in (nyc, ams)}
        settings = {
            nyc: {
                "address": "10.99.0.1/32, fd99::1/128",
                "post_up": MASQUERADE,
                "public_key": public[ams],
                "endpoint": "198.51.100.20",
                "allowed_ips": "10.99.0.2/32, fd99::2/128, 10.20.0.0/24, fd20::/64",
            },
            ams: {
                "address": "10.99.0.2/32, fd99::2/128",
                "post_up": "true",
                "public_key": public[nyc],
                "endpoint": "203.0.113.10",
                "allowed_ips": "10.99.0.1/32, fd99::1/128, 192.168.122.0/24, fd22::/64",
            },
        }
        for host, values in settings.items():
            host.write("/etc/wireguard/wg0.conf", CONF.format(private_key=private[host], **values), mode=0o600)
            host.run(["wg-quick", "up", "wg0"])
        yield world


def granting(*access: tuple[str, str, str]) -> Mesh:
    return replace(pair(), access=mesh(*pair().sites, access=access).access)


def marks(world: World, judged: Mesh) -> dict[tuple[str, str], str]:
    """The marks of a world's cells, judged by the grants of a mesh."""
    matrix = Matrix.of(measure(world, probes(judged, world.topology), within=30))
    return {(str(cell.source), str(cell.destination)): cell.marks for cell in matrix.cells.values()}


def test_what_is_granted_passes_in_both_families_and_arrives_as_masqueraded(joined: World) -> None:
    everyone = "nyc nyc.virbr0 ams ams.lan"
    found = marks(joined, granting((everyone, everyone, "")))
    assert found == dict.fromkeys(found, "✓")
    assert len(found) == 8


def test_what_passes_without_a_grant_is_marked_in_each_of_its_cells(joined: World) -> None:
    assert marks(joined, granting(("ams.lan", "nyc.virbr0", ""))) == {
        ("ams.lan", "nyc.virbr0"): "✓",
        ("ams.lan", "nyc"): "!",
        ("ams", "nyc.virbr0"): "!",
        ("ams", "nyc"): "!",  # ping is everybody's; TCP is not granted
        ("nyc.virbr0", "ams.lan"): "!",
        ("nyc.virbr0", "ams"): "!",
        ("nyc", "ams.lan"): "!",
        ("nyc", "ams"): "!",
    }


def test_a_network_that_translates_what_it_should_not_is_marked(joined: World) -> None:
    plain = granting(("ams.lan", "nyc.virbr0", ""))
    nyc, ams = plain.sites
    unmasked = replace(nyc, networks=(replace(nyc.networks[0], masquerade=False),))
    judged = replace(plain, sites=(unmasked, ams))
    judged = replace(judged, access=mesh(*judged.sites, access=[("ams.lan", "nyc.virbr0", "")]).access)
    assert marks(joined, judged)["ams.lan", "nyc.virbr0"] == "≠"


def test_one_rule_that_blocks_a_granted_flow_is_found(joined: World) -> None:
    rule = ["FORWARD", "-i", "wg0", "-p", "tcp", "-j", "DROP"]
    joined.host("nyc").run(["iptables", "-I", *rule])
    try:
        judged = granting(("ams.lan", "nyc.virbr0", ""))
        wanted = [probe for probe in probes(judged, joined.topology) if probe.granted and probe.source.network]
        found = measure(joined, wanted, within=1)
    finally:
        joined.host("nyc").run(["iptables", "-D", *rule])
    (cell,) = Matrix.of(found).cells.values()
    assert (cell.marks, cell.part) == ("✗", "tcp4")
