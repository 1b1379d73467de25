"""The document's part about plan and render: tables of what was measured, and how to read them."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TypeAlias

from bench.document import facts, megabytes, seconds, table
from bench.machine import Machine
from bench.measure import Case, Result
from bench.meshes import OPENERS, Grants

Results: TypeAlias = Mapping[Case, Result]
# What the target in seconds is set on: everything between the checked config and the texts.
_MADE = ("plan", "keys", "render")
_GRANTS: dict[Grants, str] = {"none": "none", "few": f"each LAN to {OPENERS} others", "all": "`*` to `*`"}

_COMPARED = """
### A full mesh, next to wg-meshconf

Every site is a peer of every other, and has one LAN that nobody was granted: a mesh that wg-meshconf can describe as
well. Both read a description and private keys and end with a file for each site; "whole process" is all of that, from
the program's start to its end, and "processor time" what of it was computing.

"""

_GROWTH = """
### Growth with the number of links

Microseconds for each link. A link counts twice, since both its ends get a text for it. Flat means: twice the links take
twice the time.

"""

_GRANTED = f"""
### With grants

"{_GRANTS["few"]}": three services each, every other LAN masqueraded. "{_GRANTS["all"]}" is the worst case: everybody
may open everything to everybody, hosts and LANs.

"""

_PREVIEW = """
### At every preview

What a preview computes besides the engine's own work: the texts that it shows, and who reaches whom, read from those.

"""

_READING = """
### How to read this

- Each run is a process of its own, and the sizes take turns; a figure is the median of a size's runs. "Peak memory" is
  the process's, as the kernel counted it (`ru_maxrss`). Of each whole process of ours, {start} are Python's start and
  the import of its libraries.
- wireguard-mesh reads the stack config as the engine hands it over, checks it, plans, derives the public keys from the
  private ones and a preshared key for each pair, and renders for each site the wg-quick file and the firewall rules of
  IPv4 and IPv6. It holds all texts at once, as in an `up`. "Plan and render" is all of this but reading and checking.
- Neither side makes private keys in these runs. Both keep them: wireguard-mesh in the stack's state, wg-meshconf in its
  database, where `addpeer` puts them.
- wg-meshconf {version} is run as `wg-meshconf genconfig`, on a database with the same sites, keys, ports and MTU. It
  writes no preshared keys and no firewall rules, and checks neither addresses nor overlaps. It derives a peer's public
  key anew for each link, and writes its files as it goes, so it needs little memory.
- Not in here: the engine, its state and the hosts.
"""


def part(results: Results, machine: Machine, day: date, peer_version: str) -> str:
    """The part in Markdown, without its title."""
    waiting = max(result.waiting for result in results.values())
    more = [("wg-meshconf", peer_version), ("waiting for a processor or a disk", f"at most {waiting:.0%} of a run")]
    return "".join(
        (
            facts(machine, day, more),
            _COMPARED,
            _compared(results),
            _GROWTH,
            _growth(results),
            _GRANTED,
            _granted(results),
            _PREVIEW,
            _preview(results),
            _reading(results, peer_version),
        )
    )


def _reading(results: Results, peer_version: str) -> str:
    start = min(ours.start for ours, _, _ in _pairs(results))
    return _READING.format(version=peer_version, start=seconds(start))


def _compared(results: Results) -> str:
    rows = []
    for ours, theirs, sites in _pairs(results):
        made, ratio = seconds(ours.stages(*_MADE)), f"{theirs.seconds / ours.seconds:.1f}"
        rows.append((str(sites), f"{ours.count('links'):,}", "wireguard-mesh", made, *_process(ours), "1"))
        rows.append((str(sites), f"{theirs.count('links'):,}", "wg-meshconf", "", *_process(theirs), ratio))
    head = (
        "sites",
        "links",
        "program",
        "plan and render",
        "runs",
        "peak memory",
        "text",
        "processor time",
        "whole process",
    )
    return table((*head, "times as long"), rows)


def _process(result: Result) -> tuple[str, ...]:
    size = megabytes(result.peak_bytes), megabytes(result.count("bytes"))
    return str(len(result.samples)), *size, seconds(result.processor_seconds), seconds(result.seconds)


def _growth(results: Results) -> str:
    rows = [
        (
            str(sites),
            f"{ours.count('links'):,}",
            _each(ours.stages(*_MADE), ours),
            _each(theirs.seconds, theirs),
        )
        for ours, theirs, sites in _pairs(results)
    ]
    return table(("sites", "links", "wireguard-mesh, plan and render", "wg-meshconf, whole process"), rows)


def _granted(results: Results) -> str:
    rows = [
        (
            str(case.sites),
            _GRANTS[case.grants],
            f"{result.count('rules'):,}",
            megabytes(result.count("bytes")),
            seconds(result.stages(*_MADE)),
            seconds(result.seconds),
            megabytes(result.peak_bytes),
        )
        for case, result in results.items()
        if case.work == "texts" and case.grants != "none"
    ]
    return table(("sites", "grants", "rules", "text", "plan and render", "whole process", "peak memory"), rows)


def _preview(results: Results) -> str:
    rows = [
        (
            str(case.sites),
            _GRANTS[case.grants],
            f"{result.count('lines'):,}",
            seconds(result.stages("plan", "texts")),
            seconds(result.stages("reachability")),
            seconds(result.seconds),
            megabytes(result.peak_bytes),
        )
        for case, result in results.items()
        if case.work == "preview"
    ]
    head = ("sites", "grants", "lines of who reaches whom", "plan and texts", "reachability", "whole process")
    return table((*head, "peak memory"), rows)


def _pairs(results: Results) -> Iterable[tuple[Result, Result, int]]:
    """Our result without grants, wg-meshconf's, and their number of sites."""
    for case, result in results.items():
        if case.work == "texts" and case.grants == "none":
            yield result, results[Case("wg-meshconf", case.sites)], case.sites


def _each(seconds: float, result: Result) -> str:
    return f"{seconds * 1e6 / result.count('links'):.2f}"
