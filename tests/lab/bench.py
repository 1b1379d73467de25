"""A checkout to run tools/bootstrap in, among fakes of what it calls and with the machine's own folders hidden."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab import fakes

ROOT = Path(__file__).parent.parent.parent
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a mount namespace")
PACKAGES = ("requirements.txt", "requirements-dev.txt")
PROJECT = ("pyproject.toml", "requirements.in")

PYTHON = """case "$*" in
*sys.executable*) echo "$0" ;;
*"import ensurepip"*) [ ! -e {log}.bare ] ;;
*-venv*) echo python3.99-venv ;;
"-m lab down") echo "the lab ends" ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*"pip "*)
    echo "$*" >>{log}
    while [ -e {gate} ]; do echo $$ >{gate}.reached; sleep 0.05; done ;;
esac"""

# Refuses as often as `.refusals` has lines; an installation brings what the lab needs.
APT = """case " $* " in
*" update "*) echo "apt-get update" >>{log}.steps ;;
*" install "*)
    echo "apt-get install" >>{log}.steps
    echo "$*" >>{log}
    /usr/sbin/policy-rc.d ssh start; echo "policy $?" >>{log}
    readlink /etc/systemd/system/ssh.service /etc/systemd/system/ssh.socket >>{log}
    [ ! -e {log}.kill ] || kill -9 $PPID
    while [ -e {log}.gate ]; do touch {log}.reached; sleep 0.05; done ;;
esac
if [ -s {log}.refusals ]; then
    head -n 1 {log}.refusals >&2
    sed -i 1d {log}.refusals
    exit 100
fi
case " $* " in
*" install "*)
    # Only where the machine's own folder is hidden: these are its programs.
    mountpoint -q /usr/sbin || exit 99
    for name in sshd iptables ip6tables conntrack sysctl; do cp /bin/true /usr/sbin/$name; done
    ;;
esac"""

# Hides this machine's sshd and iptables, and keeps what bootstrap writes there from this machine.
MOUNTS = "".join(f"/bin/mount -t tmpfs none {folder} && " for folder in ("/usr/sbin", "/etc/systemd/system", "/run"))


class Bench:
    """A checkout with the real script, and fakes of python, apt-get and dpkg before everything else on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "a checkout"
        for name in (*PACKAGES, *PROJECT, "tools/bootstrap"):
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        self.bin = folder / "bin"
        self.pip_log, self.apt_log, self.gate = folder / "pip.log", folder / "apt.log", folder / "gate"
        fakes.program(self.bin / "python3", PYTHON.format(log=self.pip_log, gate=self.gate))
        fakes.program(self.bin / "apt-get", APT.format(log=self.apt_log))
        fakes.program(self.bin / "dpkg", f'echo "dpkg $*" >>{self.apt_log}.steps')
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "TMPDIR": str(self.temporary)}

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts it; as root where the machine's administration tools and units are hidden behind empty folders."""
        pipe = subprocess.PIPE
        if os.geteuid() == 0:
            command = ("/usr/bin/unshare", "--mount", "/bin/sh", "-c", f'{MOUNTS}exec "$@"', "sh", *command)
        return subprocess.Popen(command, cwd=self.checkout, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *command: str) -> tuple[int, str]:
        process = self.start(*command)
        out, err = process.communicate(timeout=fakes.DEADLINE)
        return process.returncode, err + out

    def venv(self) -> str:
        status, said = self.run("tools/bootstrap", "venv")
        assert status == 0, said
        return said

    def in_mounts(self, script: str) -> tuple[int, str]:
        """The script, run by a shell."""
        return self.run("/bin/sh", "-c", script)

    def apt(self, name: str) -> Path:
        """A file that tells the fake apt-get what to do, or what it did."""
        return self.apt_log.with_name(f"apt.log.{name}")

    def steps(self) -> list[str]:
        return self.apt("steps").read_text().splitlines()

    def without(self, *names: str) -> None:
        """Takes programs of the machine off the PATH."""
        programs = self.bin.with_name("programs")
        programs.mkdir()
        for program in Path("/usr/bin").iterdir():
            if program.name not in names:
                (programs / program.name).symlink_to(program)
        self.environment["PATH"] = f"{self.bin}:{programs}"

    def installs(self) -> int:
        return len(self.pip_log.read_text().splitlines()) if self.pip_log.exists() else 0
