"""A paused site: nothing is dialled there, neither when it was never reached nor to remove it; and one done again."""

import pytest

from tests.lab.conftest import Start
from tests.lab.environment import REFUSE_SSH, Environment, pair, sample

pytestmark = pytest.mark.lab

DIALS = "iptables -nvxL INPUT | awk '/dpt:22/ { print $1 }'"
STATUS = "wireguard-mesh status wg0 | grep -E '^(confirmed|staged|live|drift)'"


def pause(environment: Environment, site: str, *, paused: bool = True) -> None:
    environment.config["sites"][site]["paused"] = paused
    environment.write()


def state(environment: Environment) -> str:
    return next(environment.deployment.state.rglob("stacks/**/test.json")).read_text()


def test_a_dead_site_is_paused_while_others_change_and_then_removed_without_a_dial(start: Start) -> None:
    environment = start(sample())
    environment.up()
    environment.on("sfo", REFUSE_SSH)
    pause(environment, "sfo")
    environment.config["access"].append({"from": "fra.lan", "to": "nyc.virbr0", "ports": "tcp/22"})
    environment.write()
    outcome = environment.up()
    assert any("sites.sfo.paused" in warning for warning in outcome.warnings)
    assert environment.up().nothing_changed

    del environment.config["sites"]["sfo"]
    environment.config["access"] = [grant for grant in environment.config["access"] if grant["from"] != "sfo.lan"]
    environment.write()
    environment.up()
    assert environment.on("sfo", DIALS).strip() == "0"
    assert "::sfo-" not in state(environment)
    assert "::ams-" in state(environment)
    assert "sfo" not in environment.on("nyc", "cat /etc/wireguard/wg0.conf")
    assert environment.up().nothing_changed
    # What is on the host stays there, for whoever finds it again.
    assert environment.on("sfo", "wireguard-mesh remove wg0").strip() == "removed wg0"


def test_a_site_that_is_paused_from_the_first_is_done_once_it_is_not(start: Start) -> None:
    environment = start(pair())
    environment.on("ams", REFUSE_SSH)
    pause(environment, "ams")
    environment.up()
    assert environment.on("ams", DIALS).strip() == "0"
    assert environment.on("nyc", STATUS).splitlines()[-1] == "drift: none"
    assert environment.up().nothing_changed
    environment.on("ams", REFUSE_SSH.replace("-I", "-D"))
    pause(environment, "ams", paused=False)
    environment.up()
    assert environment.probe().as_granted
    assert environment.up().nothing_changed


def test_a_site_is_done_again_after_its_host_was_emptied(start: Start) -> None:
    environment = start(pair())
    environment.up()
    environment.on("ams", "wireguard-mesh remove wg0")
    assert environment.up().nothing_changed
    environment.config["sites"]["ams"]["reapply"] = 1
    environment.write()
    outcome = environment.up()
    assert outcome.changes.get("update") == 3
    assert environment.probe().as_granted
    assert environment.up().nothing_changed
