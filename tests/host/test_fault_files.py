"""Folders that are full or cannot be written: said in one line with status 73, and nothing is left half-done."""

import pytest

from tests.host.outcome import Prepared, agrees, refused, up
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between

CANNOT_WRITE = 73
READ_ONLY = "mount --bind {0} {0}; mount -o remount,bind,ro {0}"


def _fill(host: Host, left: int) -> None:
    """/etc/wireguard with its files on a file system of its own, on which so many kB are left."""
    host.sh(
        "cp -a /etc/wireguard /run/kept; mount -t tmpfs -o size=256k tmpfs /etc/wireguard;"
        "cp -a /run/kept/. /etc/wireguard; rm -r /run/kept;"
        f"dd if=/dev/zero of=/etc/wireguard/filling bs=4k count=256 2>/dev/null || :;"
        f"truncate -s -{left}k /etc/wireguard/filling"
    )


@pytest.mark.parametrize("left", [0, 4, 8, 12])
def test_a_full_disk_is_said_and_leaves_nothing_half_staged(nyc: Host, keys: Keys, left: int) -> None:
    each = Prepared.of(nyc, keys)
    _fill(nyc, left)
    kept = nyc.sh("cd /etc/wireguard; find . | sort")
    refused(each.apply(), CANNOT_WRITE, r"cannot write /etc/wireguard/wg0\.d: .*No space left on device")
    assert nyc.sh("cd /etc/wireguard; find . | sort") == kept, "what could not be staged takes no room"
    each.runs_confirmed()
    nyc.sh("rm /etc/wireguard/filling")
    each.converges()


def test_a_full_disk_leaves_a_host_without_generation_as_it_was(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    nyc.sh("mount -t tmpfs -o size=8k tmpfs /etc/wireguard")
    refused(nyc.helper("apply", stdin=bundle.text), CANNOT_WRITE, "No space left on device")
    assert nyc.sh("ls -A /etc/wireguard") == ""
    nyc.sh("umount /etc/wireguard")
    up(nyc, bundle)
    agrees(nyc, bundle)


def test_etc_that_became_read_only_keeps_what_is_applied_from_being_confirmed_and_it_goes_back(
    nyc: Host, keys: Keys
) -> None:
    each = Prepared.of(nyc, keys)
    nyc.answer("apply", "wg0", "10", stdin=each.new.text)
    nyc.sh(READ_ONLY.format("/etc/wireguard"))
    refused(nyc.helper("confirm", stdin=each.new.generation), CANNOT_WRITE, "Read-only file system")
    nyc.sh("while pgrep -f '[w]ireguard-mesh watch wg0' >/dev/null; do sleep 0.1; done")
    each.runs_confirmed()
    refused(nyc.helper("remove"), CANNOT_WRITE, "cannot write /etc/wireguard: .*Read-only file system")
    nyc.sh("umount /etc/wireguard")
    nyc.answer("rollback")
    each.runs_confirmed()
    each.converges()


def test_etc_that_becomes_read_only_during_an_apply_that_fails_does_not_keep_it_from_going_back(
    nyc: Host, keys: Keys
) -> None:
    each = Prepared.of(nyc, keys)
    failing = f"#!/bin/sh\n[ $1 != set ] || {{ rm /usr/local/bin/wg; {READ_ONLY.format('/etc/wireguard')}; exit 1; }}\n"
    nyc.run("sh", "-c", "cat >/usr/local/bin/wg; chmod 755 /usr/local/bin/wg",
            stdin=f'{failing}exec /usr/bin/wg "$@"\n')  # fmt: skip
    refused(each.apply(), 71, f"wg: .*; went back to {each.confirmed.generation[:12]}")
    each.runs_confirmed()
    nyc.sh("umount /etc/wireguard")
    each.converges()


@pytest.mark.parametrize("verb", ["apply", "confirm", "rollback", "remove", "status"])
def test_a_read_only_run_is_said_and_nothing_is_touched(nyc: Host, keys: Keys, verb: str) -> None:
    each = Prepared.of(nyc, keys)
    nyc.sh(READ_ONLY.format("/run"))
    stdin = {"apply": each.new.text, "confirm": each.confirmed.generation}.get(verb, "")
    refused(nyc.helper(verb, stdin=stdin), CANNOT_WRITE, r"cannot write /run/wireguard-mesh/wg0")
    nyc.sh("umount /run")
    each.runs_confirmed()
    each.converges()


@pytest.mark.parametrize("left", [0, 4, 8, 12])
def test_a_full_run_is_said_before_anything_is_touched(nyc: Host, keys: Keys, left: int) -> None:
    each = Prepared.of(nyc, keys)
    nyc.sh(f"mount -o remount,size=$(($(df -k --output=used /run | tail -n 1) + {left}))k /run")
    refused(each.apply(), CANNOT_WRITE, "cannot write /run/wireguard-mesh/wg0")
    nyc.sh("mount -o remount,size=10m /run")
    each.runs_confirmed()
    each.converges()


@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_a_read_only_proc_sys_is_said_and_the_rest_goes_back(nyc: Host, keys: Keys, verb: str) -> None:
    each = Prepared.of(nyc, keys)
    nyc.sh(READ_ONLY.format("/proc/sys"))
    if verb == "rollback":
        nyc.sh("nsenter --net=/proc/1/ns/net true; umount /proc/sys; echo 0 >/proc/sys/net/ipv4/conf/virbr0/forwarding")
        nyc.sh(READ_ONLY.format("/proc/sys"))
        refused(nyc.helper("rollback"), 71, "Read-only file system")
    else:
        refused(each.apply(), 71, "Read-only file system.*; (went back|and could not go back)")
    nyc.sh("umount /proc/sys")
    nyc.answer("rollback")
    each.runs_confirmed()
    each.converges()
