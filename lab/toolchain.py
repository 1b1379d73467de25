"""Finds or makes the Pulumi engine, which pip does not install: from PATH, the release, or built from its Go module.

The environment variable `WIREGUARD_MESH_ENGINE` (`path`, `release` or `build`) forces one of the three, for tests. What
was downloaded or built is kept in the user's cache folder (`lab.cache`). `python -m lab.toolchain` gets it ready.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab import bounded, gobuild
from lab.cache import Make, cache_folder, made_once
from lab.progress import Screen, elapsed

TOOLS = Path(__file__).parent.parent / "tools"
OLDEST_ENGINE = (3, 244, 0)
ENGINE_VARIABLE = "WIREGUARD_MESH_ENGINE"

# For every run of an engine in the lab: it asks for no newer version and fetches no plugin behind our back.
ENGINE_ENVIRONMENT = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}

_DOWNLOAD_SECONDS = 240.0
_INSTALL_RELEASE = """
import socket, sys
from pulumi.automation import PulumiCommand
from semver import VersionInfo
socket.setdefaulttimeout(15)
try:
    PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
except Exception as problem:
    output = getattr(problem, "output", None) or b""
    sys.exit(output.decode() or str(getattr(problem, "reason", problem)))
"""


class ToolchainError(Exception):
    """No engine can be had; the message names every way that was tried and why it failed."""


class _UnavailableError(Exception):
    """One way is closed; the next may be open."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A Pulumi engine that runs: the file `path` (`root`/bin/pulumi), its version, and where it is from in words."""

    path: Path
    version: str
    origin: str

    @property
    def root(self) -> Path:
        """What `pulumi.automation.PulumiCommand` takes."""
        return self.path.parent.parent


@dataclass(frozen=True, slots=True)
class _Places:
    """What every step needs to know."""

    cache: Path
    environment: Mapping[str, str]
    screen: Screen
    version: str

    @property
    def folder(self) -> Path:
        return self.cache / f"engine-{self.version}"


def wanted_engine() -> str:
    """The engine's version that tools/go.mod pins; the release is asked for in the same version."""
    [version] = re.findall(r"^require github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (TOOLS / "go.mod").read_text(), re.M)
    return str(version)


def engine(
    screen: Screen | None = None, *, cache: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Engine:
    """The engine to use: from PATH, else the release, else built from tools/go.mod; what was kept before comes first.

    Raises ToolchainError if there is none, or if the way forced by WIREGUARD_MESH_ENGINE has none.
    """
    places = _Places(cache or cache_folder(environment), environment, screen or Screen(), wanted_engine())
    ways = {"path": _from_path, "release": _release, "build": _built}
    forced = environment.get(ENGINE_VARIABLE)
    if forced is not None and forced not in ways:
        raise ToolchainError(f"{ENGINE_VARIABLE}={forced}: give one of {', '.join(ways)}, or leave it unset")
    refusals = []
    for way in _order(forced, places):
        try:
            return ways[way](places)
        except _UnavailableError as problem:
            refusals.append(f"{way}: {problem}")
            if forced is None and way != "path":
                places.screen.say(f"  no {way}: {problem}")
    oldest = ".".join(map(str, OLDEST_ENGINE))
    raise ToolchainError(
        f"no Pulumi engine ({'; '.join(refusals)}). Install Pulumi {oldest} or newer and have `pulumi` on the PATH."
    )


def _order(forced: str | None, places: _Places) -> tuple[str, ...]:
    if forced is not None:
        return (forced,)
    if _kept(places, "built"):
        # A release that was refused before the build need not be asked for again.
        return ("path", "release", "build") if _kept(places, "release") else ("path", "build")
    return ("path", "release", "build")


def _from_path(places: _Places) -> Engine:
    found = shutil.which("pulumi", path=_search_path(places.environment))
    if found is None:
        raise _UnavailableError("no pulumi on the PATH")
    path = Path(found).absolute()
    version = _version_of(path)
    if version is None:
        raise _UnavailableError(f"{found} does not tell its version")
    if not OLDEST_ENGINE <= version < (OLDEST_ENGINE[0] + 1, 0, 0):
        reason = f"{found} is {_text(version)}, and {_text(OLDEST_ENGINE)} or newer of the same major version is needed"
        places.screen.say(f"  {reason}")
        raise _UnavailableError(reason)
    if path.parent.name != "bin":
        # PulumiCommand wants ROOT/bin/pulumi.
        kept = places.cache / "engine-path" / "bin" / "pulumi"
        kept.parent.mkdir(parents=True, exist_ok=True)
        link = kept.with_name(f"pulumi.{os.getpid()}")
        link.symlink_to(path)
        path = link.replace(kept)
    return Engine(path, _text(version), f"{found}, from the PATH")


def _search_path(environment: Mapping[str, str]) -> str:
    """PATH, and where Pulumi's installer puts it: sudo's PATH lacks that folder of the user who calls sudo."""
    home = environment.get("HOME", "")
    with suppress(KeyError):
        home = pwd.getpwnam(environment["SUDO_USER"]).pw_dir
    return os.pathsep.join((environment.get("PATH", ""), f"{home}/.pulumi/bin"))


def _release(places: _Places) -> Engine:
    start = time.monotonic()

    def install(folder: Path) -> None:
        places.screen.say(f"  asking for Pulumi's release {places.version}")
        done = bounded.run(
            [sys.executable, "-c", _INSTALL_RELEASE, folder, places.version],
            seconds=_DOWNLOAD_SECONDS,
            environment=places.environment,
            on_tick=lambda passed: places.screen.progress(f"  downloading Pulumi {places.version} ({elapsed(passed)})"),
        )
        if done.status != 0:
            raise _UnavailableError(f"not to be had ({done.last_line})")

    path = _make(places, "release", install)
    return Engine(path, places.version, _origin("the release", places.folder, start))


def _built(places: _Places) -> Engine:
    start = time.monotonic()
    go = "an earlier start"

    def compile_it(folder: Path) -> None:
        nonlocal go
        (folder / "bin").mkdir()
        go = gobuild.build(
            TOOLS,
            folder / "bin" / "pulumi",
            version=places.version,
            work=places.folder / "go",
            environment=places.environment,
            screen=places.screen,
        )

    path = _make(places, "built", compile_it)
    return Engine(path, places.version, _origin(f"built from tools/go.mod by {go}", places.folder, start))


def _origin(what: str, folder: Path, start: float) -> str:
    passed = time.monotonic() - start
    return f"{what}, kept in {folder}" + (f" ({elapsed(passed)})" if passed > 1 else "")


def _make(places: _Places, name: str, make: Make) -> Path:
    def wait(passed: float) -> None:
        places.screen.progress(f"  another start is getting the engine; waiting for it ({elapsed(passed)})")

    def make_and_check(folder: Path) -> None:
        make(folder)
        if not whole(folder):
            raise _UnavailableError(f"what came is not a working Pulumi {places.version}")

    def whole(folder: Path) -> bool:
        found = _version_of(folder / "bin" / "pulumi")
        return found is not None and _text(found) == places.version

    place = places.folder / name
    try:
        made_once(place, make_and_check, whole, wait)
    except (bounded.TooLongError, gobuild.BuildError, OSError) as problem:
        raise _UnavailableError(str(problem)) from problem
    return place / "bin" / "pulumi"


def _kept(places: _Places, name: str) -> bool:
    return (places.folder / name).is_dir()


def _version_of(path: Path) -> tuple[int, int, int] | None:
    """What `pulumi version` says, or None if the file does not run or says something else."""
    # It keeps a log in its home, and the user's is none of ours.
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **ENGINE_ENVIRONMENT, "PULUMI_HOME": home}
        try:
            said = subprocess.run(
                [path, "version"], env=environment, capture_output=True, text=True, timeout=60, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return None
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", said.strip())
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def main() -> int:
    """Gets an engine and says which; exit status 1 and the reasons if there is none."""
    try:
        found = engine()
    except ToolchainError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"engine: Pulumi {found.version}, {found.origin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
