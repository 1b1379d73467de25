"""The document of parts: one is renewed, the others are kept with their date and machine."""

from datetime import date

from bench.document import PARTS, TITLES, facts, renewed
from tests.bench.written import MACHINE, rows


def test_parts_are_in_their_order_whichever_came_first() -> None:
    text = renewed(renewed("", {"up": "of an up\n"}), {"texts": "of texts\n"})
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## {TITLES['texts']}",
        f"## {TITLES['up']}",
    ]


def test_a_part_that_is_renewed_takes_the_place_of_the_old_one_and_no_other() -> None:
    whole = renewed("", {part: f"{part}, before\n\n### How to read this\n\n- so\n" for part in PARTS})
    text = renewed(whole, {"loss": "loss, after\n"})
    assert text == whole.replace("loss, before\n\n### How to read this\n\n- so\n", "loss, after\n")


def test_to_renew_nothing_changes_nothing() -> None:
    whole = renewed("", {part: f"\n{part}\n" for part in PARTS})
    assert renewed(whole, {}) == renewed(renewed(whole, {}), {})


def test_what_is_no_part_is_not_kept() -> None:
    assert renewed("# Benchmarks\n\n## Of another time\n\nfigures\n", {}) == renewed("", {})


def test_each_part_tells_when_it_was_measured_and_on_what() -> None:
    found = rows(facts(MACHINE, date(2031, 2, 3), [("engine", "Pulumi 9")]))
    assert found[0] == ["measured", "2031-02-03"]
    assert ["processor", "Imaginary 9000, 4 cores"] in found
    assert ["memory", "8.0 GiB"] in found
    assert ["engine", "Pulumi 9"] in found
    assert ["load before", "0.25"] in found
