"""The command line of meshctl: its verbs, options and exit statuses."""

import json
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.text import Text

from cli.check import Checked, NoStackFileError, check, stack_files
from cli.console import complain as _complain
from cli.console import console as _console
from cli.explain import data, explain, lines, only_stack_file
from cli.question import QuestionError
from cli.statusverb import EXIT_STATUS, status_command
from cli.verifyverb import VERIFY_STATUS, verify_command
from mesh.faults import Fault

_FAULTS = 1
_USAGE = 2


def _version() -> str:
    """The version of the checkout that this file lies in, or else that of the installed package."""
    project = Path(__file__).parent.parent / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text())["project"]["version"])
    return metadata.version("wireguard-mesh")


app = App(
    name="meshctl",
    help="Looks after a WireGuard mesh that is described in Pulumi stack files.",
    version=_version,
    help_epilogue=(
        "Exit status: 0 all is well, 1 faults were found, 2 the command line is wrong or there is no such stack file."
    ),
)


@app.command(name="check")
def check_command(
    stack: str | None = None,
    /,
    *,
    directory: Annotated[Path, Parameter(name=["--directory", "-C"])] = Path(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Report every fault of stack files: place, value, way out.

    Needs no engine, no passphrase and no network; encrypted values stay encrypted.

    Parameters
    ----------
    stack
        The stack whose file, Pulumi.STACK.yaml, is checked. Without it: every stack file.
    directory
        Where the stack files are.
    as_json
        Print JSON, for programs.
    """
    try:
        verdicts = [check(name, path) for name, path in stack_files(directory, stack).items()]
    except NoStackFileError as error:
        if as_json:
            _console().print(json.dumps({"error": str(error), "stacks": []}, indent=2))
        else:
            _complain(str(error))
        return _USAGE
    if as_json:
        _console().print(json.dumps({"stacks": [_data(verdict) for verdict in verdicts]}, indent=2))
    else:
        for verdict in verdicts:
            _show(verdict, _console())
    return _FAULTS if any(verdict.faults for verdict in verdicts) else 0


@app.command(
    name="explain",
    help_epilogue="Exit status: 0 it passes, 1 it does not or only in part, 2 there is no answer.",
)
def explain_command(
    source: str,
    destination: str,
    service: str | None = None,
    /,
    *,
    stack: str | None = None,
    directory: Annotated[Path, Parameter(name=["--directory", "-C"])] = Path(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Say whether SOURCE can open SERVICE to DESTINATION, and what decides it: grants, prefixes, rules.

    Read from what the stack file's hosts would get, as `pulumi up` renders it; needs no engine and no passphrase.

    Parameters
    ----------
    source
        Who opens: a site's host, as 'ams', or the machines in a network behind it, as 'ams.lan'.
    destination
        To whom, said in the same way.
    service
        What: 'tcp/443', 'udp/8000-8100', 'tcp', 'icmp', 'ping' or 'all'. Without it: whatever passes between the two.
    stack
        The stack whose file, Pulumi.STACK.yaml, is read. Without it: the only one there.
    directory
        Where the stack file is.
    as_json
        Print JSON, for programs: every step, there and back, of each family.
    """
    try:
        checked = check(*only_stack_file(directory, stack))
        answer = explain(checked, source, destination, service)
    except (NoStackFileError, QuestionError) as error:
        if as_json:
            _console().print(json.dumps({"error": str(error)}, indent=2))
        else:
            for fault in str(error).splitlines():
                _complain(fault)
        return _USAGE
    if answer is None:
        if as_json:
            _console().print(json.dumps({"error": "the stack file has faults", **_data(checked)}, indent=2))
        else:
            _show(checked, _console(stderr=True))
            _complain("there is no answer until these faults are mended")
        return _USAGE
    if as_json:
        _console().print(json.dumps(data(answer, checked), indent=2))
    else:
        console = _console()
        verdict, *rest = lines(answer, checked.path, console.width if console.is_terminal else None)
        console.print(Text(verdict, "bold green" if answer.passes else "bold red"))
        for line in rest:
            console.print(Text(line))
    return 0 if answer.passes else 1


app.command(status_command, name="status", help_epilogue=EXIT_STATUS)
app.command(verify_command, name="verify", help_epilogue=VERIFY_STATUS)


def main() -> None:
    """Runs meshctl, and ends the process with its exit status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line; gives its exit status."""
    try:
        status = app(
            arguments,
            console=_console(),
            error_console=_console(stderr=True),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        _complain(f"{error}\nTry 'meshctl --help'.")
        return _USAGE
    return status if isinstance(status, int) else 0


def _show(verdict: Checked, console: Console) -> None:
    name = verdict.path.name
    for fault in verdict.faults:
        console.print(_line(verdict, fault, "fault", "bold red"))
    for warning in verdict.warnings:
        console.print(_line(verdict, warning, "warning", "bold yellow"))
    for note in verdict.notes:
        console.print(_line(verdict, note, "note", "bold yellow"))
    if verdict.faults:
        console.print(Text.assemble((f"{name}: {_count(len(verdict.faults), 'fault')}", "bold red")))
    elif verdict.mesh:
        sites, grants = len(verdict.mesh.sites), len(verdict.mesh.access)
        summary = f"{_count(sites, 'site')}, {_count(grants, 'grant')}, no faults"
        if verdict.warnings:
            summary += f", {_count(len(verdict.warnings), 'warning')}"
        if verdict.notes:
            summary += "; the notes are faults for hosts, not for the lab"
        console.print(Text.assemble((f"{name}: ", "bold"), (summary, "green")))


def _line(verdict: Checked, fault: Fault, what: str, style: str) -> Text:
    """`file:line: what: place: message`, the form that editors and terminals make links of."""
    line = verdict.file.line(fault.place)
    where = f"{verdict.path}:{line}: " if line else f"{verdict.path}: "
    return Text.assemble(
        (where, "dim"), (f"{what}: ", style), (f"{fault.place}: " if fault.place else "", "bold"), fault.message
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _data(verdict: Checked) -> dict[str, object]:
    def listed(faults: tuple[Fault, ...]) -> list[dict[str, object]]:
        return [{"line": verdict.file.line(f.place), "place": f.place, "message": f.message} for f in faults]

    return {
        "stack": verdict.stack,
        "file": str(verdict.path),
        "faults": listed(verdict.faults),
        "warnings": listed(verdict.warnings),
        "notes": listed(verdict.notes),
    }
