"""The document of the results, docs/benchmarks.md: parts that are measured anew one by one, each with its own date."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal, TypeAlias, get_args

from bench.machine import Machine

Part: TypeAlias = Literal["texts", "loss", "up"]
PARTS: tuple[Part, ...] = get_args(Part)
TITLES: Mapping[Part, str] = {
    "texts": "Plan and render",
    "loss": "Packets lost while something changes",
    "up": "What an `up` costs",
}

_HEAD = """\
# Benchmarks

Written by `make bench`, which measures anew and replaces this file, or one of its parts: `make bench part=loss`. Each
part says when it was measured, and on what.
"""


def renewed(existing: str, made: Mapping[Part, str]) -> str:
    """The document with these parts, in place of those that it had; all others are kept as they are.

    A part that nobody measured is not there.
    """
    parts = {**_parts(existing), **made}
    return _HEAD + "".join(f"\n## {TITLES[name]}\n\n{parts[name]}" for name in PARTS if name in parts)


def _parts(text: str) -> dict[Part, str]:
    """The parts of a document, by name, without their titles."""
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    found = dict(section.split("\n", 1) for section in sections)
    return {name: found[title].strip("\n") + "\n" for name, title in TITLES.items() if title in found}


def facts(machine: Machine, day: date, more: Iterable[Sequence[str]]) -> str:
    """The table with which each part begins: when it was measured, and on what."""
    rows = [
        ("processor", f"{machine.processor}, {machine.cores} cores"),
        ("memory", f"{machine.memory_bytes / 2**30:.1f} GiB"),
        ("kernel", machine.kernel),
        ("Python", machine.python),
        *more,
        ("load before", f"{machine.load:.2f}"),
    ]
    return table(("measured", day.isoformat()), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns of figures are flush right, where some are left out too."""
    columns = zip(*rows, strict=True)
    under = [
        "---:" if "".join(cells) and all(cell[:1].isdigit() for cell in cells if cell) else "---" for cells in columns
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, under, *rows))


def seconds(value: float) -> str:
    """A duration in seconds, with as many digits as mean something."""
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def megabytes(value: float) -> str:
    """A size, given in bytes."""
    return f"{value / 1e6:.0f} MB" if value >= 1e7 else f"{value / 1e6:.1f} MB"
