"""The table of faults names tests that exist, and every test of a fault stands in it."""

import ast
from pathlib import Path

from tests.host.faults import FAULTS, table

FOLDER = Path(__file__).parent


def _tests(path: Path) -> set[str]:
    return {
        f"{path.name}::{each.name}"
        for each in ast.parse(path.read_text()).body
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }


def test_every_fault_has_tests_and_every_test_of_a_fault_is_in_the_table() -> None:
    named = {name for each in FAULTS for name in each.tests}
    there = {path.name: _tests(path) for path in FOLDER.glob("test_*.py")}
    assert not named - {name for found in there.values() for name in found}, (
        "tests that the table names and nobody wrote"
    )
    of_faults = {each for name, found in there.items() if name.startswith("test_fault_") for each in found}
    assert not of_faults - named - _tests(Path(__file__)), "tests of faults that the table does not name"


def test_the_table_has_a_row_for_each_fault_and_no_empty_cell() -> None:
    rows = table().splitlines()[2:]
    assert len(rows) == len(FAULTS) == len({each.fault for each in FAULTS})
    assert all(row.count(" | ") == 3 and "|  |" not in row for row in rows)


def test_the_documents_have_the_table_as_it_is() -> None:
    assert table() in (FOLDER.parents[1] / "docs" / "operations.md").read_text()
