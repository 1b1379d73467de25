"""The part about lost packets: every figure in it is one that was counted."""

from datetime import date

from bench.document_loss import part
from bench.loss import Counted, Loss, Measured
from tests.bench.written import MACHINE, assert_well_formed, rows

MEASURED = Measured(
    {
        ("wireguard-mesh", "nothing"): Loss([Counted(1500, 0, 1.5)] * 3),
        ("wireguard-mesh", "rules"): Loss([Counted(1200, 0, 1.0), Counted(1400, 0, 3.0), Counted(1000, 0, 2.0)]),
        ("wireguard-mesh", "added"): Loss([Counted(500, 0, 0.5)]),
        ("wg-quick down, up", "added"): Loss([Counted(900, 40, 0.25), Counted(700, 0, 0.25), Counted(800, 3, 0.75)]),
    },
    "wireguard-go",
)


def written() -> str:
    return part(MEASURED, MACHINE, date(2031, 2, 3))


def test_the_figures_are_those_that_were_counted() -> None:
    found = rows(written())
    assert ["rules replaced", "wireguard-mesh", "3", "3,600", "0", "0", "0 of 3", "2.00 s"] in found
    assert ["a third site added", "wg-quick down, up", "3", "2,400", "43", "40", "2 of 3", "0.25 s"] in found
    assert ["nothing", "wireguard-mesh", "3", "4,500", "0", "0", "0 of 3", ""] in found
    assert ["WireGuard", "wireguard-go"] in found


def test_a_change_has_all_its_ways_together_and_what_was_not_measured_no_row() -> None:
    said = [row[:2] for row in rows(written()) if row[1] in {"wireguard-mesh", "wg-quick down, up"}]
    assert said == [
        ["nothing", "wireguard-mesh"],
        ["a third site added", "wireguard-mesh"],
        ["a third site added", "wg-quick down, up"],
        ["rules replaced", "wireguard-mesh"],
    ]


def test_it_is_well_formed_and_tells_of_no_path() -> None:
    assert_well_formed(written())
