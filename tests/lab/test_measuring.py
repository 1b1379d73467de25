"""Probes over real packets: of a hand-written WireGuard set-up that is open wider than the policy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lab import measuring
from lab.matrix import Matrix
from lab.measuring import measure
from lab.namespaces import LabError, Namespace
from lab.policy import judge
from lab.probing import Probe, probes
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


@contextmanager
def blocking(host: Namespace, *rules: str) -> Iterator[None]:
    """The host drops what fits one of these rules, in both families."""
    commands = [(command, rule.split()) for command in ("iptables", "ip6tables") for rule in rules]
    for command, rule in commands:
        host.run([command, "-I", *rule, "-j", "DROP"])
    try:
        yield
    finally:
        for command, rule in commands:
            host.run([command, "-D", *rule, "-j", "DROP"])


def wanted(world: World, judged: Mesh) -> list[Probe]:
    return probes(judged, world.topology, judge(judged))


def marks(world: World, judged: Mesh) -> dict[tuple[str, str], str]:
    """The marks of a world's cells, judged by the grants of a mesh."""
    matrix = Matrix.of(measure(world, wanted(world, judged), within=30))
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
        ("ams", "nyc"): "!",  # ping is everybody's; TCP and UDP are not granted
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
        granted = [probe for probe in wanted(joined, judged) if probe.granted and probe.source.network]
        found = measure(joined, granted, within=1)
    finally:
        joined.host("nyc").run(["iptables", "-D", *rule])
    (cell,) = Matrix.of(found).cells.values()
    assert (cell.marks, cell.part) == ("✗", "tcp4")


def test_a_port_open_beside_a_granted_one_is_found(joined: World) -> None:
    judged = granting(("ams.lan", "nyc.virbr0", "tcp/443"))
    nyc = joined.host("nyc")
    for rule in ("-p udp", "-p icmp", "-p tcp ! --dport 443:444"):
        nyc.run(["iptables", "-I", "FORWARD", "-i", "wg0", *rule.split(), "-j", "DROP"])
    try:
        beside = [
            probe
            for probe in wanted(joined, judged)
            if (str(probe.source), str(probe.destination), probe.family) == ("ams.lan", "nyc.virbr0", 4)
        ]
        found = measure(joined, beside, within=10)
    finally:
        nyc.run(["iptables", "-F", "FORWARD"])
    assert {str(result.probe) for result in found if result.reached} == {"IPv4 tcp/443", "IPv4 tcp/444"}
    (cell,) = Matrix.of(found).cells.values()
    assert (cell.marks, cell.part) == ("!", "tcp/444")


ANSWERS = "-m conntrack --ctdir REPLY"


def test_what_arrives_without_a_grant_is_a_leak_also_where_every_answer_is_dropped(joined: World) -> None:
    judged = granting(("nyc", "ams", "icmp"))
    denied = [probe for probe in wanted(joined, judged) if probe.source.site == "ams" and not probe.granted]
    asked = {(str(probe.destination), probe.family, probe.protocol) for probe in denied}
    assert asked == {("nyc.virbr0", family, protocol) for family in (4, 6) for protocol in ("tcp", "udp", "icmp")} | {
        ("nyc", family, protocol) for family in (4, 6) for protocol in ("tcp", "udp", "icmp")
    }
    with blocking(joined.host("nyc"), f"FORWARD -o wg0 {ANSWERS}", f"OUTPUT -o wg0 {ANSWERS}"):
        found = measure(joined, denied)
    assert {result.state for result in found} == {"silent"}
    assert {result.problem for result in found} == {"denied, but arrives, unanswered"}
    assert {cell.marks for cell in Matrix.of(found).cells.values()} == {"!"}
    # An address of the gateway is not reached where its rules drop what came in by the interface.
    with blocking(joined.host("nyc"), "FORWARD -i wg0", "INPUT -i wg0"):
        found = measure(joined, denied)
    assert {result.state for result in found} == {"silent"}
    assert {result.problem for result in found} == {None}


def test_of_sources_with_one_masqueraded_address_the_one_that_leaks_is_named(joined: World) -> None:
    judged = granting(("nyc", "ams", "icmp"))
    both = [
        probe
        for probe in wanted(joined, judged)
        if probe.source.site == "ams" and str(probe.destination) == "nyc.virbr0" and not probe.granted
    ]
    assert {str(probe.arrives_as) for probe in both if probe.port} == {"192.168.122.1", "fd22::1"}
    nyc = joined.host("nyc")
    stopped = {"iptables": "10.99.0.2", "ip6tables": "fd20::/64"}  # ams, and ams.lan
    for command, source in stopped.items():
        nyc.run([command, "-I", "FORWARD", "-i", "wg0", "-s", source, "-j", "DROP"])
    try:
        with blocking(nyc, f"FORWARD -o wg0 {ANSWERS}"):
            found = measure(joined, both)
    finally:
        for command in stopped:
            nyc.run([command, "-F", "FORWARD"])
    problems = {(str(result.probe.source), str(result.probe)) for result in found if result.problem}
    kinds = ("tcp/7007", "udp/7007", "icmp")
    assert problems == {("ams.lan", f"IPv4 {kind}") for kind in kinds} | {("ams", f"IPv6 {kind}") for kind in kinds}


def test_the_reason_is_told_where_nobody_can_answer(
    joined: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "answer.py"
    program.write_text("import sys; sys.exit('no sockets left')")
    monkeypatch.setattr(measuring, "_program", lambda _: str(program))
    # More than a pipe holds: whoever writes it learns that nobody reads it.
    one = next(probe for probe in wanted(joined, pair()) if probe.protocol == "tcp")
    many = [replace(one, port=port) for port in range(1, 5000)]
    with pytest.raises(LabError, match=f"{one.destination} does not answer probes: no sockets left"):
        measure(joined, many)


def test_who_stops_answering_before_the_end_is_told(
    joined: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "answer.py"
    program.write_text("import sys; sys.stdin.readline(); print('ready', flush=True); sys.exit('killed')")
    known = measuring._program
    monkeypatch.setattr(measuring, "_program", lambda name: str(program) if name == "answer.py" else known(name))
    one = next(probe for probe in wanted(joined, pair()) if not probe.granted)
    with pytest.raises(LabError, match=f"{one.destination} stopped answering probes: killed"):
        measure(joined, [one])


def test_probes_leave_nobody_behind_who_answers(joined: World) -> None:
    judged = granting(("ams.lan", "nyc.virbr0", ""))
    listening = ["ss", "-Hltun"]
    before = joined.lan("nyc.virbr0").run(listening).stdout
    assert marks(joined, judged)["ams.lan", "nyc.virbr0"] == "✓"
    assert joined.lan("nyc.virbr0").run(listening).stdout == before
