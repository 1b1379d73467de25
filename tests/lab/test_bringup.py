"""`make up` and `make down` beside others: killed ones, ones at the same time, and labs of other checkouts."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from lab import bringup, registry
from lab.deployment import CHECKOUT
from lab.namespaces import LabError
from lab.project import PROGRAM
from lab.toolchain import Engine
from lab.topology import lay_out
from mesh.model import SiteName
from mesh.outputs import site_texts
from mesh.plan import SitePlan
from mesh.reachability import SiteTexts
from tests.lab import environment
from tests.lab.traces import marked, until
from tests.lab.worlds import pair

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

NYC = SiteName("nyc")
NAME = f"bringup-{os.getpid()}"
UP = """
import sys
from pathlib import Path
from lab import bringup, registry
bringup.CHECKOUT, registry.BASE = Path(sys.argv[1]), Path(sys.argv[2])
bringup.identity = lambda: sys.argv[3]
sys.exit(not bringup.up("test", bringup.main_console()))
"""

BUILD = """
import sys
from pathlib import Path
from lab.world import World
from tests.lab.worlds import pair
World(pair(), sys.argv[2], Path(sys.argv[1]), persistent=True).start()
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for labs; this checkout's lab is NAME. Whatever runs there in the end is ended."""
    folder = tmp_path / "base"
    monkeypatch.setattr(registry, "BASE", folder)
    monkeypatch.setattr(bringup, "identity", lambda: NAME)
    yield folder
    for pid in [*marked(NAME, "keeper"), *marked(f"{NAME}-other", "keeper")]:
        os.kill(pid, signal.SIGKILL)


def build(name: str) -> None:
    """Another process starts a lab that stays."""
    subprocess.run([sys.executable, "-c", BUILD, str(registry.BASE), name], check=True, cwd=CHECKOUT)


def down(*, everything: bool = False) -> str:
    said = StringIO()
    bringup.down(Console(file=said, width=200), everything=everything)
    return said.getvalue()


def source_of(tmp_path: Path) -> Path:
    """A checkout with a stack file of two sites."""
    source = tmp_path / "source"
    source.mkdir()
    for name in PROGRAM:
        (source / name).symlink_to(CHECKOUT / name)
    config = {f"wireguard-mesh:{name}": section for name, section in environment.pair().items()}
    (source / "Pulumi.test.yaml").write_text(yaml.safe_dump({"config": config}))
    return source


def up(source: Path, base: Path) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", UP, str(source), str(base), NAME]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=CHECKOUT, process_group=0
    )


def under_way(state: Path) -> bool:
    """Whether the engine runs, and has locked the state for an operation."""
    return any(state.glob("locks/**/*.json")) and len(marked(NAME, "engine")) > 1


def test_after_a_killed_up_two_at_once_wait_for_each_other_and_both_succeed(
    tools: Engine, base: Path, tmp_path: Path
) -> None:
    source = source_of(tmp_path)
    state = base / NAME / "state" / ".pulumi"

    with up(source, base) as killed:
        assert until(lambda: under_way(state), 120)
        for pid in (killed.pid, *marked(NAME, "engine")):
            os.kill(pid, signal.SIGKILL)
    assert list(state.glob("locks/**/*.json"))

    both = [up(source, base), up(source, base)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    first, second = sorted(said, key=lambda text: "waiting for it" in text)
    assert "an earlier run was killed" in first
    assert "waiting for it" not in first
    assert re.search(rf"the lab {NAME} is in use by process \d+; waiting for it, 10 min 00 s at most", second)
    assert "nothing changed" in second
    assert down() == f"  lab      ended: {NAME}\n"
    assert not marked(NAME)


def test_an_interrupted_up_lets_the_engine_end_what_is_under_way_and_the_next_goes_on(
    tools: Engine, base: Path, tmp_path: Path
) -> None:
    source = source_of(tmp_path)
    state = base / NAME / "state" / ".pulumi"
    with up(source, base) as interrupted:
        assert until(lambda: under_way(state), 120)
        # As a terminal does it: everyone in the foreground hears it.
        os.killpg(interrupted.pid, signal.SIGINT)
        said = interrupted.communicate(timeout=120)[0]
    assert interrupted.returncode == 1
    assert "interrupted: the engine ends what is under way" in said
    assert "Traceback" not in said
    # No lock, no operation that may have been done or not.
    assert not list(state.glob("locks/**/*.json"))
    with up(source, base) as again:
        said = again.communicate(timeout=300)[0]
    assert again.returncode == 0, said
    assert "killed" not in said
    assert "pending operations" not in said


def test_up_waits_for_another_that_uses_the_lab_no_longer_than_its_patience(
    base: Path, tools: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringup, "PATIENCE_SECONDS", 0.3)
    claim = registry.create(base, NAME)
    said = StringIO()
    with pytest.raises(LabError, match=f"in use by process {os.getpid()}, which has not ended within 0 s"):
        bringup.up("dev", Console(file=said, width=200))
    assert "waiting for it" in said.getvalue()
    claim.end()


def test_up_expects_what_the_hosts_texts_say_and_holds_the_grants_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = pair()
    sound = bringup.expected(mesh, lay_out(mesh))
    assert {str(probe.source) for probe in sound if probe.granted and probe.port} == {"ams.lan"}
    assert not [probe for probe in sound if probe.disputed]

    def without_the_rule(plans: Mapping[SiteName, SitePlan]) -> dict[SiteName, SiteTexts]:
        texts = site_texts(plans)
        lines = texts[NYC].rules_v4.splitlines(keepends=True)
        kept = "".join(line for line in lines if not ("ams.lan -> nyc.virbr0" in line and "ACCEPT" in line))
        return {**texts, NYC: replace(texts[NYC], rules_v4=kept)}

    monkeypatch.setattr(bringup, "site_texts", without_the_rule)
    broken = [probe for probe in bringup.expected(mesh, lay_out(mesh)) if probe.disputed]
    assert {(str(probe.source), str(probe.destination), probe.family) for probe in broken} == {
        ("ams.lan", "nyc.virbr0", 4)
    }
    assert not any(probe.granted for probe in broken)


def test_down_names_the_labs_of_other_checkouts_and_ends_them_where_it_is_told_to(base: Path) -> None:
    assert down() == "  lab      none was running\n"
    build(f"{NAME}-other")
    assert f"still running: {NAME}-other (of other checkouts, and perhaps in use)" in down()
    assert marked(f"{NAME}-other")
    build(NAME)
    assert down(everything=True) == f"  lab      ended: {NAME}, {NAME}-other\n"
    assert not base.exists()


def test_down_leaves_a_lab_that_a_process_uses_and_says_which(base: Path) -> None:
    build(NAME)
    build(f"{NAME}-other")
    claim = registry.join(base, NAME)
    assert claim is not None
    with pytest.raises(LabError, match=f"the lab {NAME} is in use by process {os.getpid()}; end that first"):
        down(everything=True)
    assert registry.staying(base) == [NAME]
    claim.end()
    assert not base.exists()


def test_a_paused_site_is_not_probed_and_the_others_are() -> None:
    mesh = pair()
    everybody = {str(site) for site in mesh.sites}
    wanted = bringup.expected(mesh, lay_out(mesh))
    assert {str(probe.source.site) for probe in wanted} == everybody
    paused = replace(mesh, sites=(replace(mesh.sites[0], paused=True), *mesh.sites[1:]))
    assert bringup.expected(paused, lay_out(paused)) == []


LOOK = """
import sys
from pathlib import Path
from lab import registry, visiting
from lab.__main__ import main
registry.BASE = Path(sys.argv.pop(1))
name = sys.argv.pop(1)
visiting.identity = lambda: name
sys.exit(main())
"""


@pytest.mark.parametrize("words", [("shell", "nyc"), ("meshctl", "status")])
def test_who_looks_into_a_lab_that_does_not_run_is_told_how_to_start_it(base: Path, words: tuple[str, str]) -> None:
    argv = [sys.executable, "-c", LOOK, str(base), NAME, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert (done.returncode, done.stderr) == (1, "no lab of this checkout runs; start it: make up\n")


def test_who_looks_into_a_lab_of_another_mesh_is_told(base: Path) -> None:
    build(NAME)
    argv = [sys.executable, "-c", LOOK, str(base), NAME, "shell", "nyc"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert done.returncode == 1
    assert "is not that of Pulumi.dev.yaml as it is now; bring it up: make up" in done.stderr
