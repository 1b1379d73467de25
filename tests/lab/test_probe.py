"""The stand-alone prober and its answering side, over real packets between a gateway and the host behind it."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.namespaces import Namespace
from lab.world import ANSWER_PORT, World
from tests.lab.worlds import pair

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

PROBE = str(Path(__file__).parents[2] / "lab" / "probe.py")
GATEWAY4, GATEWAY6, HOST4, HOST6 = "192.168.122.1", "fd22::1", "192.168.122.10", "fd22::a"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(pair(), "probe", tmp_path_factory.mktemp("labs") / "base") as started:
        yield started


@pytest.fixture
def gateway(world: World) -> Namespace:
    return world.host("nyc")


@pytest.fixture
def host(world: World) -> Iterator[Namespace]:
    """The host behind nyc; what a test blocks there is open again afterwards."""
    yield world.lan("nyc.virbr0")
    for command in ("iptables", "ip6tables"):
        world.lan("nyc.virbr0").run([command, "-F"])


def send(namespace: Namespace, *probes: dict[str, Any], within: float = 0, wait: float = 1) -> list[dict[str, Any]]:
    request = {"within": within, "wait": wait, "probes": [*probes]}
    answers: list[dict[str, Any]] = json.loads(
        namespace.python([PROBE, "send"], sys.executable, input=json.dumps(request))
    )
    return answers


def tcp(source: str | None, target: str, port: int = ANSWER_PORT) -> dict[str, Any]:
    return {"protocol": "tcp", "source": source, "target": target, "port": port}


def icmp(source: str | None, target: str) -> dict[str, Any]:
    return {"protocol": "icmp", "source": source, "target": target, "port": 0}


def test_icmp_and_tcp_are_answered_in_both_families(gateway: Namespace, host: Namespace) -> None:
    probes = [icmp(GATEWAY4, HOST4), icmp(GATEWAY6, HOST6), tcp(GATEWAY4, HOST4), tcp(GATEWAY6, HOST6)]
    assert [answer["state"] for answer in send(gateway, *probes)] == ["answered"] * 4


def test_an_answer_by_tcp_says_which_source_address_was_seen(gateway: Namespace, host: Namespace) -> None:
    answers = send(gateway, tcp(GATEWAY4, HOST4), tcp(GATEWAY6, HOST6), icmp(GATEWAY4, HOST4))
    assert [answer["seen"] for answer in answers] == [GATEWAY4, GATEWAY6, None]


def test_translation_on_the_way_is_seen_by_the_one_who_answers(gateway: Namespace, host: Namespace) -> None:
    gateway.run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "virbr0", "-j", "MASQUERADE"])
    try:
        (answer,) = send(gateway, tcp("203.0.113.10", HOST4))
    finally:
        gateway.run(["iptables", "-t", "nat", "-F"])
    assert (answer["state"], answer["seen"]) == ("answered", GATEWAY4)


def test_a_port_without_a_listener_is_refused_and_a_dropped_packet_is_silent(
    gateway: Namespace, host: Namespace
) -> None:
    host.run(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP"])
    answers = send(gateway, tcp(GATEWAY4, HOST4, 8), tcp(GATEWAY4, HOST4, 9))
    assert [answer["state"] for answer in answers] == ["refused", "silent"]


def test_a_source_address_that_the_machine_does_not_have_is_told_from_a_block(
    gateway: Namespace, host: Namespace
) -> None:
    answers = send(gateway, tcp("10.99.0.1", HOST4), icmp("10.99.0.1", HOST4), icmp("fd99::1", HOST6))
    assert [answer["state"] for answer in answers] == ["no source"] * 3


def test_a_target_to_which_there_is_no_route_is_unreachable(gateway: Namespace) -> None:
    answers = send(gateway, tcp(GATEWAY6, "fd20::a"), icmp(GATEWAY6, "fd20::a"))
    assert [answer["state"] for answer in answers] == ["unreachable"] * 2


def test_icmp_dropped_is_silent_in_both_families(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-p", "icmp", "-j", "DROP"])
    host.run(["ip6tables", "-A", "INPUT", "-p", "ipv6-icmp", "--icmpv6-type", "128", "-j", "DROP"])
    answers = send(gateway, icmp(GATEWAY4, HOST4), icmp(GATEWAY6, HOST6), tcp(GATEWAY4, HOST4))
    assert [answer["state"] for answer in answers] == ["silent", "silent", "answered"]


def test_a_probe_is_tried_again_until_it_is_answered(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-i", "eth0", "-j", "DROP"])

    def open_after_the_first_try() -> None:
        counters = ["iptables", "-L", "INPUT", "-vnx"]
        while int(host.run(counters).stdout.splitlines()[2].split()[0]) == 0:
            time.sleep(0.02)
        host.run(["iptables", "-F"])

    opening = threading.Thread(target=open_after_the_first_try)
    opening.start()
    answers = send(gateway, tcp(GATEWAY4, HOST4), icmp(GATEWAY4, HOST4), within=20, wait=0.3)
    opening.join()
    assert [answer["state"] for answer in answers] == ["answered", "answered"]
    assert answers[0]["tries"] > 1


def test_a_probe_that_nobody_answers_ends_with_the_time_that_it_was_given(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-j", "DROP"])
    start = time.monotonic()
    answers = send(gateway, tcp(GATEWAY4, HOST4), icmp(GATEWAY4, HOST4), within=1, wait=0.4)
    assert [answer["state"] for answer in answers] == ["silent", "silent"]
    assert all(answer["tries"] > 1 for answer in answers)
    assert 1 <= time.monotonic() - start < 15


def test_without_time_to_repeat_there_is_exactly_one_try(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-j", "DROP"])
    answers = send(gateway, tcp(GATEWAY4, HOST4), icmp(GATEWAY4, HOST4), within=0, wait=0.2)
    assert [(answer["state"], answer["tries"]) for answer in answers] == [("silent", 1)] * 2


def test_hundreds_of_probes_go_out_at_once(gateway: Namespace, host: Namespace) -> None:
    host.run(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP"])
    start = time.monotonic()
    probes = [tcp(GATEWAY4, HOST4, port) for port in (9, ANSWER_PORT)] + [icmp(GATEWAY4, HOST4)]
    answers = send(gateway, *probes * 100)
    assert [answer["state"] for answer in answers] == ["silent", "answered", "answered"] * 100
    assert time.monotonic() - start < 20  # one after the other, the silent ones alone would take 100 s
