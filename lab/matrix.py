"""The reachability matrix: who was expected to reach whom, who does, as a table for people and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lab.policy import Point
from lab.probing import Result

PASSES, PING, PART, DENIED = "✓", "○", "◐", "·"
BLOCKED, LEAKED, DISGUISED = "✗", "!", "≠"

_STYLES = {PASSES: "green", PING: "cyan", PART: "yellow", DENIED: "dim"}
_LEGEND = {
    PASSES: "granted, passes",
    PING: "ping only, passes",
    PART: "granted in part, passes",
    DENIED: "denied, blocked",
    BLOCKED: "granted, but blocked",
    LEAKED: "denied, but passes",
    DISGUISED: "passes, wrong source address",
}
_WRONG = "bold red"
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """All results from one point to another."""

    source: Point
    destination: Point
    results: tuple[Result, ...]

    @property
    def problems(self) -> list[Result]:
        """Those that are not as the policy says."""
        return [result for result in self.results if result.problem]

    @property
    def marks(self) -> str:
        """One character for what the policy says where all is so; otherwise one for each kind of problem."""
        if self.problems:
            wrong = {
                BLOCKED: any(result.blocked for result in self.results),
                LEAKED: any(result.leaked for result in self.results),
                DISGUISED: any(result.disguised for result in self.results),
            }
            return "".join(mark for mark, present in wrong.items() if present)
        granted = {result.probe.protocol for result in self.results if result.probe.granted}
        if not granted:
            return DENIED
        if all(result.probe.granted for result in self.results):
            return PASSES
        return PING if granted == {"icmp"} else PART

    @property
    def part(self) -> str:
        """Where only part of what is granted, or denied, is wrong: which, in short (`tcp`, `IPv6`, `tcp6`)."""
        sides = {result.probe.granted for result in self.problems}
        wrong = {(result.probe.protocol, result.probe.family) for result in self.problems}
        every = {(each.probe.protocol, each.probe.family) for each in self.results if each.probe.granted in sides}
        if not wrong or wrong == every:
            return ""
        for protocol in sorted({protocol for protocol, _ in every}):
            if wrong == {pair for pair in every if pair[0] == protocol}:
                return protocol
        for family in sorted({family for _, family in every}):
            if wrong == {pair for pair in every if pair[1] == family}:
                return f"IPv{family}"
        return " ".join(f"{protocol}{family}" for protocol, family in sorted(wrong))


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells, and the points in their order."""

    points: tuple[Point, ...]
    cells: dict[tuple[Point, Point], Cell]

    @classmethod
    def of(cls, results: Iterable[Result]) -> "Matrix":
        """Sorts results into cells; points are in the order in which they first send."""
        sorted_in: dict[tuple[Point, Point], list[Result]] = {}
        for result in results:
            sorted_in.setdefault((result.probe.source, result.probe.destination), []).append(result)
        points = tuple(dict.fromkeys(source for source, _ in sorted_in))
        return cls(points, {pair: Cell(*pair, tuple(found)) for pair, found in sorted_in.items()})

    @property
    def problems(self) -> list[Result]:
        """Every result that is not as the policy says."""
        return [result for cell in self.cells.values() for result in cell.problems]

    @property
    def as_granted(self) -> bool:
        """The verdict: there is something to judge, and every cell is as the policy says."""
        return bool(self.cells) and not self.problems

    @property
    def summary(self) -> str:
        """One line: how many pairs and probes, and the verdict."""
        results = [result for cell in self.cells.values() for result in cell.results]
        granted = sum(result.probe.granted for result in results)
        wrong = len(self.problems)
        verdict = f"{wrong} of {len(results)} probes not as the policy says" if wrong else "all as the policy says"
        return f"{len(self.cells)} pairs, {granted} probes granted, {len(results) - granted} denied: {verdict}"

    def as_json(self) -> dict[str, Any]:
        """Plain data: the verdict, and every probe of every pair with what was expected and what was seen."""
        return {
            "as_granted": self.as_granted,
            "summary": self.summary,
            "points": [str(point) for point in self.points],
            "cells": [
                {
                    "from": str(cell.source),
                    "to": str(cell.destination),
                    "as_granted": not cell.problems,
                    "probes": [_plain(result) for result in cell.results],
                }
                for cell in self.cells.values()
            ],
        }


def _plain(result: Result) -> dict[str, Any]:
    probe = result.probe
    return {
        "family": probe.family,
        "protocol": probe.protocol,
        "port": probe.port or None,
        "from": str(probe.sends_from),
        "to": str(probe.sends_to),
        "granted": probe.granted,
        "state": result.state,
        "seen_as": result.seen,
        "seconds": result.seconds,
        "problem": result.problem,
    }


def render(matrix: Matrix, width: int) -> RenderableType:
    """The matrix for a terminal `width` columns wide: rows open flows to columns.

    Where full column heads do not fit, columns are numbered as the rows are; where numbers do not fit either, only
    what is not as the policy says is listed.
    """
    parts: list[RenderableType] = []
    for table in (_table(matrix, numbered=False), _table(matrix, numbered=True)):
        if _width(table) <= width:
            parts += [table, Text(""), _legend(matrix)]
            break
    else:
        parts.append(Text(f"The table needs {_width(table)} columns, and there are {width}: it is left out."))
    if matrix.problems:
        parts.append(_details(matrix.problems))
    parts.append(Text(matrix.summary, style="bold green" if matrix.as_granted else _WRONG))
    return Group(*parts)


def _table(matrix: Matrix, *, numbered: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="", show_edge=False)
    table.add_column(Text("from ↓  to →", style="dim"), no_wrap=True, vertical="bottom")
    for number, point in enumerate(matrix.points, 1):
        head = Text(str(number)) if numbered else _head(point)
        table.add_column(head, justify="center", no_wrap=True)
    for number, source in enumerate(matrix.points, 1):
        label = Text.assemble((f"{number:>3} ", "dim") if numbered else "", _label(source))
        following = matrix.points[number : number + 1]
        ends_site = bool(following) and following[0].site != source.site
        cells = (_cell(matrix, source, to, brief=numbered) for to in matrix.points)
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


def _cell(matrix: Matrix, source: Point, destination: Point, *, brief: bool) -> Text:
    cell = matrix.cells.get((source, destination))
    if cell is None:
        return Text("")
    if cell.problems:
        return Text(cell.marks if brief else f"{cell.marks} {cell.part}".rstrip(), style=_WRONG)
    return Text(cell.marks, style=_STYLES[cell.marks])


def _width(table: Table) -> int:
    """What the table needs: rich would otherwise cut it to what there is."""
    console = Console(width=10_000)
    return Measurement.get(console, console.options, table).maximum


def _legend(matrix: Matrix) -> Text:
    """What the marks in use mean: on one line those of what is as the policy says, on another the others."""
    used = {PASSES, DENIED}.union(*(cell.marks for cell in matrix.cells.values()))
    lines = []
    for styled in (True, False):
        marks = [mark for mark in _LEGEND if mark in used and (mark in _STYLES) == styled]
        if marks:
            entries = [Text.assemble((mark, _STYLES.get(mark, _WRONG)), (f" {_LEGEND[mark]}", "dim")) for mark in marks]
            lines.append(Text("   ").join(entries))
    return Text("\n").join(lines)


def _details(problems: Sequence[Result]) -> Text:
    text = Text()
    for result in problems[:_LISTED]:
        probe = result.probe
        text.append(f"{probe.source} → {probe.destination}", style="bold").append(f"  {probe}: {result.problem}\n")
    if len(problems) > _LISTED:
        text.append(f"and {len(problems) - _LISTED} more\n", style="dim")
    return text
