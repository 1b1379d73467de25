"""The engine is killed at a step: then one `up` has hosts and state agree, and the next does nothing."""

from itertools import product
from typing import Literal

import pytest

from tests.lab.environment import pair
from tests.lab.faults.conftest import SetStage
from tests.lab.faults.gates import Moment, Step
from tests.lab.faults.stage import Stage, Stop

pytestmark = pytest.mark.lab

SITES = ("ams", "nyc")
MOMENTS: tuple[Moment | Literal["begun"], ...] = ("begun", "before", "during", "after")


def both(*steps: Step) -> tuple[tuple[str, Step], ...]:
    """These steps at both sites."""
    return tuple((site, step) for site in SITES for step in steps)


# Each step and each moment at least once, and each operation; all other combinations are long.
SHORT = {
    "first": {"nyc-install-begun", "ams-confirm-before"},
    "change": {"ams-apply-after"},
    "removal": {"nyc-remove-during"},
    "keys": {"nyc-confirm-during"},
    "renaming": {"ams-remove-after"},
}
STEPS: dict[str, tuple[tuple[str, Step], ...]] = {
    "first": both("install", "apply", "confirm"),
    "change": both("apply", "confirm"),
    "removal": (("nyc", "remove"), ("ams", "apply"), ("ams", "confirm")),
    "keys": both("apply", "confirm"),
    "renaming": both("remove", "install", "apply", "confirm"),
}


def stops(operation: str) -> list[object]:
    """The stops of an operation; those that are not in SHORT are long."""
    found = [Stop(site, step, moment) for (site, step), moment in product(STEPS[operation], MOMENTS)]
    assert SHORT[operation] <= {str(stop) for stop in found}
    return [
        pytest.param(stop, id=str(stop), marks=() if str(stop) in SHORT[operation] else pytest.mark.long)
        for stop in found
    ]


def assert_one_up_is_enough(stage: Stage) -> None:
    stage.up()
    stage.assert_agreed()
    again = stage.up()
    assert again.nothing_changed, again.changes
    # What was being made when the engine was killed, it warns of until it is told to forget that.
    assert all("pending operations" in warning for warning in again.warnings), again.warnings


def test_the_warning_of_pending_operations_goes_by_a_refresh_that_dials_nobody(set_stage: SetStage) -> None:
    stage = set_stage(pair())
    stage.run_killed(Stop("ams", "install", "during"))
    assert any("pending operations" in warning and "  * ams-host, " in warning for warning in stage.up().warnings)
    listening = "cat /run/sshd.log"
    before = stage.on("ams", listening)
    stage.pulumi("refresh", "--clear-pending-creates", "--yes", "--skip-preview")
    assert stage.on("ams", listening) == before
    assert_one_up_is_enough(stage)
    assert stage.up().warnings == ()


def test_the_engine_writes_nothing_beside_its_state_that_a_kill_could_leave_empty(set_stage: SetStage) -> None:
    """What it would write there, emptied, makes the state unreadable for as long as it is there."""
    stage = set_stage(pair())
    stage.up()
    assert not [*stage.deployment.state.rglob("*.attrs")]
    [state] = stage.deployment.state.rglob(f"stacks/*/{stage.deployment.stack}.json")
    beside = state.with_name(f"{state.name}.attrs")
    beside.touch()
    failure = stage.run().failure
    assert failure is not None
    assert "failed to load checkpoint: EOF" in failure
    beside.unlink()
    assert stage.up().nothing_changed


@pytest.mark.parametrize("stop", stops("first"))
def test_after_a_first_up_that_was_killed_one_more_is_enough(set_stage: SetStage, stop: Stop) -> None:
    stage = set_stage(pair())
    stage.run_killed(stop)
    assert_one_up_is_enough(stage)


@pytest.mark.parametrize("stop", stops("change"))
def test_after_a_change_that_was_killed_one_more_up_is_enough(set_stage: SetStage, stop: Stop) -> None:
    stage = set_stage(pair())
    stage.up()
    stage.turn_round()
    stage.run_killed(stop)
    assert_one_up_is_enough(stage)


@pytest.mark.parametrize("stop", stops("keys"))
def test_after_a_change_of_keys_that_was_killed_one_more_up_is_enough(set_stage: SetStage, stop: Stop) -> None:
    stage = set_stage(pair())
    stage.up()
    before = stage.on("nyc", "wg show wg0 public-key; wg show wg0 preshared-keys | cut -f 2")
    stage.config["sites"]["nyc"]["key_generation"] = 2
    stage.config["mesh"]["preshared_generation"] = 2
    stage.write()
    stage.run_killed(stop)
    assert_one_up_is_enough(stage)
    after = stage.on("nyc", "wg show wg0 public-key; wg show wg0 preshared-keys | cut -f 2")
    assert set(before.split()).isdisjoint(after.split())


@pytest.mark.parametrize("stop", stops("removal"))
def test_after_a_removal_that_was_killed_one_more_up_is_enough(set_stage: SetStage, stop: Stop) -> None:
    stage = set_stage(pair())
    blank = stage.traces("nyc")
    stage.up()
    del stage.config["sites"]["nyc"]
    stage.config["access"] = []
    stage.write()
    stage.run_killed(stop)
    assert_one_up_is_enough(stage)
    assert stage.traces("nyc") == blank


@pytest.mark.parametrize("stop", stops("renaming"))
def test_after_another_interface_and_a_kill_one_more_up_is_enough(set_stage: SetStage, stop: Stop) -> None:
    """The one change that empties hosts and sets them up again: every step there is."""
    stage = set_stage(pair())
    stage.up()
    stage.config["mesh"]["interface"] = "wg7"
    stage.write()
    stage.run_killed(stop)
    assert_one_up_is_enough(stage)
    assert "wg0" not in stage.traces(stop.site)
