"""`meshctl verify` after a real `up`: a sound mesh is proved, and what somebody broke by hand is named."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.conftest import Start
from tests.lab.environment import REFUSE_SSH, Environment, pair, sample

pytestmark = pytest.mark.lab

GRANTED, DENIED = 8443, 9
BLOCK = "iptables -w -I INPUT -p udp --dport 51820 -j DROP; iptables -w -I OUTPUT -p udp --dport 51820 -j DROP"
FREE = "iptables -w -D INPUT -p udp --dport 51820 -j DROP; iptables -w -D OUTPUT -p udp --dport 51820 -j DROP"
# For each peer whose keys or endpoint were set, when.
PEERS_SET = "cat /run/wireguard-mesh/wg0/changed"
MENDED = "run 'pulumi up', or, where that changes nothing, 'wireguard-mesh rollback wg0' on ams"
# ams gets another public key for nyc, as one who mistypes it: the right one's addresses move to it.
WRONG_KEY = """
known=$(wg show wg0 peers); ips=$(wg show wg0 allowed-ips | cut -f 2); to=$(wg show wg0 endpoints | cut -f 2)
wg set wg0 peer "$known" remove
wg set wg0 peer "$(wg genkey | wg pubkey)" endpoint "$to" allowed-ips "$(echo "$ips" | tr ' ' ,)"
"""


@dataclass(frozen=True)
class Said:
    """The exit status, and what was found, each `SITE PEER: REASON`."""

    status: int
    told: list[str]
    data: dict[str, Any]


def verify(environment: Environment, *options: str) -> Said:
    done = environment.deployment.meshctl("verify", "--json", *options)
    assert done.stderr == ""
    data = json.loads(done.stdout)
    told = [f"{one['site']} {one['peer']}: {one['reason']}" for one in data.get("findings", ())]
    return Said(done.returncode, told, data)


def between(said: Said) -> list[str]:
    """What was found between two sites: what somebody did on a host by hand is drift besides."""
    return [text for text in said.told if " None: is not as it was applied" not in text]


def opened(config: dict[str, Any]) -> dict[str, Any]:
    """ams itself may open one port at nyc itself, and one at what is behind it."""
    config["access"] += [
        {"from": "ams", "to": "nyc", "ports": f"tcp/{GRANTED}"},
        {"from": "ams", "to": "nyc.virbr0", "ports": "icmp"},
    ]
    return config


def test_a_mesh_of_four_is_proved_after_its_first_up_and_after_a_grant_came_and_went(start: Start) -> None:
    environment = start(opened(sample()))
    environment.up()
    first = verify(environment)
    assert (first.status, first.told) == (0, []), first
    # Every two of four, both ways, in both families where both have them; one connection to each host.
    assert (first.data["hosts"], first.data["connections"]) == (4, 4)
    assert first.data["pings"] >= 12
    environment.config["access"].append({"from": "fra", "to": "nyc", "ports": "tcp/22"})
    environment.write()
    set_before = environment.on("nyc", PEERS_SET)
    behind = verify(environment)
    assert behind.status == 1
    assert "nyc None: the stack file says otherwise than the last 'pulumi up' did; run it" in behind.told
    environment.up()
    after = verify(environment)
    assert (after.status, after.told) == (0, []), after
    # No new handshake is waited for: of other allowed IPs a session shows nothing, and nyc counts no peer as set anew.
    assert environment.on("nyc", PEERS_SET) == set_before != ""


def test_a_port_that_is_blocked_a_wrong_key_and_a_host_that_is_down_are_named_with_their_pair(start: Start) -> None:
    environment = start(opened(pair()))
    environment.up()
    assert verify(environment).status == 0

    environment.on("nyc", BLOCK)
    blocked = verify(environment, "--within", "3")
    assert blocked.status == 1
    (told,) = between(blocked)
    assert re.match(r"ams nyc: no handshake.*: neither hears the other, so UDP to [0-9.]+:51820 is filtered", told)
    environment.on("nyc", FREE)
    environment.on("nyc", "wireguard-mesh rollback wg0")
    assert verify(environment).status == 0

    environment.on("ams", WRONG_KEY)
    wrong = verify(environment, "--within", "3")
    assert wrong.status == 1
    assert between(wrong) == [f"ams nyc: no handshake: ams has another public key for nyc than its own; {MENDED}"]
    environment.on("ams", "wireguard-mesh rollback wg0")
    assert verify(environment).status == 0

    environment.on("nyc", "wg-quick down wg0 >/dev/null 2>&1")
    down = verify(environment, "--within", "3")
    assert (down.status, "nyc None: wg0 is down; 'wg-quick up wg0' on the host" in down.told) == (1, True)
    assert between(down) == ["nyc None: wg0 is down; 'wg-quick up wg0' on the host"]


def test_a_granted_port_that_is_blocked_and_a_denied_one_that_is_open_are_named(start: Start) -> None:
    config = opened(pair())
    config["probes"] = [
        {"from": "ams", "to": "192.168.122.10", "port": "icmp", "expect": "allow"},
        {"from": "ams", "to": "192.168.122.10", "port": "tcp/443", "expect": "deny"},
    ]
    environment = start(config)
    environment.up()
    proved = verify(environment)
    assert (proved.status, proved.told) == (0, []), proved

    environment.on("nyc", f"iptables -w -I WG0-IN -p tcp --dport {GRANTED} -j DROP")
    environment.on("nyc", f"iptables -w -I WG0-IN -p tcp --dport {DENIED} -j ACCEPT")
    environment.on("nyc", "iptables -w -I WG0-FWD -p icmp -j DROP; iptables -w -I WG0-FWD -p tcp -j ACCEPT")
    # The side that opens drops answers to what it was not granted, by itself.
    environment.on("ams", f"iptables -w -I WG0-IN -p tcp --sport {DENIED} -j ACCEPT")
    environment.on("ams", "iptables -w -I WG0-IN -p tcp --sport 443 -j ACCEPT")
    said = verify(environment)
    assert said.status == 1
    unanswered = "nobody listens there, yet packets pass"
    assert sorted(between(said)) == [
        "ams nyc: icmp at 192.168.122.10 does not open, though probes[0] expects allow: no answer",
        f"ams nyc: tcp/443 at 192.168.122.10 is open, though probes[1] expects deny: {unanswered}",
        f"ams nyc: tcp/{GRANTED} at 10.99.0.1 does not open, though it is granted: no answer",
        f"ams nyc: tcp/{DENIED} at 10.99.0.1 is open, though nothing grants it: {unanswered}",
    ]


def test_a_host_that_cannot_be_asked_is_named_and_the_other_side_tells_of_the_tunnel(start: Start) -> None:
    environment = start(pair())
    environment.up()
    environment.on("nyc", REFUSE_SSH)
    said = verify(environment, "--within", "3")
    assert said.status == 1
    (unreached,) = said.told
    assert re.match(r"nyc None: could not be asked: [0-9.]+, port 22 refuses connections", unreached)


def test_without_an_up_there_is_nothing_to_verify_and_it_says_so(start: Start) -> None:
    environment = start(pair())
    environment.deployment.state.mkdir()
    said = verify(environment)
    assert said.status == 2
    assert "no stack named 'test' found" in said.data["error"]
