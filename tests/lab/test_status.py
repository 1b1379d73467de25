"""`meshctl status` after a real `up`: a hand edit on a host is seen from afar, and gone again when it is mended."""

import json
from typing import Any

import pytest

from tests.lab.conftest import Start
from tests.lab.environment import REFUSE_SSH, Environment, pair

pytestmark = pytest.mark.lab

EDIT = """
wg set wg0 peer "$(wg show wg0 peers)" allowed-ips 10.99.0.1/32
iptables -F FORWARD
ip address add 10.9.9.9/32 dev wg0
"""
LOOK = "{ iptables-save; ip6tables-save; } | grep -v '^[:#]'; wg show wg0 allowed-ips; ip addr show dev wg0; ip route"


def sites(environment: Environment, status: int) -> dict[str, dict[str, Any]]:
    """By name what is told of each site; the exit status has to be that one."""
    done = environment.deployment.meshctl("status", "--json")
    assert (done.returncode, done.stderr) == (status, ""), done.stdout
    return {site["site"]: site for site in json.loads(done.stdout)["sites"]}


def test_a_hand_edit_is_seen_from_afar_until_it_is_mended_and_a_silent_host_is_named(start: Start) -> None:
    environment = start(pair())
    environment.up()
    environment.on("ams", "ping -c 1 -w 10 10.99.0.1")
    sound = sites(environment, 0)
    assert {site: told["faults"] for site, told in sound.items()} == {"ams": [], "nyc": []}
    for told in sound.values():
        assert told["expected"] == told["host"]["confirmed"] == told["host"]["live"]
        (peer,) = told["host"]["peers"]
        assert peer["handshake_age"] is not None
        assert peer["received"] > 0
    said = environment.deployment.meshctl("status")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.endswith("test: 2 sites, all as they should be\n")

    environment.on("ams", EDIT)
    before = environment.on("ams", LOOK)
    edited = sites(environment, 1)
    assert environment.on("ams", LOOK) == before, "it was only looked at"
    assert edited["nyc"]["faults"] == []
    assert edited["ams"]["faults"] == [
        "drift: jump from filter FORWARD to WG0-FWD missing (IPv4)",
        "drift: address 10.9.9.9/32 is not ours",
        "drift: peer nyc differs: allowed IPs",
    ]
    said = environment.deployment.meshctl("status")
    assert said.returncode == 1
    assert "ams: drift: peer nyc differs: allowed IPs\n" in said.stdout
    assert said.stdout.endswith("test: 1 of 2 sites is not as it should be\n")
    environment.on("ams", "wireguard-mesh rollback wg0")
    assert sites(environment, 0)["ams"]["faults"] == []

    environment.on("nyc", REFUSE_SSH)
    silent = sites(environment, 1)
    assert silent["ams"]["faults"] == []
    assert silent["nyc"]["reachable"] is False
    assert "203.0.113.10" in silent["nyc"]["faults"][0]
