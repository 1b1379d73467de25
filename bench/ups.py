"""What an `up` costs on a mesh of some size: seconds, SSH connections, the state's size, and two floors under it."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import yaml

from bench import answering, meshes
from bench.counting import taken_connections
from bench.flow import Flow
from bench.process import RunError
from bench.ssh import Client, Work
from bench.ways import backend
from lab.commandplugin import Plugin, command_plugin
from lab.deployment import CHECKOUT, Deployment
from lab.project import NAMESPACE, PROGRAM
from lab.toolchain import Engine
from lab.world import World
from mesh.config import parse

Change: TypeAlias = Literal["first", "nothing", "added"]
CHANGES: tuple[Change, ...] = get_args(Change)
# The stack itself, and one of the same sites whose commands nobody runs.
STACK, FLOOR = "bench", "floor"
# Between these a ping goes on meanwhile: their networks have a grant in every mesh of three sites and more.
HERE, THERE = "site-0002", "site-0001"
_COMMAND = "command:remote:Command"
_ORDER = ("host", "config", "confirm")


@dataclass(frozen=True, slots=True)
class Up:
    """One `up`. Seconds of it, and of what lies under it; `connections` were counted at the hosts.

    There are more of them than `commands` where hosts were asked again. `silent` is the engine with the same resources
    and a plugin that dials nobody, `trivial` bare ssh making as many connections, for `true`, and `same` bare ssh that
    runs the same commands with the same stdin. `lost` is how many of `pings` were lost meanwhile between two sites;
    they are sent only where a site is added.
    """

    sites: int
    change: Change
    connections: int
    resources: int
    state_bytes: int
    seconds: float
    silent: float
    pings: int
    lost: int
    commands: int = 0
    trivial: float = 0.0
    same: float = 0.0

    @property
    def floor(self) -> float:
        """The larger of the two floors: the engine alone, and the connections alone."""
        return max(self.silent, self.trivial)

    @property
    def both(self) -> float:
        """What the engine and the hosts take one after the other, as they must where they share the processors."""
        return self.silent + self.same


@dataclass(frozen=True, slots=True)
class Measured:
    """All ups, and what they were made with: the engine, the command plugin, and what WireGuard was."""

    ups: Sequence[Up]
    engine: str
    plugin: str
    backend: str


class Lab:
    """A lab of so many sites and one more, and the two stacks in it."""

    def __init__(self, world: World, engine: Engine, source: Path) -> None:
        self._world, self._engine, self._source = world, engine, source
        source.mkdir()
        for name in PROGRAM:
            (source / name).symlink_to(CHECKOUT / name)
        self._stacks = {name: Deployment(world, name, engine) for name in (STACK, FLOOR)}
        self.client = Client(world)

    def configure(self, sites: int) -> None:
        """Has both stacks say so many sites."""
        sections = meshes.stack(sites, "few")
        config = {f"{NAMESPACE}:{name}": section for name, section in sections.items()}
        for name, deployment in self._stacks.items():
            (self._source / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}))
            deployment.take_over(self._source)

    def plugin(self) -> Plugin:
        """Puts the plugin that dials in place."""
        return command_plugin(self._engine, self._stacks[STACK].pulumi_home)

    def silent_up(self, on_event: Callable[[str], None]) -> float:
        """The seconds of an `up` with a plugin that dials nobody."""
        answering.install(self._stacks[FLOOR].pulumi_home)
        before = self.connections()
        seconds, _ = self._up(FLOOR, on_event)
        if self.connections() != before:
            raise RunError("the plugin that is to dial nobody dialled")
        return seconds

    def up(self, sites: int, change: Change, silent: float, on_event: Callable[[str], None]) -> Up:
        """A real `up`, and what lay under it. Raises RunError, KeyboardInterrupt."""
        self.plugin()
        before = self.connections()
        if change != "added":
            pings, lost = 0, 0
            seconds, resources = self._up(STACK, on_event)
        else:
            # A slow flow: the pings cost the processors what the `up` is to have.
            with Flow(self._world, f"{HERE}.lan", f"{THERE}.lan", milliseconds=10) as flow:
                seconds, resources = self._up(STACK, on_event)
                pings, lost = flow.lost()
        made = self.connections() - before
        return Up(sites, change, made, resources, self._state_bytes(), seconds, silent, pings, lost)

    def _up(self, stack: str, on_event: Callable[[str], None]) -> tuple[float, int]:
        interrupted = False
        start = time.perf_counter()

        def listen(event: Mapping[str, Any]) -> None:
            nonlocal interrupted
            interrupted = interrupted or event["kind"] == "interrupted"
            on_event(f"{time.perf_counter() - start:.0f} s so far")

        outcome = self._stacks[stack].run("up", listen)
        seconds = time.perf_counter() - start
        if interrupted:
            raise KeyboardInterrupt
        if outcome.failure is not None:
            raise RunError(f"an up failed:\n{outcome.failure[-2000:]}{outcome.stderr[-2000:]}")
        return seconds, sum(outcome.changes.values())

    def connections(self) -> int:
        """How many connections all hosts have taken so far."""
        hosts = (self._world.host(site.name) for site in self._world.mesh.sites)
        return sum(taken_connections(Path(f"/proc/{host.pid}/net/snmp").read_text()) for host in hosts)

    def _state_bytes(self) -> int:
        """The size of the stack's state, as the file backend keeps it."""
        (file,) = self._stacks[STACK].state.rglob(f"{STACK}.json")
        return file.stat().st_size

    def works(self) -> dict[str, list[Work]]:
        """By site, what the commands of its resources are, in their order; kept in memory only, for keys are in it."""
        deployment = self._stacks[STACK]
        exported = subprocess.run(
            [self._engine.path, "stack", "export", "--show-secrets", "--stack", STACK],
            cwd=deployment.project,
            env={**os.environ, **deployment.engine_environment()},
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, dict[str, Work]] = {}
        for resource in json.loads(exported.stdout)["deployment"]["resources"]:
            if resource["type"] == _COMMAND:
                site, _, kind = resource["urn"].rpartition("::")[2].rpartition("-")
                inputs = {name: _plain(value) for name, value in resource["inputs"].items()}
                found.setdefault(site, {})[kind] = Work(inputs["connection"]["host"], inputs["create"], inputs["stdin"])
        return {site: [kinds[kind] for kind in _ORDER] for site, kinds in found.items()}

    def blank(self) -> None:
        """Takes everything of ours off all hosts."""
        for site in self._world.mesh.sites:
            self._world.host(site.name).run(
                ["sh", "-c", "test ! -x /usr/local/sbin/wireguard-mesh || /usr/local/sbin/wireguard-mesh remove wg0"]
            )


def _plain(value: Any) -> Any:
    """An exported value without the wraps of secrets, whose text is JSON of its own."""
    if isinstance(value, dict) and "plaintext" in value:
        return json.loads(value["plaintext"])
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def commands_of(before: Mapping[str, list[Work]], after: Mapping[str, list[Work]]) -> list[list[Work]]:
    """The commands that an `up` runs, by site: those that are new or differ."""
    chains = ([work for work in works if work not in before.get(site, ())] for site, works in after.items())
    return [chain for chain in chains if chain]


def trivial(chains: Sequence[Sequence[Work]], connections: int) -> list[list[Work]]:
    """So many connections to the same hosts, each for a command that does nothing.

    An `up` makes more connections than it has commands where a host has to be asked again.
    """
    nothing = [[replace(work, command="true", stdin="")] for chain in chains for work in chain]
    return list(islice(cycle(nothing), connections))


def measure(
    sizes: Sequence[int],
    engine: Engine,
    folder: Path,
    *,
    on_run: Callable[[str], None],
    on_tick: Callable[[str], None],
) -> Measured:
    """Measures each size in a lab of its own, which is ended whatever happens. `folder` is an empty one.

    `on_run` gets a line for each thing measured, `on_tick` one now and then. Raises LabError, RunError.
    """
    ups: list[Up] = []
    plugin, used = "", ""
    for sites in sizes:
        on_run(f"a lab of {sites + 1} sites")
        with World(parse(meshes.stack(sites + 1, "few")), f"bench-{os.getpid()}") as world:
            lab = Lab(world, engine, folder / str(sites))
            ups += _size(lab, sites, on_run, on_tick)
            plugin = "the release" if lab.plugin().released else "the lab's stand-in"
            used = backend(world.host(THERE))
    return Measured(ups, f"Pulumi {engine.version}", plugin, used)


def _size(lab: Lab, sites: int, on_run: Callable[[str], None], on_tick: Callable[[str], None]) -> list[Up]:
    """The ups of one size, and then the same commands without an engine, on the same hosts."""
    found: list[Up] = []
    commands: list[list[list[Work]]] = []
    works: dict[str, list[Work]] = {}
    for change in CHANGES:
        lab.configure(sites + (change == "added"))
        label = f"{sites} sites, {change}"
        silent = lab.silent_up(partial(_tell, on_tick, f"{label}, without SSH"))
        up = lab.up(sites, change, silent, partial(_tell, on_tick, label))
        before, works = works, lab.works()
        chains = commands_of(before, works)
        bare = lab.client.seconds(trivial(chains, up.connections), partial(_tell, on_tick, f"{label}, bare ssh"))
        found.append(replace(up, commands=sum(map(len, chains)), trivial=bare))
        commands.append(chains)
        on_run(f"{label}: {up.seconds:.1f} s, {up.connections} connections for {found[-1].commands} commands")
        on_run(f"{label}: without SSH {silent:.1f} s, bare ssh {bare:.1f} s")
    lab.blank()
    for number, (up, chains) in enumerate(zip(found, commands, strict=True)):
        label = f"{sites} sites, {up.change}, the same by ssh"
        same = lab.client.seconds(chains, partial(_tell, on_tick, label))
        found[number] = replace(up, same=same)
        on_run(f"{label}: {same:.1f} s")
    return found


def _tell(on_tick: Callable[[str], None], label: str, so_far: str) -> None:
    on_tick(f"{label}: {so_far}")
