"""Where meshctl prints to: colours for people at a terminal, and plain lines for everybody else."""

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
