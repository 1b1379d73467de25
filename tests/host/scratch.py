"""Scratch hosts: network, mount and process namespaces in which the helper runs and leaves the machine alone."""

import atexit
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from components.helper import helper_text

_FOLDER = tempfile.TemporaryDirectory(prefix="wireguard-mesh-")
atexit.register(_FOLDER.cleanup)
HELPER = Path(_FOLDER.name) / "wireguard-mesh"
HELPER.write_text(helper_text(Path(__file__).parents[2] / "host"))

# All that the helper said in a test, on any host.
HEARD: list[str] = []

# The overlays' upper layers and /run are the host's own; init ignores SIGCHLD, so that the kernel reaps for it, and
# leaves when its stdin closes, so that no host outlives the test, however that ends.
_INIT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
for folder in /etc /usr/local /var/lib; do
    mkdir -p "$1/upper$folder" "$1/work$folder"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$1/upper$folder,workdir=$1/work$folder" "$folder"
done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t sysfs sysfs /sys
mkdir -p /run/lock
rm -rf /etc/wireguard /usr/local/sbin/wireguard-mesh
mkdir -m 700 /etc/wireguard
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
echo ready
exec env --ignore-signal=CHLD cat >/dev/null
"""


class Host:
    """A host with nothing on it. `pid` is its init and names its namespaces; leaving the context ends all in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._unshare = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", _INIT, "init", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if _pipe(self._unshare.stdout).readline() != "ready\n":
            raise RuntimeError("the scratch host did not start")
        (self.pid,) = children(self._unshare.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _pipe(self._unshare.stdin).close()
        _pipe(self._unshare.stdout).close()
        self._unshare.wait(timeout=10)

    def enter(self, *command: str) -> list[str]:
        """The command line that runs a command on this host."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--", *command]

    def try_(
        self, *command: str, stdin: str = "", env: Mapping[str, str] | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """The finished command, whatever its exit status."""
        return subprocess.run(
            self.enter(*command),
            input=stdin,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def run(self, *command: str, stdin: str = "") -> str:
        """What the command prints. Raises AssertionError with everything it said where it fails."""
        done = self.try_(*command, stdin=stdin)
        assert done.returncode == 0, f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def sh(self, script: str) -> str:
        """What a shell script prints; every command in it must succeed."""
        return self.run("sh", "-euc", script)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """The command, running, with its streams as pipes."""
        return subprocess.Popen(
            self.enter(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Ends a started command by SIGKILL. It is nsenter's child, which would outlive nsenter."""
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=10)

    def read(self, path: str) -> str:
        """A file's text, as this host sees it."""
        return self.run("cat", path)

    def exists(self, path: str) -> bool:
        """Whether this host has the file."""
        return self.try_("test", "-e", path).returncode == 0

    def needs(self, program: str) -> None:
        """Raises AssertionError, with the way out, where the machine lacks a program that only tests run."""
        found = self.try_("sh", "-c", f"command -v {program}").returncode == 0
        assert found, f"{program} is missing, which this test runs; `make test` installs it"

    def install(self) -> None:
        """Puts the helper in place as `host` does, without its package and boot checks."""
        self.run("install", "-D", "-m", "755", str(HELPER), "/usr/local/sbin/wireguard-mesh")

    def without_kernel_wireguard(self) -> None:
        """Has `ip` and /sys answer as on a kernel that was built without WireGuard, so that wireguard-go is used."""
        self._intercept_ip('case "$*" in *"type wireguard"*) echo "Error: Unknown device type." >&2; exit 2 ;; esac')
        # wg-quick turns to wireguard-go only where the kernel's module is not there either.
        self.run("mount", "-t", "tmpfs", "tmpfs", "/sys/module")

    def with_kernel_wireguard(self) -> None:
        """Has `ip` answer as on a kernel with WireGuard; what it makes is a bridge. The calls are in /run/ip.calls."""
        self._intercept_ip(
            'case "$*" in *"type wireguard"*) echo "$*" >>/run/ip.calls; set -- link add dev "$4" type bridge ;;'
            ' "link delete"*) echo "$*" >>/run/ip.calls ;; esac'
        )

    def _intercept_ip(self, script: str) -> None:
        # In the place of the program itself, since wg-quick puts its own folder first in PATH.
        self.run("sh", "-euc", "cp $(command -v ip) /run/ip; cat >/run/intercept; chmod 755 /run/intercept;"
                 ' mount --bind /run/intercept "$(readlink -f "$(command -v ip)")"',
                 stdin=f'#!/bin/sh\n{script}\nexec /run/ip "$@"\n')  # fmt: skip

    def helper(self, verb: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The finished helper, as the remote commands call it."""
        done = self.try_("/usr/local/sbin/wireguard-mesh", verb, *(words or ("wg0",)), stdin=stdin)
        HEARD.extend((done.stdout, done.stderr))
        return done

    def answer(self, verb: str, *words: str, stdin: str = "") -> str:
        """The helper's answer. Raises AssertionError where it fails."""
        done = self.helper(verb, *words, stdin=stdin)
        assert done.returncode == 0, f"{verb} exited with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


def connect(a: Host, b: Host, a_name: str, b_name: str) -> None:
    """A cable between two hosts. Both ends are up, without addresses."""
    subprocess.run(
        ["ip", "link", "add", a_name, "netns", str(a.pid), "type", "veth", "peer", b_name, "netns", str(b.pid)],
        check=True,
    )
    a.run("ip", "link", "set", a_name, "up")
    b.run("ip", "link", "set", b_name, "up")


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
