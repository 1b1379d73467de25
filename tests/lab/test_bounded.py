"""Child processes with a limit: what they say is told, and none outlives its limit, its caller or an exception."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import bounded
from tests.lab import fakes


def test_each_line_and_the_exit_status_are_told() -> None:
    lines: list[str] = []
    done = bounded.run(["sh", "-c", "echo one; echo two >&2; exit 3"], seconds=20, on_line=lines.append)
    assert (done.status, lines, done.last_line) == (3, ["one", "two"], "two")


def test_a_command_that_says_nothing_has_its_exit_status_as_last_line() -> None:
    assert bounded.run(["false"], seconds=20).last_line == "exit status 1"


@pytest.mark.parametrize(
    ("script", "seconds", "silent_seconds", "reason"),
    [
        ("while :; do echo busy; sleep 0.1; done", 1, None, "not done after 1 s"),
        ("echo started; sleep 600", 60, 1, "nothing heard for 1 s"),
    ],
)
def test_a_command_is_stopped_with_its_children(
    tmp_path: Path, script: str, seconds: float, silent_seconds: float | None, reason: str
) -> None:
    pid_file = tmp_path / "pid"
    child = f"sh -c 'echo $$ >{pid_file}; exec sleep 600' & {script}"
    with pytest.raises(bounded.TooLongError, match=reason):
        bounded.run(["sh", "-c", child], seconds=seconds, silent_seconds=silent_seconds)
    fakes.wait_for(lambda: not fakes.running(int(pid_file.read_text())), "the end of the command's child")


def test_progress_is_told_while_a_command_is_silent() -> None:
    ticks: list[float] = []
    bounded.run(["sleep", "1.2"], seconds=20, on_tick=ticks.append)
    assert len(ticks) >= 2
    assert ticks == sorted(ticks)


def test_an_exception_in_the_caller_ends_the_command(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bounded.run(["sh", "-c", f"echo $$ >{pid_file}; echo go; sleep 600"], seconds=20, on_line=interrupt)
    assert not fakes.running(int(pid_file.read_text()))


def test_a_command_ends_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = f"from lab import bounded; bounded.run(['sh', '-c', 'echo $$ >{pid_file}; exec sleep 600'], seconds=60)"
    caller = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parent.parent.parent)
    fakes.wait_for(lambda: pid_file.exists() and pid_file.read_text().strip(), "the command")
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    fakes.wait_for(lambda: not fakes.running(int(pid_file.read_text())), "the end of the command")
