"""`make status` and `make shell`: looking into the lab that `make up` left, as an operator looks into a mesh."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab import registry
from lab.bringup import identity, read
from lab.deployment import Deployment
from lab.namespaces import PATH, LabError
from lab.progress import Screen
from lab.toolchain import engine
from lab.world import World


def meshctl(stack: str, verb: str, options: Sequence[str]) -> int:
    """Runs a verb of meshctl that asks hosts, where the lab's operator is; gives its exit status.

    Raises ConfigError, FileNotFoundError and LabError as `running` does, ToolchainError.
    """
    with running(stack) as world:
        done = Deployment(world, stack, engine(Screen(sys.stderr))).meshctl(verb, *options)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def shell(stack: str, site: str, command: Sequence[str]) -> int:
    """A shell on a site's host, or one command there; gives its exit status. Raises LabError for an unknown site."""
    with running(stack) as world:
        names = [str(each) for each in world.mesh.sites]
        if site not in names:
            raise LabError(f"the lab has no host of a site {site!r}; it has {', '.join(names)}")
        argv = world.host(site).command(list(command) or ["bash", "--norc"])
        kept = {name: os.environ[name] for name in ("TERM", "LANG") if name in os.environ}
        return subprocess.run(
            argv, env={**kept, "PATH": PATH, "HOME": "/root", "PS1": f"{site}# "}, check=False
        ).returncode


@contextmanager
def running(stack: str) -> Iterator[World]:
    """This checkout's lab, for as long as it is looked into. Raises LabError where it does not run.

    Raises ConfigError and FileNotFoundError where the stack file cannot be read, and InUseError where it is in use.
    """
    world = World.attach(read(stack), identity(), registry.BASE)
    if world is None:
        raise LabError("no lab of this checkout runs; start it: make up")
    try:
        if not world.fits:
            raise LabError(f"the lab that runs is not that of Pulumi.{stack}.yaml as it is now; bring it up: make up")
        yield world
    finally:
        world.release()
