"""The matrix in a terminal: what it looks like, at any width."""

import io
from collections.abc import Callable
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console

from lab.probing import Result
from lab.table import render
from mesh.model import Mesh
from tests.lab.results import between, matrix_for
from tests.lab.test_probing import same_prefix_twice
from tests.mesh.meshes import familiar, mesh, network, site


def drawn(built: Mesh, width: int = 100, change: Callable[[Result], Result] = lambda result: result) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(matrix_for(built, change), width))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def row(text: str, name: str) -> list[str]:
    """The words of a row."""
    return next(line.split()[1:] for line in text.splitlines() if line.split()[:1] == [name])


def test_the_table_of_four_endpoints_and_four_networks_fits_into_100_columns() -> None:
    sites = [
        site(name, f"10.99.0.{number}", network("services", f"10.{number}.0.0/24"), endpoint=f"203.0.113.{number}")
        for number, name in enumerate(("nyc", "ams", "sfo", "fra"), 1)
    ]
    text = drawn(mesh(*sites, access=[("ams.services", "nyc.services sfo.services", "")]))
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(("nyc", "ams", "sfo", "fra"))]
    assert rows[1:] == [
        ["nyc", "○", "·", "○", "·", "○", "·"],
        ["nyc.services", *"······"],
        ["ams", "○", "·", "○", "·", "○", "·"],
        ["ams.services", "·", "✓", "·", "✓", "·", "·"],
        ["sfo", "○", "·", "○", "·", "○", "·"],
        ["sfo.services", *"······"],
        ["fra", "○", "·", "○", "·", "○", "·"],
        ["fra.services", *"······"],
    ]
    assert "✓ granted, passes   ○ ping only, passes   · denied, blocked" in text
    assert text.rstrip().endswith("48 pairs, 18 probes granted, 126 denied: all as the policy says")


def test_a_problem_is_in_its_cell_and_in_words_below() -> None:
    text = drawn(familiar(), change=between("nyc.virbr0", "ams.lan", state="answered", protocol="tcp"))
    assert "! tcp" in " ".join(row(text, "nyc.virbr0"))
    assert "nyc.virbr0 → ams.lan  IPv4 tcp/7007: denied, but answered" in text
    assert "! denied, but passes" in text
    assert "1 of " in text.splitlines()[-1]


def test_where_heads_do_not_fit_columns_are_numbered_as_the_rows_are() -> None:
    text = drawn(familiar(), 60)
    assert max(cell_len(line) for line in text.splitlines()) <= 60
    assert text.splitlines()[0].split()[-8:] == ["1", "2", "3", "4", "5", "6", "7", "8"]
    assert [line.split()[:2] for line in text.splitlines() if line.strip().startswith("4 ")] == [["4", "ams.lan"]]


def test_where_no_table_fits_the_problems_and_the_verdict_remain() -> None:
    text = drawn(familiar(), 20, between("ams.lan", "nyc.virbr0", state="silent"))
    assert "from ↓" not in text
    assert "ams.lan → nyc.virbr0" in text
    assert "probes not" in text


def in_part() -> Mesh:
    """Everything granted to one, two services to another, five to a third, and one to an endpoint."""
    built = familiar()
    many = "icmp tcp/22 tcp/443 tcp/8000-8100 udp/53"
    access = [("ams.lan", "fra.lan", ""), ("ams.lan", "nyc.virbr0", "tcp/443 udp/53"), ("sfo.lan", "nyc.virbr0", many)]
    return replace(built, access=mesh(*built.sites, access=[*access, ("fra", "nyc", "tcp/22")]).access)


def test_a_cell_that_is_granted_in_part_shows_what() -> None:
    text = drawn(in_part(), 120)
    assert row(text, "ams.lan") == ["·", "tcp/443", "udp/53", "·", "·", "·", "✓"]
    assert row(text, "sfo.lan") == ["·", "icmp", "tcp/22", "tcp/443", "+2", "·", "·", "·", "·"]
    assert row(text, "fra") == ["ping", "tcp/22", "·", "○", "·", "○", "·"]
    assert "✓ granted, passes   ○ ping only, passes   tcp/… only that, passes   · denied, blocked" in text
    assert text.rstrip().endswith("all as the policy says")


def test_where_that_is_too_wide_each_service_has_a_line() -> None:
    text = drawn(in_part(), 90)
    assert max(cell_len(line) for line in text.splitlines()) <= 90
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.split()[:1] == ["sfo.lan"])
    assert [line.split() for line in lines[at : at + 5]] == [
        ["sfo.lan", "·", "icmp", "·", "·", "·", "·"],
        *([service] for service in ("tcp/22", "tcp/443", "tcp/8000-8100", "udp/53")),
    ]


def test_where_columns_are_numbered_what_is_granted_in_part_is_listed_below() -> None:
    text = drawn(in_part(), 66)
    assert max(cell_len(line) for line in text.splitlines()) <= 66
    assert row(text, "4") == ["ams.lan", "·", "◐", "·", "·", "·", "✓"]
    assert "◐ granted in part, passes" in " ".join(text.split())
    assert "◐ tcp/443 udp/53  4 → 2" in text
    assert "◐ icmp tcp/22 tcp/443 tcp/8000-8100 udp/53  6 → 2" in text


def test_a_network_that_others_know_by_another_prefix_is_told_with_both() -> None:
    lost = between("ams.lan", "nyc.virbr0", state="silent", port=443, family=4, protocol="tcp")
    for width in (100, 30, 26):
        text = " ".join(drawn(same_prefix_twice(), width, lost).split())
        assert "ams.lan 192.168.122.0/24, elsewhere 10.201.0.0/24" in text
        assert "nyc.virbr0 192.168.122.0/24, elsewhere 10.202.0.0/24" in text
        assert "IPv4 tcp/443 to 10.202.0.10 (192.168.122.10 there): granted, but silent (1 try)" in text
    assert "elsewhere" not in drawn(familiar())
