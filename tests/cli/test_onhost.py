"""What `meshctl verify` runs on a host: by any shell, with what it waits for and what it leaves alone."""

import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from cli import verify as verifying
from mesh.commands import HELPER

SCRIPT = (Path(verifying.__file__).parent / "onhost.sh").read_text()
SHELLS = [shell for shell in ("dash", "busybox sh", "bash --posix") if shutil.which(shell.split()[0])]
GENERATION = "a" * 64
STATUS = f"""interface: wg0
confirmed: {GENERATION}
staged: none
live: {GENERATION}
clock: 1700000000
peer PEER: handshake 5 s ago, changed long ago, received 100, sent 100
drift: none
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder with the programs of a host: a helper, a `wg`, and a `ping` that answers for 10.99.0.1 alone."""
    for name, text in {
        "helper": 'n=$(cat "$0.n" 2>/dev/null || echo 0); echo $((n + 1)) >"$0.n"; cat "$0.say"',
        "wg": 'echo "KEY= $3"',
        "ping": 'for last; do :; done; test "$last" = 10.99.0.1',
        "sleep": "exit 0",
        "mktemp": f': >"$0.was"; mkdir {tmp_path}/made; echo {tmp_path}/made',
        # The time passes by the number of looks at it.
        "cut": f'n=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n + 1)) >{tmp_path}/n; echo "$n"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "helper.say").write_text(STATUS)
    return tmp_path


def on(host: Path, shell: str, tasks: str) -> "subprocess.CompletedProcess[str]":
    text = SCRIPT.replace(HELPER, str(host / "helper")).replace("PATH=/usr", f"PATH={host}:/usr")
    argv = [*shlex.split(shell), "-c", text, "sh", "wg0", "3"]
    return subprocess.run(argv, input=tasks, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_host_pings_connects_and_tells_of_itself_by_any_shell(host: Path, shell: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taking, socket.create_server(("127.0.0.1", 0)) as gone:
        port, nobody = taking.getsockname()[1], gone.getsockname()[1]
        gone.close()
        tasks = (
            "peer nyc 10.99.0.1\npeer fra 10.99.0.3\n"
            f"tcp 0 nyc 127.0.0.1 3 {port}\ntcp 1 nyc 127.0.0.1 1 {nobody}\ntcp 2 fra 127.0.0.1 1 {port}\n"
            "icmp 3 nyc 10.99.0.1 1\nicmp 4 nyc 10.99.0.9 2\n"
        )
        done = on(host, shell, tasks)
    assert (done.returncode, done.stderr) == (0, "")
    results, rest = done.stdout.split("@before\n")
    assert sorted(results.splitlines()) == [
        "@results",
        "answered nyc 10.99.0.1",
        "probe 0 connected",
        "probe 1 refused",
        "probe 3 answered",
        "probe 4 silent",
        "silent fra 10.99.0.3",
    ]
    assert rest.startswith(f"{STATUS}@after\n{STATUS}@wireguard\nown KEY= public-key\n")
    assert (host / "mktemp.was").exists()
    assert not (host / "made").exists()


def test_a_session_that_is_older_than_the_change_is_waited_for(host: Path) -> None:
    old = STATUS.replace("PEER", "nyc").replace("changed long ago", "changed 3 s ago")
    new = 'n=$(cat "$0.n" 2>/dev/null || echo 0); echo $((n + 1)) >"$0.n"\n'
    (host / "helper").write_text(
        f'#!/bin/sh\n{new}if [ "$n" -lt 4 ]; then cat "$0.say"; else sed "s/handshake 5/handshake 4/" "$0.say"; fi\n'
    )
    (host / "helper.say").write_text(old)
    done = on(host, "dash", "peer nyc 10.99.0.1\n")
    assert "handshake 4 s ago" in done.stdout.split("@after")[1]
    assert (host / "helper.n").read_text().strip() == "5"
    # One that has not changed to its new key yet is not waited for: it may take until the next `up`.
    never = STATUS.replace("PEER", "nyc").replace(
        "handshake 5 s ago, changed long ago", "handshake never, changed 3 s ago"
    )
    (host / "helper.say").write_text(never)
    (host / "helper.n").write_text("0")
    on(host, "dash", "peer nyc 10.99.0.1\n")
    assert int((host / "helper.n").read_text()) > 2
    (host / "helper.say").write_text(never.replace("clock:", "handover: ams, nyc\nclock:"))
    (host / "helper.n").write_text("0")
    on(host, "dash", "peer nyc 10.99.0.1\n")
    assert (host / "helper.n").read_text().strip() == "2"
    # One that does not answer is not waited for: there is no session to come.
    (host / "helper.n").write_text("0")
    on(host, "dash", "peer nyc 10.99.0.7\n")
    assert (host / "helper.n").read_text().strip() == "2"


def test_a_session_that_is_never_renewed_is_given_up(host: Path) -> None:
    (host / "helper.say").write_text(STATUS.replace("PEER", "nyc").replace("changed long ago", "changed 3 s ago"))
    done = on(host, "dash", "peer nyc 10.99.0.1\n")
    assert done.returncode == 0
    assert 100 < int((host / "helper.n").read_text()) < 200


def test_while_a_change_is_not_confirmed_nothing_is_tried_and_nothing_waited_for(host: Path) -> None:
    old = STATUS.replace("PEER", "nyc").replace("changed long ago", "changed 3 s ago")
    (host / "ping").write_text('#!/bin/sh\n: >"$0.was"\n')
    (host / "helper.say").write_text(old.replace("clock:", "goes back: in 90 s, unless it is confirmed\nclock:"))
    done = on(host, "dash", "peer nyc 10.99.0.1\ntcp 0 nyc 127.0.0.1 3 1\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("@results\n@before\n")
    assert not (host / "ping.was").exists()
    assert (host / "helper.n").read_text().strip() == "2"
    (host / "helper.say").write_text(old.replace("5 s ago", "1 s ago"))
    on(host, "dash", "peer nyc 10.99.0.1\n")
    assert (host / "ping.was").exists()


def test_one_that_nobody_waits_for_any_more_leaves_nothing(host: Path) -> None:
    text = SCRIPT.replace(HELPER, str(host / "helper")).replace("PATH=/usr", f"PATH={host}:/usr")
    with subprocess.Popen(
        ["sh", "-c", text, "sh", "wg0", "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as script:
        assert script.stdout is not None
        assert script.stdin is not None
        script.stdout.close()
        script.stdin.close()
    assert not (host / "made").exists()
    assert (host / "helper.n").exists()


def test_a_host_without_its_program_says_so_and_one_that_refuses_is_believed(host: Path) -> None:
    (host / "helper").write_text("#!/bin/sh\necho 'wireguard-mesh: no such thing' >&2; exit 64\n")
    done = on(host, "dash", "")
    assert (done.returncode, done.stdout, done.stderr) == (64, "", "wireguard-mesh: no such thing\n")
    (host / "helper").unlink()
    done = on(host, "dash", "")
    assert (done.returncode, done.stdout) == (69, "")
    assert "is missing on this host" in done.stderr
