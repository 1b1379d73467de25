"""Two removals of one host that meet, as when an engine was killed and its command goes on beside the next one's."""

import pytest

from tests.lab.environment import pair
from tests.lab.faults import gates
from tests.lab.faults.conftest import SetStage

pytestmark = pytest.mark.lab


def test_a_removal_that_finds_its_program_taken_away_meanwhile_has_nothing_left_to_do(set_stage: SetStage) -> None:
    stage = set_stage(pair())
    blank = stage.traces("nyc")
    stage.up()
    nyc = stage.world.host("nyc")
    gates.close(nyc, "remove", "before")
    with stage.running("destroy") as run:
        stage.wait_at_gate("nyc", run)
        stage.erase("nyc")
        gates.open_all(nyc)
        assert run.outcome().failure is None
    assert stage.traces("nyc") == blank
