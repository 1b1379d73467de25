"""A change that takes the operator's way in: the host goes back by itself, and nothing else was disturbed."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.deployment import Outcome
from tests.lab.environment import pair
from tests.lab.fakes import wait_for
from tests.lab.faults import gates
from tests.lab.faults.conftest import SetStage
from tests.lab.faults.stage import PATIENCE, Stage

pytestmark = pytest.mark.lab

GO_ON = {"PULUMI_CONTINUE_ON_ERROR": "true"}
END_SESSIONS = 'for pid in $(pgrep "^sshd"); do [ "$pid" = "$(cat /run/sshd.pid)" ] || kill -KILL "$pid"; done'


def test_an_apply_whose_connection_breaks_goes_on_and_is_taken_back_and_one_up_does_it_again(
    set_stage: SetStage,
) -> None:
    stage = set_stage(pair())
    stage.up()
    before = stage.status("ams")["live"]
    stage.turn_round()
    ams = stage.world.host("ams")
    gates.close(ams, "apply", "during")
    with stage.running() as run:
        stage.wait_at_gate("ams", run)
        stage.on("ams", END_SESSIONS)
        outcome = run.outcome()
    assert "ams-config" in stage.errors_of(outcome)
    assert "wait: remote command exited without exit status" in stage.errors_of(outcome)["ams-config"]
    gates.open_all(ams)
    wait_for(lambda: stage.status("ams")["live"] not in (before, "unknown"), "the change to be live", within=PATIENCE)
    assert "goes back" in stage.status("ams")
    stage.let_time_pass("ams")
    stage.wait_until_live("ams", before)
    stage.up()
    stage.assert_agreed()
    assert stage.up().nothing_changed


@contextmanager
def undisturbed(stage: Stage) -> Iterator[None]:
    """A flow from ams.lan to nyc.virbr0 goes on while the block runs: of five packets a second none is lost."""
    ping = stage.world.lan("ams.lan").command(["ping", "-n", "-i", "0.2", "192.168.122.10"])
    with subprocess.Popen(ping, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout
        assert said
        wait_for(lambda: "bytes from" in said.readline(), "the first answer")
        try:
            yield
        finally:
            # nsenter waits for its child, which is to say what it counted.
            [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(child), signal.SIGINT)
            end = said.read()
    [(sent, received)] = re.findall(r"(\d+) packets transmitted, (\d+) received", end)
    assert int(sent) - int(received) <= 1, end.splitlines()[-3:]  # the last may be on its way


def fail_cut_off(stage: Stage, site: str) -> Outcome:
    """An `up` that fails, while the host's time for a confirm, that can never come, is over as soon as it is given."""
    deadline = time.monotonic() + 5 * PATIENCE
    with stage.running() as run:
        while not run.ended:
            assert time.monotonic() < deadline
            stage.let_time_pass(site)
            time.sleep(0.2)
        outcome = run.outcome()
    assert outcome.failure is not None
    return outcome


def test_a_route_that_captures_the_operators_address_is_taken_back(set_stage: SetStage) -> None:
    stage = set_stage(pair(), environment=GO_ON)
    stage.up()
    before = stage.status("ams")["live"]
    [operator] = stage.world.topology.operator
    # Networks that a grant names are routed into the tunnel, and the operator is in this one.
    far = {"cidr": f"{operator}/32", "interface": "virbr0", "return_route": "manual"}
    stage.config["sites"]["nyc"]["networks"]["far"] = far
    stage.config["access"].append({"from": "ams.lan", "to": "nyc.far"})
    stage.write()
    with undisturbed(stage):
        outcome = fail_cut_off(stage, "ams")
        stage.wait_until_live("ams", before)
    assert set(stage.errors_of(outcome)) == {"ams-confirm"}
    assert "exited with status 75" in stage.errors_of(outcome)["ams-confirm"]
    assert stage.status("nyc")["confirmed"] == stage.stated()["nyc"]
    del stage.config["sites"]["nyc"]["networks"]["far"]
    stage.config["access"].pop()
    stage.write()
    stage.up()
    stage.assert_agreed()


def test_rules_that_keep_the_operator_out_are_taken_back_where_nobody_could_confirm_them(set_stage: SetStage) -> None:
    """The operator comes to nyc through ams and the tunnel, to nyc's address in its own network.

    ams is reached beside the tunnel, and confirms that it lets nobody through any more. So a command that is under way
    over it to nyc hears nothing again, and nobody tells the engine: sshd forwards without asking who is still there.
    """
    stage = set_stage(pair(), environment=GO_ON)
    nyc, ams = (stage.config["sites"][site] for site in ("nyc", "ams"))
    way_in = {"from": "ams", "to": "nyc", "ports": ["tcp/22"]}
    stage.config["access"].append(way_in)
    stage.write()
    stage.up()
    nyc["endpoint"] = nyc["colo"]["host"]
    inside = "192.168.122.1"
    stage.host_keys[inside] = stage.world.host_keys()[nyc["colo"]["host"]]
    nyc["colo"] |= {"host": inside, "proxy": {key: ams["colo"][key] for key in ("host", "host_key")}}
    stage.write()
    stage.up()
    before = {site: stage.status(site)["confirmed"] for site in ("nyc", "ams")}
    stage.config["access"].remove(way_in)
    stage.write()

    def taken_back() -> bool:
        stage.let_time_pass("nyc")
        seen = stage.status("nyc")
        kept = seen["staged"] != "none" and seen["live"] == before["nyc"]
        return kept and stage.status("ams")["confirmed"] != before["ams"]

    with undisturbed(stage):
        with stage.running() as run:
            wait_for(lambda: run.ended or taken_back(), "nyc to go back", within=5 * PATIENCE)
            stage.kill_engine()
            assert run.outcome().failure is not None
        stage.deployment.recover()
        stage.wait_until_live("nyc", before["nyc"])
    # With one more port, so that nyc has something to be told, by the way that ams opens again meanwhile.
    stage.config["access"].append({**way_in, "ports": ["tcp/22", "tcp/443"]})
    stage.write()
    stage.up()
    stage.assert_agreed()
