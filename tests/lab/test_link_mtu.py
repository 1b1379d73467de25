"""Links that carry less than others: each route has its link's MTU, and everything that passes is told so."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pytest

from lab.namespaces import PATH
from lab.world import World
from tests.lab.conftest import Start
from tests.lab.environment import Environment, sample
from tests.lab.talking import talkers

pytestmark = pytest.mark.lab

PORT = 7001
_PROGRAM = str(Path(__file__).with_name("transfer.py"))


def transfer(world: World, network: str, *arguments: Any) -> dict[str, Any]:
    """What the program says from a network's host (tests/lab/transfer.py)."""
    said: dict[str, Any] = json.loads(world.lan(network).python([_PROGRAM, *map(str, arguments)], sys.executable))
    return said


@contextmanager
def serving(world: World, network: str, address: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """The same program serves there; gives what reads what it says of its next client."""
    argv = world.lan(network).python_command([_PROGRAM, "serve", address, str(PORT)], sys.executable)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env={"PATH": PATH}) as process:
        stdout = cast("IO[str]", process.stdout)
        assert stdout.readline() == "ready\n"
        yield lambda: cast("dict[str, Any]", json.loads(stdout.readline()))


def route_mtu(environment: Environment, site: str, address: str) -> str:
    """What the route from a site's host to there has; "" where it is the interface's."""
    words = environment.on(site, f"ip route get {address}").split()
    assert words[words.index("dev") + 1] == "wg0"
    return words[words.index("mtu") + 1] if "mtu" in words else ""


def interface_mtu(environment: Environment, site: str) -> str:
    words = environment.on(site, "ip -o link show dev wg0").split()
    return words[words.index("mtu") + 1]


def test_a_link_has_the_lower_mtu_of_both_ends_for_every_packet(start: Start) -> None:
    config = {name: sample()[name] for name in ("mesh", "ssh", "sites")}
    config["sites"]["fra"]["mtu"] = 1380
    config["sites"]["ams"]["mtu"] = 1400
    config["access"] = [
        {"from": "ams.lan", "to": "fra.lan"},
        {"from": "fra.lan", "to": "ams.lan"},
        {"from": "sfo.lan", "to": ["nyc.virbr0", "ams.lan"]},
    ]
    environment = start(config)
    environment.up()
    world = environment.world

    assert [interface_mtu(environment, site) for site in ("ams", "fra", "nyc", "sfo")] == [
        "1400",
        "1380",
        "1420",
        "1420",
    ]
    ams, fra, sfo = ("10.20.0.10", "10.40.0.10", "10.30.0.10")
    assert route_mtu(environment, "ams", fra) == route_mtu(environment, "ams", "fd6b:2a91:7c5e:40::a") == "1380"
    assert route_mtu(environment, "sfo", "10.99.0.4") == route_mtu(environment, "nyc", "10.99.0.4") == "1380"
    assert route_mtu(environment, "sfo", ams) == route_mtu(environment, "nyc", "10.99.0.2") == "1400"
    assert route_mtu(environment, "ams", sfo) == route_mtu(environment, "fra", ams) == ""
    assert route_mtu(environment, "sfo", "192.168.122.10") == route_mtu(environment, "nyc", "10.99.0.3") == ""

    # A datagram of the link's size passes, one of the interface's is refused by the gateway next to the sender.
    for client, server, near, address in (
        ("ams.lan", "fra.lan", "10.20.0.1", fra),
        ("fra.lan", "ams.lan", "10.40.0.1", ams),
        ("ams.lan", "fra.lan", "fd6b:2a91:7c5e:20::1", "fd6b:2a91:7c5e:40::a"),
    ):
        with serving(world, server, address) as served:
            assert transfer(world, client, "push", address, PORT, 1380)["echoed"]
            assert transfer(world, client, "push", address, PORT, 1400) == {"echoed": False, "mtu": 1380, "by": near}
            # 1380 less the headers of TCP and IP, at both ends.
            mss = 1320 if ":" in address else 1340
            assert transfer(world, client, "fetch", address, PORT) == {"whole": True, "mss": mss}
            assert served() == {"whole": True, "mss": mss}
    with serving(world, "ams.lan", ams) as served:
        assert transfer(world, "sfo.lan", "push", ams, PORT, 1400)["echoed"]
        assert transfer(world, "sfo.lan", "fetch", ams, PORT) == {"whole": True, "mss": 1360}
        assert served() == {"whole": True, "mss": 1360}

    routes = "ip route show dev wg0; ip -6 route show dev wg0"
    before = environment.on("ams", routes)
    environment.on("ams", "wg-quick down wg0; wg-quick up wg0 </dev/null >/dev/null 2>&1")
    assert environment.on("ams", routes) == before

    with talkers(world, "ams.lan", "fra.lan", "nyc.virbr0", "sfo.lan") as talk:
        flows = [
            talk.open("ams.lan", "fra.lan", "tcp/7002"),
            talk.open("ams.lan", "fra.lan", "udp/7002"),
            talk.open("sfo.lan", "nyc.virbr0", "udp/7002"),
            talk.open("sfo.lan", "ams.lan", "udp/7002"),
        ]
        assert talk.up(flows) == []
        del environment.config["sites"]["fra"]["mtu"]
        environment.config["sites"]["nyc"]["mtu"] = 1300
        environment.write()
        environment.up()
        assert talk.losses(flows) == []
    assert route_mtu(environment, "ams", fra) == ""
    assert route_mtu(environment, "sfo", "10.99.0.4") == ""
    assert route_mtu(environment, "fra", ams) == "1400"
    assert route_mtu(environment, "sfo", "192.168.122.10") == route_mtu(environment, "ams", "10.99.0.1") == "1300"
    assert interface_mtu(environment, "fra") == "1420"
    assert environment.up().nothing_changed
