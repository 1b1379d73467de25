"""The timer where systemd is and fails, where setsid is not, and where somebody sets the clock."""

import pytest

from tests.host.observe import traces
from tests.host.outcome import Prepared, live, refused, running
from tests.host.scratch import Host
from tests.host.sites import Keys

NOBODY_WATCHES = "while pgrep -f '[w]ireguard-mesh watch wg0' >/dev/null; do sleep 0.1; done"

# systemd's own, in its arguments' order: options, and then the command.
_STARTS = (
    'while case $1 in --*) ;; *) false ;; esac; do shift; done; /usr/bin/setsid "$@" </dev/null >/dev/null 2>&1 9>&- &'
)


def _program(host: Host, name: str, script: str) -> None:
    host.run("sh", "-c", f"cat >/usr/local/bin/{name}; chmod 755 /usr/local/bin/{name}",
             stdin=f'#!/bin/sh\necho "$*" >>/run/{name}.calls\n{script}\n')  # fmt: skip


@pytest.mark.parametrize(
    ("does", "asked", "left"),
    [
        pytest.param(_STARTS, 1, 0, id="works"),
        pytest.param("echo 'Failed to connect to bus: Connection refused' >&2; exit 1", 1, 1, id="refuses"),
        pytest.param("head -c 100000 /dev/zero | tr '\\0' x; exit 1", 1, 1, id="says much"),
    ],
)
def test_with_systemd_the_timer_is_its_own_and_otherwise_a_detached_process(
    nyc: Host, keys: Keys, does: str, asked: int, left: int
) -> None:
    each = Prepared.of(nyc, keys)
    nyc.sh("mkdir -p /run/systemd/system")
    _program(nyc, "systemd-run", does)
    _program(nyc, "setsid", 'exec /usr/bin/setsid "$@"')
    assert nyc.answer("apply", "wg0", "1", stdin=each.new.text).startswith("applied ")
    calls = nyc.sh("cat /run/systemd-run.calls; echo; cat /run/setsid.calls 2>/dev/null || :")
    assert calls.count("wireguard-mesh watch wg0") == asked + left
    assert calls.split("\n\n")[0].startswith("--quiet --collect --unit=wireguard-mesh-wg0-")
    nyc.sh(NOBODY_WATCHES)
    each.runs_confirmed()
    each.converges()


@pytest.mark.parametrize("lacks", ["setsid", "systemd that starts nothing"])
def test_without_anybody_to_watch_the_time_nothing_is_changed(nyc: Host, keys: Keys, lacks: str) -> None:
    each = Prepared.of(nyc, keys)
    if lacks == "setsid":
        nyc.sh('touch /run/hidden; mount --bind /run/hidden "$(readlink -f "$(command -v setsid)")"')
    else:
        nyc.sh("mkdir -p /run/systemd/system")
        _program(nyc, "systemd-run", "exit 0")
    # As fast as it can be asked, so that the ten seconds are soon over.
    _program(nyc, "sleep", "exit 0")
    before = traces(nyc).replace("/run/sleep.calls\n", "").replace("/run/systemd-run.calls\n", "")
    refused(each.apply(), 71, "no process could be left behind to watch the time; went back to ")
    after = traces(nyc).replace("/run/sleep.calls\n", "").replace("/run/systemd-run.calls\n", "")
    assert after.replace("/run/wireguard-mesh/wg0.watch\n", "") == before.replace("/run/wireguard-mesh/wg0.watch\n", "")
    nyc.sh(
        "rm /usr/local/bin/sleep; umount /usr/bin/setsid 2>/dev/null || rm -r /run/systemd /usr/local/bin/systemd-run"
    )
    each.runs_confirmed()
    each.converges()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_while_the_time_runs_neither_ends_nor_prolongs_it(
    nyc: Host, keys: Keys, hours: int
) -> None:
    each = Prepared.of(nyc, keys)
    # Whoever asks for the date gets it that many hours off from now on; files are written at such a time, too.
    _program(
        nyc, "date", f'case "$*" in +%s) echo $(($(/bin/date +%s) + {hours * 3600})) ;; *) exec /bin/date "$@" ;; esac'
    )
    assert nyc.sh("date +%s") != nyc.sh("/bin/date +%s")
    nyc.answer("apply", "wg0", "3", stdin=each.new.text)
    nyc.sh(f"find /run/wireguard-mesh /etc/wireguard -exec touch -d '{hours:+d} hour' {{}} +")
    started = float(nyc.read("/proc/uptime").split()[0])
    assert live(running(nyc)) == live(each.with_new)
    nyc.sh(NOBODY_WATCHES)
    took = float(nyc.read("/proc/uptime").split()[0]) - started
    assert took < 60, "an hour ahead or back is not waited for"
    each.runs_confirmed()
    each.converges()


def test_a_confirm_over_a_clock_that_was_set_is_in_time(nyc: Host, keys: Keys) -> None:
    each = Prepared.of(nyc, keys)
    nyc.answer("apply", "wg0", "60", stdin=each.new.text)
    _program(nyc, "date", 'case "$*" in +%s) echo $(($(/bin/date +%s) + 3600)) ;; *) exec /bin/date "$@" ;; esac')
    assert nyc.answer("confirm", stdin=each.new.generation) == f"confirmed {each.new.generation[:12]}"
    assert running(nyc) == each.with_new


def test_a_timer_whose_process_is_killed_leaves_a_late_confirm_and_a_rollback(nyc: Host, keys: Keys) -> None:
    each = Prepared.of(nyc, keys)
    for way_out in ("confirm", "rollback"):
        nyc.answer("apply", "wg0", "1", stdin=each.new.text)
        nyc.sh("pkill -KILL -f '[w]ireguard-mesh watch wg0'")
        nyc.sh(
            "until [ $(cut -d ' ' -f 2 /run/wireguard-mesh/wg0.due) -lt $(cut -d . -f 1 /proc/uptime) ]; do"
            " sleep 0.1; done"
        )
        assert live(running(nyc)) == live(each.with_new)
        if way_out == "confirm":
            nyc.answer("confirm", stdin=each.new.generation)
            each.converges()
            nyc.answer("apply", stdin=each.confirmed.text)
            nyc.answer("confirm", stdin=each.confirmed.generation)
        else:
            nyc.answer("rollback")
            each.runs_confirmed()
    each.converges()
