"""The part about plan and render: every figure in it is one that was measured, and nothing in it tells where."""

import socket
from datetime import date

from bench.document_texts import part
from bench.machine import this_machine
from bench.measure import Case, Result, Sample
from bench.process import Run
from tests.bench.written import MACHINE, assert_well_formed, paths, rows


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
    return part(RESULTS, MACHINE, date(2031, 2, 3), "2.5.1")


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


def test_it_is_well_formed_and_tells_of_no_path() -> None:
    assert_well_formed(written())


def test_a_path_would_be_found() -> None:
    assert paths("see docs/benchmarks.md and `*`/all") == []
    assert paths("in /tmp/x, or (/home/y)") == ["/tmp/x", "/home/y"]


def test_this_machine_is_told_without_its_name_and_without_a_path() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 10**8
    assert socket.gethostname() not in f"{machine.processor} {machine.kernel} {machine.python}"
    assert paths(part(RESULTS, machine, date(2031, 2, 3), "2.5.1")) == []
