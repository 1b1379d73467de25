"""Changes that must not empty a host: a site renamed, another SSH user, a command replaced by hand."""

import pytest

from tests.lab.conftest import Start
from tests.lab.environment import Environment, pair

pytestmark = pytest.mark.lab


def watch(environment: Environment) -> None:
    """Notes on nyc every time that the interface goes away."""
    environment.on("nyc", "ip monitor link >/run/links 2>&1 </dev/null &")


def went_away(environment: Environment) -> bool:
    return "Deleted" in environment.on("nyc", "cat /run/links")


def reaches(environment: Environment) -> bool:
    ping = ["ping", "-c", "1", "-W", "1", "192.168.122.10"]
    lan = environment.world.lan("ams.lan")
    return any(lan.run(ping, check=False).returncode == 0 for _ in range(10))


def test_a_renamed_site_keeps_its_host(start: Start) -> None:
    environment = start(pair())
    environment.up()
    watch(environment)
    sites = environment.config["sites"]
    sites["newyork"] = sites.pop("nyc")
    environment.config["access"] = [{"from": "ams.lan", "to": "newyork.virbr0"}]
    environment.write()
    environment.up()
    assert not went_away(environment)
    assert "site newyork" in environment.on("nyc", "head -n 1 /etc/wireguard/wg0.conf")
    assert reaches(environment)
    assert environment.up().nothing_changed


def test_another_user_for_ssh_touches_no_tunnel(start: Start) -> None:
    config = pair()
    config["sites"]["ams"]["colo"]["user"] = "admin"
    environment = start(config)
    environment.config["sites"]["ams"]["colo"]["user"] = "root"
    environment.write()
    environment.up()
    environment.on("ams", "ip monitor link >/run/links 2>&1 </dev/null &")
    environment.config["sites"]["ams"]["colo"]["user"] = "admin"
    environment.write()
    environment.up()
    assert "Deleted" not in environment.on("ams", "cat /run/links")
    assert reaches(environment)


def test_a_host_command_that_is_replaced_by_hand_gets_its_bundle_again(start: Start) -> None:
    environment = start(pair())
    environment.up()
    watch(environment)
    urn = "urn:pulumi:test::wireguard-mesh::wireguard-mesh:index:WireguardMesh$wireguard-mesh:index:Endpoint"
    environment.up(replace=[f"{urn}$command:remote:Command::nyc-host"])
    assert went_away(environment)
    assert reaches(environment)
    assert environment.up().nothing_changed


def test_another_version_of_the_program_with_other_commands_empties_no_host(start: Start) -> None:
    environment = start(pair())
    environment.up()
    watch(environment)
    commands = environment.deployment.project / "mesh" / "commands.py"
    text = commands.read_text()
    commands.write_text(text.replace("timeout -k 90 120 {HELPER} remove", "timeout -k 90 130 {HELPER} remove"))
    assert commands.read_text() != text
    upgraded = environment.up()
    assert upgraded.changes == {"update": 2, "same": upgraded.changes["same"]}
    assert not went_away(environment)
    assert reaches(environment)
    assert environment.up().nothing_changed
