"""The lab tests' tools: the engine, and environments that are ended with the test."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.toolchain import Engine, engine
from tests.lab.environment import Environment

Start = Callable[..., Environment]


@pytest.fixture(scope="session")
def tools() -> Engine:
    """The engine that `make up` would use."""
    return engine()


@pytest.fixture
def start(tools: Engine, tmp_path: Path) -> Iterator[Start]:
    """Starts an environment from a config; what it started is ended after the test, whatever happened."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    started: list[Environment] = []

    def begin(config: Mapping[str, Any], **deployment: Any) -> Environment:
        directory = tmp_path / f"lab{len(started)}"
        directory.mkdir()
        environment = Environment(directory, tools, config, **deployment)
        environment.start()
        started.append(environment)
        return environment

    yield begin
    for environment in reversed(started):
        environment.world.stop()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """An SSH agent without keys; gives its socket."""
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as process:
        while not socket.exists():
            assert process.poll() is None
        yield socket
        process.kill()
