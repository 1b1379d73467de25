"""One bench for all tests of a plugin. LAB_COMMAND_PLUGIN names another program to hold the tests against."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.plugins import install_command_plugin
from tests.lab.plugins.bench import Bench, Plugin
from tests.lab.plugins.stage import Namespace, Sshd, make_key


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = os.environ.get("LAB_COMMAND_PLUGIN")
    return Path(other) if other else install_command_plugin(tmp_path_factory.mktemp("home"), Path(sys.executable))


@pytest.fixture(scope="session")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    space = Namespace(tmp_path_factory.mktemp("sockets"))
    yield space
    space.close()


@dataclass
class Servers:
    directory: Path
    taking: Sshd
    refusing: Sshd
    rsa: Sshd


@pytest.fixture(scope="session")
def servers(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    directory = tmp_path_factory.mktemp("servers")
    for name in ("operator", "stranger", "first", "second"):
        make_key(directory, name)
    make_key(directory, "old", "-t", "rsa", "-b", "2048")
    (directory / "authorized").write_text((directory / "operator.pub").read_text())
    found = Servers(
        directory,
        Sshd(namespace, directory, 2201, "first", "AcceptEnv COLOUR PULUMI_COMMAND_*"),
        Sshd(namespace, directory, 2202, "second"),
        Sshd(namespace, directory, 2203, "old"),
    )
    yield found
    for server in (found.taking, found.refusing, found.rsa):
        server.close()


def _bench(plugin: Plugin, servers: Servers) -> Bench:
    released, key = "LAB_COMMAND_PLUGIN" in os.environ, (servers.directory / "operator").read_text()
    return Bench(plugin, servers.taking, servers.refusing, servers.rsa, servers.directory, released, key)


@pytest.fixture(scope="session")
def plugin(namespace: Namespace, program: Path) -> Iterator[Plugin]:
    running = Plugin(namespace, program)
    yield running
    running.close()


@pytest.fixture
def bench(plugin: Plugin, servers: Servers) -> Bench:
    """A bench on which tests share the plugin."""
    plugin.engine.logs.clear()
    return _bench(plugin, servers)


@pytest.fixture
def own_bench(namespace: Namespace, program: Path, servers: Servers) -> Iterator[Bench]:
    """A bench with a plugin of its own, for what a plugin does not survive."""
    running = Plugin(namespace, program)
    yield _bench(running, servers)
    running.close()
