"""Two at once: two stacks that want the same host, two runs of one stack, and two labs side by side."""

import pytest
import yaml

from lab.deployment import Deployment
from tests.lab.environment import pair
from tests.lab.faults import gates
from tests.lab.faults.conftest import SetStage
from tests.lab.faults.stage import Stage, Stop

pytestmark = pytest.mark.lab


def stack_of_ams_alone(stage: Stage) -> Deployment:
    """Another stack in the same lab, with another idea of what ams is."""
    file = stage.source / "Pulumi.other.yaml"
    config = {"mesh": stage.config["mesh"], "sites": {"ams": stage.config["sites"]["ams"]}}
    file.write_text(yaml.safe_dump({"config": {f"wireguard-mesh:{name}": value for name, value in config.items()}}))
    other = Deployment(stage.world, "other", stage.deployment.engine)
    other.take_over(stage.source)
    return other


def test_of_two_stacks_that_want_one_host_the_later_is_told_that_another_is_at_work(set_stage: SetStage) -> None:
    stage = set_stage(pair())
    other = stack_of_ams_alone(stage)
    ams = stage.world.host("ams")
    gates.close(ams, "apply", "during")
    with stage.running() as first:
        stage.wait_at_gate("ams", first)
        refused = stage.run(deployment=other)
        assert not first.ended
        gates.open_all(ams)
        assert first.outcome().failure is None
    said = stage.errors_of(refused)["ams-host"]
    assert "exited with status 75" in said
    assert "another run is at work on wg0; try again" in said
    stage.assert_agreed()
    assert stage.up().nothing_changed


def test_a_second_up_of_a_stack_is_refused_by_the_engine_and_the_first_goes_on(set_stage: SetStage) -> None:
    stage = set_stage(pair())
    ams = stage.world.host("ams")
    gates.close(ams, "apply", "during")
    with stage.running() as first:
        stage.wait_at_gate("ams", first)
        refused = stage.run()
        assert not first.ended
        gates.open_all(ams)
        assert first.outcome().failure is None
    assert refused.failure is not None
    assert "the stack is currently locked" in refused.failure
    stage.assert_agreed()


def test_two_labs_that_change_at_once_do_not_disturb_each_other(set_stage: SetStage) -> None:
    """Same names, same addresses, same interface: one is changed and killed, and the other does not notice."""
    left, right = set_stage(pair()), set_stage(pair())
    with left.running() as one, right.running() as two:
        assert one.outcome().failure is None
        assert two.outcome().failure is None
    assert set(left.stated().values()).isdisjoint(right.stated().values())
    look = "wg show wg0 dump | cut -f 1-4 | sort; ip -o link; ip route; iptables-save -t filter | grep ^-A"
    before = {site: (right.status(site), right.on(site, look)) for site in right.config["sites"]}
    left.turn_round()
    left.run_killed(Stop("nyc", "apply", "during"))
    left.up()
    for site, seen in before.items():
        assert (right.status(site), right.on(site, look)) == seen
    for stage in (left, right):
        stage.assert_agreed()
        matrix = stage.probe()
        assert matrix.as_granted, matrix.summary
        assert stage.up().nothing_changed
