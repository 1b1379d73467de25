"""A host that runs WireGuard by hand is taken over: what is granted goes on all the time, and the rest as is said."""

from pathlib import Path

import pytest

from tests.host.byhand import CONF, EXPOSING, KEPT, adopting, bring_up, bundles, by_hand, live, origin, write
from tests.host.observe import Ping, peers, rules, state
from tests.host.scratch import HELPER, Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle

# A TCP connection that asks every 20 ms, until its stdin ends; says how often it was answered.
ASKING = """
import select, socket, sys
with socket.create_connection((sys.argv[1], 5000), 20) as connection:
    print("ready", flush=True)
    count = 0
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        count += 1
    print(count, flush=True)
"""
ANSWERING = """
import socket
with socket.create_server(("", 5000)) as server:
    print("ready", flush=True)
    connection = server.accept()[0]
    while data := connection.recv(100):
        connection.sendall(data)
"""
NOBODY_WATCHES = "while pgrep -f '[w]ireguard-mesh watch wg0' >/dev/null; do sleep 0.1; done"


def answers(host: Host, address: str) -> bool:
    """Whether a ping from there is answered, of three."""
    return host.try_("ping", "-c", "3", "-i", "0.2", "-w", "2", address).returncode == 0


def test_what_is_granted_goes_on_while_both_ends_are_taken_over(
    pair: dict[str, Host], keys: Keys, tmp_path: Path
) -> None:
    with origin(pair, keys, tmp_path) as lan:
        nyc, ams = pair["nyc"], pair["ams"]
        files = {name: host.read(CONF) for name, host in pair.items()}
        foreign = "iptables -A FORWARD -i eth9 -j DROP; iptables -t nat -A POSTROUTING -o eth9 -j MASQUERADE"
        nyc.sh(foreign)
        taken = bundles(keys, adopting())
        serving = lan.start("python3", "-c", ANSWERING)
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        asking = ams.start("python3", "-c", ASKING, "192.168.122.7")
        assert asking.stdout is not None
        assert asking.stdout.readline() == "ready\n"
        assert answers(ams, "192.168.122.7"), "by hand everything passes"
        handshake = peers(nyc)[keys.of("ams").public_key()][3]
        with Ping(ams, "10.99.0.1") as there, Ping(nyc, "10.99.0.2") as back:
            for name, host in pair.items():
                host.run("sh", str(HELPER), "install", "wg0", "adopt")
                assert host.answer("apply", stdin=taken[name].text).startswith(f"applied {taken[name].generation[:12]}")
                assert host.read(CONF) == files[name], "the host boots with it until the confirm"
                assert not host.exists(KEPT)
                if name == "nyc":
                    first = [line for line in rules(nyc).splitlines() if line.startswith("-A FORWARD ")]
                    assert ["WG0-" in line for line in first[-5:]] == [True, True, False, False, False]
            for name, host in pair.items():
                said = host.answer("confirm", stdin=taken[name].generation)
                assert said == f"confirmed {taken[name].generation[:12]}; what was set up by hand is kept as {KEPT}"
            assert (there.lost(), back.lost()) == ([], [])
        answered, _ = asking.communicate(timeout=60)
        assert int(answered) > 10
        assert peers(nyc)[keys.of("ams").public_key()][3] == handshake, "the session is the same"
        serving.communicate(timeout=20)
        # What only the hand-written rules allowed: a ping to the LAN.
        assert not answers(ams, "192.168.122.7")
        for name, host in pair.items():
            assert host.read(KEPT) == files[name]
            assert host.run("stat", "-c", "%a %U", KEPT) == "600 root\n"
            assert f"adopted: {KEPT}\n" in host.answer("status")
        left = [line for line in rules(nyc).splitlines() if line.startswith("-A") and "WG0-" not in line]
        assert sorted(left) == ["-A FORWARD -i eth9 -j DROP", "-A POSTROUTING -o eth9 -j MASQUERADE"]


def test_the_second_apply_changes_nothing_nor_does_taking_the_word_out(nyc: Host, keys: Keys) -> None:
    bring_up(nyc, by_hand(keys, EXPOSING))
    bundle = bundles(keys, adopting())["nyc"]
    settle(nyc, bundle)
    before = state(nyc)
    assert settle(nyc, bundle) == ("nothing changed", "confirmed already")
    assert state(nyc) == before
    without = keys.bundle(between(NYC, AMS, access=(("ams", "nyc.virbr0", "tcp udp"),)), "nyc")
    assert without.generation != bundle.generation
    said, confirmed = settle(nyc, without)
    assert (said, confirmed) == (
        f"applied {without.generation[:12]}: nothing changed but the file", f"confirmed {without.generation[:12]}"
    )  # fmt: skip
    after = state(nyc)
    assert {name: after[name] for name in after if name != "files"} == {
        name: before[name] for name in before if name != "files"
    }
    assert f"adopted: {KEPT}\n" in nyc.answer("status")


@pytest.mark.parametrize("how", ["the time is over", "rollback", "remove", "a failure"])
def test_before_the_confirm_everything_goes_back_to_the_word(
    pair: dict[str, Host], keys: Keys, tmp_path: Path, how: str
) -> None:
    with origin(pair, keys, tmp_path):
        ams = pair["ams"]
        extra = "ip route add 10.50.0.0/24 dev wg0 metric 7; ip route add 10.60.0.0/24 dev wg0 mtu 1300 src 10.99.0.2"
        ams.sh(f"{extra}; ip route add 10.70.0.0/24 dev wg0 table 77")
        assert answers(ams, "192.168.122.7")
        before = {name: live(host) for name, host in pair.items()}
        taken = bundles(keys, adopting())
        if how == "a failure":
            spoilt = keys.edited(adopting(), "ams", "Address = 10.99.0.2/32", "Address = 10.99.0.2/99")
            done = ams.helper("apply", stdin=spoilt.text)
            assert done.returncode == 71
            assert done.stderr.endswith("; brought wg0 back to what was set up by hand, since nothing was confirmed\n")
        for name, host in pair.items():
            if how == "the time is over":
                host.answer("apply", "wg0", "2", stdin=taken[name].text)
                assert "10.99.0.0/24" not in host.run("ip", "route")
                host.sh("timeout 60 sh -c 'until ip route | grep -q 10.99.0.0/24; do sleep 0.1; done'")
                host.sh(NOBODY_WATCHES)
                assert f"staged: {taken[name].generation}" in host.answer("status")
            elif how == "rollback":
                host.answer("apply", stdin=taken[name].text)
                assert host.answer("rollback") == (
                    "nothing was ever confirmed: brought wg0 back to what was set up by hand"
                )
                assert host.answer("rollback") == "nothing was ever confirmed: left wg0 as it was set up by hand"
            elif how == "remove":
                host.answer("apply", stdin=taken[name].text)
                assert host.answer("remove") == "removed wg0, which is again what was set up by hand"
                assert host.sh("ls -A /etc/wireguard").split() == ["wg0.conf"]
        assert answers(ams, "192.168.122.7")
        for name, host in pair.items():
            after = live(host)
            for what in before[name]:
                assert after[what] == before[name][what], what
            assert not host.exists(KEPT)


@pytest.mark.parametrize("how", ["the time is over", "a boot"])
def test_after_going_back_a_late_confirm_takes_over_all_the_same(nyc: Host, keys: Keys, how: str) -> None:
    file = bring_up(nyc, by_hand(keys, EXPOSING))
    bundle = bundles(keys, adopting())["nyc"]
    nyc.answer("apply", "wg0", "1" if how == "the time is over" else "60", stdin=bundle.text)
    if how == "a boot":
        nyc.sh("rm -r /run/wireguard-mesh/wg0.due; ip link del wg0")
    nyc.sh(NOBODY_WATCHES)
    if how == "a boot":
        nyc.sh("rm -r /run/wireguard-mesh; for table in raw mangle nat filter; do for tables in iptables ip6tables; do"
               " $tables -t $table -F; $tables -t $table -X; done; done; wg-quick up wg0")  # fmt: skip
    assert "WG0-" not in rules(nyc)
    assert nyc.read(CONF) == file
    late = nyc.helper("confirm", stdin=bundle.generation)
    assert (late.returncode, late.stdout) == (75, "")
    assert nyc.read(CONF) == file
    assert nyc.answer("confirm", stdin=bundle.generation).endswith(f" is kept as {KEPT}")
    assert nyc.read(KEPT) == file
    assert [line for line in rules(nyc).splitlines() if line.startswith("-A") and "WG0-" not in line] == []
    assert settle(nyc, bundle) == ("nothing changed", "confirmed already")


def test_what_boots_after_the_confirm_is_ours_without_a_rule_of_the_hand_written_file(nyc: Host, keys: Keys) -> None:
    bring_up(nyc, by_hand(keys, EXPOSING))
    bundle = bundles(keys, adopting())["nyc"]
    settle(nyc, bundle)
    before = state(nyc)
    nyc.sh("wg-quick down wg0; wg-quick up wg0")
    after = state(nyc)
    for what in ("rules", "device", "peers", "routes"):
        assert after[what] == before[what]
    assert "MASQUERADE" in rules(nyc)
    assert "-o virbr0 -j MASQUERADE" not in "".join(
        line for line in rules(nyc).splitlines(keepends=True) if line.startswith("-A POSTROUTING")
    )


def test_remove_takes_ours_and_leaves_the_file_and_says_where(nyc: Host, keys: Keys) -> None:
    file = bring_up(nyc, by_hand(keys, EXPOSING))
    settle(nyc, bundles(keys, adopting())["nyc"])
    assert nyc.answer("remove", "wg0", "nyc") == f"removed wg0; what was set up by hand before is in {KEPT}"
    assert nyc.sh("ls -A /etc/wireguard").split() == ["wg0.conf.adopted"]
    assert nyc.read(KEPT) == file
    assert nyc.try_("ip", "link", "show", "dev", "wg0").returncode == 1
    assert "-A " not in rules(nyc)


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_kept_already_is_never_overwritten(nyc: Host, keys: Keys, there: bool) -> None:
    file = bring_up(nyc, by_hand(keys, EXPOSING))
    nyc.run("tee", KEPT, stdin="mine\n" if there else file)
    settle(nyc, bundles(keys, adopting())["nyc"])
    assert nyc.read(KEPT) == ("mine\n" if there else file)
    assert nyc.exists(f"{KEPT}.2") == there
    if there:
        assert nyc.read(f"{KEPT}.2") == file
        assert nyc.answer("remove").endswith(f" is in {KEPT}, {KEPT}.2")


def test_where_nothing_is_there_adoption_is_an_ordinary_apply(nyc: Host, keys: Keys) -> None:
    bundle = bundles(keys, adopting())["nyc"]
    generation = bundle.generation[:12]
    assert settle(nyc, bundle) == (f"applied {generation}: wg0 brought up", f"confirmed {generation}")
    assert nyc.sh("ls -A /etc/wireguard").split() == ["wg0.conf", "wg0.d"]
    assert "adopted" not in nyc.answer("status")


def test_a_file_that_is_not_up_is_kept_and_its_hooks_are_not_run(nyc: Host, keys: Keys) -> None:
    file = by_hand(keys, EXPOSING).replace("PostDown = ", "PostDown = touch /run/ran; ")
    write(nyc, file)
    bundle = bundles(keys, adopting())["nyc"]
    nyc.answer("apply", stdin=bundle.text)
    assert nyc.answer("rollback") == "nothing was ever confirmed: wg0 taken down"
    assert nyc.read(CONF) == file
    assert settle(nyc, bundle)[1].endswith(f"; what was set up by hand is kept as {KEPT}")
    assert nyc.read(KEPT) == file
    assert not nyc.exists("/run/ran")


def test_an_interface_without_a_file_is_taken_over_and_brought_back(nyc: Host, keys: Keys) -> None:
    bring_up(nyc, by_hand(keys, EXPOSING))
    nyc.run("rm", CONF)
    bundle = bundles(keys, adopting(NYC, AMS, SFO))["nyc"]
    link = nyc.sh("cat /sys/class/net/wg0/ifindex")
    nyc.answer("apply", stdin=bundle.text)
    assert len(peers(nyc)) == 2
    nyc.answer("rollback")
    assert list(peers(nyc)) == [keys.of("ams").public_key()]
    assert "10.99.0.1/24" in nyc.run("ip", "address", "show", "dev", "wg0")
    settle(nyc, bundle)
    assert nyc.sh("cat /sys/class/net/wg0/ifindex") == link, "never restarted"
    assert not nyc.exists(KEPT)
