"""The engine's three ways: which is taken when, built once by whoever starts, and whole or absent after a kill."""

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest

from lab import gobuild, toolchain
from lab.progress import Screen
from tests.lab import fakes

ROOT = Path(__file__).parent.parent.parent
WANTED = toolchain.wanted_engine()
REFUSED = "import sys; sys.exit('[Errno -2] Name or service not known')"
GIVES_RELEASE = f"""
import sys
from pathlib import Path
from tests.lab import fakes
fakes.pulumi(Path(sys.argv[1]) / "bin" / "pulumi", "v{WANTED}")
"""


class Bench:
    """A machine of its own: an empty PATH folder to put fakes into, an empty cache, an installer that is refused."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.cache = folder / "cache"
        self.text = StringIO()
        self._monkeypatch = monkeypatch
        self.installer(REFUSED)
        monkeypatch.setattr(gobuild, "_ALSO_SEARCHED", "")

    def installer(self, script: str) -> None:
        self._monkeypatch.setattr(toolchain, "_INSTALL_RELEASE", script)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": "/nonexistent",
            "PYTHONPATH": str(ROOT),
            "PIP_NO_INDEX": "1",
        }

    def engine(self, **forced: str) -> toolchain.Engine:
        return toolchain.engine(Screen(self.text), cache=self.cache, environment={**self.environment, **forced})

    def builds(self) -> int:
        log = self.bin / "builds"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def start_elsewhere(self) -> subprocess.Popen[str]:
        """Another start, as a process of its own."""
        program = (
            "import sys; from pathlib import Path; from lab import toolchain;"
            "print(toolchain.engine(cache=Path(sys.argv[1])).version)"
        )
        environment = {**self.environment, toolchain.ENGINE_VARIABLE: "build"}
        command = [sys.executable, "-c", program, str(self.cache)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


@pytest.mark.parametrize("version", ["v3.244.0", "3.244.1", "v3.300.0-alpha.1"])
def test_a_pulumi_on_the_path_that_is_new_enough_is_used_as_it_is(bench: Bench, version: str) -> None:
    path = fakes.pulumi(bench.bin / "pulumi", version)
    found = bench.engine()
    assert (found.path, found.root) == (path, path.parent.parent)
    assert version.lstrip("v").startswith(found.version)
    assert not bench.cache.exists()


@pytest.mark.parametrize("version", ["v3.243.9", "v2.999.0", "v4.0.0", "what?"])
def test_a_pulumi_on_the_path_that_does_not_suit_is_passed_over(bench: Bench, version: str) -> None:
    fakes.pulumi(bench.bin / "pulumi", version)
    bench.installer(GIVES_RELEASE)
    assert bench.engine().path.is_relative_to(bench.cache)


def test_asking_for_the_version_leaves_nothing_in_the_users_home(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    log = 'mkdir -p "${PULUMI_HOME:-$HOME/.pulumi}/logs"; echo "$PULUMI_HOME" >>"$0.homes"'
    fakes.program(bench.bin / "pulumi", f"{log}; echo v{WANTED}")
    assert bench.engine().version == WANTED
    assert not (tmp_path / "home").exists()
    homes = (bench.bin / "pulumi.homes").read_text().split()
    assert homes
    assert not [home for home in homes if Path(home).exists()]


def test_a_pulumi_outside_a_bin_folder_still_has_a_root_for_the_automation_api(bench: Bench) -> None:
    elsewhere = fakes.pulumi(bench.bin.parent / "shims" / "pulumi", "v3.250.0")
    found = toolchain.engine(cache=bench.cache, environment={"PATH": f"{elsewhere.parent}:/usr/bin:/bin"})
    assert (found.root / "bin" / "pulumi").resolve() == elsewhere


def test_the_release_is_preferred_to_a_build_and_kept(bench: Bench) -> None:
    fakes.go(bench.bin, WANTED)
    bench.installer(GIVES_RELEASE)
    first = bench.engine()
    bench.installer(REFUSED)
    assert bench.engine().path == first.path
    assert (first.version, bench.builds()) == (WANTED, 0)
    assert "the release" in first.origin


def test_a_refused_release_is_said_and_the_engine_is_built_once(bench: Bench) -> None:
    fakes.go(bench.bin, WANTED)
    first = bench.engine()
    assert first.version == WANTED
    assert f"engine-{WANTED}" in str(first.path)
    assert "Name or service not known" in bench.text.getvalue()
    assert "2 packages" in bench.text.getvalue()
    # Kept: neither asks for the release nor builds again.
    bench.installer("raise SystemExit('asked again')")
    assert bench.engine().path == first.path
    assert bench.builds() == 1
    assert "asked again" not in bench.text.getvalue()


def test_a_network_that_swallows_packets_does_not_hang_the_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.go(bench.bin, WANTED)
    pid_file = bench.bin / "pid"
    bench.installer(f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    monkeypatch.setattr(toolchain, "_DOWNLOAD_SECONDS", 1.5)
    assert "built" in bench.engine().origin
    assert "not done after 1.5 s" in bench.text.getvalue()
    assert not fakes.running(int(pid_file.read_text()))


def test_a_release_of_another_version_than_was_asked_for_is_not_kept(bench: Bench) -> None:
    bench.installer(GIVES_RELEASE.replace(WANTED, "3.1.0"))
    with pytest.raises(toolchain.ToolchainError, match=f"not a working Pulumi {WANTED}"):
        bench.engine(WIREGUARD_MESH_ENGINE="release")
    assert not (bench.cache / f"engine-{WANTED}" / "release").exists()


def test_a_kept_engine_that_no_longer_runs_is_made_again(bench: Bench) -> None:
    fakes.go(bench.bin, WANTED)
    kept = bench.engine().path
    kept.write_text("cut off by a full disk")
    assert bench.engine().path == kept
    assert bench.builds() == 2


def test_two_starts_at_once_build_once(bench: Bench) -> None:
    fakes.go(bench.bin, WANTED)
    gate = bench.bin / "gate"
    gate.touch()
    first, second = bench.start_elsewhere(), bench.start_elsewhere()
    fakes.wait_for((bench.bin / "at-gate").exists, "a build")
    for start in (first, second):
        assert start.poll() is None
    gate.unlink()
    for start in (first, second):
        assert start.communicate(timeout=fakes.DEADLINE)[0].splitlines()[-1] == WANTED
    assert bench.builds() == 1


def test_a_killed_start_ends_its_build_and_leaves_neither_engine_nor_lock(bench: Bench) -> None:
    fakes.go(bench.bin, WANTED)
    gate, at_gate = bench.bin / "gate", bench.bin / "at-gate"
    gate.touch()
    killed = bench.start_elsewhere()
    fakes.wait_for(lambda: at_gate.exists() and at_gate.read_text().strip(), "the build")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    fakes.wait_for(lambda: not fakes.running(int(at_gate.read_text())), "the end of the killed start's build")
    assert not (bench.cache / f"engine-{WANTED}" / "built").exists()
    gate.unlink()
    assert bench.engine(WIREGUARD_MESH_ENGINE="build").version == WANTED
    assert sorted(path.name for path in (bench.cache / f"engine-{WANTED}").iterdir()) == ["built"]


@pytest.mark.parametrize("machine_go", ["absent", "old"])
def test_go_from_pypi_builds_where_the_machine_has_none_that_will_do(bench: Bench, machine_go: str) -> None:
    if machine_go == "old":
        fakes.go(bench.bin, WANTED)
        (bench.bin / "old").touch()
    # As a killed build leaves it: Go is there with its caches, the engine is not.
    work = bench.cache / f"engine-{WANTED}" / "go"
    own = fakes.go(work / "toolchain" / "go" / "bin", WANTED)
    log = bench.bin / "builds"
    own.write_text(own.read_text().replace(str(own.parent / "builds"), str(log)))
    assert bench.engine(WIREGUARD_MESH_ENGINE="build").version == WANTED
    # Go's caches are its own, not the user's; cgo is off, so that no C compiler is needed; 3 GB are not left behind.
    assert log.read_text() == f"{work / 'cache'} 0\n"
    assert not work.exists()


def test_no_way_at_all_names_every_reason_and_the_way_out(bench: Bench) -> None:
    go = fakes.go(bench.bin, WANTED)
    go.write_text(go.read_text().replace("build*)", "build*) echo 'no space left on device'; exit 1;;\nnever)"))
    with pytest.raises(toolchain.ToolchainError) as caught:
        bench.engine()
    for part in (
        "no pulumi on the PATH",
        "Name or service not known",
        "no space left on device",
        "Install Pulumi 3.244.0",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("forced", "reason"), [("path", "no pulumi on the PATH"), ("release", "Name or service not known")]
)
def test_a_forced_way_is_not_left_for_another(bench: Bench, forced: str, reason: str) -> None:
    fakes.go(bench.bin, WANTED)
    with pytest.raises(toolchain.ToolchainError, match=reason):
        bench.engine(WIREGUARD_MESH_ENGINE=forced)
    assert bench.builds() == 0


def test_a_forced_build_passes_over_a_pulumi_on_the_path(bench: Bench) -> None:
    fakes.pulumi(bench.bin / "pulumi", "v3.260.0")
    fakes.go(bench.bin, WANTED)
    assert bench.engine(WIREGUARD_MESH_ENGINE="build").version == WANTED


def test_an_unknown_way_is_refused_with_the_known_ones() -> None:
    with pytest.raises(toolchain.ToolchainError, match="give one of path, release, build"):
        toolchain.engine(environment={toolchain.ENGINE_VARIABLE: "brew"})


def test_engine_sdk_and_requirements_are_of_one_version() -> None:
    pinned = pins(ROOT / "requirements.txt")
    assert pinned["pulumi"] == WANTED == importlib.metadata.version("pulumi")
    assert pinned["pulumi-command"] == importlib.metadata.version("pulumi-command")


def test_the_project_file_requires_the_oldest_engine_that_is_accepted() -> None:
    oldest = ".".join(map(str, toolchain.OLDEST_ENGINE))
    assert f'requiredPulumiVersion: ">={oldest}"' in (ROOT / "Pulumi.yaml").read_text()


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-bench.txt", "tools/requirements-go.txt"]
)
def test_requirements_have_hashes_and_name_no_index_and_no_folder(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.split(r"\n(?=[a-z])", text)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:|^ */", text, re.MULTILINE)


def test_development_and_runtime_have_the_same_versions_of_what_they_share() -> None:
    development = pins(ROOT / "requirements-dev.txt")
    assert pins(ROOT / "requirements.txt").items() <= development.items()


def pins(path: Path) -> Mapping[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", path.read_text(), re.MULTILINE))


def test_an_engine_in_the_lab_asks_the_network_for_nothing() -> None:
    assert toolchain.ENGINE_ENVIRONMENT["PULUMI_SKIP_UPDATE_CHECK"] == "true"
    assert toolchain.ENGINE_ENVIRONMENT["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_root_finds_the_pulumi_of_the_user_who_called_sudo(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    home = bench.bin.parent / "home"
    path = fakes.pulumi(home / ".pulumi" / "bin" / "pulumi", "v3.250.0")
    assert bench.engine(HOME=str(home)).path == path
    entry = type("Entry", (), {"pw_dir": str(home)})
    monkeypatch.setattr("pwd.getpwnam", {"ada": entry}.__getitem__)
    assert bench.engine(SUDO_USER="ada").path == path
    with pytest.raises(toolchain.ToolchainError):
        bench.engine(SUDO_USER="bob", WIREGUARD_MESH_ENGINE="path")
    assert os.environ.get("HOME") != str(home)
