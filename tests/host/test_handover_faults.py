"""A peer's two keys where something comes between: a run that read earlier, a reboot, a killed process, a third key."""

from tests.host.observe import COMES_THERE, peers
from tests.host.scratch import Host
from tests.host.sites import Keys, settle
from tests.host.test_handover import HAS_PREFIXES, MESH, joined, later, noted_as_unused, owner, prepared, renewed

HELPER = "/usr/local/sbin/wireguard-mesh"
WATCHES = "[w]ireguard-mesh watch wg0"


def reboot(host: Host) -> None:
    """What a reboot leaves, and what the boot does then: nobody watches that was there before."""
    host.sh(f"pkill -KILL -f '{WATCHES}' || :; wg-quick down wg0; rm -rf /run/wireguard-mesh; wg-quick up wg0")


def test_a_key_that_is_heard_of_while_a_run_sets_the_peers_keeps_its_allowed_ips(
    trio: dict[str, Host], keys: Keys
) -> None:
    joined(trio, keys)
    new = renewed(Keys(private=dict(keys.private)), "nyc")
    old_key, new_key = keys.of("nyc").public_key(), new.of("nyc").public_key()
    bundles = {name: new.bundle(MESH, name) for name in trio}
    for name, host in trio.items():
        host.answer("apply", stdin=bundles[name].text)
    ams = trio["ams"]
    # The confirm has read who has the allowed IPs, and sets the peers only when nyc has changed its key.
    ams.run("sh", "-c", "cat >/usr/local/bin/wg; chmod 755 /usr/local/bin/wg",
            stdin=f"#!/bin/sh\nwg={ams.sh('command -v wg').strip()}\n"
            # The kernel lists peers in one order, wireguard-go in any.
            'case "$*" in *latest-handshakes) "$wg" "$@" | sort; exit ;; *preshared-key*) touch /run/there;'
            ' until [ -e /run/go ]; do sleep 0.1; done ;; esac\nexec "$wg" "$@"\n')  # fmt: skip
    running = ams.start(HELPER, "confirm", "wg0")
    assert running.stdin is not None
    running.stdin.write(bundles["ams"].generation)
    running.stdin.close()
    running.stdin = None
    ams.sh(COMES_THERE)
    trio["nyc"].answer("confirm", stdin=bundles["nyc"].generation)
    assert owner(ams, old_key, new_key) == new_key
    ams.sh("touch /run/go")
    said, _ = running.communicate(timeout=60)
    assert said == f"confirmed {bundles['ams'].generation[:12]}\n"
    assert owner(ams, old_key, new_key) == new_key


def test_after_a_reboot_a_host_reaches_a_peer_that_has_not_changed_its_key_yet(
    trio: dict[str, Host], keys: Keys
) -> None:
    joined(trio, keys)
    new, ams = renewed(keys, "nyc"), trio["ams"]
    old_key = keys.of("nyc").public_key()
    prepared(trio, keys, new)
    reboot(ams)
    # nyc itself says nothing.
    ams.sh("ping -c 20 -W 1 10.99.0.1 || :")
    assert owner(ams, old_key, new.of("nyc").public_key()) == old_key
    ams.sh("ping -c 1 -W 5 10.99.0.1")
    assert "drift: none" in ams.answer("status")


def test_a_boot_that_cannot_make_the_second_key_known_has_the_interface_all_the_same(
    trio: dict[str, Host], keys: Keys
) -> None:
    joined(trio, keys)
    new, ams = renewed(keys, "nyc"), trio["ams"]
    prepared(trio, keys, new)
    ams.run("sh", "-c", "cat >/usr/local/bin/wg; chmod 755 /usr/local/bin/wg",
            stdin='#!/bin/sh\ncase "$*" in "set wg0 peer "*) echo "Name or service not known" >&2; exit 1 ;; esac\n'
            f'exec {ams.sh("command -v wg").strip()} "$@"\n')  # fmt: skip
    reboot(ams)
    assert set(peers(ams)) == {new.of(name).public_key() for name in ("nyc", "sfo")}
    ams.sh("ping -c 1 -W 10 10.99.0.3")
    ams.sh("rm /usr/local/bin/wg")
    ams.answer("rollback")
    assert {keys.of("nyc").public_key(), new.of("nyc").public_key()} <= set(peers(ams))


def test_a_handover_that_nobody_watches_any_more_is_watched_again_after_the_next_run(
    trio: dict[str, Host], keys: Keys
) -> None:
    joined(trio, keys)
    new, ams = renewed(keys, "nyc"), trio["ams"]
    bundle = prepared(trio, keys, new)
    ams.sh(f"pkill -KILL -f '{WATCHES}'")
    ams.answer("status")
    assert ams.try_("pgrep", "-f", WATCHES).returncode == 1
    ams.answer("rollback")
    trio["nyc"].answer("confirm", stdin=bundle.generation)
    ams.sh(HAS_PREFIXES.format(new.of("nyc").public_key()))


def test_a_key_is_given_up_in_time_by_who_watches_and_not_before_the_peer_has_changed_it(
    trio: dict[str, Host], keys: Keys
) -> None:
    joined(trio, keys)
    new, ams = renewed(keys, "nyc"), trio["ams"]
    old_key, new_key = keys.of("nyc").public_key(), new.of("nyc").public_key()
    ams.answer("apply", stdin=new.bundle(MESH, "ams").text)
    ams.run(HELPER, "retire", "wg0")
    assert {old_key, new_key} <= set(peers(ams)), "nothing of a change that may still be confirmed is given up"
    bundle = prepared(trio, keys, new)
    # However long the others are known to change: the old key is the one in use.
    later(ams, 1)
    ams.run(HELPER, "retire", "wg0")
    assert {old_key, new_key} <= set(peers(ams))
    trio["nyc"].answer("confirm", stdin=bundle.generation)
    ams.sh(HAS_PREFIXES.format(new_key))
    assert old_key in peers(ams)
    noted_as_unused(ams, old_key)
    ams.run(HELPER, "retire", "wg0")
    assert old_key in peers(ams)
    later(ams, 2)
    ams.sh(f"while wg show wg0 peers | grep -qF {old_key}; do sleep 0.1; done")
    assert new_key in peers(ams)
    ams.sh(f"while pgrep -f '{WATCHES}' >/dev/null; do sleep 0.1; done")


def test_going_back_from_a_third_key_leaves_the_peer_the_one_that_it_uses(trio: dict[str, Host], keys: Keys) -> None:
    joined(trio, keys)
    second, ams, nyc = renewed(keys, "nyc"), trio["ams"], trio["nyc"]
    settle(ams, second.bundle(MESH, "ams"))
    third = renewed(keys, "nyc")
    assert ams.answer("apply", stdin=third.bundle(MESH, "ams").text).endswith("1 peer added, 1 peer removed")
    ams.sh("ping -c 1 -W 5 10.99.0.1")
    ams.answer("rollback")
    assert third.of("nyc").public_key() not in peers(ams)
    assert {keys.of("nyc").public_key(), second.of("nyc").public_key()} <= set(peers(ams))
    ams.sh("ping -c 1 -W 5 10.99.0.1")
    nyc.sh("ping -c 1 -W 5 10.99.0.2")
