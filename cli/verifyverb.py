"""What people see of `meshctl verify`: each fault with its site, its peer and the reason, and the verdict."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from cli.check import NoStackFileError, check
from cli.console import console, unanswered
from cli.explain import only_stack_file
from cli.fleet import FleetError
from cli.verify import Verified, data, verify
from mesh.model import Mesh

VERIFY_STATUS = "Exit status: 0 proved, 1 not, 2 the stack's state cannot be had, or its file has faults."


def verify_command(
    *,
    stack: str | None = None,
    directory: Annotated[Path, Parameter(name=["--directory", "-C"])] = Path(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    within: Annotated[int, Parameter(validator=Number(gte=1, lte=600))] = 20,
) -> int:
    """Prove on the hosts themselves that the mesh is as the stack file says, after an `up`. Changes nothing.

    Every host runs what was confirmed; every two answer each other by a session that is newer than what changed; what
    is granted opens, what is not does not; so do the `probes` of the config. Needs what `pulumi up` needs: the engine,
    the stack's passphrase and SSH. A paused site is left out.

    Parameters
    ----------
    stack
        The stack whose hosts are asked. Without it: the one whose file is there.
    directory
        Where the project and its stack file are.
    as_json
        Print JSON, for programs.
    within
        Seconds after which a peer that is silent is given up.
    """
    try:
        name, path = only_stack_file(directory, stack)
        mesh = _mesh(name, path)
        with console(stderr=True).status("") as shown:
            found = verify(mesh, stack or name, directory, within, shown.update)
    except (NoStackFileError, FleetError) as error:
        return unanswered(error, as_json=as_json)
    if as_json:
        console().print(json.dumps(data(found), indent=2))
    else:
        for line in lines(name, found):
            console().print(line)
    return 1 if found.findings else 0


def _mesh(stack: str, path: Path) -> Mesh:
    mesh = check(stack, path, deployed=True).mesh
    if mesh is None:
        raise FleetError(f"{path.name} has faults; 'meshctl check {stack}' lists them")
    return mesh


def lines(stack: str, found: Verified) -> list[Text]:
    """The faults, those that sites have in common with one peer in one line; who was left out; and the verdict."""
    groups: dict[tuple[str | None, str], list[str]] = {}
    for one in found.findings:
        groups.setdefault((one.peer, one.reason), []).append(one.site)
    shown = [
        Text.assemble((", ".join(sites), "bold"), (f" and {peer}" if peer else "", "bold"), ": ", (reason, "red"))
        for (peer, reason), sites in groups.items()
    ]
    shown += [Text.assemble((site, "bold"), ": ", ("paused, and left out", "yellow")) for site in found.left_out]
    shown += [Text.assemble((site, "bold"), ": ", ("not waited for", "yellow")) for site in found.not_waited_for]
    number = len(found.findings)
    verdict = ("1 fault" if number == 1 else f"{number} faults", "bold red") if number else ("as configured", "green")
    return [*shown, Text.assemble((f"{stack}: ", "bold"), verdict, f"; {found.summary}")]
