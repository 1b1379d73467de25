"""`make up` and `make down`: an environment in a lab that stays, brought up by a real `up`, and every pair probed."""

import hashlib
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from lab import registry, table
from lab.commandplugin import command_plugin
from lab.deployment import CHECKOUT, Deployment, Outcome
from lab.matrix import Matrix
from lab.measuring import measure
from lab.namespaces import LabError
from lab.plugins import install_cloud_plugins
from lab.plugins.versions import AWS, DIGITALOCEAN
from lab.probing import Probe, probes
from lab.progress import Screen, elapsed
from lab.toolchain import Engine, engine
from lab.topology import Topology
from lab.world import World
from mesh.config import parse
from mesh.config.stackfile import read_stack_file
from mesh.model import Mesh
from mesh.outputs import site_texts
from mesh.plan import plan
from mesh.reachability import Reachability, points

COMMAND = "command:remote:Command"
# How long `up` waits for another that uses the lab.
PATIENCE_SECONDS = 600.0


def identity(checkout: Path = CHECKOUT) -> str:
    """The name of the lab that belongs to a checkout, so that two checkouts do not share one."""
    return f"up-{hashlib.sha256(str(checkout.resolve()).encode()).hexdigest()[:6]}"


def up(stack: str, console: Console) -> bool:
    """Brings up the environment of Pulumi.`stack`.yaml and says how it stands. True where every cell is as granted.

    Raises ConfigError for a stack file with faults, LabError and ToolchainError where the lab or the tools fail.
    """
    mesh = read(stack)
    screen = Screen()
    tools = engine(screen)
    say(console, "engine", f"Pulumi {tools.version}, {tools.origin}")
    world = _world_in_turn(mesh, screen, console)
    try:
        # As the operations page has it: a site that is down holds up no other.
        deployment = Deployment(world, stack, tools, environment={"PULUMI_CONTINUE_ON_ERROR": "true"})
        outcome = _deploy(deployment, tools, screen, console)
        if outcome.failure is not None:
            _tell_failure(world, outcome, console)
            return False
        found = _probe(world, screen)
        proved = _verify(deployment, screen, console)
    finally:
        world.release()
    console.print()
    console.print(table.render(found, console.width))
    return found.as_granted and proved


def down(console: Console, *, everything: bool = False) -> None:
    """Ends this checkout's lab, if it runs, and what killed labs left; `everything` ends other checkouts' labs too.

    Raises LabError where a process uses one of them, after the others have ended.
    """
    ended = registry.sweep(registry.BASE)
    used = []
    for name in registry.staying(registry.BASE) if everything else [identity()]:
        try:
            claim = registry.join(registry.BASE, name)
        except registry.InUseError as error:
            used.append(f"{error}; end that first, or wait for it")
            continue
        if claim is not None:
            claim.end()
            ended.append(name)
    if ended or not used:
        say(console, "lab", f"ended: {', '.join(ended)}" if ended else "none was running")
    others = [name for name in registry.staying(registry.BASE) if name != identity()]
    if others and not everything:
        say(console, "lab", f"still running: {', '.join(others)} (of other checkouts, and perhaps in use)")
    if used:
        raise LabError("\n".join(used))


def read(stack: str) -> Mesh:
    """The mesh of a stack file of this checkout. Raises ConfigError, and FileNotFoundError where there is none."""
    return parse(read_stack_file((CHECKOUT / f"Pulumi.{stack}.yaml").read_text()))


def say(console: Console, what: str, text: str) -> None:
    """One line about one thing, under the others."""
    console.print(f"  {what:<8} {text}", highlight=False, markup=False, soft_wrap=True)


def _world_in_turn(mesh: Mesh, screen: Screen, console: Console) -> World:
    """The lab, when nobody else uses it."""
    start = time.monotonic()
    told = False
    while True:
        try:
            return _world(mesh, console)
        except registry.InUseError as error:
            passed = time.monotonic() - start
            if passed > PATIENCE_SECONDS:
                raise LabError(f"{error}, which has not ended within {elapsed(PATIENCE_SECONDS)}") from None
            if not told:
                say(console, "lab", f"{error}; waiting for it, {elapsed(PATIENCE_SECONDS)} at most")
                told = True
            screen.progress(f"  lab      waiting ({elapsed(passed)})")
        time.sleep(0.2)


def _world(mesh: Mesh, console: Console) -> World:
    world = World.attach(mesh, identity(), registry.BASE)
    if world is not None and world.fits:
        say(console, "lab", f"{identity()} is running")
        return world
    if world is not None:
        say(console, "lab", f"{identity()} has other sites, networks or addresses; it is built anew")
        world.stop()
    start = time.monotonic()
    world = World(mesh, identity(), registry.BASE, persistent=True)
    parts: list[str] = []
    world.start(parts.append)
    say(console, "lab", f"{identity()} started: {parts[0]} ({time.monotonic() - start:.1f} s)")
    return world


def _deploy(deployment: Deployment, tools: Engine, screen: Screen, console: Console) -> Outcome:
    world = deployment.world
    cut_off = world.path / "cut-off"
    if deployment.recover():
        cut_off.touch()
        say(console, "engine", "an earlier run was killed: its engine is ended, and its lock on the state removed")
    plugin = command_plugin(tools, deployment.pulumi_home, screen)
    say(console, "plugin", f"command {plugin.version}, {plugin.origin}")
    if world.clouds:
        install_cloud_plugins(deployment.pulumi_home, Path(sys.executable))
        say(console, "plugin", f"aws {AWS} and digitalocean {DIGITALOCEAN}, the stand-ins: machines are the lab's own")
    deployment.take_over(CHECKOUT)
    start = time.monotonic()
    commands: set[str] = set()

    def follow(event: Mapping[str, Any]) -> None:
        if event["kind"] == "interrupted":
            screen.say("  up       interrupted: the engine ends what is under way; once more ends it at once")
        if event["kind"] == "done" and event["type"] == COMMAND and event["operation"] != "same":
            commands.add(event["name"])
        screen.progress(f"  up       under way: {len(commands)} commands done ({elapsed(time.monotonic() - start)})")

    outcome = deployment.run("up", follow)
    if outcome.failure is None:
        cut_off.unlink(missing_ok=True)
    for warning in outcome.warnings:
        say(console, "warning", warning)
    end = "failed" if outcome.failure is not None else _summary(outcome, world.mesh, commands)
    say(console, "up", f"{end} ({time.monotonic() - start:.1f} s)")
    return outcome


def _tell_failure(world: World, outcome: Outcome, console: Console) -> None:
    """What went wrong, resource by resource, without the engine's account of everything else."""
    for name, message in outcome.errors or (("", str(outcome.failure).strip()),):
        console.print(f"\n{name}: {message}".removeprefix("\n: "), style="red", markup=False, highlight=False)
    for told in world.clouds.told if world.clouds else ():
        console.print(f"\n{told}", style="red", markup=False, highlight=False)
    if world.clouds and (world.path / "cut-off").exists():
        text = "A run that was killed may have made something in the lab's clouds that its state does not know."
        console.print(f"\n{text} To begin anew: make down, and make up", highlight=False, soft_wrap=True)
    log = world.path / "up.log"
    log.write_text(f"{outcome.failure}\n{outcome.stderr}")
    console.print(f"\nAll that the engine said is in {log}", markup=False, highlight=False, soft_wrap=True)


def _summary(outcome: Outcome, mesh: Mesh, commands: set[str]) -> str:
    if outcome.nothing_changed:
        return f"nothing changed, {outcome.changes.get('same', 0)} resources as they were"
    changes = {kind: number for kind, number in outcome.changes.items() if kind != "same"}
    told = ", ".join(f"{number} {kind}d" for kind, number in sorted(changes.items()))
    touched = {name.rpartition("-")[0] for name in commands}
    as_they_were = [site.name for site in mesh.sites if site.name not in touched]
    return f"{told}; as they were: {', '.join(as_they_were)}" if as_they_were else told


def _probe(world: World, screen: Screen) -> Matrix:
    wanted = expected(world.mesh, world.topology)
    found = measure(world, wanted, progress=lambda text: screen.progress(f"  probes   {text}"))
    return Matrix.of(found, [network for site in world.mesh.sites for network in site.networks])


def _verify(deployment: Deployment, screen: Screen, console: Console) -> bool:
    """What an operator would do next: `meshctl verify`, run by the operator."""
    screen.progress("  verify   asks every host")
    done = deployment.meshctl("verify")
    *faults, verdict = (done.stdout or done.stderr).strip().splitlines() or ["ended without a word"]
    say(console, "verify", verdict.removeprefix(f"{deployment.stack}: "))
    for fault in faults:
        note = fault.endswith(": paused, and left out")
        console.print(fault, style=None if note else "red", markup=False, highlight=False)
    return done.returncode == 0


def expected(mesh: Mesh, topology: Topology) -> list[Probe]:
    """Every pair's probes, granted where the hosts' texts let them pass; the grants themselves are held against that.

    So the three that have to be the same are compared: what was granted, what the texts say, and what packets do. A
    paused site is left out, since nobody knows what its host runs.
    """
    paused = {site.name for site in mesh.sites if site.paused}
    wanted = probes(mesh, topology, Reachability(site_texts(plan(mesh)), points(mesh)).passes)
    return [probe for probe in wanted if paused.isdisjoint({probe.source.site, probe.destination.site})]


def main_console() -> Console:
    """Where people read: as wide as the terminal, and 100 columns where there is none."""
    width = None if sys.stdout.isatty() else max(100, shutil.get_terminal_size((100, 24)).columns)
    return Console(width=width)
