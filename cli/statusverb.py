"""What people see of `meshctl status`: a line for each site, and below them each thing that is not as it should be."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from cli.check import NoStackFileError, declared_sites
from cli.console import console, unanswered
from cli.explain import only_stack_file
from cli.fleet import FleetError
from cli.hoststatus import PeerStatus
from cli.status import SiteState, age, data, short, size, survey

EXIT_STATUS = "Exit status: 0 all is as it should be, 1 it is not, 2 the stack's state cannot be had."
_HEADS = ("site", "generation", "peers", "handshakes", "received", "sent")
_RIGHT = {"peers", "received", "sent"}
# As many names as are told of those that are silent.
_NAMED = 3


def status_command(
    *,
    stack: str | None = None,
    directory: Annotated[Path, Parameter(name=["--directory", "-C"])] = Path(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Ask every host whether it still is as the last `up` left it: generation, drift, handshakes. Changes nothing.

    What somebody edited on a host shows as drift. A site that no `up` has come to is a fault, too; a paused one that
    cannot be reached is none. Needs what `pulumi up` needs: the engine, the stack's passphrase and SSH.

    Parameters
    ----------
    stack
        The stack whose hosts are asked. Without it: the one whose file is there.
    directory
        Where the project and its stack file are.
    as_json
        Print JSON, for programs.
    """
    try:
        name, path = only_stack_file(directory, stack)
        with console(stderr=True).status("") as shown:
            sites = survey(stack or name, directory, declared_sites(path), shown.update)
    except (NoStackFileError, FleetError) as error:
        return unanswered(error, as_json=as_json)
    if as_json:
        console().print(json.dumps(data(name, sites), indent=2))
    else:
        for line in lines(name, sites):
            console().print(line)
    return 1 if any(site.faults for site in sites) else 0


def lines(stack: str, sites: Sequence[SiteState]) -> list[Text]:
    """The table, what is wrong and what is worth knowing, and the verdict."""
    if not sites:
        return [Text.assemble((f"{stack}: ", "bold"), "no site is deployed; 'pulumi up' does that")]
    rows = [_row(site) for site in sites]
    widths = [max(len(row[column]) for row in (_HEADS, *rows) if len(row) > 2) for column in range(len(_HEADS))]
    widths[0] = max(len(row[0]) for row in (_HEADS, *rows))
    shown = [Text(_laid_out(_HEADS, widths), "dim")]
    for site, row in zip(sites, rows, strict=True):
        shown.append(Text(_laid_out(row, widths), "red" if site.faults else "yellow" if site.host is None else ""))
    told = [
        Text.assemble((f"{site.site}: ", "bold"), (text, style))
        for site in sites
        for texts, style in ((site.faults, "red"), (site.remarks, "yellow"))
        for text in texts
    ]
    wrong = sum(bool(site.faults) for site in sites)
    number = "1 site" if len(sites) == 1 else f"{len(sites)} sites"
    if wrong:
        verdict = (f"{wrong} of {number} {_are(wrong)}", "bold red")
    else:
        verdict = (f"{number}, all as {'it' if len(sites) == 1 else 'they'} should be", "green")
    return [*shown, *([Text(""), *told] if told else []), Text(""), Text.assemble((f"{stack}: ", "bold"), verdict)]


def _are(number: int) -> str:
    return "is not as it should be" if number == 1 else "are not as they should be"


def _laid_out(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.rjust(width) if head in _RIGHT else cell.ljust(width)
        for head, cell, width in zip(_HEADS, cells, widths, strict=False)
    )
    return "  ".join(aligned).rstrip()


def _row(site: SiteState) -> tuple[str, ...]:
    if not site.set_up:
        return site.site, "not set up"
    if site.host is None:
        return site.site, "paused, no answer" if site.paused else "no answer"
    peers = site.host.peers
    return (
        site.site,
        short(site.host.live) + (" (paused)" if site.paused else ""),
        str(len(peers)),
        _handshakes(peers),
        size(sum(peer.received for peer in peers)),
        size(sum(peer.sent for peer in peers)),
    )


def _handshakes(peers: Sequence[PeerStatus]) -> str:
    """How long ago, from the newest to the oldest; and with whom there was none."""
    ages = sorted(peer.handshake_age for peer in peers if peer.handshake_age is not None)
    silent = [peer.site for peer in peers if peer.handshake_age is None]
    parts = []
    if ages:
        parts.append(f"{age(ages[0])} ago" if ages[0] == ages[-1] else f"{age(ages[0])} to {age(ages[-1])} ago")
    if silent:
        more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
        parts.append(f"never with {', '.join(silent[:_NAMED])}{more}")
    return "; ".join(parts)
