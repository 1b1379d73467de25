"""The stand-alone prober and its answering side, over real packets between a gateway and the host behind it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.probing import ANSWER_PORT
from lab.world import World
from tests.lab.worlds import pair

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

LAB = Path(__file__).parents[2] / "lab"
GATEWAY4, GATEWAY6, HOST4, HOST6 = "192.168.122.1", "fd22::1", "192.168.122.10", "fd22::a"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(pair(), "probe", tmp_path_factory.mktemp("labs") / "base") as started:
        yield started


@pytest.fixture
def gateway(world: World) -> Namespace:
    return world.host("nyc")


@contextmanager
def answering(namespace: Namespace, *places: tuple[str, str, int]) -> Iterator["subprocess.Popen[str]"]:
    """Somebody in the namespace answers at these places."""
    argv = namespace.python_command([str(LAB / "answer.py")], sys.executable)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(places) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


@pytest.fixture
def host(world: World) -> Iterator[Namespace]:
    """The host behind nyc, which answers; what a test blocks there is open again afterwards."""
    places = [(protocol, address, ANSWER_PORT) for protocol in ("tcp", "udp") for address in (HOST4, HOST6)]
    with answering(world.lan("nyc.virbr0"), *places):
        yield world.lan("nyc.virbr0")
    for command in ("iptables", "ip6tables"):
        world.lan("nyc.virbr0").run([command, "-F"])


def send(namespace: Namespace, *probes: dict[str, Any], within: float = 0, wait: float = 1) -> list[dict[str, Any]]:
    request = {"within": within, "wait": wait, "probes": [*probes]}
    answers: list[dict[str, Any]] = json.loads(
        namespace.python([str(LAB / "probe.py")], sys.executable, input=json.dumps(request))
    )
    return answers


def tcp(source: str | None, target: str, port: int = ANSWER_PORT) -> dict[str, Any]:
    return {"protocol": "tcp", "source": source, "target": target, "port": port}


def udp(source: str | None, target: str, port: int = ANSWER_PORT) -> dict[str, Any]:
    return {"protocol": "udp", "source": source, "target": target, "port": port}


def icmp(source: str | None, target: str) -> dict[str, Any]:
    return {"protocol": "icmp", "source": source, "target": target, "port": 0}


def states(answers: Sequence[dict[str, Any]]) -> list[str]:
    return [answer["state"] for answer in answers]


def test_icmp_tcp_and_udp_are_answered_in_both_families(gateway: Namespace, host: Namespace) -> None:
    ways = ((GATEWAY4, HOST4), (GATEWAY6, HOST6))
    probes = [kind(*way) for kind in (icmp, tcp, udp) for way in ways]
    assert states(send(gateway, *probes)) == ["answered"] * 6


def test_an_answer_by_tcp_or_udp_says_which_source_address_was_seen(gateway: Namespace, host: Namespace) -> None:
    probes = [tcp(GATEWAY4, HOST4), tcp(GATEWAY6, HOST6), udp(GATEWAY4, HOST4), udp(GATEWAY6, HOST6)]
    answers = send(gateway, *probes, icmp(GATEWAY4, HOST4))
    assert [answer["seen"] for answer in answers] == [GATEWAY4, GATEWAY6, GATEWAY4, GATEWAY6, None]


def test_translation_on_the_way_is_seen_by_the_one_who_answers(gateway: Namespace, host: Namespace) -> None:
    gateway.run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "virbr0", "-j", "MASQUERADE"])
    try:
        answers = send(gateway, tcp("203.0.113.10", HOST4), udp("203.0.113.10", HOST4))
    finally:
        gateway.run(["iptables", "-t", "nat", "-F"])
    assert [(answer["state"], answer["seen"]) for answer in answers] == [("answered", GATEWAY4)] * 2


def test_a_port_without_a_listener_is_refused_and_a_dropped_packet_is_silent(
    gateway: Namespace, host: Namespace
) -> None:
    for protocol in ("tcp", "udp"):
        host.run(["iptables", "-A", "INPUT", "-p", protocol, "--dport", "9", "-j", "DROP"])
    answers = send(gateway, *(kind(GATEWAY4, HOST4, port) for kind in (tcp, udp) for port in (8, 9)))
    assert states(answers) == ["refused", "silent", "refused", "silent"]


def test_a_source_address_that_the_machine_does_not_have_is_told_from_a_block(
    gateway: Namespace, host: Namespace
) -> None:
    answers = send(gateway, *(kind("10.99.0.1", HOST4) for kind in (tcp, udp, icmp)), icmp("fd99::1", HOST6))
    assert states(answers) == ["no source"] * 4


def test_a_target_to_which_there_is_no_route_is_unreachable(gateway: Namespace) -> None:
    answers = send(gateway, *(kind(GATEWAY6, "fd20::a") for kind in (tcp, udp, icmp)))
    assert states(answers) == ["unreachable"] * 3


def test_an_echo_that_a_firewall_refuses_has_not_arrived(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-p", "icmp", "-j", "REJECT"])
    assert states(send(gateway, icmp(GATEWAY4, HOST4))) == ["unreachable"]


def test_icmp_dropped_is_silent_in_both_families(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-p", "icmp", "-j", "DROP"])
    host.run(["ip6tables", "-A", "INPUT", "-p", "ipv6-icmp", "--icmpv6-type", "128", "-j", "DROP"])
    answers = send(gateway, icmp(GATEWAY4, HOST4), icmp(GATEWAY6, HOST6), tcp(GATEWAY4, HOST4))
    assert states(answers) == ["silent", "silent", "answered"]


def test_a_probe_is_tried_again_until_it_is_answered(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-i", "eth0", "-j", "DROP"])

    def open_after_the_first_try() -> None:
        counters = ["iptables", "-L", "INPUT", "-vnx"]
        while int(host.run(counters).stdout.splitlines()[2].split()[0]) == 0:
            time.sleep(0.02)
        host.run(["iptables", "-F"])

    opening = threading.Thread(target=open_after_the_first_try)
    opening.start()
    answers = send(gateway, tcp(GATEWAY4, HOST4), udp(GATEWAY4, HOST4), icmp(GATEWAY4, HOST4), within=20, wait=0.3)
    opening.join()
    assert states(answers) == ["answered"] * 3
    assert answers[0]["tries"] > 1


def test_a_probe_that_nobody_answers_ends_with_the_time_that_it_was_given(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-j", "DROP"])
    start = time.monotonic()
    answers = send(gateway, tcp(GATEWAY4, HOST4), udp(GATEWAY4, HOST4), icmp(GATEWAY4, HOST4), within=1, wait=0.4)
    assert states(answers) == ["silent"] * 3
    assert all(answer["tries"] > 1 for answer in answers)
    assert 1 <= time.monotonic() - start < 15


def test_without_time_to_repeat_there_is_exactly_one_try(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-j", "DROP"])
    answers = send(gateway, tcp(GATEWAY4, HOST4), udp(GATEWAY4, HOST4), icmp(GATEWAY4, HOST4), within=0, wait=0.2)
    assert [(answer["state"], answer["tries"]) for answer in answers] == [("silent", 1)] * 3


def test_more_than_a_thousand_probes_go_out_at_once(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP"])
    start = time.monotonic()
    probes = [*(tcp(GATEWAY4, HOST4, port) for port in (9, ANSWER_PORT)), udp(GATEWAY4, HOST4), icmp(GATEWAY4, HOST4)]
    answers = send(gateway, *probes * 400)
    assert states(answers) == ["silent", "answered", "answered", "answered"] * 400
    assert time.monotonic() - start < 20  # one after the other, the silent ones alone would take 400 s


def test_a_port_of_another_program_is_left_to_it_and_counts_as_open(gateway: Namespace, host: Namespace) -> None:
    ssh, quiet, mute = (GATEWAY4, 22), (GATEWAY4, 23), (GATEWAY4, 24)
    another = f"""
import socket
tcp = socket.create_server({quiet})
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind({mute})
print("ready", flush=True)
while True:
    udp.sendto(b"hello", udp.recvfrom(100)[1])
"""
    argv = gateway.python_command(["-c", another], sys.executable)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        wanted = [("tcp", *ssh), ("tcp", *quiet), ("udp", *mute), ("tcp", GATEWAY4, 25)]
        with answering(gateway, *wanted):
            answers = send(host, tcp(None, *ssh), tcp(None, *quiet), udp(None, *mute), tcp(None, GATEWAY4, 25))
        process.kill()
    assert [(answer["state"], answer["seen"]) for answer in answers] == [
        ("open", None),
        ("open", None),
        ("open", None),
        ("answered", HOST4),
    ]


def test_who_answers_does_so_at_the_places_it_was_given_and_until_its_stdin_ends(gateway: Namespace) -> None:
    with answering(gateway, ("tcp", GATEWAY4, 1000), ("udp", GATEWAY6, 1000), ("udp", "10.99.0.1", 1000)) as process:
        probes = [tcp(None, GATEWAY4, 1000), udp(None, GATEWAY6, 1000), tcp(None, GATEWAY6, 1000)]
        assert states(send(gateway, *probes)) == ["answered", "answered", "refused"]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0
        assert states(send(gateway, *probes)) == ["refused"] * 3


def test_who_answers_tells_at_the_end_what_arrived_and_nothing_that_the_machine_dropped_itself(
    gateway: Namespace, world: World
) -> None:
    host = world.lan("nyc.virbr0")
    ways = ((GATEWAY4, HOST4), (GATEWAY6, HOST6))
    kinds = [
        kind for way in ways for kind in (icmp(*way), *(each(*way, port) for each in (tcp, udp) for port in (8, 9)))
    ]
    probes = [kind | {"token": f"probe:{number}"} for number, kind in enumerate(kinds)]
    for number, probe in enumerate(probes):
        if probe["protocol"] == "tcp":
            probe["source_port"] = 61000 + number
    for command, echo in (("iptables", "icmp --icmp-type 8"), ("ip6tables", "icmpv6 --icmpv6-type 128")):
        for what in (echo, "tcp --dport 9", "udp --dport 9"):
            host.run([command, "-A", "INPUT", "-p", *what.split(), "-j", "DROP"])
    try:
        # Nobody has to listen at a port for a packet to arrive there.
        with answering(host) as process:
            there = ["silent", "refused", "silent", "refused", "silent"]
            assert states(send(gateway, *probes)) == there * 2
            arrived = json.loads(process.communicate()[0])
            # The same without those rules, so that each can be seen.
            for command in ("iptables", "ip6tables"):
                host.run([command, "-F"])
        with answering(host) as process:
            send(gateway, *probes)
            everything = json.loads(process.communicate()[0])
    finally:
        for command in ("iptables", "ip6tables"):
            host.run([command, "-F"])
    passed = {"tcp4 61001 8", "probe:3", "tcp6 61006 8", "probe:8"}
    assert set(arrived) == passed
    dropped = {"probe:0", "tcp4 61002 9", "probe:4", "probe:5", "tcp6 61007 9", "probe:9"}
    assert set(everything) == passed | dropped


def test_who_answers_says_what_is_wrong_with_a_place_that_it_cannot_have(gateway: Namespace) -> None:
    argv = gateway.python_command([str(LAB / "answer.py")], sys.executable)
    place = json.dumps([("tcp", GATEWAY4, 70000)]) + "\n"
    done = subprocess.run(argv, input=place, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "port must be 0-65535" in done.stderr
    assert done.stdout == ""
