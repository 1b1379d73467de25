"""Flows that are open while their NAT changes: a sender that never pauses is not kept to what NAT was."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import IO

import pytest

from mesh.model import Mesh
from tests.host.scratch import Host, connect
from tests.host.sites import AMS, NYC, WAN, Keys, between, settle
from tests.mesh.meshes import network, site

# One UDP packet each 20 ms, from the same port for ever.
SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
while True:
    s.sendto(b"x", (sys.argv[2], 5000))
    time.sleep(0.02)
"""
# Says who sends, for each packet, until none comes for a while.
RECEIVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5000))
s.settimeout(5)
print("ready", flush=True)
while True:
    print(*s.recvfrom(9)[1], flush=True)
"""
OUT, IN = (("nyc.virbr0", "ams", "udp/5000"),), (("ams", "nyc.virbr0", "udp/5000"),)


def _known_as(prefix: str, access: tuple[tuple[str, str, str], ...] = OUT) -> Mesh:
    lan = network("virbr0", "192.168.122.0/24", "fd22::/64", advertise_as=[prefix])
    return between(site("nyc", ["10.99.0.1", "fd99::1"], lan, endpoint=WAN["nyc"]), AMS, access=access)


@pytest.fixture
def trio_of_hosts(pair: dict[str, Host], tmp_path: Path) -> Iterator[dict[str, Host]]:
    """The gateways, and `lan`: a host behind nyc at 192.168.122.7, whose way out it is."""
    pair["nyc"].needs("conntrack")
    with Host(tmp_path / "lan") as lan:
        connect(lan, pair["nyc"], "eth0", "lan0")
        lan.sh("ip address add 192.168.122.7/24 dev eth0; ip route add default via 192.168.122.1")
        pair["nyc"].sh("ip link set lan0 master virbr0")
        yield {**pair, "lan": lan}


def _settle(hosts: dict[str, Host], keys: Keys, mesh: Mesh) -> str:
    """nyc's answer."""
    settle(hosts["ams"], keys.bundle(mesh, "ams"))
    return settle(hosts["nyc"], keys.bundle(mesh, "nyc"))[0]


@contextmanager
def _sending(host: Host, port: int, address: str) -> Iterator[None]:
    process = host.start("python3", "-c", SENDER, str(port), address)
    try:
        yield
    finally:
        host.kill(process)


class _Senders:
    """Those that a receiver names, one for each packet."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines = lines

    def come(self, sender: str) -> bool:
        """Whether this one is among those that come within ten seconds."""
        deadline = time.monotonic() + 10
        return any(line.strip() == sender for line in takewhile(lambda _: time.monotonic() < deadline, self._lines))


@contextmanager
def _received(host: Host) -> Iterator[_Senders]:
    process = host.start("python3", "-c", RECEIVER)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield _Senders(process.stdout)
    finally:
        host.kill(process)


def _gone(host: Host, program: str) -> None:
    host.sh(f'touch /run/gone; mount --bind /run/gone "$(readlink -f "$(command -v {program})")"')


def test_an_open_flow_takes_the_new_translation_and_flows_beside_it_notice_nothing(
    trio_of_hosts: dict[str, Host], keys: Keys
) -> None:
    nyc, ams, lan = (trio_of_hosts[name] for name in ("nyc", "ams", "lan"))
    _settle(trio_of_hosts, keys, _known_as("10.202.0.0/24"))
    beside = "-s 192.168.122.7 -d 192.168.122.1"
    with _received(ams) as senders, _sending(lan, 4000, "10.99.0.2"), _sending(lan, 4001, "192.168.122.1"):
        assert senders.come("10.202.0.7 4000")
        nyc.sh(f"timeout 10 sh -c 'until conntrack -U {beside} --mark 7; do sleep 0.1; done'")
        answer = _settle(trio_of_hosts, keys, _known_as("10.203.0.0/24"))
        assert "flows of changed NAT forgotten" in answer
        assert senders.come("10.203.0.7 4000")
        assert "mark=7" in nyc.sh(f"conntrack -L {beside}"), "the same entry"


def test_without_conntrack_the_answer_says_that_open_flows_keep_their_nat(
    trio_of_hosts: dict[str, Host], keys: Keys
) -> None:
    nyc, ams, lan = (trio_of_hosts[name] for name in ("nyc", "ams", "lan"))
    _gone(nyc, "conntrack")
    _settle(trio_of_hosts, keys, _known_as("10.202.0.0/24"))
    with _received(ams) as senders, _sending(lan, 4000, "10.99.0.2"):
        assert senders.come("10.202.0.7 4000")
        answer = _settle(trio_of_hosts, keys, _known_as("10.203.0.0/24"))
        assert "open flows keep their NAT (this host has no conntrack)" in answer
        with _sending(lan, 4001, "10.99.0.2"):
            assert senders.come("10.203.0.7 4001")
    assert "open flows" not in _settle(trio_of_hosts, keys, _known_as("10.203.0.0/24", OUT + IN)), "same NAT"


def test_masquerading_that_begins_is_for_open_flows_as_well(trio_of_hosts: dict[str, Host], keys: Keys) -> None:
    ams, lan = trio_of_hosts["ams"], trio_of_hosts["lan"]
    bare = network("virbr0", "192.168.122.0/24", "fd22::/64")
    without = between(site("nyc", ["10.99.0.1", "fd99::1"], bare, endpoint=WAN["nyc"]), AMS, access=IN)
    _settle(trio_of_hosts, keys, without)
    with _received(lan) as senders, _sending(ams, 4000, "192.168.122.7"):
        assert senders.come("10.99.0.2 4000")
        answer = _settle(trio_of_hosts, keys, between(NYC, AMS, access=IN))
        assert answer.endswith(": rules replaced, flows of changed NAT forgotten")
        assert senders.come("192.168.122.1 4000")
    # A grant that comes or goes takes its NAT along, and has no open flow that needs another one.
    assert "NAT" not in _settle(trio_of_hosts, keys, between(NYC, AMS, access=()))
    assert "NAT" not in _settle(trio_of_hosts, keys, between(NYC, AMS, access=IN))
