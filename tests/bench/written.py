"""What the tests of the document look at: its tables' rows, and paths of a machine that have no place in it."""

import re

from bench.machine import Machine

MACHINE = Machine("Imaginary 9000", 4, 8 * 2**30, "Linux 6.1.0", "CPython 3.11.2", 0.25)


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, row by row."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def paths(text: str) -> list[str]:
    """Absolute paths."""
    return re.findall(r"(?<![\w.])/\w+/\w*", text)


def assert_well_formed(text: str) -> None:
    """Every row has as many cells as its table's head, lines of prose are at most 120 characters long, no path."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []
    assert paths(text) == []
