"""The document: every figure in it is one that was measured, and nothing in it tells where."""

import re
import socket
from datetime import date
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import peer
from bench.document import document
from bench.machine import Machine, this_machine
from bench.measure import Case, Result, Sample
from bench.process import Run
from tests.bench import stubs

MACHINE = Machine("Imaginary 9000", 4, 8 * 2**30, "Linux 6.1.0", "CPython 3.11.2", 0.25)


def result(seconds: float, megabytes: int, counts: dict[str, int], runs: int = 1, **stages: float) -> Result:
    return Result([Sample(Run(seconds, seconds * 0.75, megabytes * 10**6, ""), stages, counts)] * runs)


RESULTS = {
    Case("texts", 1000): result(
        2.5,
        300,
        {"links": 999_000, "rules": 8000, "bytes": 218_000_000},
        runs=3,
        config=0.25,
        plan=0.0625,
        keys=0.5,
        render=0.4365,
        write=0.5,
    ),
    Case("wg-meshconf", 1000): result(50.0, 27, {"links": 999_000, "rules": 0, "bytes": 152_000_000}),
    Case("texts", 30, "all"): result(
        0.75,
        50,
        {"links": 870, "rules": 12_345, "bytes": 7_000_000},
        config=0.0,
        plan=0.25,
        keys=0.0,
        render=0.125,
        write=0.0,
    ),
    Case("preview", 30, "few"): result(4.0, 70, {"lines": 151}, config=0.5, plan=0.25, texts=0.25, reachability=2.25),
}


def written() -> str:
    return document(RESULTS, MACHINE, date(2031, 2, 3), "2.5.1")


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def test_the_figures_are_those_that_were_measured() -> None:
    found = rows(written())
    assert ["1000", "999,000", "wireguard-mesh", "1.00 s", "3", "300 MB", "218 MB", "1.88 s", "2.50 s", "1"] in found
    assert ["1000", "999,000", "wg-meshconf", "", "1", "27 MB", "152 MB", "37.5 s", "50.0 s", "20.0"] in found
    # 0.999 s and 50 s over 999,000 links
    assert ["1000", "999,000", "1.00", "50.05"] in found
    assert ["30", "`*` to `*`", "12,345", "7.0 MB", "0.38 s", "0.75 s", "50 MB"] in found
    assert ["30", "each LAN to 5 others", "151", "0.50 s", "2.25 s", "4.00 s", "70 MB"] in found
    # 2.5 s less its stages, 1.749 s
    assert "0.75 s are Python's start" in written()


def test_it_tells_when_on_what_and_against_which_version() -> None:
    found = rows(written())
    assert ["measured", "2031-02-03"] in found
    assert ["processor", "Imaginary 9000, 4 cores"] in found
    assert ["memory", "8.0 GiB"] in found
    assert ["kernel", "Linux 6.1.0"] in found
    assert ["load before", "0.25"] in found
    assert ["waiting for a processor or a disk", "at most 25% of a run"] in found
    assert ["wg-meshconf", "2.5.1"] in found
    assert "no preshared keys and no firewall rules" in written()


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", written(), re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_lines_of_prose_are_at_most_120_characters_long() -> None:
    assert [line for line in written().splitlines() if len(line) > 120 and not line.startswith("|")] == []


def paths(text: str) -> list[str]:
    return re.findall(r"(?<![\w.])/\w+/\w*", text)


def test_a_path_would_be_found() -> None:
    assert paths("see docs/benchmarks.md and `*`/all") == []
    assert paths("in /tmp/x, or (/home/y)") == ["/tmp/x", "/home/y"]


def test_this_machine_is_told_without_its_name_and_without_a_path() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 10**8
    assert socket.gethostname() not in f"{machine.processor} {machine.kernel} {machine.python}"
    assert paths(document(RESULTS, machine, date(2031, 2, 3), "2.5.1")) == []


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command with tiny meshes and a stand-in for wg-meshconf; gives where it writes the document."""
    tiny = {
        Case("texts", 2): 1,
        Case("wg-meshconf", 2): 1,
        Case("texts", 3, "few"): 1,
        Case("preview", 2, "few"): 1,
    }
    monkeypatch.setattr(command, "FULL", tiny)
    monkeypatch.setattr(command, "QUICK", tiny)
    monkeypatch.setattr(command, "DOCUMENT", tmp_path / "benchmarks.md")
    monkeypatch.setattr(peer, "installed", lambda: tmp_path / "wg-meshconf")
    monkeypatch.setattr(peer, "command", lambda _: stubs.generates(tmp_path))
    return tmp_path / "benchmarks.md"


def test_the_command_writes_the_document(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench"])
    assert command.main() == 0
    text = small.read_text()
    assert ["2", "2", "wireguard-mesh"] in [row[:3] for row in rows(text)]
    assert paths(text) == []
    told = capsys.readouterr()
    assert told.out == ""
    assert "[4/4] preview of 2 sites" in told.err


def test_a_quick_run_prints_the_document_and_keeps_the_one_that_is_there(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write_text("of a whole run\n")
    monkeypatch.setattr("sys.argv", ["bench", "--quick"])
    assert command.main() == 0
    assert small.read_text() == "of a whole run\n"
    assert capsys.readouterr().out.startswith("# Benchmarks\n")


def test_a_failed_run_leaves_the_document_as_it_is(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write_text("of a whole run\n")
    monkeypatch.setattr(peer, "command", lambda _: stubs.fails(tmp_path))
    monkeypatch.setattr("sys.argv", ["bench"])
    assert command.main() == 1
    assert small.read_text() == "of a whole run\n"
    assert "no database" in capsys.readouterr().err


def test_every_size_of_ours_without_grants_has_one_of_wg_meshconf_beside_it() -> None:
    for cases in (command.FULL, command.QUICK):
        alone = [case for case in cases if case.work == "texts" and case.grants == "none"]
        assert alone
        assert all(Case("wg-meshconf", case.sites) in cases for case in alone)
