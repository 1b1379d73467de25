"""tools/bootstrap among fakes: what it installs, that no service starts, and what a second or a killed run does."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.lab import fakes

ROOT = Path(__file__).parent.parent.parent
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a mount namespace")
PACKAGES = ("requirements.txt", "requirements-dev.txt")
PROJECT = ("pyproject.toml", "requirements.in")

PYTHON = """case "$*" in
*sys.executable*) echo "$0" ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*"pip "*)
    echo "$*" >>{log}
    while [ -e {gate} ]; do echo $$ >{gate}.reached; sleep 0.05; done ;;
esac"""

APT = """case $1 in
install)
    echo "$*" >>{log}
    /usr/sbin/policy-rc.d ssh start; echo "policy $?" >>{log}
    readlink /etc/systemd/system/ssh.service /etc/systemd/system/ssh.socket >>{log}
    [ ! -e {log}.kill ] || kill -9 $PPID ;;
esac"""

# Hides this machine's sshd and iptables, and keeps what bootstrap writes there from this machine.
MOUNTS = "mount -t tmpfs none /usr/sbin && mount -t tmpfs none /etc/systemd/system && "


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
        fakes.program(self.bin / "dpkg", "")
        self.environment = {"PATH": f"{self.bin}:/usr/bin:/bin"}

    def start(self, *command: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
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
        """The script, where the machine's administration tools and units are hidden behind empty folders."""
        return self.run("unshare", "--mount", "sh", "-c", MOUNTS + script)

    def installs(self) -> int:
        return len(self.pip_log.read_text().splitlines()) if self.pip_log.exists() else 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_virtualenv_is_made_from_hashed_requirements_and_the_project_itself(bench: Bench) -> None:
    bench.venv()
    requirements, project = bench.pip_log.read_text().splitlines()
    assert "--require-hashes" in requirements
    assert requirements.endswith("-r requirements-dev.txt")
    assert project.endswith("--no-deps --no-build-isolation --editable .")


def test_a_second_run_does_and_says_nothing(bench: Bench) -> None:
    bench.venv()
    assert bench.venv() == ""
    assert bench.installs() == 2


@pytest.mark.parametrize("changed", PACKAGES)
def test_the_virtualenv_is_made_again_when_what_it_is_made_from_changed(bench: Bench, changed: str) -> None:
    bench.venv()
    with (bench.checkout / changed).open("a") as stream:
        stream.write("# changed\n")
    bench.venv()
    assert bench.installs() == 4


@pytest.mark.parametrize("changed", PROJECT)
def test_only_the_project_is_installed_again_when_only_its_own_description_changed(bench: Bench, changed: str) -> None:
    bench.venv()
    with (bench.checkout / changed).open("a") as stream:
        stream.write("# changed\n")
    bench.venv()
    assert bench.installs() == 3
    assert bench.pip_log.read_text().endswith("--editable .\n")


def test_the_virtualenv_is_made_again_in_a_checkout_that_was_moved(bench: Bench) -> None:
    bench.venv()
    bench.checkout = bench.checkout.rename(bench.checkout.with_name("moved"))
    bench.venv()
    assert bench.installs() == 4


def test_a_shim_that_runs_nothing_is_passed_over_for_a_python_that_works(bench: Bench) -> None:
    (bench.bin / "python3").rename(bench.bin / "python3.12")
    fakes.program(bench.bin / "python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
    bench.venv()
    assert bench.installs() == 2


def test_two_at_once_install_once(bench: Bench) -> None:
    bench.gate.touch()
    first = bench.start("tools/bootstrap", "venv")
    fakes.wait_for(bench.gate.with_name("gate.reached").exists, "an installation")
    second = bench.start("tools/bootstrap", "venv")
    assert second.stdout is not None
    assert "waiting" in second.stdout.readline()
    bench.gate.unlink()
    for process in (first, second):
        process.communicate(timeout=fakes.DEADLINE)
        assert process.returncode == 0
    assert bench.installs() == 2


def test_after_a_kill_half_way_the_next_run_starts_over(bench: Bench) -> None:
    bench.gate.touch()
    killed = bench.start("tools/bootstrap", "venv")
    reached = bench.gate.with_name("gate.reached")
    fakes.wait_for(lambda: reached.exists() and reached.read_text().strip(), "the installation")
    killed.send_signal(signal.SIGKILL)
    bench.gate.unlink()
    killed.communicate()
    (bench.checkout / ".venv" / "half").touch()
    bench.venv()
    assert bench.installs() == 3
    assert not (bench.checkout / ".venv" / "half").exists()


@needs_root
def test_a_failed_installation_leaves_no_stamp_and_its_files_to_the_owner_of_the_checkout(bench: Bench) -> None:
    os.chown(bench.checkout, 4711, 4712)
    fakes.program(bench.bin / "python3", PYTHON.format(log="/dev/full || exit 1", gate=bench.gate))
    status, _ = bench.run("tools/bootstrap", "venv")
    assert status != 0
    assert not list((bench.checkout / ".venv").glob("*.stamp"))
    assert (bench.checkout / ".venv" / "bin").stat().st_uid == 4711


@needs_root
def test_what_is_missing_is_installed_and_no_service_of_it_starts_now_or_later(bench: Bench) -> None:
    script = "tools/bootstrap lab up && ls /usr/sbin"
    status, said = bench.in_mounts(script)
    assert status == 0, said
    request, policy, *masks = bench.apt_log.read_text().splitlines()
    assert {"iptables", "openssh-server"} <= set(request.split())
    assert "--no-install-recommends" in request
    assert policy == "policy 101"
    assert masks == ["/dev/null", "/dev/null"]
    assert "ssh.service and ssh.socket are masked" in said
    assert "policy-rc.d" not in said


@needs_root
def test_a_machine_that_has_an_ssh_server_keeps_its_service(bench: Bench) -> None:
    fakes.program(bench.bin / "sshd", "")
    status, said = bench.in_mounts("tools/bootstrap lab up && ls /etc/systemd/system")
    assert status == 0, said
    assert "openssh-server" not in bench.apt_log.read_text()
    assert "ssh.service" not in said


@needs_root
def test_a_policy_of_the_machine_own_is_back_afterwards_even_after_a_kill(bench: Bench) -> None:
    own = "echo 'exit 0 # own' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && "
    kill = bench.apt_log.with_name("apt.log.kill")
    kill.touch()
    script = (
        f"tools/bootstrap lab up; rm {kill}; cat /usr/sbin/policy-rc.d; tools/bootstrap lab up; cat /usr/sbin/policy*"
    )
    _, said = bench.in_mounts(own + script)
    assert "for the time of an installation" in said
    assert said.count("exit 0 # own") == 1
    assert said.rstrip().endswith("exit 0 # own")


def test_nothing_is_installed_where_nothing_is_missing(bench: Bench) -> None:
    bench.venv()
    assert not bench.apt_log.exists()


@pytest.mark.parametrize("target", ["up", "test", "down"])
def test_without_root_one_sentence_says_what_is_needed_and_why(target: str, open_folder: Path) -> None:
    bench = Bench(open_folder)
    command: Sequence[str] = ("tools/bootstrap", "lab", target)
    if os.geteuid() == 0:
        command = ("setpriv", "--reuid", "65534", "--clear-groups", "sh", *command)
    status, said = bench.run(*command)
    assert status == 1
    assert said.startswith(f"make {target} needs root: ")
    assert said.endswith(f"Run: sudo make {target}\n")
    assert said.count("\n") == 1
    assert not (bench.checkout / ".venv").exists()
