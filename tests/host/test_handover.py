"""A site that gets another key: its peers take both for a while, and nobody is cut off, whichever way it ends."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mesh.bundle import Bundle
from mesh.keys import generate_private_key, generate_root
from mesh.model import Mesh, SiteName
from tests.host.observe import Ping, peers
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle

MESH = between(NYC, AMS, SFO)
# Of pings at 10 ms. How few they are is measured by `make bench`; without a handover it is fifteen seconds.
MOST_LOST = 200
HAS_PREFIXES = "until wg show wg0 allowed-ips | grep -F {} | grep -q /32; do sleep 0.02; done"


def joined(hosts: Mapping[str, Host], keys: Keys, mesh: Mesh = MESH) -> None:
    """Every site configured, and every tunnel in use."""
    for name, host in hosts.items():
        settle(host, keys.bundle(mesh, name))
    hosts["nyc"].sh("ping -c 1 -W 10 10.99.0.2; ping -c 1 -W 10 10.99.0.3")
    hosts["ams"].sh("ping -c 1 -W 10 10.99.0.3")


def renewed(keys: Keys, name: str) -> Keys:
    """The same keys but for one site's."""
    return Keys(keys.root, {**keys.private, SiteName(name): generate_private_key()})


def owner(host: Host, *keys: str) -> str:
    """Which of the keys has the allowed IPs; the other has none."""
    live = peers(host)
    (found,) = (key for key in keys if key in live and live[key][2] != "(none)")
    return found


def prepared(hosts: Mapping[str, Host], keys: Keys, new: Keys) -> Bundle:
    """ams and sfo know nyc's new key; nyc has applied it, and is not confirmed."""
    for name in ("ams", "sfo"):
        settle(hosts[name], new.bundle(MESH, name))
    bundle = new.bundle(MESH, "nyc")
    assert "private key changes with the confirm" in hosts["nyc"].answer("apply", stdin=bundle.text)
    assert hosts["nyc"].run("wg", "show", "wg0", "public-key").strip() == keys.of("nyc").public_key()
    return bundle


def later(host: Host, quarters: int) -> None:
    """So many quarters of an hour later, by the clock that runs from the boot on."""
    host.sh(
        "umount /proc/uptime 2>/dev/null || :;"
        f" echo $(($(cut -d . -f 1 /proc/uptime) + {900 * quarters})).0 >/run/up; mount --bind /run/up /proc/uptime"
    )


def noted_as_unused(host: Host, key: str) -> None:
    """Waits until the time runs after which the key is given up."""
    host.sh(f"until grep -qsF {key} /run/wireguard-mesh/wg0.unused; do sleep 0.1; done")


def test_a_site_changes_its_key_and_nobody_else_notices(trio: dict[str, Host], keys: Keys) -> None:
    joined(trio, keys)
    new = renewed(keys, "nyc")
    old_key, new_key = keys.of("nyc").public_key(), new.of("nyc").public_key()
    with (
        Ping(trio["ams"], "10.99.0.1") as from_ams,
        Ping(trio["nyc"], "10.99.0.3") as to_sfo,
        Ping(trio["ams"], "10.99.0.3") as others,
    ):
        bundle = prepared(trio, keys, new)
        assert owner(trio["ams"], old_key, new_key) == old_key
        assert "handover: nyc\n" in trio["ams"].answer("status") + "\n"
        assert from_ams.lost() == to_sfo.lost() == others.lost() == []
        assert trio["nyc"].answer("confirm", stdin=bundle.generation) == f"confirmed {bundle.generation[:12]}"
        assert len(from_ams.lost()) <= MOST_LOST
        assert len(to_sfo.lost()) <= MOST_LOST
        assert others.lost() == []
    for name in ("ams", "sfo"):
        assert owner(trio[name], old_key, new_key) == new_key
        assert "drift: none" in trio[name].answer("status")
        # The old one is given up when the new one has been in use for a while.
        noted_as_unused(trio[name], old_key)
        assert old_key in peers(trio[name])
        later(trio[name], 1)
        trio[name].sh(f"while wg show wg0 peers | grep -qF {old_key}; do sleep 0.1; done")
        assert "handover" not in trio[name].answer("status")
        assert trio[name].answer("apply", stdin=new.bundle(MESH, name).text) == "nothing changed"


def test_a_site_that_goes_back_to_its_old_key_is_reached_by_it(trio: dict[str, Host], keys: Keys) -> None:
    joined(trio, keys)
    new = renewed(keys, "nyc")
    old_key, new_key = keys.of("nyc").public_key(), new.of("nyc").public_key()
    nyc, ams = trio["nyc"], trio["ams"]
    before = keys.bundle(MESH, "nyc")
    prepared(trio, keys, new)
    # As where it is killed between the change and the commit: the key is there, and nothing was confirmed.
    nyc.run("sh", "-c", "sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.d/staged/wg0.conf >/run/key;"
            "wg set wg0 private-key /run/key; rm /run/key; ping -c 3 10.99.0.2 || :")  # fmt: skip
    ams.sh(HAS_PREFIXES.format(new_key))
    nyc.answer("rollback")
    assert f"live: {before.generation}" in nyc.answer("status")
    nyc.sh("ping -c 3 -W 1 10.99.0.2 || :")
    ams.sh(HAS_PREFIXES.format(old_key))
    ams.sh("ping -c 1 -W 5 10.99.0.1")
    # It is not given up while the site uses it, whatever the configuration says.
    later(ams, 1)
    ams.run("/usr/local/sbin/wireguard-mesh", "retire", "wg0")
    assert {old_key, new_key} <= set(peers(ams))


def test_prefixes_that_move_to_the_new_key_while_a_run_takes_one_away_end_with_one_of_the_two(
    trio: dict[str, Host], keys: Keys
) -> None:
    """Whoever watches moves them when a handshake comes, and that may be after the run has read who has them."""
    joined(trio, keys)
    new = renewed(keys, "nyc")
    old_key, new_key = keys.of("nyc").public_key(), new.of("nyc").public_key()
    prepared(trio, keys, new)
    ams = trio["ams"]
    before = peers(ams)[old_key][2]
    fewer = "fd99::1/128"
    assert fewer in before
    ams.run("sh", "-c", "cat >/usr/local/bin/wg; chmod 755 /usr/local/bin/wg", stdin=f"""#!/bin/sh
        /usr/bin/wg "$@" || exit
        [ "$*" != "show wg0 dump" ] || [ -e /run/moved ] || /usr/bin/wg set wg0 peer {new_key} allowed-ips {before}
        [ "$*" != "show wg0 dump" ] || touch /run/moved
    """)  # fmt: skip
    one_less = new.edited(MESH, "ams", f", {fewer}", "")
    ams.answer("apply", stdin=one_less.text)
    ams.sh("test -e /run/moved")
    assert owner(ams, old_key, new_key) == old_key
    assert fewer not in str(peers(ams).values())


def test_every_peer_is_spoken_to_by_the_new_key_at_once_though_nobody_has_anything_to_send(
    trio: dict[str, Host], keys: Keys
) -> None:
    silent = replace(MESH, persistent_keepalive=0)
    for host in trio.values():  # the helper's own pings would do it, too
        host.run("sh", "-c", "cat >/usr/local/bin/ping; chmod 755 /usr/local/bin/ping", stdin="#!/bin/sh\nexit 1\n")
    for name, host in trio.items():
        settle(host, keys.bundle(silent, name))
    new = renewed(keys, "nyc")
    for name in ("ams", "sfo"):
        settle(trio[name], new.bundle(silent, name))
    bundle, new_key = new.bundle(silent, "nyc"), new.of("nyc").public_key()
    trio["nyc"].answer("apply", stdin=bundle.text)
    handshakes = "wg show wg0 latest-handshakes | awk '$2 > 0 { print $1 }'"
    assert [host.sh(handshakes) for host in trio.values()] == ["", "", ""], "nobody sends by itself"
    trio["nyc"].answer("confirm", stdin=bundle.generation)
    for name in ("ams", "sfo"):
        trio[name].run("timeout", "15", "sh", "-c", f"until {handshakes} | grep -qF {new_key}; do sleep 0.1; done")
        trio[name].run("timeout", "15", "sh", "-c", HAS_PREFIXES.format(new_key))


def test_a_key_that_the_others_do_not_know_goes_back(trio: dict[str, Host], keys: Keys) -> None:
    joined(trio, keys)
    new = renewed(keys, "nyc")
    settle(trio["ams"], new.bundle(MESH, "ams"))
    nyc, bundle = trio["nyc"], new.bundle(MESH, "nyc")
    nyc.answer("apply", stdin=bundle.text)
    done = nyc.helper("confirm", stdin=bundle.generation)
    assert done.returncode == 71
    assert "what answered before this change does not any more: sfo; went back to" in done.stderr
    assert nyc.run("wg", "show", "wg0", "public-key").strip() == keys.of("nyc").public_key()
    for peer in ("10.99.0.2", "10.99.0.3"):
        nyc.sh(f"until ping -c 1 -W 1 {peer}; do :; done")


def test_both_keys_are_taken_after_a_reboot_too(trio: dict[str, Host], keys: Keys) -> None:
    joined(trio, keys)
    new = renewed(keys, "nyc")
    old_key, new_key = keys.of("nyc").public_key(), new.of("nyc").public_key()
    bundle, ams = prepared(trio, keys, new), trio["ams"]
    # What a reboot leaves, nobody who watches among it.
    ams.sh(
        "pkill -KILL -f '[w]ireguard-mesh watch wg0'; wg-quick down wg0; rm -rf /run/wireguard-mesh; wg-quick up wg0"
    )
    assert {old_key, new_key} <= set(peers(ams))
    trio["nyc"].sh("ping -c 5 -W 1 10.99.0.2 || :")
    ams.sh(HAS_PREFIXES.format(old_key))
    trio["nyc"].answer("confirm", stdin=bundle.generation)
    ams.sh(HAS_PREFIXES.format(new_key))
    ams.sh("ping -c 1 -W 5 10.99.0.1")


@pytest.mark.parametrize("site_s_key_too", [False, True])
def test_all_preshared_keys_change_and_no_packet_is_lost_for_it(
    trio: dict[str, Host], keys: Keys, site_s_key_too: bool
) -> None:
    joined(trio, keys)
    new = Keys(generate_root(), dict(keys.private))
    if site_s_key_too:
        new = renewed(new, "sfo")
    bundles = {name: new.bundle(MESH, name) for name in trio}
    with Ping(trio["ams"], "10.99.0.1") as flow:
        for name, host in trio.items():
            answer = host.answer("apply", stdin=bundles[name].text)
            assert "preshared keys change with the confirm" in answer
            assert {psk for psk, *_ in peers(host).values()} >= {
                keys._preshared(name, [SiteName(other)])[SiteName(other)] for other in trio if other != name
            }
        for name, host in trio.items():
            host.answer("confirm", stdin=bundles[name].generation)
            assert {psk for psk, *_ in peers(host).values()} == {
                new._preshared(name, [SiteName(other)])[SiteName(other)] for other in trio if other != name
            }
        assert flow.lost() == []
    for host in trio.values():
        assert "drift: none" in host.answer("status")
    # A new handshake is made with the new ones.
    trio["nyc"].sh("wg-quick down wg0; wg-quick up wg0; ping -c 1 -W 10 10.99.0.2; ping -c 1 -W 10 10.99.0.3")
