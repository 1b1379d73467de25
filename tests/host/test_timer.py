"""What is applied and never confirmed: the host goes back by itself, whatever became of who applied it."""

import re

import pytest

from tests.host.observe import COMES_THERE, peers, state, traces
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle

HELPER = "/usr/local/sbin/wireguard-mesh"
GONE_BACK = "until ! wg show wg0 peers | grep -q {}; do sleep 0.1; done"
NOBODY_WATCHES = "while pgrep -f '[w]ireguard-mesh watch wg0' >/dev/null; do sleep 0.1; done"
WATCHED = "/run/wireguard-mesh/wg0.watched"


def apply(host: Host, text: str, seconds: int) -> str:
    return host.answer("apply", "wg0", str(seconds), stdin=text)


def kill_at(host: Host, step: str, verb: str, stdin: str, *words: str) -> None:
    """Runs the helper, and kills it by SIGKILL where it calls `ip` with the words of the step."""
    stop = f'case "$*" in *"{step}"*) touch /run/there; exec sleep 600 >/dev/null 2>&1 ;; esac'
    host.run("sh", "-c", "cat >/usr/local/bin/ip; chmod 755 /usr/local/bin/ip",
             stdin=f'#!/bin/sh\n{stop}\nexec {host.sh("command -v ip").strip()} "$@"\n')  # fmt: skip
    running = host.start(HELPER, verb, "wg0", *words)
    assert running.stdin is not None
    running.stdin.write(stdin)
    running.stdin.close()
    running.stdin = None
    host.sh(f"{COMES_THERE}; rm /usr/local/bin/ip")
    host.sh(f"pkill -KILL -f '[w]ireguard-mesh {verb} wg0'")
    running.communicate(timeout=10)


def test_what_nobody_confirms_goes_back_and_stays_staged_for_a_later_confirm(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    before = state(nyc)
    apply(nyc, second.text, 1)
    assert len(peers(nyc)) == 2
    nyc.sh(GONE_BACK.format(keys.of("sfo").public_key()))
    nyc.sh(NOBODY_WATCHES)
    after = state(nyc)
    for name in ("rules", "device", "peers", "routes", "forwarding", "link"):
        assert after[name] == before[name]
    status = nyc.answer("status")
    assert f"confirmed: {first.generation}\nstaged: {second.generation}\nlive: {first.generation}" in status
    assert "goes back" not in status

    # A confirm that comes late makes it live again, and is to be repeated from yet another connection.
    late = nyc.helper("confirm", stdin=second.generation)
    assert (late.returncode, late.stdout) == (75, "")
    assert len(peers(nyc)) == 2
    assert nyc.answer("confirm", stdin=second.generation) == f"confirmed {second.generation[:12]}"
    nyc.sh(NOBODY_WATCHES)


def test_a_late_confirm_that_is_not_repeated_goes_back_as_well(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    apply(nyc, second.text, 1)
    nyc.sh(GONE_BACK.format(keys.of("sfo").public_key()))
    assert nyc.helper("confirm", "wg0", "1", stdin=second.generation).returncode == 75
    nyc.sh(GONE_BACK.format(keys.of("sfo").public_key()))
    assert f"live: {first.generation}" in nyc.answer("status")


def test_a_first_apply_that_nobody_confirms_is_taken_down(nyc: Host, keys: Keys) -> None:
    first = keys.bundle(between(NYC, AMS), "nyc")
    apply(nyc, first.text, 1)
    nyc.sh("while ip link show wg0 >/dev/null 2>&1; do sleep 0.1; done")
    nyc.sh("while iptables-save | grep -q WG0-; do sleep 0.1; done")
    assert f"confirmed: none\nstaged: {first.generation}\nlive: none" in nyc.answer("status")


def test_what_is_confirmed_in_time_stays_and_nobody_watches_it(nyc: Host, keys: Keys) -> None:
    first = keys.bundle(between(NYC, AMS), "nyc")
    apply(nyc, first.text, 30)
    assert re.search(r"^goes back: in (29|30) s, unless it is confirmed$", nyc.answer("status"), re.MULTILINE)
    nyc.answer("confirm", stdin=first.generation)
    nyc.sh(NOBODY_WATCHES)
    assert "goes back" not in nyc.answer("status")
    # What changes nothing has nothing to wait for.
    assert apply(nyc, first.text, 30) == "nothing changed"
    assert not nyc.exists("/run/wireguard-mesh/wg0.due")


def test_the_time_runs_from_the_end_of_the_last_apply(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    apply(nyc, first.text, 1)
    over = int(nyc.read("/run/wireguard-mesh/wg0.due").split()[1])
    apply(nyc, second.text, 60)
    assert nyc.read(WATCHED).strip() == second.generation
    assert nyc.sh("pgrep -fc '[w]ireguard-mesh watch wg0'").strip() == "1", "one process watches for both"
    nyc.sh(f"until [ $(cut -d . -f 1 /proc/uptime) -gt {over + 1} ]; do sleep 0.1; done")
    assert len(peers(nyc)) == 2
    assert re.search(r"goes back: in (5\d|60) s", nyc.answer("status"))


def test_the_timer_is_armed_before_anything_is_changed(nyc: Host, keys: Keys) -> None:
    before = traces(nyc)
    # setsid does nothing: whoever would watch never does.
    nyc.sh("printf '#!/bin/sh\\n' >/usr/local/bin/setsid; chmod 755 /usr/local/bin/setsid")
    done = nyc.helper("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)
    assert done.returncode == 71
    assert "no process could be left behind to watch the time" in done.stderr
    nyc.sh("rm /usr/local/bin/setsid; rm -rf /run/wireguard-mesh")
    assert traces(nyc) == before


@pytest.mark.parametrize("end", ["rollback", "remove"])
def test_rollback_and_remove_leave_nobody_who_watches(nyc: Host, keys: Keys, end: str) -> None:
    apply(nyc, keys.bundle(between(NYC, AMS), "nyc").text, 60)
    nyc.answer(end)
    nyc.sh(NOBODY_WATCHES)
    if end == "remove":
        assert "wireguard-mesh" not in nyc.sh("ls /run")


@pytest.mark.parametrize("way_back", ["rollback", "apply"])
def test_a_way_back_that_is_killed_by_sigkill_is_gone_to_its_end_when_the_time_is_over(
    nyc: Host, keys: Keys, way_back: str
) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    before = state(nyc)
    apply(nyc, second.text, 5)
    kill_at(nyc, "route del", way_back, first.text if way_back == "apply" else "")
    assert state(nyc)["routes"] != before["routes"]
    nyc.sh(NOBODY_WATCHES)
    after = state(nyc)
    for name in ("rules", "device", "peers", "routes", "forwarding", "link"):
        assert after[name] == before[name]


def test_an_apply_that_is_killed_by_sigkill_goes_back_when_the_time_is_over(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    before = state(nyc)
    # The peers are changed then, and the routes are not.
    kill_at(nyc, "route add", "apply", second.text, "2")
    nyc.sh(GONE_BACK.format(keys.of("sfo").public_key()))
    nyc.sh(NOBODY_WATCHES)
    after = state(nyc)
    for name in ("rules", "device", "peers", "routes", "forwarding", "link"):
        assert after[name] == before[name]
