"""A lab's stack: runs the engine in the operator's namespace, on the lab's copy of the project."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.engine import Request
from lab.following import follow
from lab.namespaces import MARK
from lab.project import copy_project
from lab.toolchain import ENGINE_ENVIRONMENT, Engine
from lab.world import World

CHECKOUT = Path(__file__).parent.parent

Listener = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended. `failure` is the engine's own text, None where it succeeded; `changes` counts by kind.

    `errors` are those of single resources: a name, and what was said of it. `outputs` are the stack's after an up,
    without secret ones. `stderr` has also what the lab's clouds said of machines that do not boot.
    """

    failure: str | None
    changes: Mapping[str, int]
    stdout: str
    warnings: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]
    stderr: str
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nothing_changed(self) -> bool:
        """True where the operation succeeded and left every resource as it was."""
        return self.failure is None and set(self.changes) <= {"same"}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack, run in a lab's world: the project's copy, the state and the plugins lie in the lab's directory.

    `secrets` are config values by path, beside the operator's key, which
    is left out where `agent` is the socket of an SSH agent that has it. `environment` is added to the engine's.
    """

    world: World
    stack: str
    engine: Engine
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    agent: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def pulumi_home(self) -> Path:
        """The lab's own PULUMI_HOME, with its plugins."""
        return self.world.path / "pulumi"

    @property
    def project(self) -> Path:
        """The lab's copy of the project."""
        return self.world.path / "project"

    @property
    def state(self) -> Path:
        """The folder of the engine's file backend."""
        return self.world.path / "state"

    def take_over(self, source: Path) -> None:
        """Copies the program and the stack file of a checkout into the lab, with the lab's keys."""
        copy_project(source, self.project, self.stack, self.world.host_keys())

    def recover(self) -> bool:
        """Ends the engine of an earlier run that was killed, and removes its lock; gives whether there was any.

        Only for one who has the lab for himself: then no other engine can be at work, and whatever the operator still
        runs, or has locked in the state, is of nobody. Without this, the engine refuses every operation from then on.
        """
        ended = self.world.operator.end_others()
        locks = [path for path in (self.state / ".pulumi" / "locks").rglob("*") if path.is_file()]
        for lock in locks:
            lock.unlink()
        return bool(ended or locks)

    def run(
        self,
        operation: str,
        listener: Listener | None = None,
        event_log: Path | None = None,
        replace: Sequence[str] = (),
    ) -> Outcome:
        """Runs up, preview or destroy to its end. A failure of the engine is an outcome, not an exception.

        Meanwhile the lab's clouds answer the plugins. After an up the hosts in networks without route tables have the
        routes that the stack's outputs give for them.
        """
        self.state.mkdir(exist_ok=True)
        clouds = self.world.clouds
        with clouds.serving() if clouds else nullcontext(dict[str, str]()) as environment:
            request = Request(
                operation=operation,
                project=str(self.project),
                stack=self.stack,
                engine=str(self.engine.root),
                version=self.engine.version,
                known=any(self.state.glob(f".pulumi/stacks/*/{self.stack}.json")),
                pulumi_home=str(self.pulumi_home),
                environment={**environment, **self.engine_environment()},
                secrets={**self._operator_key(), **self.secrets},
                event_log=None if event_log is None else str(event_log),
                replace=list(replace),
            )
            end, warnings, errors, said = self._engine(request, listener or _ignore)
        said += "".join(f"{told}\n" for told in (clouds.told if clouds else ()))
        result = end.get("result", {})
        failure = end.get("failure") if result else end.get("failure", f"the engine's process ended early:\n{said}")
        outputs = result.get("outputs", {})
        if clouds and operation == "up" and failure is None:
            clouds.tell_hosts(outputs)
        return Outcome(failure, result.get("changes", {}), result.get("stdout", ""), warnings, errors, said, outputs)

    def _engine(
        self, request: Request, listener: Listener
    ) -> tuple[dict[str, Any], tuple[str, ...], tuple[tuple[str, str], ...], str]:
        """The end, the warnings, the errors, and what was said beside."""
        with (self.world.path / "engine.log").open("w+") as stderr:
            with subprocess.Popen(
                self.world.operator_command([sys.executable, "-m", "lab.engine"], CHECKOUT),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"},
            ) as process:
                if process.stdin is None or process.stdout is None:
                    raise RuntimeError("no pipes to the engine")
                process.stdin.write(request.to_json())
                process.stdin.close()
                with _left_to_the_engine(listener):
                    followed = follow(process.stdout, listener)
            stderr.seek(0)
            return *followed, stderr.read()

    def _operator_key(self) -> dict[str, str]:
        if self.agent is not None:
            return {}
        return {"wireguard-mesh:ssh.private_key": self.world.operator_key_path.read_text()}

    def meshctl(self, verb: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Runs a verb of meshctl that asks this stack's hosts, where the operator is, to its end."""
        argv = [sys.executable, "-m", "cli", verb, "--stack", self.stack, "--directory", str(self.project), *options]
        path = f"{self.engine.root / 'bin'}:{os.environ.get('PATH', os.defpath)}"
        return subprocess.run(
            self.world.operator_command(argv, CHECKOUT),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, **self.engine_environment(), "PATH": path},
            check=False,
        )

    def engine_environment(self) -> dict[str, str]:
        """The variables that the engine gets beside those of this process."""
        return {
            # Without the file that the engine would write beside each of its files: not in one step, so that an engine
            # that is killed meanwhile leaves an empty one, and no other can read the state (gocloud.dev, fileblob).
            "PULUMI_BACKEND_URL": f"file://{self.state}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "lab",
            **ENGINE_ENVIRONMENT,
            # Also for the Automation API's own look at the version, which would log into the user's folder.
            "PULUMI_HOME": str(self.pulumi_home),
            MARK: f"{self.world.identity}/engine",
            **({} if self.agent is None else {"SSH_AUTH_SOCK": str(self.agent)}),
            **self.environment,
        }


@contextmanager
def _left_to_the_engine(listener: Listener) -> Iterator[None]:
    """An interrupt is the engine's, which gets it from the terminal as we do; a second one is ours as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        listener({"kind": "interrupted"})

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ignore(_event: dict[str, Any]) -> None:
    pass
