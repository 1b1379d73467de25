"""A host that cannot be reached, or is another than it should be: named in bounded time, and left as it was."""

import re
import signal

import pytest

from tests.lab.environment import pair
from tests.lab.fakes import wait_for
from tests.lab.faults import gates
from tests.lab.faults.conftest import SetStage
from tests.lab.faults.stage import PATIENCE, Stage

pytestmark = pytest.mark.lab

GO_ON = {"PULUMI_CONTINUE_ON_ERROR": "true"}
# Five dials of ten seconds and the waits between them, and what the rest of an `up` takes on a machine that is busy.
DIALS_SECONDS = 55.0


def failed(stage: Stage, operation: str = "up") -> dict[str, str]:
    """What is said, all of it by resources, by an operation that fails, as it has to; one that hangs is ended."""
    with stage.running(operation) as run:
        outcome = run.outcome(within=DIALS_SECONDS + PATIENCE)
    assert outcome.failure is not None
    return dict(outcome.errors)


def test_a_site_that_is_cut_off_is_named_and_holds_up_no_other(set_stage: SetStage) -> None:
    stage = set_stage(pair(), environment=GO_ON)
    stage.up()
    before = stage.status("nyc")
    stage.turn_round()
    stage.cut_off("nyc")
    errors = failed(stage)
    assert set(errors) == {"nyc-config"}
    assert "after 4 failed attempts: dial tcp 203.0.113.10:22: i/o timeout" in errors["nyc-config"]
    ams = stage.status("ams")
    assert ams["confirmed"] == ams["live"] == stage.stated()["ams"]
    assert {key: stage.status("nyc")[key] for key in ("confirmed", "live", "staged")} == {
        key: before[key] for key in ("confirmed", "live", "staged")
    }
    stage.join_again("nyc")
    stage.up()
    stage.assert_agreed()
    assert stage.up().nothing_changed


def test_an_endpoints_name_that_does_not_resolve_is_said_by_who_asked_and_the_host_stays_as_it_was(
    set_stage: SetStage,
) -> None:
    config = pair()
    config["sites"]["nyc"]["endpoint"] = "wg.nyc.example"
    stage = set_stage(config, environment=GO_ON)
    names = stage.on("ams", "cat /etc/hosts")
    assert "wg.nyc.example" in names
    blank = stage.traces("ams")
    stage.on("ams", "sed '/wg.nyc.example/d' /etc/hosts >/run/hosts; cat /run/hosts >/etc/hosts")
    errors = failed(stage)
    assert set(errors) == {"ams-config"}
    assert "exited with status 71" in errors["ams-config"]
    assert "wg.nyc.example" in errors["ams-config"]
    assert "wg0" not in stage.on("ams", "ip -o link; ls /etc/wireguard; iptables-save")
    assert stage.status("nyc")["live"] == stage.stated()["nyc"]
    assert blank != stage.traces("ams"), "the program is there, and nothing else"
    stage.world.host("ams").write("/etc/hosts", names)
    stage.up()
    stage.assert_agreed()


def test_a_name_for_ssh_that_does_not_resolve_is_said(set_stage: SetStage) -> None:
    config = pair()
    config["sites"]["nyc"]["colo"]["host"] = "nyc.example"
    stage = set_stage(config, environment=GO_ON)
    stage.world.operator.write("/etc/hosts", "127.0.0.1 localhost\n")
    errors = failed(stage)
    assert set(errors) == {"nyc-host"}
    assert "lookup nyc.example: no such host" in errors["nyc-host"]


def test_a_host_with_another_key_is_refused_before_anything_is_written(set_stage: SetStage) -> None:
    stage = set_stage(pair(), environment=GO_ON)
    look = "cat /run/sshd.log; find /etc /usr/local /var/lib /root /tmp /var/tmp -xdev -newer /run/before | sort"
    stage.world.new_host_key("nyc")
    blank = stage.traces("nyc")
    stage.on("nyc", "touch /run/before")
    errors = failed(stage)
    assert set(errors) == {"nyc-host"}
    assert "ssh: handshake failed: ssh: host key mismatch" in errors["nyc-host"]
    seen = stage.on("nyc", look)
    assert "Accepted" not in seen
    assert not re.search("^/", seen, re.M), seen
    assert stage.traces("nyc") == blank
    assert stage.status("ams")["live"] == stage.stated()["ams"]
    for verb in ("status", "verify"):
        asked = stage.deployment.meshctl(verb)
        assert asked.returncode == 1, asked.stderr
        assert "nyc: not set up yet: the last 'pulumi up' did not come that far" in asked.stdout


def test_an_ssh_server_that_accepts_and_is_silent_is_waited_for_until_the_engine_is_stopped(
    set_stage: SetStage,
) -> None:
    """Nothing of ours can bound that: the plugin's time for a dial ends with the TCP connection."""
    stage = set_stage(pair())
    stage.on("nyc", "kill -STOP $(cat /run/sshd.pid)")
    with stage.running() as run:
        wait_for(lambda: _connected(stage, "nyc"), "a connection to nyc", within=PATIENCE)
        wait_for(lambda: _confirmed(stage, "ams"), "ams to be confirmed", within=PATIENCE)
        assert not run.ended
        stage.signal_engine(signal.SIGKILL)
        assert run.outcome().failure is not None
    stage.deployment.recover()
    stage.on("nyc", "kill -CONT $(cat /run/sshd.pid)")
    stage.up()
    stage.assert_agreed()


def _connected(stage: Stage, site: str) -> bool:
    return bool(stage.on(site, "ss -Htn state established '( sport = :22 )'").strip())


def _confirmed(stage: Stage, site: str) -> bool:
    return stage.world.host(site).path("/etc/wireguard/wg0.d/confirmed").exists()


def test_a_destroy_with_a_dead_host_names_it_and_takes_the_rest_away(set_stage: SetStage) -> None:
    stage = set_stage(pair(), environment=GO_ON)
    blank = stage.traces("ams")
    stage.up()
    stage.cut_off("nyc")
    errors = failed(stage, "destroy")
    assert set(errors) == {"nyc-host"}
    assert "after 4 failed attempts: dial tcp 203.0.113.10:22: i/o timeout" in errors["nyc-host"]
    assert stage.traces("ams") == blank
    assert set(stage.stated()) == set()
    asked = stage.deployment.meshctl("status")
    assert asked.returncode == 1, asked.stderr
    assert "nyc: not set up, or not taken away, to the end" in asked.stdout
    # It is gone for good: what is left in the state is forgotten as a whole.
    stage.pulumi("stack", "rm", "--force", "--yes", "--preserve-config")
    stage.join_again("nyc")
    assert "wg0" in stage.on("nyc", "ip -o link"), "nobody was there to take it away"


def test_a_destroy_goes_on_when_the_host_is_back(set_stage: SetStage) -> None:
    stage = set_stage(pair())
    blank = stage.traces("nyc")
    stage.up()
    stage.cut_off("nyc")
    failed(stage, "destroy")
    stage.join_again("nyc")
    assert stage.run("destroy").failure is None
    assert stage.traces("nyc") == blank


@pytest.mark.long
def test_a_host_that_vanishes_while_a_command_runs_there_is_missed_by_the_kernels_own_questions(
    set_stage: SetStage,
) -> None:
    """Two minutes and a half, as Go has them asked (lab/plugins/ssh.py); nothing else would end that."""
    stage = set_stage(pair())
    stage.up()
    stage.turn_round()
    nyc = stage.world.host("nyc")
    gates.close(nyc, "apply", "during")
    with stage.running() as run:
        stage.wait_at_gate("nyc", run)
        stage.cut_off("nyc")
        assert "nyc-config" in stage.errors_of(run.outcome(within=300))
    stage.join_again("nyc")
    gates.open_all(nyc)
    stage.up()
    stage.assert_agreed()
