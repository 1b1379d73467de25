"""The command plugin's two ways: the release where it can be had, the stand-in elsewhere, and no second question."""

import importlib.metadata
import os
import time
from io import StringIO
from pathlib import Path

import pytest

from lab import commandplugin
from lab.progress import Screen
from lab.toolchain import Engine, ToolchainError
from tests.lab import fakes

VERSION = importlib.metadata.version("pulumi-command")
DAY = 24 * 3600
# What the engine writes.
REFUSAL = """\
[resource plugin command-1.2.1] installing
warning: Error downloading plugin: Get "https://example.com/plugin.tar.gz": dial tcp: lookup example.com: no such host
Will retry in 1.28s [5/5]
error: [resource plugin command-1.2.1] downloading from : failed to download plugin: failed all 5 attempts
"""


class Bench:
    """A cache, a lab's PULUMI_HOME, and an engine whose plugin downloads can be refused."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine(fakes.pulumi(folder / "bin" / "pulumi", "v3.259.0"), "3.259.0", "a fake")
        self.cache = folder / "cache"
        self.home = folder / "home"
        self.plugin = self.home / "plugins" / f"resource-command-v{VERSION}" / "pulumi-resource-command"

    def refuse(self) -> None:
        self.engine.path.with_name("pulumi.refuse").write_text(REFUSAL)

    def asked(self) -> list[str]:
        log = self.engine.path.with_name("pulumi.log")
        return log.read_text().splitlines() if log.exists() else []

    def install(self, **forced: str) -> commandplugin.Plugin:
        return commandplugin.command_plugin(
            self.engine,
            self.home,
            Screen(StringIO()),
            cache=self.cache,
            environment={"PATH": os.environ["PATH"], **forced},
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    def stand_in(pulumi_home: Path, python: Path) -> Path:
        folder = pulumi_home / "plugins" / f"resource-command-v{VERSION}"
        return fakes.program(folder / "pulumi-resource-command", f"# stand-in, run by {python}")

    monkeypatch.setattr(commandplugin, "install_command_plugin", stand_in)
    return Bench(tmp_path)


def test_the_release_of_the_sdk_version_is_downloaded_once_and_put_into_every_home(
    bench: Bench, tmp_path: Path
) -> None:
    assert bench.install().released
    bench.refuse()
    bench.home = tmp_path / "another lab's home"
    again = bench.install()
    assert (again.released, again.version) == (True, VERSION)
    assert [path.name for path in (bench.home / "plugins").rglob("*") if path.is_file()] == ["pulumi-resource-command"]
    assert bench.asked() == [f"plugin install resource command {VERSION}"]


def test_the_stand_in_takes_the_place_of_a_release_that_cannot_be_had(bench: Bench) -> None:
    bench.refuse()
    plugin = bench.install()
    assert not plugin.released
    assert plugin.origin.endswith("(no release: no such host)")
    assert "stand-in" in bench.plugin.read_text()


def test_a_refusal_is_remembered_for_a_day_and_no_longer(bench: Bench) -> None:
    bench.refuse()
    for _ in range(3):
        assert not bench.install().released
    assert len(bench.asked()) == 1
    refused = bench.cache / f"command-{VERSION}" / "refused"
    yesterday = time.time() - DAY - 60
    os.utime(refused, (yesterday, yesterday))
    bench.engine.path.with_name("pulumi.refuse").unlink()
    assert bench.install().released
    assert not refused.exists()


def test_a_download_that_hangs_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.program(bench.engine.path, "sleep 600")
    monkeypatch.setattr(commandplugin, "_DOWNLOAD_SECONDS", 0.5)
    plugin = bench.install()
    assert (plugin.released, "not done after 0.5 s" in plugin.origin) == (False, True)


def test_the_stand_in_is_used_where_it_is_asked_for_and_nothing_is_downloaded(bench: Bench) -> None:
    assert bench.install(WIREGUARD_MESH_PLUGIN="release").released
    assert not bench.install(WIREGUARD_MESH_PLUGIN="stand-in").released
    assert "stand-in" in bench.plugin.read_text()
    assert len(bench.asked()) == 1


def test_a_forced_release_is_asked_for_again_and_never_replaced_by_the_stand_in(bench: Bench) -> None:
    bench.refuse()
    bench.install()
    with pytest.raises(ToolchainError, match="no such host"):
        bench.install(WIREGUARD_MESH_PLUGIN="release")
    assert len(bench.asked()) == 2


def test_an_unknown_choice_is_refused_with_the_known_ones(bench: Bench) -> None:
    with pytest.raises(ToolchainError, match="give release, stand-in or a path"):
        bench.install(WIREGUARD_MESH_PLUGIN="mine")


def test_a_plugin_of_ones_own_is_taken_by_its_path_and_nothing_is_downloaded(bench: Bench, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    with pytest.raises(ToolchainError, match="there is no program"):
        bench.install(WIREGUARD_MESH_PLUGIN=str(mine))
    fakes.program(mine, "echo mine")
    assert str(mine) in bench.install(WIREGUARD_MESH_PLUGIN=str(mine)).origin
    assert bench.plugin.read_text() == mine.read_text()
    assert bench.asked() == []
