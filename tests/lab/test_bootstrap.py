"""tools/bootstrap: the virtualenv that it makes, on any Unix, and the end of a lab."""

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lab.bringup import identity
from tests.lab import fakes
from tests.lab.bench import PACKAGES, PROJECT, PYTHON, Bench, needs_root


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


def test_nothing_is_compiled_before_it_is_imported(bench: Bench) -> None:
    bench.venv()
    assert all(" --no-compile " in line for line in bench.pip_log.read_text().splitlines())


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


def test_the_virtualenv_is_made_where_there_is_no_apt_no_flock_and_no_tool_of_gnu(bench: Bench) -> None:
    bench.without("apt-get", "flock", "stat", "sha256sum")
    (bench.bin / "apt-get").unlink()
    fakes.program(bench.bin / "stat", '[ "$1 $2" = "-f %u:%g" ] && id -u | sed s/$/:0/')
    fakes.program(bench.bin / "shasum", '[ "$*" = "-a 256" ] && exec /usr/bin/sha256sum')
    bench.venv()
    assert bench.installs() == 2
    assert bench.venv() == ""


def test_without_apt_a_python_without_its_venv_module_is_named_with_the_way_out(bench: Bench) -> None:
    bench.pip_log.with_name("pip.log.bare").touch()
    bench.without("apt-get")
    (bench.bin / "apt-get").unlink()
    status, said = bench.run("tools/bootstrap", "venv")
    assert status == 1
    assert said.startswith(f"{bench.bin}/python3 lacks the module venv or ensurepip")
    assert "make PYTHON=" in said


def test_nothing_is_installed_where_nothing_is_missing(bench: Bench) -> None:
    bench.venv()
    assert not bench.apt_log.exists()


@needs_root
def test_down_where_nothing_was_started_says_so_and_installs_nothing(bench: Bench) -> None:
    status, said = bench.in_mounts("tools/bootstrap down")
    assert (status, said) == (0, "nothing was started from this checkout\n")
    assert not bench.apt_log.exists()
    assert not (bench.checkout / ".venv").exists()


@needs_root
def test_down_ends_the_lab_with_the_virtualenv_that_is_there_even_if_it_is_an_old_one(bench: Bench) -> None:
    bench.venv()
    (bench.checkout / "requirements.txt").write_text("# changed\n")
    status, said = bench.in_mounts("tools/bootstrap down")
    assert (status, said) == (0, "the lab ends\n")
    assert bench.installs() == 2


@needs_root
def test_down_makes_the_virtualenv_where_a_lab_runs_whose_virtualenv_was_deleted(bench: Bench) -> None:
    status, said = bench.in_mounts(
        f"mkdir -p /run/wireguard-mesh-lab/{identity(bench.checkout)} && tools/bootstrap down"
    )
    assert status == 0, said
    assert said.endswith("the lab ends\n")
    assert not bench.apt_log.exists()


@pytest.mark.parametrize("words", [("lab", "up"), ("lab", "test"), ("down",)])
def test_without_root_one_sentence_says_what_is_needed_and_why(words: Sequence[str], open_folder: Path) -> None:
    bench = Bench(open_folder)
    target = words[-1]
    command: Sequence[str] = ("tools/bootstrap", *words)
    if os.geteuid() == 0:
        command = ("setpriv", "--reuid", "65534", "--clear-groups", "sh", *command)
    status, said = bench.run(*command)
    assert status == 1
    assert said.startswith(f"make {target} needs root: ")
    assert said.endswith(f"Run: sudo make {target}\n")
    assert said.count("\n") == 1
    assert not (bench.checkout / ".venv").exists()
