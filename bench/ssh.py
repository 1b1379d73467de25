"""Bare ssh, as many at a time as the engine runs commands: what connections cost without an engine."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from bench.process import RunError
from lab.world import World

# What Pulumi's engine does by default.
AT_ONCE = 4 * len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Work:
    """A command for a host (its name in the config), with what it gets on stdin."""

    host: str
    command: str
    stdin: str = field(default="", repr=False)


class Client:
    """OpenSSH's client in the operator's namespace, one connection a command, host keys checked."""

    def __init__(self, world: World) -> None:
        known = world.path / "known_hosts"
        known.write_text("".join(f"{host} {key}\n" for host, key in world.host_keys().items()))
        options = {
            "BatchMode": "yes",
            "ControlMaster": "no",
            "GlobalKnownHostsFile": "none",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(known),
        }
        said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        self._world = world
        self._ssh = ["ssh", "-F", "none", "-i", str(world.operator_key_path), *said]

    def seconds(self, chains: Sequence[Sequence[Work]], on_tick: Callable[[str], None]) -> float:
        """How long all take, the commands of a chain one after the other. `on_tick` is told how many are done.

        Raises RunError with what was said where one fails.
        """
        start = time.perf_counter()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            waiting = [pool.submit(self._chain, chain) for chain in chains]
            try:
                for done, chain in enumerate(as_completed(waiting), 1):
                    chain.result()
                    on_tick(f"{done} of {len(chains)} done")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return time.perf_counter() - start

    def _chain(self, chain: Sequence[Work]) -> None:
        for work in chain:
            argv = self._world.operator_command([*self._ssh, f"root@{work.host}", work.command])
            done = subprocess.run(argv, input=work.stdin, capture_output=True, text=True, check=False, timeout=600)
            if done.returncode:
                said = (done.stderr or done.stdout).strip()[-400:]
                raise RunError(f"ssh to {work.host} ended with status {done.returncode}: {said}")
