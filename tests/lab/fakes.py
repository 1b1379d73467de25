"""Small programs in place of pulumi and go: they answer as the real ones do, at once or at a gate."""

import os
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE = 20.0


def program(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def pulumi(path: Path, version: str) -> Path:
    """A pulumi that tells its version, and puts a plugin into PULUMI_HOME when asked to; it logs that beside itself."""
    return program(
        path,
        f"""case $1 in
version) echo "{version}" ;;
plugin)
    echo "$@" >>"$0.log"
    [ ! -e "$0.refuse" ] || {{ cat "$0.refuse" >&2; exit 1; }}
    home=$PULUMI_HOME/plugins/resource-command-v$5
    mkdir -p "$home" && cp /bin/true "$home/pulumi-resource-command" ;;
esac""",
    )


def go(folder: Path, engine_version: str) -> Path:
    """A go whose `build` makes a pulumi of that version; it logs each build, and waits at `gate` while that exists."""
    made = pulumi(folder / "made-pulumi", f"v{engine_version}")
    return program(
        folder / "go",
        f"""case "$1 $2" in
"env GOVERSION") echo go1.99.0 ;;
"list -m") [ ! -e {folder}/old ] || {{ echo "go: go.mod requires go >= 1.25.11 (running go 1.19)" >&2; exit 1; }} ;;
list*) echo "go: downloading example.com/a v1.0.0" >&2; echo "stale true"; echo "stale false"; echo "stale true" ;;
build*)
    echo "$GOCACHE $CGO_ENABLED" >>{folder}/builds
    echo example.com/a
    while [ -e {folder}/gate ]; do echo $$ >{folder}/at-gate; sleep 0.05; done
    while [ "$1" != -o ]; do shift; done
    cp {made} "$2" ;;
esac""",
    )


def wait_for(condition: Callable[[], object], what: str, within: float = DEADLINE) -> None:
    """Waits until the condition holds; fails with the name of what did not come."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"waited {within:g} s for {what}"
        time.sleep(0.02)


def running(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
