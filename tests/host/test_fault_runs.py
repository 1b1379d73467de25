"""Runs that are cut off, that meet one another, or that somebody else's doing surprises."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.host.killing import HELPER
from tests.host.observe import COMES_THERE, traces
from tests.host.outcome import PENDING, Prepared, agrees, confirm, refused, running, up
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between

WAITS = '[ ! -e /run/hold ] || case "$*" in {0}) touch /run/there; while [ -e /run/hold ]; do sleep 0.1; done ;; esac'
NOBODY_WATCHES = "while pgrep -f '[w]ireguard-mesh watch wg0' >/dev/null; do sleep 0.1; done"


@contextmanager
def held(host: Host, program: str, words: str, *command: str, stdin: str) -> Iterator[subprocess.Popen[str]]:
    """A run that waits where it calls the program with these words (a pattern of the shell's) until the end."""
    real = host.run("sh", "-c", f"command -v {program}").strip()
    host.run("sh", "-c", f"touch /run/hold; cat >/usr/local/bin/{program}; chmod 755 /usr/local/bin/{program}",
             stdin=f'#!/bin/sh\n{WAITS.format(words)}\nexec {real} "$@"\n')  # fmt: skip
    process = host.start(HELPER, *command)
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    process.stdin = None
    host.sh(f"{COMES_THERE} && rm /run/there")
    try:
        yield process
    finally:
        host.sh(f"rm -f /run/hold /usr/local/bin/{program}")


@pytest.mark.parametrize("signal", ["HUP", "INT", "TERM"])
def test_an_apply_whose_connection_ends_goes_back(nyc: Host, keys: Keys, signal: str) -> None:
    each = Prepared.of(nyc, keys)
    with held(nyc, "wg", "set*peer*", "apply", "wg0", stdin=each.new.text) as process:
        nyc.sh(f"pkill -{signal} -f '[w]ireguard-mesh apply wg0'")
    said = process.communicate(timeout=60)[0]
    assert said == f"wireguard-mesh: the run was ended; went back to {each.confirmed.generation[:12]}\n"
    each.runs_confirmed()
    nyc.sh(NOBODY_WATCHES)
    each.converges()


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_an_apply_whose_answer_nobody_reads_leaves_no_key_behind_and_goes_back_in_time(
    nyc: Host, keys: Keys, ends: str
) -> None:
    each = Prepared.of(nyc, keys)
    with held(nyc, "wg", "set*peer*", "apply", "wg0", "2", stdin=each.new.text) as process:
        assert process.stdout is not None
        process.stdout.close()  # stderr, too
        if ends == "badly":
            nyc.sh("pkill -TERM -f '[w]ireguard-mesh apply wg0'")
    process.wait(timeout=60)
    assert "work" not in nyc.sh("ls /run/wireguard-mesh/wg0"), "the bundle is gone"
    nyc.sh(NOBODY_WATCHES)
    each.runs_confirmed()
    each.converges()


def test_an_apply_waits_for_a_confirm_that_is_at_work(nyc: Host, keys: Keys) -> None:
    each = Prepared.of(nyc, keys)
    nyc.answer("apply", stdin=each.new.text)
    with held(nyc, "sync", "*", "confirm", "wg0", stdin=each.new.generation) as process:
        waiting = nyc.start(HELPER, "apply", "wg0")
        assert waiting.stdin is not None
        waiting.stdin.write(each.confirmed.text)
        waiting.stdin.close()
        waiting.stdin = None
        nyc.sh("until pgrep -f '[w]ireguard-mesh apply wg0' >/dev/null; do sleep 0.1; done")
        assert waiting.poll() is None
    assert process.communicate(timeout=60)[0] == f"confirmed {each.new.generation[:12]}\n"
    assert waiting.communicate(timeout=60)[0].startswith(f"applied {each.confirmed.generation[:12]}: ")
    confirm(nyc, each.confirmed)
    agrees(nyc, each.confirmed)
    each.converges()


def test_a_confirm_beside_an_apply_of_another_generation_is_pending(nyc: Host, keys: Keys) -> None:
    each = Prepared.of(nyc, keys)
    up(nyc, each.new)
    with held(nyc, "wg", "set*peer*", "apply", "wg0", stdin=each.confirmed.text) as process:
        late = nyc.start(HELPER, "confirm", "wg0")
        assert late.stdin is not None
        late.stdin.write(f"{'0' * 64}\n")
        late.stdin.close()
        late.stdin = None
    assert process.communicate(timeout=60)[0].startswith("applied ")
    assert "does not hold that generation; apply it first" in late.communicate(timeout=60)[0]
    assert late.returncode == PENDING
    confirm(nyc, each.confirmed)
    assert running(nyc) == each.with_confirmed


def test_an_apply_that_is_killed_while_another_waits_for_its_confirm_does_not_keep_that(nyc: Host, keys: Keys) -> None:
    each = Prepared.of(nyc, keys)
    nyc.answer("apply", "wg0", "4", stdin=each.new.text)
    third = keys.edited(between(NYC, AMS), "nyc", "MTU = 1420", "MTU = 1410")
    with held(nyc, "cp", "*/staged/wg0.conf.new", "apply", "wg0", stdin=third.text) as process:
        nyc.sh("pkill -KILL -f '[w]ireguard-mesh apply wg0'")
    process.communicate(timeout=60)
    nyc.sh(NOBODY_WATCHES)
    each.runs_confirmed()
    each.converges()


def _twice(host: Host, verb: str) -> None:
    """Asked twice, it does the second time nothing."""
    host.answer(verb)
    before = traces(host)
    second = host.answer(verb)
    assert traces(host) == before
    if verb != "status":
        assert second.startswith(("nothing", "no"))


SITUATIONS = {
    "blank": "rm -rf /etc/wireguard/* /run/wireguard-mesh; ip link del wg0; iptables -F; iptables -X",
    "confirmed": ":",
    "interface gone": "ip link del wg0",
    "rules flushed": "for table in raw mangle nat filter; do iptables -t $table -F; ip6tables -t $table -F; done",
    "peers gone": "wg show wg0 peers | while read -r peer; do wg set wg0 peer $peer remove; done",
    "interface down": "ip link set wg0 down",
    "killed at the staging": "cd /etc/wireguard; mkdir wg0.d/staged; cp wg0.conf wg0.d/staged",
    "timer's process killed": "pkill -KILL -f '[w]ireguard-mesh watch wg0' || :",
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_status_and_rollback_at_any_time_are_the_same_twice_and_an_up_follows(
    nyc: Host, keys: Keys, situation: str
) -> None:
    each = Prepared.of(nyc, keys)
    if situation.startswith("timer"):
        nyc.answer("apply", stdin=each.new.text)
    nyc.sh(SITUATIONS[situation])
    for verb in ("status", "rollback", "status"):
        _twice(nyc, verb)
    if situation != "blank":
        each.runs_confirmed()
    each.converges()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_remove_at_any_time_takes_all_and_is_the_same_twice(nyc: Host, keys: Keys, situation: str) -> None:
    before = traces(nyc)
    each = Prepared.of(nyc, keys)
    if situation.startswith("timer"):
        nyc.answer("apply", stdin=each.new.text)
    if situation == "blank":
        nyc.answer("remove")
    else:
        nyc.sh(SITUATIONS[situation])
        assert nyc.answer("remove") == "removed wg0"
    nyc.install()
    assert traces(nyc) == before
    assert nyc.answer("remove") == "nothing of ours on this host"
    nyc.install()
    each.converges()


def test_every_pair_of_verbs_in_a_row_ends_where_an_up_leads(nyc: Host, keys: Keys) -> None:
    each = Prepared.of(nyc, keys)
    order = ["apply", "rollback", "confirm", "apply", "apply", "confirm", "confirm", "rollback", "rollback", "apply"]
    assert len(set(pairwise(order))) == len(order) - 1
    for verb in order:
        stdin = {"apply": each.new.text, "confirm": each.new.generation}.get(verb, "")
        done = nyc.helper(verb, stdin=stdin)
        assert done.returncode in (0, PENDING), done
        if done.returncode == PENDING:
            refused(done, PENDING, "was not live any more and is again; confirm it once more")
    each.converges()
