"""A host whose commands print 100 KB on one line, whether they succeed or not."""

import pytest

from tests.lab.environment import pair
from tests.lab.faults.conftest import SetStage

pytestmark = pytest.mark.lab

LENGTH = 100_000
# Where it is the engine's command that is bounded in time, and not one whose answer the helper reads.
CHATTY = """#!/bin/sh
case "$*" in
*wireguard-mesh*)
    head -c {length} /dev/zero | tr '\\0' x
    head -c {length} /dev/zero | tr '\\0' y >&2
    ;;
esac
exec /usr/bin/timeout "$@"
"""


def test_a_long_line_holds_nothing_up(set_stage: SetStage) -> None:
    stage = set_stage(pair())
    for site in ("ams", "nyc"):
        stage.world.host(site).write("/usr/local/bin/timeout", CHATTY.format(length=LENGTH), mode=0o755)
    stage.up()
    stage.assert_agreed()
    # What fails says all of it, and why at the end.
    stage.config["sites"]["ams"]["networks"]["lan"]["interface"] = "nothere"
    stage.write()
    said = stage.errors_of(stage.run())["ams-config"]
    assert min(said.count("x"), said.count("y")) >= LENGTH
    assert "nothere" in said
    stage.config["sites"]["ams"]["networks"]["lan"]["interface"] = "eth1"
    stage.write()
    stage.up()
    stage.assert_agreed()
