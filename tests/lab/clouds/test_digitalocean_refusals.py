"""Each thing that the stand-in of DigitalOcean refuses or replaces, beside one that it takes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clouds.bench import RefusedError
from tests.lab.clouds.digitalocean_bench import Bench, benched
from tests.lab.clouds.digitalocean_rows import Row
from tests.lab.clouds.refusals_digitalocean import REFUSALS, REPLACEMENTS


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with benched(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.name)
def test_it_is_refused_with_these_words(bench: Bench, row: Row) -> None:
    with pytest.raises(RefusedError, match=re.escape(row.expected)):
        row.attempt(bench)


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.name)
def test_its_neighbour_is_taken(bench: Bench, row: Row) -> None:
    row.neighbour(bench)


@pytest.mark.parametrize("row", REPLACEMENTS, ids=lambda row: row.name)
def test_it_replaces_the_resource(bench: Bench, row: Row) -> None:
    assert row.attempt(bench) == row.expected


@pytest.mark.parametrize("row", REPLACEMENTS, ids=lambda row: row.name)
def test_its_neighbour_updates_in_place(bench: Bench, row: Row) -> None:
    assert str(row.neighbour(bench)).startswith("updates ")


def test_every_row_has_a_name_of_its_own_and_a_source() -> None:
    rows = (*REFUSALS, *REPLACEMENTS)
    assert len({row.name for row in rows}) == len(rows) >= 12
    assert all(row.source for row in rows)
