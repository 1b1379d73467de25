"""Going back: what a host runs after an apply that failed, was ended or hangs."""

import re
from dataclasses import replace

import pytest

from mesh.bundle import Bundle
from tests.host.observe import Ping, state, traces
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, sealed, settle

WENT_BACK = 71

# What a step of apply meets in the middle of it, as text that replaces text of a good bundle: the step before it has
# changed the host already.
REFUSED = {
    "raw": ("-A WG0-RAW -i lo", "-A WG0-RAW -m nosuchmatch"),
    "mangle after raw": ("-j TCPMSS", "-j NOSUCHTARGET"),
    "nat after mangle": ("-j MASQUERADE", "-j NOSUCHTARGET"),
    "filter after nat": ("-m conntrack ! --ctstate RELATED", "-m nosuchmatch"),
    "address": ("Address = 10.99.0.1/32", "Address = 10.99.0.1/99"),
    "mtu": ("MTU = 1420", "MTU = 99999"),
    "peer": ("AllowedIPs = 10.20.0.0/24", "AllowedIPs = 10.20.0.0/99"),
    "route that a local network has": ("AllowedIPs = 10.20.0.0/24", "AllowedIPs = 10.77.0.0/24"),
}


def _spoilt(keys: Keys, fault: str) -> Bundle:
    elsewhere = replace(AMS, endpoint=replace(AMS.endpoint, host="203.0.113.50"))
    here = replace(NYC, mtu=1400 if fault != "mtu" else 1420)
    wider = between(here, elsewhere, SFO, access=(("ams.lan sfo.lan", "nyc.virbr0", "tcp/443"),))
    text = keys.bundle(wider, "nyc").text
    old, new = REFUSED[fault]
    assert old in text
    return sealed(text.replace(old, new))


def _local_network(nyc: Host) -> None:
    nyc.sh("ip link add br9 type bridge; ip address add 10.77.0.1/24 dev br9; ip link set br9 up")


@pytest.mark.parametrize("fault", REFUSED)
def test_a_failure_in_the_middle_goes_back_to_what_was_confirmed(nyc: Host, keys: Keys, fault: str) -> None:
    _local_network(nyc)
    good = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, good)
    before = state(nyc)
    done = nyc.helper("apply", stdin=_spoilt(keys, fault).text)
    assert (done.returncode, done.stdout) == (WENT_BACK, "")
    assert done.stderr.endswith(f"; went back to {good.generation[:12]}\n")
    assert done.stderr.count("\n") == 1
    after = state(nyc)
    assert re.sub(r"^\. .*|^\./wg0\.d(/rules)? .*", "", str(after.pop("files")), flags=re.MULTILINE) == re.sub(
        r"^\. .*|^\./wg0\.d(/rules)? .*", "", str(before.pop("files")), flags=re.MULTILINE
    )
    assert after == before


@pytest.mark.parametrize("fault", REFUSED)
def test_a_failure_of_the_first_apply_leaves_nothing_live(nyc: Host, keys: Keys, fault: str) -> None:
    _local_network(nyc)
    before = traces(nyc)
    done = nyc.helper("apply", stdin=_spoilt(keys, fault).text)
    assert done.returncode == WENT_BACK
    assert done.stderr.endswith("; took wg0 down, since nothing was confirmed\n")
    assert not nyc.exists("/etc/wireguard/wg0.d")
    nyc.answer("remove")
    nyc.install()
    assert traces(nyc) == before


def test_a_run_that_is_ended_goes_back(pair: dict[str, Host], keys: Keys) -> None:
    for name, host in pair.items():
        settle(host, keys.bundle(between(NYC, AMS), name))
    nyc = pair["nyc"]
    before = state(nyc)
    # wg's set waits, as it does for an endpoint whose name does not resolve, until the run is ended.
    nyc.sh("printf '#!/bin/sh\\n[ $1 != set ] || exec sleep 1000\\nexec /usr/bin/wg \"$@\"\\n' >/usr/local/bin/wg")
    nyc.run("chmod", "755", "/usr/local/bin/wg")
    with Ping(pair["ams"], "10.99.0.1") as flow:
        wider = keys.bundle(between(NYC, AMS, SFO, access=(("sfo.lan", "nyc", ""),)), "nyc")
        ended = nyc.try_("timeout", "2", "/usr/local/sbin/wireguard-mesh", "apply", "wg0", stdin=wider.text)
        assert ended.returncode == 124
        assert "; went back to " in ended.stderr
        assert flow.lost() == []
    nyc.run("rm", "/usr/local/bin/wg")
    after = state(nyc)
    for name in ("rules", "device", "peers", "routes", "forwarding", "link"):
        assert after[name] == before[name]
    assert nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text) == "nothing changed"


def test_a_program_that_hangs_for_ever_cannot_keep_a_run_from_its_end(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    hanging = '[ $1 != set ] || touch /run/hangs; [ ! -e /run/hangs ] || exec sleep 1000; exec /usr/bin/wg "$@"'
    nyc.run("sh", "-c", "cat >/usr/local/bin/wg; chmod 755 /usr/local/bin/wg", stdin=f"#!/bin/sh\n{hanging}\n")
    # The minute that each is given is a second.
    hurried = '#!/bin/sh\n[ "$*" != "${*#-s KILL 60 }" ] || exit 99\nshift 3\nexec /usr/bin/timeout -s KILL 1 "$@"\n'
    nyc.run("sh", "-c", "cat >/usr/local/bin/timeout; chmod 755 /usr/local/bin/timeout", stdin=hurried)
    wider = keys.bundle(between(NYC, AMS, SFO), "nyc")
    # Ended when it hangs, and not before; by `timeout`, which passes a signal on to all that it started.
    apply = "exec 3<&0; /usr/bin/timeout 1000 /usr/local/sbin/wireguard-mesh apply wg0 <&3 3<&- & "
    until = "until [ -e /run/hangs ]; do sleep 0.05; done; kill $!; wait $!"
    ended = nyc.try_("sh", "-c", apply + until, stdin=wider.text, timeout=30)
    assert ended.returncode == 143
    assert "and could not go back" in ended.stderr
    assert ended.stderr.count("\n") == 1
    nyc.run("rm", "/usr/local/bin/wg")
    nyc.answer("rollback")
    assert nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text) == "nothing changed"


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_reason_that_the_shell_has_is_said_in_one_line(nyc: Host, keys: Keys, confirmed: bool) -> None:
    if confirmed:
        settle(nyc, keys.bundle(between(NYC, AMS, access=()), "nyc"))
    nyc.sh("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys")
    done = nyc.helper("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)
    assert (done.returncode, done.stdout) == (WENT_BACK, "")
    assert "Read-only file system" in done.stderr
    assert done.stderr.count("\n") == 1
