"""A command plugin that answers at once and dials nobody: with it, an `up` costs what the engine itself costs.

`install` puts it where the lab's own plugin was; the lab's home of plugins is all that it may touch.
"""

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Any

from lab.plugins.base import Provider
from lab.plugins.command import Command
from lab.plugins.serving import serve
from lab.plugins.values import Properties
from lab.plugins.versions import COMMAND

ROOT = Path(__file__).parents[1]
# About as much as the endpoints' program says; it is kept in the state.
ANSWER = "applied 0123456789ab: rules replaced, 1 peer added"


class Answering(Command):
    """`remote.Command` as far as the engine can tell."""

    async def _run(self, call: Any, values: Any, command: str, previous: Any) -> Properties:  # noqa: ARG002
        return {"stdout": ANSWER, "stderr": ""}


def install(pulumi_home: Path) -> None:
    """Writes it into that home, in place of the command plugin that is there."""
    program = pulumi_home / "plugins" / f"resource-command-v{COMMAND}" / "pulumi-resource-command"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.unlink(missing_ok=True)
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from bench.answering import main; main()"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(start)} "$@"\n')
    program.chmod(0o755)


def main() -> None:
    """Serves the engine that started it."""
    asyncio.run(serve(lambda: Provider(COMMAND, {"remote:Command": Answering()})))
