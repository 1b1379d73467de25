"""The remote commands, run by a real shell with stand-ins for the programs that they call."""

import base64
import gzip
import subprocess
from pathlib import Path

import pytest

from mesh.commands import HELPER, Commands

NYC = Commands("wg0", "nyc")
PACKED = f"for machine 1\n{base64.b64encode(gzip.compress(b'the helper')).decode()}\n"


# A stand-in for `timeout` lets be done what only takes in a command's stdin.
TIMEOUT = '#!/bin/sh\ncase $4 in tail | cat) shift 3; exec "$@" ;; esac\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with an `id` that says what the test wants; `sudo` and `timeout` say how they were called."""
    for name, text in {
        "id": 'echo "$AM"',
        "sudo": 'echo "sudo $1"; shift; exec "$@"',
        "timeout": 'echo "timeout $*"; cat',
    }.items():
        (tmp_path / name).write_text(f"{TIMEOUT if name == 'timeout' else '#!/bin/sh'}\n{text}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def said(programs: Path, command: str, user: int, stdin: str = "the text on stdin") -> list[str]:
    done = subprocess.run(
        ["sh", "-c", command],
        env={"PATH": f"{programs}:/usr/bin:/bin", "AM": str(user)},
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("command", "call"),
    [
        (NYC.apply, f"timeout -k 90 120 {HELPER} apply wg0 120"),
        (NYC.confirm, f"timeout -k 90 60 {HELPER} confirm wg0 120"),
        (NYC.status, f"timeout -k 10 60 {HELPER} status wg0"),
    ],
)
def test_root_runs_the_helper_and_another_user_does_so_by_sudo(programs: Path, command: str, call: str) -> None:
    assert said(programs, command, 0) == [call, "the text on stdin"]
    assert said(programs, command, 1000) == ["sudo -n", call, "the text on stdin"]


def test_a_script_of_ours_is_run_whole_with_the_interface_and_a_number(programs: Path) -> None:
    text = "echo \"it's $1\" '$2'\ncat"
    (programs / "timeout").write_text('#!/bin/sh\necho "$1 $2 $3"; shift 3; exec "$@"\n')
    for user, before in ((0, []), (1000, ["sudo -n"])):
        told = said(programs, NYC.script(text, 30, 7), user)
        assert told == [*before, "-k 10 30", "it's wg0 $2", "the text on stdin"]


def test_install_runs_the_helper_that_came_on_stdin_and_leaves_no_file(programs: Path) -> None:
    (programs / "timeout").write_text(TIMEOUT + 'echo "$1 $2 $3 $4 $6 $7"; cat "$5"; echo; echo "$5" >&2\n')
    for user, before in ((0, []), (1000, ["sudo -n"])):
        assert said(programs, NYC.install, user, PACKED) == [*before, "-k 90 600 sh install wg0", "the helper"]
    done = subprocess.run(
        ["sh", "-c", NYC.install],
        env={"PATH": f"{programs}:/usr/bin:/bin", "AM": "0"},
        input=PACKED,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not Path(done.stderr.strip()).exists()


def test_install_is_told_where_a_hand_made_interface_is_taken_over_and_nothing_else_is(programs: Path) -> None:
    (programs / "timeout").write_text(TIMEOUT + 'shift 5\necho "$*"\n')
    adopting = Commands("wg0", "nyc", adopt=True)
    assert said(programs, adopting.install, 0, PACKED) == ["install wg0 adopt"]
    assert said(programs, NYC.install, 0, PACKED) == ["install wg0"]
    assert (adopting.apply, adopting.confirm, adopting.remove) == (NYC.apply, NYC.confirm, NYC.remove)


@pytest.mark.parametrize("shell", [("sh",), ("busybox", "sh")], ids=["sh", "busybox"])
def test_a_helper_that_came_whole_is_run(programs: Path, shell: tuple[str, ...]) -> None:
    (programs / "timeout").write_text(TIMEOUT + 'cat "$5"\n')
    assert _install(programs, shell, PACKED).stdout == "the helper"


@pytest.mark.parametrize("shell", [("sh",), ("busybox", "sh")], ids=["sh", "busybox"])
@pytest.mark.parametrize(
    "stdin",
    ["", "for machine 1\n", PACKED[:-9], PACKED[:20], PACKED.replace("\n", "\n!", 1), "the helper\nthe helper\n"],
    ids=["empty", "without", "cut", "cut-early", "no-base64", "no-gzip"],
)
def test_one_that_came_cut_or_garbled_is_not_run(programs: Path, shell: tuple[str, ...], stdin: str) -> None:
    done = _install(programs, shell, stdin)
    assert done.returncode != 0
    assert done.stdout == ""


def _install(programs: Path, shell: tuple[str, ...], stdin: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*shell, "-c", NYC.install],
        env={"PATH": f"{programs}:/usr/bin:/bin", "AM": "0"},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )


def test_a_failure_of_the_helper_is_the_commands_own(programs: Path) -> None:
    (programs / "timeout").write_text(TIMEOUT + "exit 69\n")
    for command in (NYC.install, NYC.apply, NYC.confirm):
        for user in ("0", "1000"):
            environment = {"PATH": f"{programs}:/usr/bin:/bin", "AM": user}
            assert (
                subprocess.run(["sh", "-c", command], env=environment, check=False, input=PACKED, text=True).returncode
                == 69
            )


def test_remove_is_for_this_site_and_does_nothing_where_there_is_no_helper(programs: Path) -> None:
    assert said(programs, NYC.remove, 0) == []
    assert said(programs, NYC.remove, 1000) == ["sudo -n"]
    here = NYC.remove.replace(HELPER, "/bin/sh")
    assert said(programs, here, 0) == ["timeout -k 90 120 /bin/sh remove wg0 nyc"]


def test_remove_reads_all_of_its_stdin_where_there_is_no_helper_either(programs: Path) -> None:
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "AM": "0"}
    with subprocess.Popen(["sh", "-c", NYC.remove], env=environment, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"x" * 1_000_000)  # more than a pipe takes; where nobody reads it, this fails
    assert process.returncode == 0


def test_remove_fails_with_the_helpers_own_status_unless_the_helper_is_gone_by_then(
    programs: Path, tmp_path: Path
) -> None:
    helper = tmp_path / "helper"
    command = NYC.remove.replace(HELPER, str(helper))
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "AM": "0"}
    for ends, status in (("exit 71", 71), (f"rm {helper}; exit 127", 0)):
        helper.touch(mode=0o755)
        (programs / "timeout").write_text(f"{TIMEOUT}{ends}\n")
        assert subprocess.run(["sh", "-c", command], env=environment, check=False, input="").returncode == status
