"""Runs one engine operation on a lab's copy of the project: `python -m lab.engine`, in the operator's namespace.

The request is one JSON object on stdin (`Request`). Each line on stdout is a JSON object: `{"event": ...}` while the
engine runs, and at the end `{"result": ...}` or `{"failure": ...}`. The program runs inline, through the Automation
API, so that no language host is needed.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation.events import EngineEvent, StepEventMetadata

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to run: `operation` (up, preview or destroy) on a stack of the project, by the engine in `engine`/bin.

    `secrets` are config values by path, set encrypted before the operation. `event_log` gets every event whole.
    `replace` names resources, by URN, that an up replaces whether they changed or not.
    """

    operation: str
    project: str
    stack: str
    engine: str
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
    except (automation.CommandError, subprocess.CalledProcessError) as error:
        emit({"failure": str(error)})
        return 1
    emit({"result": done})
    return 0


def _stack(request: Request) -> automation.Stack:
    program_file = str(Path(request.project) / "__main__.py")

    def program() -> None:
        runpy.run_path(program_file, run_name="__main__")

    stack = automation.create_or_select_stack(
        stack_name=request.stack,
        project_name="wireguard-mesh",
        program=program,
        # Not the function's own work_dir: with an inline program that one is ignored, and the stack's config with it.
        opts=automation.LocalWorkspaceOptions(
            work_dir=request.project,
            pulumi_home=request.pulumi_home,
            pulumi_command=automation.PulumiCommand(request.engine),
            env_vars=request.environment,
        ),
    )
    for path, value in request.secrets.items():
        # Not by the Automation API, which passes values as arguments, for everyone to see.
        subprocess.run(
            [
                stack.workspace.pulumi_command.command,
                "config",
                "set",
                "--secret",
                "--path",
                path,
                "--stack",
                stack.name,
            ],
            input=value,
            text=True,
            cwd=request.project,
            env={**os.environ, "PULUMI_HOME": request.pulumi_home},
            check=True,
        )
    return stack


def _operate(stack: automation.Stack, request: Request, on_event: Callable[[EngineEvent], None]) -> dict[str, Any]:
    operation = request.operation
    if operation == "preview":
        previewed = stack.preview(on_event=on_event, color="never", suppress_progress=True)
        return {"stdout": previewed.stdout, "changes": dict(previewed.change_summary)}
    if operation == "up":
        done: automation.UpResult | automation.DestroyResult = stack.up(
            on_event=on_event,
            color="never",
            suppress_progress=True,
            show_secrets=False,
            replace=request.replace or None,
        )
    elif operation == "destroy":
        done = stack.destroy(on_event=on_event, color="never", suppress_progress=True, show_secrets=False)
    else:
        raise ValueError(f"unknown operation {operation!r}")
    result = {"stdout": done.stdout, "changes": dict(done.summary.resource_changes or {})}
    if isinstance(done, automation.UpResult):
        result["outputs"] = {name: output.value for name, output in done.outputs.items() if not output.secret}
    return result


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
