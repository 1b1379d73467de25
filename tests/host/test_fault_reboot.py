"""A host that boots before anybody confirmed: what was confirmed runs, and what was staged can be confirmed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host.killing import HELPER
from tests.host.outcome import PENDING, Prepared, agrees, live, refused, running, up
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between, ready

# What a disk keeps.
_KEPT = "cd /; tar -czf - etc/wireguard etc/sysctl.d usr/local/sbin/wireguard-mesh | base64"
_BOOT = """
cd /; base64 -d | tar -xzf -
cat /etc/sysctl.d/60-wireguard-mesh-wg0.conf 2>/dev/null | grep -v ^# | while read -r name is value; do
    echo "$value" >"/proc/sys/$name"
done
[ ! -e /etc/wireguard/wg0.conf ] || wg-quick up wg0
"""


@contextmanager
def rebooted(host: Host, folder: Path) -> Iterator[Host]:
    """The host after it was switched off and on: its files, and a kernel and a /run that know of nothing."""
    kept = host.sh(_KEPT)
    with Host(folder) as again:
        ready(again, "nyc")
        again.run("sh", "-euc", _BOOT, stdin=kept)
        yield again


@pytest.mark.parametrize("when", ["applied", "gone back", "killed"])
def test_a_host_that_boots_before_the_confirm_runs_what_was_confirmed_and_then_confirms(
    nyc: Host, keys: Keys, tmp_path: Path, when: str
) -> None:
    each = Prepared.of(nyc, keys)
    if when == "killed":
        nyc.sh("printf '#!/bin/sh\\nexec pkill -KILL -s 0\\n' >/usr/local/bin/ip6tables-restore")
        nyc.sh("chmod 755 /usr/local/bin/ip6tables-restore")
        nyc.try_("/usr/bin/setsid", "-w", HELPER, "apply", "wg0", stdin=each.new.text)
    else:
        nyc.answer("apply", stdin=each.new.text)
    if when == "gone back":
        nyc.answer("rollback")
    with rebooted(nyc, tmp_path / "again") as again:
        assert live(running(again)) == live(each.with_confirmed)
        old, new = each.confirmed.generation, each.new.generation
        told = f"confirmed: {old}\nstaged: {new}\nlive: {old}\n"
        assert told in again.answer("status")
        late = again.helper("confirm", stdin=each.new.generation)
        refused(late, PENDING, f"{each.new.generation[:12]} was not live any more and is again; confirm it once more")
        assert "goes back: in " in again.answer("status")
        assert again.answer("confirm", stdin=each.new.generation) == f"confirmed {each.new.generation[:12]}"
        agrees(again, each.new)
        assert running(again) == each.with_new


def test_a_host_that_boots_before_its_first_confirm_runs_nothing_and_then_confirms(
    nyc: Host, keys: Keys, tmp_path: Path
) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    up(nyc, bundle)
    known = running(nyc)
    nyc.answer("remove")
    nyc.install()
    nyc.answer("apply", stdin=bundle.text)
    with rebooted(nyc, tmp_path / "again") as again:
        assert f"\nstaged: {bundle.generation}\nlive: none\n" in again.answer("status")
        assert again.helper("confirm", stdin=bundle.generation).returncode == PENDING
        assert again.answer("confirm", stdin=bundle.generation) == f"confirmed {bundle.generation[:12]}"
        agrees(again, bundle)
        assert running(again) == known


def test_a_boot_after_the_confirm_brings_the_new_one_back(nyc: Host, keys: Keys, tmp_path: Path) -> None:
    each = Prepared.of(nyc, keys)
    each.converges()
    with rebooted(nyc, tmp_path / "again") as again:
        agrees(again, each.new)
        assert running(again) == each.with_new
        up(again, each.confirmed)
        assert running(again) == each.with_confirmed
