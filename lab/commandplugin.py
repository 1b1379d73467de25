"""Puts the command plugin into a lab's PULUMI_HOME: pulumi-command's release if it can be had, else the stand-in.

The environment variable `WIREGUARD_MESH_PLUGIN` (`release`, `stand-in`, or the path of a plugin) forces one, for tests.
"""

import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import bounded
from lab.cache import cache_folder, made_once
from lab.plugins import install_command_plugin
from lab.progress import Screen, elapsed
from lab.toolchain import ENGINE_ENVIRONMENT, Engine, ToolchainError

PLUGIN_VARIABLE = "WIREGUARD_MESH_PLUGIN"

_EXECUTABLE = "pulumi-resource-command"
_DOWNLOAD_SECONDS = 120.0
# A release that could not be had is not asked for again so soon: that would cost seconds at every start.
_REFUSAL_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Plugin:
    """The plugin that was put in place: its version (the SDK's), where it is from, and whether it is the release."""

    version: str
    origin: str
    released: bool


class _RefusedError(Exception):
    """The release cannot be had now."""


def command_plugin(
    engine: Engine,
    pulumi_home: Path,
    screen: Screen | None = None,
    *,
    cache: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Plugin:
    """Puts the plugin into `pulumi_home`/plugins, in place of any that is there, and says which one it is.

    Raises ToolchainError if the one that is forced cannot be had.
    """
    screen = screen or Screen()
    version = importlib.metadata.version("pulumi-command")
    forced = environment.get(PLUGIN_VARIABLE)
    home = _plugin_folder(pulumi_home, version)
    if forced is not None and forced.startswith("/"):
        return _of_the_user(Path(forced), home, version)
    if forced not in {None, "release", "stand-in"}:
        raise ToolchainError(f"{PLUGIN_VARIABLE}={forced}: give release, stand-in or a path, or leave it unset")
    folder = (cache or cache_folder(environment)) / f"command-{version}"
    reason = "as asked for"
    if forced != "stand-in":
        try:
            kept = _release(engine, version, folder, screen, ask_again=forced == "release", environment=environment)
        except _RefusedError as problem:
            if forced == "release":
                raise ToolchainError(
                    f"{PLUGIN_VARIABLE}=release, and the release is not to be had: {problem}"
                ) from None
            reason = f"no release: {problem}"
        else:
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(kept, home)
            return Plugin(version, f"the release, kept in {folder}", released=True)
    shutil.rmtree(home, ignore_errors=True)
    install_command_plugin(pulumi_home, Path(sys.executable))
    return Plugin(version, f"the stand-in ({reason})", released=False)


def _of_the_user(program: Path, home: Path, version: str) -> Plugin:
    if not os.access(program, os.X_OK):
        raise ToolchainError(f"{PLUGIN_VARIABLE}={program}: there is no program")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    shutil.copy2(program, home / _EXECUTABLE)
    return Plugin(version, f"{program}, as {PLUGIN_VARIABLE} says", released=False)


def _plugin_folder(pulumi_home: Path, version: str) -> Path:
    return pulumi_home / "plugins" / f"resource-command-v{version}"


def _release(
    engine: Engine, version: str, folder: Path, screen: Screen, *, ask_again: bool, environment: Mapping[str, str]
) -> Path:
    """The folder with the release, downloaded if it was not before."""
    refused = folder / "refused"
    place = folder / "release"
    if not place.exists() and not ask_again:
        told = _recent_refusal(refused)
        if told is not None:
            raise _RefusedError(told)

    def install(partial: Path) -> None:
        home = partial / "home"
        done = bounded.run(
            [engine.path, "plugin", "install", "resource", "command", version],
            seconds=_DOWNLOAD_SECONDS,
            environment={**environment, **ENGINE_ENVIRONMENT, "PULUMI_HOME": str(home)},
            on_tick=lambda passed: screen.progress(f"  downloading the command plugin {version} ({elapsed(passed)})"),
        )
        if done.status != 0:
            raise _RefusedError(_reason(done))
        for file in _plugin_folder(home, version).iterdir():
            file.rename(partial / file.name)
        shutil.rmtree(home)

    try:
        made_once(place, install, lambda made: os.access(made / _EXECUTABLE, os.X_OK))
    except (_RefusedError, bounded.TooLongError, OSError) as problem:
        refused.write_text(f"{problem}\n")
        raise _RefusedError(str(problem)) from problem
    refused.unlink(missing_ok=True)
    return place


def _reason(done: bounded.Done) -> str:
    """The innermost of the engine's nested messages: of the last attempt to download, or else of its last line."""
    attempts = [line for line in done.tail if "Error downloading plugin" in line]
    return (attempts[-1] if attempts else done.last_line).rsplit(": ", 1)[-1]


def _recent_refusal(refused: Path) -> str | None:
    """Why the release was refused within the last day."""
    try:
        age = time.time() - refused.stat().st_mtime
        reason = refused.read_text().strip()
    except FileNotFoundError:
        return None
    return f"{reason}; asked {elapsed(age)} ago" if 0 <= age < _REFUSAL_SECONDS else None
