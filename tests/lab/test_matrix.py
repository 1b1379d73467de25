"""The matrix: from results to cells, a verdict and JSON."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.matrix import BLOCKED, DENIED, DISGUISED, DISPUTED, LEAKED, PART, PASSES, PING, Matrix, shortened
from lab.policy import Point
from lab.probing import Result
from mesh.model import Family, Mesh, SiteName
from tests.lab.results import between, cell, matrix_for, results_for
from tests.lab.test_probing import same_prefix_twice
from tests.lab.worlds import pair
from tests.mesh.meshes import mesh


def granting(*access: tuple[str, str, str]) -> Mesh:
    return replace(pair(), access=mesh(*pair().sites, access=access).access)


def test_results_as_the_policy_says_give_its_marks_and_a_good_verdict() -> None:
    found = results_for(pair())
    assert Matrix.of(found).as_granted
    assert cell(found, "ams.lan", "nyc.virbr0").marks == PASSES
    assert cell(found, "nyc.virbr0", "ams.lan").marks == DENIED
    assert cell(found, "ams", "nyc").marks == PING


def test_a_cell_that_grants_some_of_its_probes_says_which() -> None:
    found = results_for(granting(("ams.lan", "nyc.virbr0", "udp/53 tcp/8000-8100 tcp/443"), ("ams", "nyc", "tcp/22")))
    part = cell(found, "ams.lan", "nyc.virbr0")
    assert (part.marks, part.services) == (PART, ("tcp/443", "tcp/8000-8100", "udp/53"))
    assert cell(found, "ams", "nyc").services == ("ping", "tcp/22")
    assert cell(found, "nyc.virbr0", "ams.lan").services == ()
    assert Matrix.of(found).as_granted


@pytest.mark.parametrize(
    ("services", "shown"),
    [
        (["tcp/443"], "tcp/443"),
        (["tcp/443", "udp/53"], "tcp/443 udp/53"),
        (["icmp", "tcp/443", "tcp/8000-8100", "udp/53"], "icmp tcp/443 +2"),
        (["tcp/10000-20000", "udp/10000-20000"], "tcp/10000-20000 +1"),
    ],
)
def test_what_is_too_long_for_a_cell_is_counted(services: list[str], shown: str) -> None:
    assert shortened(services, 22) == shown


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
        (between("nyc.virbr0", "ams.lan", state="open", protocol="udp", family=4), LEAKED, "udp4"),
        (between("nyc.virbr0", "ams.lan", arrived=True, protocol="icmp"), LEAKED, "icmp"),
        (between("ams", "nyc", state="silent", protocol="icmp"), BLOCKED, ""),
        (between("ams", "nyc", state="answered", protocol="tcp"), LEAKED, "tcp"),
        (between("ams", "nyc", state="answered"), LEAKED, ""),
    ],
)
def test_a_result_against_the_policy_is_marked_and_fails_the_verdict(
    change: Callable[[Result], Result], marks: str, part: str
) -> None:
    found = results_for(pair(), change)
    wrong = [each for each in Matrix.of(found).cells.values() if each.problems]
    assert [(each.marks, each.part) for each in wrong] == [(marks, part)]
    assert not Matrix.of(found).as_granted


def test_a_result_at_single_ports_is_marked_with_the_ports() -> None:
    built = granting(("ams.lan", "nyc.virbr0", "tcp/443 udp/53"))
    one = cell(
        results_for(built, between("ams.lan", "nyc.virbr0", state="answered", port=444)), "ams.lan", "nyc.virbr0"
    )
    assert (one.marks, one.part) == (LEAKED, "tcp/444 +1")
    lost = between("ams.lan", "nyc.virbr0", state="silent", port=443, protocol="tcp", family=6)
    two = cell(results_for(built, lost), "ams.lan", "nyc.virbr0")
    assert (two.marks, two.part) == (BLOCKED, "tcp6")


def test_what_the_texts_and_the_grants_do_not_agree_on_is_marked_and_fails_the_verdict() -> None:
    def nothing(source: str, destination: str, service: str, family: Family) -> bool:
        return False

    found = results_for(pair(), judged=nothing)
    disputed = cell(found, "ams.lan", "nyc.virbr0")
    assert (disputed.marks, disputed.part) == (DISPUTED, "")
    assert (cell(found, "ams", "nyc").marks, cell(found, "ams", "nyc").part) == (DISPUTED, "icmp")
    assert cell(found, "nyc.virbr0", "ams.lan").marks == DENIED
    assert not Matrix.of(found).as_granted


def test_an_error_that_came_back_is_as_good_a_block_as_silence() -> None:
    assert Matrix.of(results_for(pair(), between("nyc.virbr0", "ams.lan", state="unreachable"))).as_granted


def test_nothing_probed_is_no_good_verdict() -> None:
    assert not Matrix.of([]).as_granted


def test_the_json_holds_every_probe_with_what_was_expected_and_seen() -> None:
    plain = json.loads(json.dumps(Matrix.of(results_for(pair(), between("ams", "nyc", state="silent"))).as_json()))
    assert plain["as_granted"] is False
    assert plain["points"] == ["nyc", "nyc.virbr0", "ams", "ams.lan"]
    (found,) = (each for each in plain["cells"] if (each["from"], each["to"]) == ("ams", "nyc"))
    assert not found["as_granted"]
    assert found["granted"] == ["ping"]
    assert found["probes"][0] == {
        "family": 4,
        "protocol": "icmp",
        "port": None,
        "from": "10.99.0.2",
        "to": "10.99.0.1",
        "there": "10.99.0.1",
        "granted": True,
        "state": "silent",
        "seen_as": None,
        "seconds": 0.001,
        "problem": "granted, but silent (1 try)",
    }


def test_the_json_has_both_names_of_a_network_that_others_know_by_another_prefix() -> None:
    plain = json.loads(json.dumps(matrix_for(same_prefix_twice()).as_json()))
    assert plain["known_as"] == [
        {"network": "nyc.virbr0", "cidr": "192.168.122.0/24", "elsewhere": "10.202.0.0/24"},
        {"network": "ams.lan", "cidr": "192.168.122.0/24", "elsewhere": "10.201.0.0/24"},
    ]
    (found,) = (each for each in plain["cells"] if (each["from"], each["to"]) == ("ams.lan", "nyc.virbr0"))
    assert found["granted"] == ["tcp/443"]
    assert {(each["from"], each["to"], each["there"]) for each in found["probes"] if each["family"] == 4} == {
        ("192.168.122.10", "10.202.0.10", "192.168.122.10")
    }


def test_points_keep_the_users_order() -> None:
    assert Matrix.of(results_for(pair())).points == (
        Point(SiteName("nyc")),
        Point(SiteName("nyc"), "virbr0"),
        Point(SiteName("ams")),
        Point(SiteName("ams"), "lan"),
    )
