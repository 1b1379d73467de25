"""The part about an `up`: every figure in it is one that was measured, next to the largest floor."""

from datetime import date

from bench.document_ups import part
from bench.ups import Measured, Up
from tests.bench.written import MACHINE, assert_well_formed, rows

MEASURED = Measured(
    [
        Up(10, "first", 31, 53, 1_900_000, 12.0, 8.0, 0, 0, 30, 2.0, 4.5),
        Up(10, "nothing", 0, 53, 1_900_000, 4.0, 5.0, 0, 0),
        Up(10, "added", 23, 58, 12_100_000, 9.0, 5.0, 1200, 2, 23, 1.5, 7.5),
    ],
    "Pulumi 9.9.9",
    "the release",
    "the kernel's",
)


def written() -> str:
    return part(MEASURED, MACHINE, date(2031, 2, 3))


def test_the_figures_are_those_that_were_measured() -> None:
    found = rows(written())
    first = ["10", "first", "30", "31", "12.0 s", "8.00 s", "2.00 s", "4.50 s", "1.50", "0.96", "", "53", "1.9 MB"]
    assert first in found
    added = ["10", "one site added", "23", "23", "9.00 s", "5.00 s", "1.50 s", "7.50 s", "1.80", "0.72"]
    assert [*added, "2 of 1,200", "58", "12 MB"] in found


def test_where_nothing_changes_the_engine_alone_is_the_floor() -> None:
    (row,) = (row for row in rows(written()) if "nothing changed" in row)
    assert row[2:4] == ["0", "0"]
    assert row[8] == "0.80"


def test_it_tells_with_what() -> None:
    found = rows(written())
    for fact in (["engine", "Pulumi 9.9.9"], ["command plugin", "the release"], ["WireGuard", "the kernel's"]):
        assert fact in found


def test_it_is_well_formed_and_tells_of_no_path() -> None:
    assert_well_formed(written())
