"""The matrix as people see it in a terminal: a table, what its marks mean, and what is wrong."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lab.matrix import BLOCKED, DENIED, DISGUISED, DISPUTED, LEAKED, PART, PASSES, PING, Matrix, shortened
from lab.policy import Point
from lab.probing import Result

_STYLES = {PASSES: "green", PING: "cyan", PART: "yellow", DENIED: "dim"}
_LEGEND = {
    PASSES: "granted, passes",
    PING: "ping only, passes",
    PART: "granted in part, passes",
    DENIED: "denied, blocked",
    BLOCKED: "granted, but blocked",
    LEAKED: "denied, but passes",
    DISGUISED: "passes, wrong source address",
    DISPUTED: "the hosts' texts and the grants differ",
}
_WRONG = "bold red"
_LISTED = 20
# Characters of what is granted in a cell.
_ROOM = 22

# "wide": heads and grants in full; "high": grants in lines of their own; "numbered": numbers for heads.
Form: TypeAlias = Literal["wide", "high", "numbered"]


def render(matrix: Matrix, width: int) -> RenderableType:
    """The matrix for a terminal `width` columns wide: rows open flows to columns.

    Where it does not fit, what a cell grants is put into lines of its own; then columns are numbered as the rows are,
    and what is granted is listed below; where numbers do not fit either, only what is not as the policy says is listed.
    """
    parts: list[RenderableType] = []
    for form in get_args(Form):
        table = _table(matrix, form)
        if _width(table) <= width:
            parts += [table, Text(""), _legend(matrix, form), *_grants(matrix, form)]
            break
    else:
        parts.append(Text(f"The table needs {_width(table)} columns, and there are {width}: it is left out."))
    parts += [Text.assemble((name, "bold"), f" {cidr}, elsewhere {known}") for name, cidr, known in matrix.known_as]
    if matrix.problems:
        parts.append(_details(matrix.problems))
    parts.append(Text(matrix.summary, style="bold green" if matrix.as_granted else _WRONG))
    return Group(*parts)


def _table(matrix: Matrix, form: Form) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="", show_edge=False)
    numbered = form == "numbered"
    table.add_column(Text("" if numbered else "\n").append("from ↓  to →", style="dim"), no_wrap=True)
    for number, point in enumerate(matrix.points, 1):
        head = Text(str(number)) if numbered else _head(point)
        table.add_column(head, justify="center", no_wrap=True)
    for number, source in enumerate(matrix.points, 1):
        label = Text.assemble((f"{number:>3} ", "dim") if numbered else "", _label(source))
        following = matrix.points[number : number + 1]
        ends_site = bool(following) and following[0].site != source.site
        cells = (_cell(matrix, source, to, form) for to in matrix.points)
        table.add_row(label, *cells, end_section=ends_site and not numbered)
    return table


def _head(point: Point) -> Text:
    if point.network is None:
        return Text.assemble((point.site, "bold"), ("\nendpoint", "dim"))
    return Text.assemble((point.site, "dim"), f"\n{point.network}")


def _label(point: Point) -> Text:
    if point.network is None:
        return Text(point.site, style="bold")
    return Text.assemble((f"{point.site}.", "dim"), point.network)


def _cell(matrix: Matrix, source: Point, destination: Point, form: Form) -> Text:
    cell = matrix.cells.get((source, destination))
    if cell is None:
        return Text("")
    if cell.problems:
        return Text(cell.marks if form == "numbered" else f"{cell.marks} {cell.part}".rstrip(), style=_WRONG)
    if cell.marks != PART or form == "numbered":
        return Text(cell.marks, style=_STYLES[cell.marks])
    listed = shortened(cell.services, _ROOM) if form == "wide" else shortened(cell.services, 2 * _ROOM)
    return Text(listed.replace(" ", "\n") if form == "high" else listed, style=_STYLES[PART])


def _width(table: Table) -> int:
    """What the table needs: rich would otherwise cut it to what there is."""
    console = Console(width=10_000)
    return Measurement.get(console, console.options, table).maximum


def _legend(matrix: Matrix, form: Form) -> Text:
    """What the marks in use mean: on one line those of what is as the policy says, on another the others."""
    used = {PASSES, DENIED}.union(*(cell.marks for cell in matrix.cells.values()))
    lines = []
    for styled in (True, False):
        marks = [mark for mark in _LEGEND if mark in used and (mark in _STYLES) == styled]
        if marks:
            entries = [_entry(mark, form) for mark in marks]
            lines.append(Text("   ").join(entries))
    return Text("\n").join(lines)


def _entry(mark: str, form: Form) -> Text:
    if mark == PART and form != "numbered":
        return Text.assemble(("tcp/…", _STYLES[PART]), (" only that, passes", "dim"))
    return Text.assemble((mark, _STYLES.get(mark, _WRONG)), (f" {_LEGEND[mark]}", "dim"))


def _grants(matrix: Matrix, form: Form) -> list[Text]:
    """What is granted in part, where the cells have no room for it: the pairs, by their numbers, for each."""
    pairs: dict[str, list[str]] = {}
    numbers = {point: number for number, point in enumerate(matrix.points, 1)}
    for cell in matrix.cells.values() if form == "numbered" else ():
        if cell.marks == PART:
            pair = f"{numbers[cell.source]} → {numbers[cell.destination]}"
            pairs.setdefault(" ".join(cell.services), []).append(pair)
    return [
        Text.assemble((f"{PART} {services}", _STYLES[PART]), f"  {', '.join(found)}")
        for services, found in pairs.items()
    ]


def _details(problems: Sequence[Result]) -> Text:
    text = Text()
    for result in problems[:_LISTED]:
        probe = result.probe
        text.append(f"{probe.source} → {probe.destination}", style="bold").append(f"  {probe}: {result.problem}\n")
    if len(problems) > _LISTED:
        text.append(f"and {len(problems) - _LISTED} more\n", style="dim")
    return text
