"""Where meshctl prints to: colours for people at a terminal, and plain lines for everybody else."""

import json
import sys

from rich.console import Console
from rich.text import Text


def console(*, stderr: bool = False) -> Console:
    """Colours on a terminal only, whatever the environment says; lines are not broken, for those who search."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, force_terminal=stream.isatty(), highlight=False, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """Says on stderr why there is no answer."""
    console(stderr=True).print(Text.assemble(("meshctl: ", "bold red"), text))


def unanswered(error: Exception, *, as_json: bool) -> int:
    """Says why a question has no answer, on stdout as JSON and otherwise on stderr; gives the exit status for that."""
    if as_json:
        console().print(json.dumps({"error": str(error)}, indent=2))
    else:
        complain(str(error))
    return 2
