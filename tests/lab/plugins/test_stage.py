"""The stage's end: nothing of it stays in the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.deployment import CHECKOUT
from tests.lab.plugins.stage import Namespace
from tests.lab.traces import holders, namespaces_of, traces, until

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

STARTER = """
import sys, time
from pathlib import Path
from tests.lab.plugins.stage import Namespace

space = Namespace(Path(sys.argv[1]))
sleeping = space.popen(["unshare", "--mount", "sleep", "600"])
print(space.pid, sleeping.pid, flush=True)
time.sleep(600)
"""


def test_programs_run_in_a_network_with_a_loopback_only_and_end_with_it(tmp_path: Path) -> None:
    space = Namespace(tmp_path)
    with space.popen(["ip", "-o", "link"], stdout=subprocess.PIPE) as listing:
        (link,) = listing.communicate()[0].splitlines()
    assert ": lo: <LOOPBACK,UP," in link
    with space.popen(["sleep", "600"]) as sleeping:
        space.close()
        assert sleeping.wait(10) == -9


def test_a_killed_owner_leaves_nothing(tmp_path: Path) -> None:
    before, named = traces(), subprocess.run(["ip", "netns"], capture_output=True, check=True).stdout
    argv = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as owner:
        try:
            assert owner.stdout
            pids = owner.stdout.readline().split()
            assert until(lambda: len(set[str]().union(*map(namespaces_of, pids))) == 4)
            everything = set[str]().union(*map(namespaces_of, pids))
            assert subprocess.run(["ip", "netns"], capture_output=True, check=True).stdout == named
            assert len(holders(everything)) >= 2
        finally:
            owner.kill()
    assert until(lambda: not holders(everything))
    assert traces() <= before
