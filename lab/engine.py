"""Runs one engine operation on a lab's copy of the project: `python -m lab.engine`, in the operator's namespace.

The request is one JSON object on stdin (`Request`). Each line on stdout is a JSON object: `{"event": ...}` while the
engine runs, and at the end `{"result": ...}` or `{"failure": ...}`. The program runs inline, through the Automation
API, so that no language host is needed.
"""

import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.events import EngineEvent, StepEventMetadata
from semver import VersionInfo

from lab import encrypted

Emit = Callable[[dict[str, Any]], None]

STACK = "pulumi:pulumi:Stack"
# What events have in place of a secret.
HIDDEN = "[secret]"


@dataclass(frozen=True, slots=True)
class Request:
    """What to run: `operation` (up, preview or destroy) on a stack of the project, by the engine in `engine`/bin.

    `version` is the engine's; `known` says whether it has the stack already. `secrets` are config values by path, set
    encrypted before the operation. `event_log` gets every event whole.
    `replace` names resources, by URN, that an up replaces whether they changed or not.
    """

    operation: str
    project: str
    stack: str
    engine: str
    version: str
    known: bool
    pulumi_home: str
    environment: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    event_log: str | None = None
    replace: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The request as one line of text."""
        return json.dumps(asdict(self))


def run(request: Request, emit: Emit) -> int:
    """Runs the operation, emits its events and its end, and gives the exit status: 0 or 1."""
    try:
        stack = _stack(request)
        on_event = _recorder(emit, None if request.event_log is None else Path(request.event_log))
        done = _operate(stack, request, on_event)
    except (automation.CommandError, encrypted.SecretError) as error:
        emit({"failure": str(error)})
        return 1
    emit({"result": done})
    return 0


class _Command(automation.PulumiCommand):
    """The engine's command line, of a version that is known: it is not asked for it in every run."""

    def __init__(self, request: Request) -> None:
        self.command = str(Path(request.engine) / "bin" / "pulumi")
        self.version = VersionInfo.parse(request.version)


class _Workspace(automation.LocalWorkspace):
    """Selects nothing: every command is told its stack's name."""

    def select_stack(self, stack_name: str) -> None:
        """Nothing to do."""


class _Stack(automation.Stack):
    """What came out of an operation is read from its events; each further question is a process of its own."""

    def outputs(self) -> automation.OutputMap:
        """Not asked for."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:
        """Not asked for."""
        del show_secrets
        return automation.UpdateSummary("", datetime.now(UTC), "", {}, {}, "")


def _stack(request: Request) -> automation.Stack:
    program_file = str(Path(request.project) / "__main__.py")

    def program() -> None:
        runpy.run_path(program_file, run_name="__main__")

    workspace = _Workspace(
        work_dir=request.project,
        pulumi_home=request.pulumi_home,
        pulumi_command=_Command(request),
        env_vars=request.environment,
        program=program,
    )
    stack = _Stack(request.stack, workspace, StackInitMode.SELECT if request.known else StackInitMode.CREATE)
    file = Path(request.project) / f"Pulumi.{request.stack}.yaml"
    encrypted.put(file, request.secrets, [workspace.pulumi_command.command], request.pulumi_home)
    return stack


def _operate(stack: automation.Stack, request: Request, on_event: Callable[[EngineEvent], None]) -> dict[str, Any]:
    seen: dict[str, Any] = {"changes": {}, "outputs": {}}

    def look(event: EngineEvent) -> None:
        if event.summary_event is not None:
            seen["changes"] = dict(event.summary_event.resource_changes)
        done = event.res_outputs_event
        if done is not None and done.metadata.type == STACK and done.metadata.new is not None:
            outputs = done.metadata.new.outputs or {}
            seen["outputs"] = {name: value for name, value in outputs.items() if value != HIDDEN}
        on_event(event)

    operation = request.operation
    said: automation.PreviewResult | automation.UpResult | automation.DestroyResult
    if operation == "preview":
        said = stack.preview(on_event=look, color="never", suppress_progress=True)
    elif operation == "up":
        said = stack.up(on_event=look, color="never", suppress_progress=True, replace=request.replace or None)
    elif operation == "destroy":
        said = stack.destroy(on_event=look, color="never", suppress_progress=True)
    else:
        raise ValueError(f"unknown operation {operation!r}")
    return {"stdout": said.stdout, **seen}


def _recorder(emit: Emit, log: Path | None) -> Callable[[EngineEvent], None]:
    def on_event(event: EngineEvent) -> None:
        if log is not None:
            with log.open("a") as stream:
                stream.write(json.dumps(event, default=vars) + "\n")
        summary = _summary(event)
        if summary is not None:
            emit({"event": summary})

    return on_event


def _summary(event: EngineEvent) -> dict[str, Any] | None:
    """What a person following the operation wants to know of an event."""
    if event.resource_pre_event is not None:
        return {"kind": "started", **_step(event.resource_pre_event.metadata)}
    if event.res_outputs_event is not None:
        return {"kind": "done", **_step(event.res_outputs_event.metadata)}
    if event.res_op_failed_event is not None:
        return {"kind": "failed", **_step(event.res_op_failed_event.metadata)}
    diagnostic = event.diagnostic_event
    if diagnostic is not None and diagnostic.severity in {"warning", "error"}:
        return {"kind": diagnostic.severity, "name": _name(diagnostic.urn or ""), "message": diagnostic.message}
    return None


def _step(step: StepEventMetadata) -> dict[str, str]:
    return {"operation": str(getattr(step.op, "value", step.op)), "type": step.type, "name": _name(step.urn)}


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def main() -> int:
    """Reads the request, runs it, and writes its events."""
    # An interrupt from the terminal reaches the engine itself, which stops where nothing is half done, and says so.
    signal.signal(signal.SIGINT, lambda *_: None)
    request = Request(**json.load(sys.stdin))
    # The program's own prints go where they disturb nobody: stdout belongs to the events.
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    os.environ.update(request.environment)
    sys.path.insert(0, request.project)

    def emit(message: dict[str, Any]) -> None:
        events.write(json.dumps(message) + "\n")

    return run(request, emit)


if __name__ == "__main__":
    sys.exit(main())
