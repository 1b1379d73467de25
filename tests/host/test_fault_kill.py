"""The helper is killed by SIGKILL at every step: the next run makes one generation of it, as a whole.

`make test` kills at the first step of each kind that changes something, `make test-long` (FAULTS=all) at every call of
every program.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mesh.bundle import Bundle
from tests.host.killing import HELPER, Step, intercepted, killed, one_of_each, steps
from tests.host.observe import traces
from tests.host.outcome import agrees, confirm, running, tables, two_generations, up
from tests.host.rulesets import FOREIGN
from tests.host.scratch import HELPER as ORIGINAL
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between

ALL = os.environ.get("FAULTS") == "all"
PARTS = 12 if ALL else 2
NOBODY_WATCHES = "while pgrep -f '[w]ireguard-mesh watch wg0' >/dev/null; do sleep 0.1; done"


def _apply(host: Host, _confirmed: Bundle, new: Bundle) -> None:
    host.answer("apply", stdin=new.text)


def _apply_and_go_back(host: Host, _confirmed: Bundle, new: Bundle) -> None:
    host.answer("apply", stdin=new.text)
    host.answer("rollback")


def _apply_and_let_the_time_pass(host: Host, _confirmed: Bundle, new: Bundle) -> None:
    host.answer("apply", stdin=new.text)
    # Nobody watches, so that it is for this test to say when it is over.
    host.sh("pkill -KILL -f '[w]ireguard-mesh watch wg0'; while pgrep -f '[w]ireguard-mesh watch'; do :; done")
    host.sh(f"echo {new.generation} 0 >/run/wireguard-mesh/wg0.due")


def _nobody_watches(host: Host, _confirmed: Bundle, _new: Bundle) -> None:
    host.sh(NOBODY_WATCHES)  # a run starts nobody where one of an earlier run is still there


def _confirm(host: Host, _confirmed: Bundle, new: Bundle) -> None:
    confirm(host, new)


def _roll_back_and_confirm(host: Host, confirmed: Bundle, new: Bundle) -> None:
    host.answer("rollback")
    status = host.answer("status")
    assert f"confirmed: {confirmed.generation}\nstaged: {new.generation}\nlive: {confirmed.generation}\n" in status
    assert "differ" not in status
    confirm(host, new)


def _wait_and_confirm(host: Host, confirmed: Bundle, new: Bundle) -> None:
    host.sh(NOBODY_WATCHES)
    status = host.answer("status")
    assert f"confirmed: {confirmed.generation}\n" in status
    assert f"\nlive: {confirmed.generation}\n" in status
    assert "differ" not in status
    up(host, new)


@dataclass(frozen=True)
class Run:
    """A run to be killed: what comes before it, its words and what it reads, and what is done afterwards."""

    words: tuple[str, ...]
    before: Callable[[Host, Bundle, Bundle], None]
    way_out: Callable[[Host, Bundle, Bundle], None]
    stdin: Callable[[Bundle], str] = lambda new: new.generation
    kinds: tuple[str, ...] = ()  # where not every kind is tried: what makes a configuration live is the same for all


SOME = ("mv wg0.due", "mv applied", "ip6tables-restore", "wg set wg0")

# The host runs `confirmed` before each of them, and `new` in the end.
RUNS = {
    "apply, then up": Run(("apply", "wg0"), _nobody_watches, lambda host, _, new: up(host, new), lambda new: new.text),
    "apply, then nothing": Run(
        ("apply", "wg0", "1"),
        _nobody_watches,
        _wait_and_confirm,
        lambda new: new.text,
        ("setsid", *SOME, "ip route del"),
    ),
    "confirm": Run(("confirm", "wg0"), _apply, _confirm),
    "late confirm": Run(("confirm", "wg0"), _apply_and_go_back, _confirm, kinds=SOME),
    "rollback": Run(("rollback", "wg0"), _apply, _roll_back_and_confirm, kinds=("rm wg0.due", *SOME)),
    "undo": Run(("undo", "wg0"), _apply_and_let_the_time_pass, _confirm, kinds=("rm wg0.due", *SOME)),
}


def _chosen(found: list[Step], kinds: tuple[str, ...] = ()) -> list[Step]:
    return found if ALL else [step for step in one_of_each(found) if not kinds or step.kind.startswith(kinds)]


def _never_in_between(host: Host, before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]) -> None:
    """No table is half of one generation, and no interface is up whose rules are not there."""
    now = tables(host)
    for table in before | after | now:
        allowed = (before.get(table), after.get(table))
        assert now.get(table) in allowed, f"{table} is neither the old one nor the new one"
    if host.try_("ip", "link", "show", "dev", "wg0").returncode == 0:
        assert "*filter 4" in now


def _parts() -> list[tuple[str, int, int]]:
    """Runs, each in so many parts that none takes much longer than another."""
    parts = {name: PARTS if ALL or name == "apply, then up" else 1 for name in RUNS}
    return [(name, part, of) for name, of in parts.items() for part in range(of)]


@pytest.mark.parametrize(("name", "part", "of"), _parts())
def test_a_killed_run_is_made_whole_by_the_next_one(nyc: Host, keys: Keys, name: str, part: int, of: int) -> None:
    for program, text in FOREIGN.items():
        nyc.run(program, stdin=text)
    run = RUNS[name]
    confirmed, new = two_generations(keys)
    known, ours, found = {}, {}, {}
    for each in (confirmed, new, confirmed):
        up(nyc, each)
        known[each.generation], ours[each.generation] = running(nyc), tables(nyc)
    with intercepted(nyc):
        for _ in range(2):  # there and back
            run.before(nyc, confirmed, new)
            found[new.generation] = _chosen(steps(nyc, run.words, run.stdin(new)), run.kinds)
            run.way_out(nyc, confirmed, new)
            confirmed, new = new, confirmed
        for number in range(part, min(len(each) for each in found.values()), of):
            step = found[new.generation][number]
            run.before(nyc, confirmed, new)
            came_there = killed(nyc, step, run.words, run.stdin(new))
            assert came_there or ALL, f"never came to {step}"
            _never_in_between(nyc, ours[confirmed.generation], ours[new.generation])
            run.way_out(nyc, confirmed, new)
            agrees(nyc, new)
            assert running(nyc) == known[new.generation], f"killed at {step}"
            confirmed, new = new, confirmed


@pytest.mark.parametrize("part", range(PARTS))
def test_a_first_apply_that_is_killed_is_made_whole_or_taken_away(nyc: Host, keys: Keys, part: int) -> None:
    blank = traces(nyc)
    new = keys.bundle(between(NYC, AMS), "nyc")
    with intercepted(nyc):
        without = traces(nyc)
        found = _chosen(steps(nyc, ("apply", "wg0"), new.text))
        up(nyc, new)
        known, ours = running(nyc), tables(nyc)
        for number in range(part, len(found), PARTS):
            nyc.answer("remove")
            nyc.install()
            assert killed(nyc, found[number], ("apply", "wg0"), new.text) or ALL, f"never came to {found[number]}"
            _never_in_between(nyc, {}, ours)
            if number // PARTS % 2:
                nyc.answer("rollback")
                assert "\nlive: none\n" in nyc.answer("status")
                nyc.answer("remove")
                nyc.install()
                assert traces(nyc) == without, f"killed at {found[number]}"
            up(nyc, new)
            agrees(nyc, new)
            assert running(nyc) == known, f"killed at {found[number]}"
        nyc.answer("remove")
    nyc.install()
    assert traces(nyc) == blank


@pytest.mark.parametrize("part", range(PARTS))
def test_a_killed_remove_is_finished_by_the_next_one_or_undone_by_an_up(nyc: Host, keys: Keys, part: int) -> None:
    new = keys.bundle(between(NYC, AMS), "nyc")
    with intercepted(nyc):
        blank = traces(nyc)
        up(nyc, new)
        known, ours = running(nyc), tables(nyc)
        found = _chosen(steps(nyc, ("remove", "wg0"), ""))
        for number in range(part, len(found), PARTS):
            nyc.install()
            up(nyc, new)
            assert killed(nyc, found[number], ("remove", "wg0"), "") or ALL, f"never came to {found[number]}"
            _never_in_between(nyc, ours, {})
            if number // PARTS % 2:
                nyc.install()
                up(nyc, new)
                agrees(nyc, new)
                assert running(nyc) == known, f"killed at {found[number]}"
            # As the program has it run: nothing, where the helper is not there any more.
            nyc.sh(f"test ! -x {HELPER} || exec {HELPER} remove wg0")
            nyc.sh("rmdir /run/wireguard-mesh 2>/dev/null || :")  # all that may be left, and empty
            nyc.install()
            assert traces(nyc) == blank, f"killed at {found[number]}"


def test_an_install_that_is_killed_is_finished_by_the_next_one(blank: Host) -> None:
    with intercepted(blank):
        before = traces(blank)
        found = one_of_each(steps(blank, ("install", "wg0"), "", str(ORIGINAL)))
        assert {"cp wireguard-mesh", "mv wireguard-mesh"} <= {step.kind for step in found}
        blank.answer("remove")
        for step in found:
            assert killed(blank, step, ("install", "wg0"), "", str(ORIGINAL)), f"never came to {step}"
            blank.run("sh", str(ORIGINAL), "install", "wg0")
            assert blank.read(HELPER) == ORIGINAL.read_text()
            blank.answer("remove")
            assert traces(blank) == before, f"killed at {step}"
