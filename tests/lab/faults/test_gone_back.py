"""A host that goes back because nobody confirmed: by itself, and one `up` applies and confirms the change again."""

import json
from typing import Literal

import pytest

from tests.lab.environment import pair
from tests.lab.faults.conftest import SetStage
from tests.lab.faults.stage import PATIENCE, Stage, Stop

pytestmark = pytest.mark.lab

AGAIN = "retrying"


def assert_one_up_confirms_again(stage: Stage, site: str) -> None:
    done = stage.up()
    assert any(f"{site}-confirm" in warning and AGAIN in warning for warning in done.warnings), done.warnings
    stage.assert_agreed()
    assert stage.up().nothing_changed


@pytest.mark.parametrize("site", ["ams", pytest.param("nyc", marks=pytest.mark.long)])
@pytest.mark.parametrize("operation", [pytest.param("first", marks=pytest.mark.long), "change"])
def test_a_change_that_nobody_confirmed_is_taken_back_and_confirmed_by_one_up(
    set_stage: SetStage, site: str, operation: Literal["first", "change"]
) -> None:
    stage = set_stage(pair())
    before = "none"
    if operation == "change":
        stage.up()
        before = stage.status(site)["live"]
        stage.turn_round()
    stage.run_killed(Stop(site, "confirm", "before"), lost=True)
    assert stage.status(site)["live"] not in (before, "none")
    asked = stage.deployment.meshctl("verify", "--json")
    said = json.loads(asked.stdout)
    assert asked.returncode == 1, asked.stdout
    assert [one["peer"] for one in said["findings"] if one["peer"] is not None] == []
    assert any(one["site"] == site and "a change is not confirmed" in one["reason"] for one in said["findings"])
    stage.let_time_pass(site)
    stage.wait_until_live(site, before)
    assert_one_up_confirms_again(stage, site)


@pytest.mark.long
def test_the_time_for_a_confirm_is_what_the_config_says(set_stage: SetStage) -> None:
    config = pair()
    config["mesh"]["confirm_within"] = 60
    stage = set_stage(config)
    stage.run_killed(Stop("ams", "confirm", "before"), lost=True)
    left = int(stage.status("ams")["goes back"].split()[1])
    assert 0 <= left <= 60
    stage.wait_until_live("ams", "none", within=2 * PATIENCE)
    assert_one_up_confirms_again(stage, "ams")


def test_a_host_that_went_back_before_its_engine_was_killed_at_apply_gets_its_bundle_again(
    set_stage: SetStage,
) -> None:
    """Nothing is to be confirmed yet for the state: the apply is run again, and no warning is due."""
    stage = set_stage(pair())
    stage.up()
    before = stage.status("nyc")["live"]
    stage.turn_round()
    stage.run_killed(Stop("nyc", "apply", "after"), lost=True)
    stage.let_time_pass("nyc")
    stage.wait_until_live("nyc", before)
    assert not [warning for warning in stage.up().warnings if AGAIN in warning]
    stage.assert_agreed()
