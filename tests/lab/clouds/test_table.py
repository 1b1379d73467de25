"""docs/stand-ins.md says what the tests of the clouds' stand-ins go through."""

from tests.lab.clouds.table import DOCUMENT, TABLES, render


def test_the_page_is_what_the_tables_say() -> None:
    assert DOCUMENT.read_text() == render(), "run `python -m tests.lab.clouds.table`"


def test_every_row_is_on_the_page_with_its_source() -> None:
    page = DOCUMENT.read_text()
    rows = [row for _, *both in TABLES for table in both for row in table]
    assert len(rows) >= 25
    assert len([line for line in page.splitlines() if line.startswith("| ") and "---" not in line]) == len(rows) + 4
