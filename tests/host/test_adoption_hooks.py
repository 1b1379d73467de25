"""What the hand-written file's hooks did is undone after the confirm, once, and whatever of it fails is said."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.host.byhand import CONF, EXPOSING, KEPT, adopting, bring_up, bundles, by_hand
from tests.host.observe import COMES_THERE, peers, rules, state
from tests.host.scratch import Host
from tests.host.sites import Keys, settle

SECRET = "hunter2-canary"
WATCH = """
touch /run/watching
until [ -e /run/stop ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || :; done
"""


def _hooks(keys: Keys, *lines: str) -> str:
    """The exposing site's file with these hooks, in place of its own, above its first peer."""
    text = re.sub(r"Post(Up|Down) = .*\n", "", by_hand(keys, EXPOSING))
    return text.replace("ListenPort = 51820\n", "ListenPort = 51820\n" + "".join(f"{line}\n" for line in lines))


def _taken_over(nyc: Host, keys: Keys) -> str:
    """The answer to the confirm."""
    return settle(nyc, bundles(keys, adopting())["nyc"])[1].split("; what was set up by hand is kept as ")[1]


def test_all_that_wg_quick_runs_on_the_way_down_is_run_as_wg_quick_does(nyc: Host, keys: Keys) -> None:
    bring_up(
        nyc,
        _hooks(
            keys,
            "postdown=[[ %i == wg0 ]] && echo second %i >>/run/ran; umask >>/run/ran # not this",
            "PREDOWN = echo first >>/run/ran",
            "PostDown = ip rule del fwmark 9 lookup 99",
            "PostUp = ip rule add fwmark 9 lookup 99",
            "Table = 99",
            "FwMark = 0x9",
        ),
    )
    assert nyc.run("wg", "show", "wg0", "fwmark") == "0x9\n"
    assert "10.99.0.2" in nyc.run("ip", "route", "show", "table", "99")
    assert _taken_over(nyc, keys) == KEPT
    assert nyc.read("/run/ran").split("\n")[:3] == ["first", "second wg0", "0022"]
    assert nyc.run("wg", "show", "wg0", "fwmark") == "off\n"
    assert "lookup 99" not in nyc.run("ip", "rule")
    assert nyc.sh("ip route show table 99 2>/dev/null || :") == ""


def test_what_a_hook_takes_along_of_ours_is_put_back(nyc: Host, keys: Keys) -> None:
    bring_up(nyc, _hooks(keys, "PostDown = iptables -F; ip route flush dev wg0; ip address flush dev wg0"))
    bundle = bundles(keys, adopting())["nyc"]
    settle(nyc, bundle)
    before = state(nyc)
    assert settle(nyc, bundle) == ("nothing changed", "confirmed already")
    assert state(nyc) == before
    assert "-A FORWARD -i wg0 -j WG0-FWD" in rules(nyc)
    assert "10.99.0.2 dev wg0" in nyc.run("ip", "route")


def test_a_hook_that_fails_is_said_and_nothing_else_fails(nyc: Host, keys: Keys) -> None:
    bring_up(
        nyc,
        _hooks(
            keys,
            f"PostDown = echo {SECRET}; echo {SECRET} >&2; exit 3",
            "PostDown = touch /run/ran",
            "PostDown = exec sleep 1000",
            "PostDown = touch /run/not-ran",
        ),
    )
    # The half minute that all of them have is a second.
    hurried = '#!/bin/sh\n[ "$2" = 5 ] || exec /usr/bin/timeout "$@"\nshift 3\nexec /usr/bin/timeout -k 1 1 "$@"\n'
    nyc.run("sh", "-c", "cat >/usr/local/bin/timeout; chmod 755 /usr/local/bin/timeout", stdin=hurried)
    said = _taken_over(nyc, keys)
    assert said == f"{KEPT}; line 5 failed (exit status 3); line 7 failed (exit status 124)"
    assert nyc.exists("/run/ran")
    assert f"adopted: {said}\n" in nyc.answer("status")
    # A boot leaves nothing of what a file did that is not there any more.
    nyc.sh("rm -r /run/wireguard-mesh")
    assert f"adopted: {KEPT}\n" in nyc.answer("status")


def test_a_file_without_a_way_down_is_said(nyc: Host, keys: Keys) -> None:
    bring_up(nyc, _hooks(keys, "PostUp = iptables -A FORWARD -i %i -j ACCEPT"))
    assert _taken_over(nyc, keys) == (
        f"{KEPT}; it has no PostDown, so that what its PostUp did stays until the next boot"
    )
    assert "-A FORWARD -i wg0 -j ACCEPT" in rules(nyc)


def test_a_hook_is_run_once_even_where_the_run_is_killed_in_it(nyc: Host, keys: Keys) -> None:
    # The second rule is somebody else's, word for word the same.
    bring_up(
        nyc,
        _hooks(
            keys,
            "PostUp = iptables -A FORWARD -o eth9 -j ACCEPT",
            "PostDown = iptables -D FORWARD -o eth9 -j ACCEPT; touch /run/there; [ -e /run/go ] || sleep 600",
            "PostDown = touch /run/ran",
        ),
    )
    nyc.sh("iptables -A FORWARD -o eth9 -j ACCEPT")
    bundle = bundles(keys, adopting())["nyc"]
    nyc.answer("apply", stdin=bundle.text)
    running = nyc.start("/usr/local/sbin/wireguard-mesh", "confirm", "wg0")
    assert running.stdin is not None
    running.stdin.write(bundle.generation + "\n")
    running.stdin.close()
    running.stdin = None
    nyc.sh(f"{COMES_THERE}; touch /run/go; pkill -KILL -f '[w]ireguard-mesh confirm wg0'")
    running.communicate(timeout=10)
    assert nyc.answer("confirm", stdin=bundle.generation) == "confirmed already"
    assert nyc.exists("/run/ran")
    assert rules(nyc).count("-A FORWARD -o eth9 -j ACCEPT") == 1
    assert settle(nyc, bundle) == ("nothing changed", "confirmed already")


@pytest.mark.parametrize("step", ["peers", "route", "address", "keeping"])
def test_killed_anywhere_in_between_the_next_run_goes_on_or_back(nyc: Host, keys: Keys, step: str) -> None:
    file = bring_up(nyc, by_hand(keys, EXPOSING))
    bundle = bundles(keys, adopting())["nyc"]
    program, words = {
        "peers": ("wg", "set wg0 p"), "route": ("ip", "route add"), "address": ("ip", "addr add"),
        "keeping": ("sync", "adopted"),
    }[step]  # fmt: skip
    real = nyc.sh(f"command -v {program}").strip()
    stop = f'case "$*" in *"{words}"*) touch /run/there; exec sleep 600 >/dev/null 2>&1 ;; esac'
    nyc.run("sh", "-c", f"cat >/usr/local/bin/{program}; chmod 755 /usr/local/bin/{program}",
            stdin=f'#!/bin/sh\n{stop}\nexec {real} "$@"\n')  # fmt: skip
    verb = "apply"
    if step == "keeping":
        verb = "confirm"
        nyc.answer("apply", stdin=bundle.text)
    running = nyc.start("/usr/local/sbin/wireguard-mesh", verb, "wg0")
    assert running.stdin is not None
    running.stdin.write(bundle.text if verb == "apply" else bundle.generation + "\n")
    running.stdin.close()
    running.stdin = None
    nyc.sh(f"{COMES_THERE}; rm /usr/local/bin/{program}")
    nyc.sh(f"pkill -KILL -f '[w]ireguard-mesh {verb} wg0'; pkill -KILL -x sleep")
    running.communicate(timeout=10)
    assert nyc.read(CONF) == file
    if step == "address":
        nyc.answer("rollback")
        assert list(peers(nyc)) == [keys.of("ams").public_key()]
        assert peers(nyc)[keys.of("ams").public_key()][0] == "(none)"
        assert "10.99.0.1/24" in nyc.run("ip", "address", "show", "dev", "wg0")
        assert "WG0-" not in rules(nyc)
    settle(nyc, bundle)
    assert nyc.read(KEPT) == file
    assert not nyc.exists(f"{KEPT}.2")
    assert settle(nyc, bundle) == ("nothing changed", "confirmed already")


def test_no_key_nor_what_a_hook_holds_is_said_or_an_argument_or_left_in_run(nyc: Host, keys: Keys) -> None:
    bring_up(nyc, _hooks(keys, f"PostDown = : {SECRET}; sleep 0.5; exit 1"))
    bundle = bundles(keys, adopting())["nyc"]
    verbs = (
        ("apply", bundle.text),
        ("rollback", ""),
        ("apply", bundle.text),
        ("confirm", bundle.generation),
        ("status", ""),
        ("remove", ""),
    )
    with ThreadPoolExecutor() as pool:
        watch = pool.submit(nyc.sh, WATCH)
        nyc.sh("until [ -e /run/watching ]; do :; done")
        said = "".join(nyc.answer(verb, stdin=stdin) for verb, stdin in verbs)
        nyc.run("touch", "/run/stop")
        seen = watch.result(timeout=60)
    assert "line 5 failed (exit status 1)" in said
    assert "bash\0/run/wireguard-mesh/wg0/work." in seen, "the watch sees the hook"
    for secret in (keys.of("nyc").reveal(), SECRET):
        assert secret not in said + seen
    found = nyc.run("grep", "-rlF", "-f", "-", "/run", "/etc/wireguard", stdin=f"{keys.of('nyc').reveal()}\n{SECRET}")
    assert found.split() == [KEPT]
