"""Generations: what confirm takes and refuses, what rollback and remove do, and two runs at once."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.host.observe import Ping, peers, state
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle

PENDING = 75


def test_confirming_another_generation_is_pending_and_changes_nothing(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    other = keys.bundle(between(NYC, SFO, access=()), "nyc")
    settle(nyc, first)
    nyc.answer("apply", stdin=second.text)
    before = state(nyc)
    done = nyc.helper("confirm", stdin=other.generation)
    assert (done.returncode, done.stdout) == (PENDING, "")
    assert "does not hold that generation" in done.stderr
    assert nyc.helper("confirm", stdin="").returncode == 65
    assert state(nyc) == before
    assert nyc.answer("confirm", stdin=second.generation) == f"confirmed {second.generation[:12]}"
    assert nyc.helper("confirm", stdin=first.generation).returncode == PENDING
    assert nyc.sh("ls /etc/wireguard/wg0.d/rules").count("\n") == 1, "rules that nobody names are gone"


def test_a_generation_that_is_not_live_any_more_is_applied_again_before_it_is_confirmed(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    nyc.answer("apply", stdin=second.text)
    nyc.sh("ip link del wg0; rm -r /run/wireguard-mesh; iptables -F; iptables -X; wg-quick up wg0")  # a reboot
    assert f"live: {first.generation}" in nyc.answer("status")
    done = nyc.helper("confirm", stdin=second.generation)
    assert done.returncode == PENDING
    assert "confirm it once more" in done.stderr
    assert f"confirmed: {first.generation}" in nyc.answer("status")
    assert len(peers(nyc)) == 2
    assert nyc.answer("confirm", stdin=second.generation) == f"confirmed {second.generation[:12]}"


def test_the_confirmed_bundle_again_takes_a_staged_one_back(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    nyc.answer("apply", stdin=second.text)
    settle(nyc, first)
    assert len(peers(nyc)) == 1
    assert f"confirmed: {first.generation}\nstaged: none\nlive: {first.generation}" in nyc.answer("status")
    assert nyc.helper("confirm", stdin=second.generation).returncode == PENDING


def test_rollback_makes_what_is_confirmed_live_and_keeps_what_is_staged(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    before = state(nyc)
    nyc.answer("apply", stdin=second.text)
    assert nyc.answer("rollback").startswith(f"rolled back to {first.generation[:12]}: 1 peer removed, route")
    after = state(nyc)
    for name in ("rules", "device", "peers", "routes", "forwarding", "link"):
        assert after[name] == before[name]
    assert nyc.answer("rollback") == "nothing changed"
    assert f"staged: {second.generation}" in nyc.answer("status")


def test_rollback_where_nothing_was_confirmed_takes_the_interface_down(nyc: Host, keys: Keys) -> None:
    assert nyc.answer("rollback") == "nothing of ours on this host"
    nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)
    assert nyc.answer("rollback") == "nothing was ever confirmed: wg0 taken down"
    assert nyc.try_("ip", "link", "show", "dev", "wg0").returncode == 1
    assert "WG0" not in nyc.sh("iptables-save; ip6tables-save")
    assert nyc.answer("rollback") == "nothing was ever confirmed: wg0 taken down"


def test_a_confirm_that_was_killed_after_the_rename_is_finished_by_the_next_run(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    nyc.answer("apply", stdin=second.text)
    nyc.run("mv", "/etc/wireguard/wg0.d/staged/wg0.conf", "/etc/wireguard/wg0.conf")
    assert nyc.answer("confirm", stdin=second.generation) == "confirmed already"
    assert f"confirmed: {second.generation}\nstaged: none" in nyc.answer("status")
    assert nyc.answer("apply", stdin=second.text) == "nothing changed"


def test_of_two_runs_at_once_one_waits(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    running = [nyc.start("/usr/local/sbin/wireguard-mesh", "apply", "wg0") for _ in range(2)]
    for process, bundle in zip(running, (first, second), strict=True):
        assert process.stdin is not None
        process.stdin.write(bundle.text)
        process.stdin.close()
        process.stdin = None
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    status = nyc.answer("status")
    live = re.search(r"live: (\w+)", status)
    assert live is not None
    assert live[1] in (first.generation, second.generation)
    assert f"staged: {live[1]}" in status
    assert len(peers(nyc)) == (1 if live[1] == first.generation else 2)


def test_a_run_beside_one_that_never_ends_is_told_so(nyc: Host, keys: Keys) -> None:
    nyc.answer("rollback")  # leaves its lock
    holder = nyc.start("flock", "/run/wireguard-mesh/wg0.lock", "cat")
    nyc.sh("until ! flock -n /run/wireguard-mesh/wg0.lock true; do :; done")
    # A clock that runs a thousand times as fast, so that the half minute of waiting is soon over.
    nyc.sh("printf '#!/bin/sh\\nexec true\\n' >/usr/local/bin/sleep; chmod 755 /usr/local/bin/sleep")
    done = nyc.helper("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)
    assert (done.returncode, done.stdout) == (PENDING, "")
    assert "another run is at work on wg0" in done.stderr
    nyc.kill(holder)
    nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)


def test_a_lock_that_remove_took_away_meanwhile_is_taken_anew(nyc: Host, keys: Keys) -> None:
    lock = "/run/wireguard-mesh/wg0.lock"
    nyc.answer("rollback")  # leaves its lock
    removing = nyc.start("flock", lock, "cat")
    nyc.sh(f"until ! flock -n {lock} true; do :; done")
    # Its first wait lasts until both locks are as they shall be, and no other one lasts at all.
    fake = "#!/bin/sh\ntouch /run/waits\nuntil [ -e /run/go ]; do :; done\n"
    nyc.run("sh", "-c", "cat >/usr/local/bin/sleep; chmod 755 /usr/local/bin/sleep", stdin=fake)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(nyc.helper, "apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)
        nyc.sh(f"until [ -e /run/waits ]; do :; done; rm {lock}")
        another = nyc.start("flock", lock, "cat")
        nyc.sh(f"until [ -e {lock} ] && ! flock -n {lock} true; do :; done")
        nyc.kill(removing)
        nyc.run("touch", "/run/go")
        done = waiting.result(timeout=60)
    assert done.returncode == PENDING
    assert "another run is at work on wg0" in done.stderr
    nyc.kill(another)
    nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)


def test_a_run_that_was_killed_while_it_took_a_staged_generation_back_confirms_nothing(nyc: Host, keys: Keys) -> None:
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    settle(nyc, first)
    nyc.answer("apply", stdin=second.text)
    # rm takes the folder's files in any order, and the machine stops after the first of them.
    fake = 'case "$*" in "-rf "*/staged) /bin/rm -f "$2/wg0.conf"; kill -9 $PPID ;; *) exec /bin/rm "$@" ;; esac'
    nyc.run("sh", "-c", "cat >/usr/local/bin/rm; chmod 755 /usr/local/bin/rm", stdin=f"#!/bin/sh\n{fake}\n")
    assert nyc.helper("apply", stdin=first.text).returncode != 0
    nyc.sh("/bin/rm /usr/local/bin/rm")
    nyc.answer("rollback")
    assert f"confirmed: {first.generation}\nstaged: none" in nyc.answer("status")


def test_applies_that_nobody_confirms_leave_no_rules_behind(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    for port in (443, 444, 445):
        last = keys.bundle(between(NYC, AMS, access=(("ams.lan", "nyc.virbr0", f"tcp/{port}"),)), "nyc")
        nyc.answer("apply", stdin=last.text)
        assert len(nyc.sh("ls /etc/wireguard/wg0.d/rules").split()) == 2, "what is confirmed, and what is staged"
    assert nyc.answer("confirm", stdin=last.generation) == f"confirmed {last.generation[:12]}"


def test_a_flow_without_an_answer_is_noticed(nyc: Host) -> None:
    nyc.sh("iptables -A INPUT -i lo -j DROP")
    with pytest.raises(AssertionError, match="ping ended"), Ping(nyc, "127.0.0.1", deadline=1):
        pass


def test_remove_for_a_site_leaves_alone_what_is_another_sites_by_now(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    before = state(nyc)
    for other in ("newyork", "ny", "nyc."):
        assert nyc.answer("remove", "wg0", other) == "wg0 is another site's: nothing removed"
    assert state(nyc) == before
    assert nyc.answer("remove", "wg0", "nyc") == "removed wg0"
