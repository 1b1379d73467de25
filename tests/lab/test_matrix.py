"""The matrix: from results to cells, a verdict, a table and JSON."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from lab.matrix import BLOCKED, DENIED, DISGUISED, LEAKED, PART, PASSES, PING, Cell, Matrix, render
from lab.policy import Point
from lab.probing import Probe, Result, probes
from lab.topology import lay_out
from mesh.model import Mesh, SiteName
from tests.lab.worlds import pair
from tests.mesh.meshes import familiar, mesh, network, site


def as_policy(probe: Probe) -> Result:
    """The result that the policy asks for."""
    if not probe.granted:
        return Result(probe, "silent", tries=1)
    seen = str(probe.arrives_as) if probe.arrives_as else None
    return Result(probe, "answered", seen, 0.001, 1)


def results_for(built: Mesh, change: Callable[[Result], Result] = lambda result: result) -> list[Result]:
    return [change(as_policy(probe)) for probe in probes(built, lay_out(built))]


def cell(results: Sequence[Result], source: str, destination: str) -> Cell:
    (found,) = (
        each
        for each in Matrix.of(results).cells.values()
        if (str(each.source), str(each.destination)) == (source, destination)
    )
    return found


def drawn(results: Sequence[Result], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(Matrix.of(results), width))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def between(source: str, destination: str, **changes: object) -> Callable[[Result], Result]:
    """Changes the results from one point to another where the probe's protocol or family is as the key words say."""
    outcome = {key: value for key, value in changes.items() if key in ("state", "seen")}
    only = {key: value for key, value in changes.items() if key not in outcome}

    def change(result: Result) -> Result:
        pair = (str(result.probe.source), str(result.probe.destination))
        fits = all(getattr(result.probe, key) == value for key, value in only.items())
        return replace(result, **outcome) if pair == (source, destination) and fits else result  # type: ignore[arg-type]

    return change


def test_every_ordered_pair_of_different_sites_is_probed_and_no_other() -> None:
    pairs = {(str(probe.source), str(probe.destination)) for probe in probes(pair(), lay_out(pair()))}
    assert pairs == {
        (source, destination)
        for here, there in ((["nyc", "nyc.virbr0"], ["ams", "ams.lan"]), (["ams", "ams.lan"], ["nyc", "nyc.virbr0"]))
        for source in here
        for destination in there
    }


def test_each_family_that_both_ends_have_is_probed_by_icmp_and_tcp() -> None:
    one_family = mesh(
        site("nyc", "10.99.0.1", network("lan", "10.1.0.0/24"), endpoint="203.0.113.10"),
        site("ams", "10.99.0.2", network("lan", "10.2.0.0/24", "fd02::/64"), endpoint="198.51.100.20"),
    )
    kinds = {
        (str(probe.source), str(probe.destination), str(probe)) for probe in probes(one_family, lay_out(one_family))
    }
    assert ("ams.lan", "nyc.lan", "IPv4 icmp") in kinds
    assert not [kind for *_, kind in kinds if "IPv6" in kind]
    assert {str(probe) for probe in probes(pair(), lay_out(pair()))} == {
        "IPv4 icmp",
        "IPv6 icmp",
        "IPv4 tcp/7007",
        "IPv6 tcp/7007",
    }


def test_a_masqueraded_network_has_to_see_its_gateway_and_any_other_the_opener() -> None:
    seen = {
        (str(probe.source), str(probe.destination)): str(probe.arrives_as)
        for probe in probes(pair(), lay_out(pair()))
        if probe.protocol == "tcp" and probe.family == 4
    }
    assert seen["ams.lan", "nyc.virbr0"] == "192.168.122.1"
    assert seen["nyc.virbr0", "ams.lan"] == "192.168.122.10"


def test_results_as_the_policy_says_give_its_marks_and_a_good_verdict() -> None:
    found = results_for(pair())
    assert Matrix.of(found).as_granted
    assert cell(found, "ams.lan", "nyc.virbr0").marks == PASSES
    assert cell(found, "nyc.virbr0", "ams.lan").marks == DENIED
    assert cell(found, "ams", "nyc").marks == PING


def test_a_cell_that_grants_some_of_its_probes_says_so() -> None:
    tcp_only = replace(pair(), access=mesh(*pair().sites, access=[("ams.lan", "nyc.virbr0", "tcp/7007")]).access)
    found = results_for(tcp_only)
    assert cell(found, "ams.lan", "nyc.virbr0").marks == PART
    assert Matrix.of(found).as_granted


@pytest.mark.parametrize(
    ("change", "marks", "part"),
    [
        (between("ams.lan", "nyc.virbr0", state="silent"), BLOCKED, ""),
        (between("ams.lan", "nyc.virbr0", state="refused"), BLOCKED, ""),
        (between("ams.lan", "nyc.virbr0", state="silent", protocol="tcp"), BLOCKED, "tcp"),
        (between("ams.lan", "nyc.virbr0", state="silent", family=6), BLOCKED, "IPv6"),
        (between("ams.lan", "nyc.virbr0", state="silent", family=6, protocol="icmp"), BLOCKED, "icmp6"),
        (between("ams.lan", "nyc.virbr0", seen="10.20.0.10", family=4, protocol="tcp"), DISGUISED, "tcp4"),
        (between("nyc.virbr0", "ams.lan", state="answered"), LEAKED, ""),
        (between("nyc.virbr0", "ams.lan", state="refused", protocol="tcp"), LEAKED, "tcp"),
        (between("ams", "nyc", state="silent", protocol="icmp"), BLOCKED, ""),
        (between("ams", "nyc", state="answered", protocol="tcp"), LEAKED, ""),
    ],
)
def test_a_result_against_the_policy_is_marked_and_fails_the_verdict(
    change: Callable[[Result], Result], marks: str, part: str
) -> None:
    found = results_for(pair(), change)
    wrong = [each for each in Matrix.of(found).cells.values() if each.problems]
    assert [(each.marks, each.part) for each in wrong] == [(marks, part)]
    assert not Matrix.of(found).as_granted


def test_an_error_that_came_back_is_as_good_a_block_as_silence() -> None:
    assert Matrix.of(results_for(pair(), between("nyc.virbr0", "ams.lan", state="unreachable"))).as_granted


def test_nothing_probed_is_no_good_verdict() -> None:
    assert not Matrix.of([]).as_granted


def test_the_table_of_four_endpoints_and_four_networks_fits_into_100_columns() -> None:
    sites = [
        site(name, f"10.99.0.{number}", network("services", f"10.{number}.0.0/24"), endpoint=f"203.0.113.{number}")
        for number, name in enumerate(("nyc", "ams", "sfo", "fra"), 1)
    ]
    text = drawn(results_for(mesh(*sites, access=[("ams.services", "nyc.services sfo.services", "")])))
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
    assert text.rstrip().endswith("48 pairs, 16 probes granted, 80 denied: all as the policy says")


def test_a_problem_is_in_its_cell_and_in_words_below() -> None:
    text = drawn(results_for(familiar(), between("nyc.virbr0", "ams.lan", state="answered", protocol="tcp")))
    row, *_ = (line for line in text.splitlines() if line.strip().startswith("nyc.virbr0"))
    assert "! tcp" in row
    assert "nyc.virbr0 → ams.lan  IPv4 tcp/7007: denied, but answered" in text
    assert "! denied, but passes" in text
    assert "1 of " in text.splitlines()[-1]


def test_where_heads_do_not_fit_columns_are_numbered_as_the_rows_are() -> None:
    text = drawn(results_for(familiar()), 60)
    assert max(cell_len(line) for line in text.splitlines()) <= 60
    assert text.splitlines()[0].split()[-8:] == ["1", "2", "3", "4", "5", "6", "7", "8"]
    assert [line.split()[:2] for line in text.splitlines() if line.strip().startswith("4 ")] == [["4", "ams.lan"]]


def test_where_no_table_fits_the_problems_and_the_verdict_remain() -> None:
    text = drawn(results_for(familiar(), between("ams.lan", "nyc.virbr0", state="silent")), 20)
    assert "from ↓" not in text
    assert "ams.lan → nyc.virbr0" in text
    assert "probes not" in text


def test_the_json_holds_every_probe_with_what_was_expected_and_seen() -> None:
    plain = json.loads(json.dumps(Matrix.of(results_for(pair(), between("ams", "nyc", state="silent"))).as_json()))
    assert plain["as_granted"] is False
    assert plain["points"] == ["nyc", "nyc.virbr0", "ams", "ams.lan"]
    (found,) = (each for each in plain["cells"] if (each["from"], each["to"]) == ("ams", "nyc"))
    assert not found["as_granted"]
    assert found["probes"][0] == {
        "family": 4,
        "protocol": "icmp",
        "port": None,
        "from": "10.99.0.2",
        "to": "10.99.0.1",
        "granted": True,
        "state": "silent",
        "seen_as": None,
        "seconds": 0.001,
        "problem": "granted, but silent (1 try)",
    }


def test_points_keep_the_users_order() -> None:
    assert Matrix.of(results_for(pair())).points == (
        Point(SiteName("nyc")),
        Point(SiteName("nyc"), "virbr0"),
        Point(SiteName("ams")),
        Point(SiteName("ams"), "lan"),
    )
