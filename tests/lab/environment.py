"""A stack file of the test's own, deployed by the real engine in a lab of the test's own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from lab.commandplugin import command_plugin
from lab.deployment import CHECKOUT, Deployment, Outcome
from lab.matrix import Matrix
from lab.measuring import measure
from lab.plugins import install_cloud_plugins
from lab.policy import judge
from lab.probing import probes
from lab.project import PROGRAM
from lab.toolchain import Engine
from lab.world import World
from mesh.config import parse
from mesh.config.stackfile import read_stack_file
from mesh.model import Mesh

STACK = "test"
# On a host; with -D in place of -I it ends.
REFUSE_SSH = "iptables -I INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset"


class Environment:
    """A lab's world and the stack in it. `config` holds the stack file's sections; change it and `write` again."""

    def __init__(self, directory: Path, engine: Engine, config: Mapping[str, Any], **deployment: Any) -> None:
        self.source = directory / "source"
        self.source.mkdir()
        for name in PROGRAM:
            (self.source / name).symlink_to(CHECKOUT / name)
        self.config: dict[str, Any] = deepcopy(dict(config))
        self._engine = engine
        self._write_file()
        self.world = World(self.mesh, f"test-{os.getpid()}-{directory.name.lower().replace('_', '-')[:14]}".rstrip("-"))
        self.deployment = Deployment(self.world, STACK, engine, **deployment)

    def start(self) -> None:
        self.world.start()
        self.plugin = command_plugin(self._engine, self.deployment.pulumi_home)
        if self.world.clouds:
            install_cloud_plugins(self.deployment.pulumi_home, Path(sys.executable))
        self.write()

    @property
    def _file(self) -> Path:
        return self.source / f"Pulumi.{STACK}.yaml"

    def _write_file(self) -> None:
        config = {f"wireguard-mesh:{name}": section for name, section in self.config.items()}
        self._file.write_text(yaml.safe_dump({"config": config}))

    def write(self) -> None:
        """Takes the config over into the lab's copy of the project."""
        self._write_file()
        self.deployment.take_over(self.source)

    def up(self, **arguments: Any) -> Outcome:
        """A real `up` that has to succeed."""
        outcome = self.deployment.run("up", **arguments)
        assert outcome.failure is None, outcome.failure + outcome.stderr
        return outcome

    def pulumi(self, *arguments: str) -> str:
        """What the engine's own command line prints for the stack, run by the operator."""
        deployment = self.deployment
        command = [str(deployment.engine.path), *arguments, "--stack", deployment.stack]
        variables = [f"{name}={value}" for name, value in deployment.engine_environment().items()]
        done = subprocess.run(
            self.world.operator_command(["env", *variables, *command], deployment.project),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def mesh(self) -> Mesh:
        """What the present config says."""
        return parse(read_stack_file(self._file.read_text()))

    def probe(self, *, everywhere: bool = False, within: float = 15) -> Matrix:
        """Every pair, compared with what the grants of the present config say, read plainly.

        What is granted is given up after `within` seconds.
        """
        mesh = self.mesh
        wanted = probes(mesh, self.world.topology, judge(mesh), everywhere=everywhere)
        results = measure(self.world, wanted, within=within)
        return Matrix.of(results, [network for site in mesh.sites for network in site.networks])

    def on(self, site: str, script: str) -> str:
        """What a shell script prints on a site's host, as root."""
        return self.world.host(site).run(["sh", "-euc", script]).stdout


def sample() -> dict[str, Any]:
    """The sections of a mesh of four colos."""
    return read_stack_file(Path(__file__).with_name("colos.yaml").read_text())


def clouds() -> dict[str, Any]:
    """The sections of the sample environment: two colos, AWS and DigitalOcean."""
    return read_stack_file((CHECKOUT / "Pulumi.dev.yaml").read_text())


def pair() -> dict[str, Any]:
    """The smallest mesh that has something to grant and something to deny: ams.lan may open to nyc.virbr0."""
    whole = sample()
    sites = {name: whole["sites"][name] for name in ("ams", "nyc")}
    access = [{"from": "ams.lan", "to": "nyc.virbr0"}]
    return {"mesh": whole["mesh"], "ssh": whole["ssh"], "sites": sites, "access": access}
