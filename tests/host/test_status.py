"""`status`: what it says besides drift, what is no drift, and that it changes nothing and waits for nobody."""

import re
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.host.observe import Ping, peers, state, unwatched
from tests.host.scratch import HELPER, Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle
from tests.host.test_status_drift import drift

PEER = re.compile(
    r"^peer (\w+): handshake (\d+ s ago|never), changed (\d+ s ago|long ago), received (\d+), sent (\d+)$"
)
# Everything that a look could leave, with its time, but for the folder that it works in.
EVERYTHING = "find /etc /run /usr/local /var/lib -path /run/wireguard-mesh/wg0 -prune -o -printf '%p %i %T@ %C@ %s\\n'"


def peer_lines(host: Host) -> dict[str, tuple[str, str, int, int]]:
    """By site: handshake, changed, received, sent."""
    found = [PEER.fullmatch(line) for line in host.answer("status").splitlines() if line.startswith("peer ")]
    return {match[1]: (match[2], match[3], int(match[4]), int(match[5])) for match in found if match is not None}


def test_nothing_is_changed_by_a_look(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    nyc.sh("iptables -F FORWARD; ip addr add 10.9.8.7/32 dev wg0; wg set wg0 listen-port 99; iptables -I INPUT -i lo")
    nyc.run("ping", "-c", "1", "127.0.0.1")
    unwatched(nyc)
    counters = nyc.sh("iptables-save -c | grep -v ^#")
    before = state(nyc), nyc.sh(EVERYTHING), nyc.sh("ls -l --time-style=full-iso /run/wireguard-mesh/wg0")
    assert len(drift(nyc)) > 1
    after = state(nyc), nyc.sh(EVERYTHING), nyc.sh("ls -l --time-style=full-iso /run/wireguard-mesh/wg0")
    assert after == before
    assert nyc.sh("iptables-save -c | grep -v ^#") == counters


def test_on_a_host_without_anything_of_ours_nothing_is_left(nyc: Host) -> None:
    before = nyc.sh(EVERYTHING)
    said = nyc.answer("status").splitlines()
    assert said[:4] == ["interface: wg0", "confirmed: none", "staged: none", "live: none"]
    assert said[-1] == "drift: none"
    assert nyc.sh(EVERYTHING) == before


def test_a_run_at_work_is_said_and_not_waited_for(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, bundle)
    holder = nyc.start("flock", "/run/wireguard-mesh/wg0.lock", "cat")
    nyc.sh("until ! flock -n /run/wireguard-mesh/wg0.lock true; do :; done")
    begun = time.monotonic()
    said = nyc.answer("status")
    assert time.monotonic() - begun < 20, "a run that changes something waits for half a minute"
    assert said.endswith("drift: unknown, since another run is at work on wg0")
    assert f"live: {bundle.generation}\n" in said
    assert "peer ams: " in said
    nyc.kill(holder)
    # Others that look are no run at work.
    holder = nyc.start("flock", "-s", "/run/wireguard-mesh/wg0.lock", "cat")
    nyc.sh("until ! flock -n /run/wireguard-mesh/wg0.lock true; do :; done")
    assert drift(nyc) == ["none"]
    nyc.kill(holder)


def test_a_program_that_hangs_does_not_keep_a_look_from_its_end(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    hanging = '#!/bin/sh\n[ "$3" != dump ] || exec sleep 1000\nexec /usr/bin/wg "$@"\n'
    nyc.run("sh", "-c", "cat >/usr/local/bin/wg; chmod 755 /usr/local/bin/wg", stdin=hanging)
    # The minute that each is given is a second.
    hurried = '#!/bin/sh\n[ "$*" != "${*#-s KILL 60 }" ] || exit 99\nshift 3\nexec /usr/bin/timeout -s KILL 1 "$@"\n'
    nyc.run("sh", "-c", "cat >/usr/local/bin/timeout; chmod 755 /usr/local/bin/timeout", stdin=hurried)
    done = nyc.try_("/usr/local/sbin/wireguard-mesh", "status", "wg0", timeout=60)
    assert "drift: unknown in part: " in done.stdout


def test_what_is_applied_and_not_confirmed_is_no_drift_and_neither_is_what_went_back(nyc: Host, keys: Keys) -> None:
    first, second = keys.bundle(between(NYC, AMS), "nyc"), keys.bundle(between(NYC, AMS, SFO, access=()), "nyc")
    nyc.answer("apply", stdin=first.text)
    assert drift(nyc) == ["none"], "the first"
    nyc.answer("rollback")
    assert drift(nyc) == ["none"], "gone back to nothing"
    settle(nyc, first)
    nyc.answer("apply", stdin=second.text)
    assert drift(nyc) == ["none"], "the second"
    nyc.run("wg", "set", "wg0", "peer", keys.of("sfo").public_key(), "remove")
    assert drift(nyc) == ["peer sfo missing"], "a peer of what is staged"
    nyc.sh("echo '# mine' >>/etc/wireguard/wg0.d/staged/wg0.conf")
    assert drift(nyc) == ["/etc/wireguard/wg0.d/staged/wg0.conf was edited", "peer sfo missing"]
    nyc.answer("rollback")
    assert drift(nyc) == ["none"], "gone back"


def test_a_confirm_that_was_killed_after_the_rename_left_no_drift(nyc: Host, keys: Keys) -> None:
    first, second = keys.bundle(between(NYC, AMS), "nyc"), keys.bundle(between(NYC, AMS, SFO), "nyc")
    settle(nyc, first)
    nyc.answer("apply", stdin=second.text)
    nyc.run("mv", "/etc/wireguard/wg0.d/staged/wg0.conf", "/etc/wireguard/wg0.conf")
    assert drift(nyc) == ["none"]
    nyc.answer("confirm", stdin=second.generation)
    assert drift(nyc) == ["none"]


def test_after_a_boot_there_is_no_drift_and_every_peer_was_set_at_the_boot(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS, SFO), "nyc"))
    nyc.sh("ip link del wg0; rm -r /run/wireguard-mesh; iptables -F; iptables -X; wg-quick up wg0")
    assert drift(nyc) == ["none"]
    assert {changed for _, changed, _, _ in peer_lines(nyc).values()} != {"long ago"}
    nyc.run("rm", "/run/wireguard-mesh/wg0/changed")
    assert {changed for _, changed, _, _ in peer_lines(nyc).values()} == {"long ago"}


def test_each_peer_says_its_handshake_its_bytes_and_when_it_was_changed(pair: dict[str, Host], keys: Keys) -> None:
    for name, host in pair.items():
        settle(host, keys.bundle(between(NYC, AMS, SFO), name))
    nyc = pair["nyc"]
    with Ping(pair["ams"], "10.99.0.1"):
        pass
    before = peers(nyc)[keys.of("ams").public_key()]
    lines = peer_lines(nyc)
    after = peers(nyc)[keys.of("ams").public_key()]
    assert list(lines) == ["ams", "sfo"], "in the order of the file"
    handshake, _, received, sent = lines["ams"]
    assert handshake != "never"
    assert 0 < int(before[4]) <= received <= int(after[4])
    assert 0 < int(before[5]) <= sent <= int(after[5])
    assert (lines["sfo"][0], lines["sfo"][2]) == ("never", 0)
    # As if a while had passed since both were set.
    nyc.sh("sed -i 's/ .*/ -1000/' /run/wireguard-mesh/wg0/changed")
    moved = replace(SFO, endpoint=replace(SFO.endpoint, host="203.0.113.50"))
    settle(nyc, keys.bundle(between(NYC, AMS, moved), "nyc"))
    since = {site: int(changed.split()[0]) for site, (_, changed, _, _) in peer_lines(nyc).items()}
    assert since["ams"] > 1000, "it was left alone"
    assert since["sfo"] < 1000


def test_another_key_of_the_hosts_own_changes_every_peer(nyc: Host, keys: Keys) -> None:
    mesh = between(NYC, AMS, SFO)
    settle(nyc, keys.bundle(mesh, "nyc"))
    nyc.sh("sed -i 's/ .*/ -1000/' /run/wireguard-mesh/wg0/changed")
    other = Keys(keys.root, {site: key for site, key in keys.private.items() if site != "nyc"})
    settle(nyc, other.bundle(mesh, "nyc"))
    assert all(int(changed.split()[0]) < 1000 for _, changed, _, _ in peer_lines(nyc).values())


@pytest.mark.parametrize("starter", ["systemd", "OpenRC"])
def test_an_interface_that_nobody_starts_at_boot_is_drift(nyc: Host, keys: Keys, starter: str) -> None:
    if starter == "systemd":
        fake = (
            "#!/bin/sh\ncase $1 in enable) touch /run/on ;; disable) rm /run/on ;; is-enabled) [ -e /run/on ] ;; esac\n"
        )
        nyc.sh("mkdir -p /run/systemd/system")
        nyc.run("sh", "-c", "cat >/usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl", stdin=fake)
        off, said = "systemctl disable", "wg-quick@wg0.service is not enabled: nobody starts wg0 at boot"
    else:
        fake = (
            '#!/bin/sh\nset -- "$1" "/etc/runlevels/$3/$2" "$2"; mkdir -p "${2%/*}"\n'
            'case $1 in add) ln -s "/etc/init.d/$3" "$2" ;; del) rm "$2" ;; esac\n'
        )
        nyc.run("sh", "-c", "cat >/usr/local/bin/rc-update; chmod 755 /usr/local/bin/rc-update", stdin=fake)
        nyc.sh("touch /etc/init.d/wg-quick")
        off = "rc-update del wg-quick.wg0 default;"
        said = "wg-quick.wg0 is in no runlevel default: nobody starts wg0 at boot"
    nyc.run("sh", str(HELPER), "install", "wg0")
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    assert drift(nyc) == ["none"]
    nyc.sh(off)
    assert drift(nyc) == [said]
    nyc.run("sh", str(HELPER), "install", "wg0")
    assert drift(nyc) == ["none"]


@pytest.mark.parametrize("folder", ["keys", "interfaces", "interface"])
def test_a_resolver_that_was_told_otherwise_is_drift(nyc: Host, keys: Keys, folder: str) -> None:
    fake = f'#!/bin/sh\nmkdir -p /run/resolvconf/{folder}; [ "$1" != -a ] || cat >"/run/resolvconf/{folder}/$2"\n'
    nyc.run("sh", "-c", "cat >/usr/local/sbin/resolvconf; chmod 755 /usr/local/sbin/resolvconf", stdin=fake)
    settle(nyc, keys.bundle(between(replace(NYC, dns=(ip_address("192.168.122.1"),)), AMS), "nyc"))
    assert drift(nyc) == ["none"]
    nyc.sh(f"echo nameserver 192.0.2.1 >/run/resolvconf/{folder}/wg0")
    assert drift(nyc) == ["dns of wg0 differs"]
    nyc.answer("rollback")
    assert drift(nyc) == ["none"]


def test_a_folder_of_ours_that_is_gone_and_a_network_without_its_interface_are_drift(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    nyc.run("ip", "link", "delete", "dev", "virbr0")
    assert drift(nyc) == ["interface virbr0 missing, which a network is behind"]
    nyc.run("rm", "-r", "/etc/wireguard/wg0.d")
    assert drift(nyc) == ["/etc/wireguard/wg0.d missing"]


@pytest.mark.parametrize(("program", "family"), [("iptables-save", 4), ("ip6tables-save", 6)])
@pytest.mark.parametrize("how", ["fails", "is missing"])
def test_rules_that_cannot_be_read_are_said_to_be_and_all_else_is_told(
    nyc: Host, keys: Keys, program: str, family: int, how: str
) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, bundle)
    nyc.sh("ip route del 10.20.0.0/24 dev wg0; iptables -F FORWARD; ip6tables -F FORWARD")
    whole = dict(line.split(": ", 1) for line in nyc.answer("status").splitlines())
    script = "echo 'the kernel says no' >&2; exit 3" if how == "fails" else f"exec /nowhere/{program}"
    nyc.run("sh", "-c", f"cat >/usr/local/bin/{program}; chmod 755 /usr/local/bin/{program}",
            stdin=f"#!/bin/sh\n{script}\n")  # fmt: skip
    done = nyc.helper("status")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert {line.split(": ", 1)[0] for line in lines} == set(whole), "no line is left out"
    assert f"live: {bundle.generation}" in lines
    (rules,) = (line for line in lines if line.startswith(f"rules.v{family}: "))
    assert rules.endswith(" unknown")
    assert f"rules.v{10 - family}: {rules.split()[1]} differ" in lines
    told = [line.removeprefix("drift: ") for line in lines if line.startswith("drift: ")]
    (unread,) = (line for line in told if line.startswith("unknown in part: "))
    assert re.search(f"^unknown in part: {program}: .*{'the kernel says no' if how == 'fails' else program}", unread)
    assert sorted(set(told) - {unread}) == [
        f"jump from filter FORWARD to WG0-FWD missing (IPv{10 - family})",
        "route 10.20.0.0/24 missing",
    ]
    nyc.run("rm", f"/usr/local/bin/{program}")
    assert not any(line.startswith("unknown") for line in drift(nyc))
