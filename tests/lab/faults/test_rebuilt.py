"""A host that is rebuilt, so blank: at the same address with the same host key or another one, or at a new address."""

import pytest

from tests.lab.environment import pair
from tests.lab.faults.conftest import SetStage
from tests.lab.faults.stage import Stage

pytestmark = pytest.mark.lab

URN = "urn:pulumi:test::wireguard-mesh::wireguard-mesh:index:WireguardMesh$wireguard-mesh:index:Endpoint"


def brought_up_and_erased(set_stage: SetStage) -> Stage:
    stage = set_stage(pair())
    blank = stage.traces("nyc")
    stage.up()
    stage.erase("nyc")
    assert stage.traces("nyc") == blank
    return stage


def assert_one_up_is_enough(stage: Stage) -> None:
    stage.up()
    stage.assert_agreed()
    matrix = stage.probe()
    assert matrix.as_granted, matrix.summary
    assert stage.up().nothing_changed


def test_a_blank_host_with_its_old_address_and_key_is_set_up_again_when_that_is_asked_for(
    set_stage: SetStage,
) -> None:
    stage = brought_up_and_erased(set_stage)
    assert stage.up().nothing_changed, "an `up` that has nothing to change dials nobody, and so learns nothing"
    assert not stage.world.host("nyc").path("/etc/wireguard/wg0.conf").exists()
    stage.up(replace=[f"{URN}$command:remote:Command::nyc-host"])
    assert_one_up_is_enough(stage)


def test_a_change_for_a_blank_host_fails_without_touching_it(set_stage: SetStage) -> None:
    """The program that takes the bundle is not there."""
    stage = brought_up_and_erased(set_stage)
    stage.turn_round()
    outcome = stage.run("up")
    assert "nyc-config" in stage.errors_of(outcome)
    assert "exited with status 127" in stage.errors_of(outcome)["nyc-config"]
    stage.up(replace=[f"{URN}$command:remote:Command::nyc-host"])
    assert_one_up_is_enough(stage)


@pytest.mark.long
def test_a_blank_host_with_another_host_key_is_set_up_by_the_up_that_is_told_the_key(set_stage: SetStage) -> None:
    stage = brought_up_and_erased(set_stage)
    blank = stage.traces("nyc")
    stage.host_keys = stage.world.host_keys()
    stage.world.new_host_key("nyc")
    stage.turn_round()
    outcome = stage.run("up")
    assert "host key mismatch" in stage.errors_of(outcome)["nyc-config"]
    assert stage.traces("nyc") == blank
    stage.host_keys = {}
    stage.write()
    assert_one_up_is_enough(stage)


def test_a_blank_host_at_a_new_address_is_set_up_and_its_peers_are_told(set_stage: SetStage) -> None:
    stage = brought_up_and_erased(set_stage)
    new = "203.0.113.99"
    stage.move("nyc", new)
    assert_one_up_is_enough(stage)
    assert new in stage.on("ams", "wg show wg0 endpoints")
