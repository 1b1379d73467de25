"""The host's rule set: foreign rules stay byte for byte, our jumps stand first, and wg-quick alone restores ours."""

from dataclasses import replace

import pytest

from mesh.model import SiteName
from tests.host.observe import Ping, foreign_rules, forwarding, rules, state, traces
from tests.host.rulesets import FOREIGN
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle
from tests.mesh.meshes import mesh, network, site

# Rules of somebody else at the first place, where our jumps were.
OVERTAKING = """
iptables {0} FORWARD -i wg0 -j ACCEPT
iptables {0} INPUT -p udp -j DROP
iptables -t nat {0} POSTROUTING -o wg0 -j ACCEPT
iptables -t raw {0} PREROUTING ! -i wg0 -j ACCEPT
"""
SYSCTL = "/etc/sysctl.d/60-wireguard-mesh-wg0.conf"
JUMPS = {
    "raw": ["-A PREROUTING ! -i wg0 -j WG0-RAW"],
    "mangle": ["-A FORWARD -i wg0 -j WG0-MSS", "-A FORWARD -o wg0 -j WG0-MSS"],
    "nat": ["-A PREROUTING -i wg0 -j WG0-PRE", "-A POSTROUTING -j WG0-POST"],
    "filter": [
        "-A INPUT -i wg0 -j WG0-IN",
        "-A INPUT ! -i wg0 -j WG0-PORT",
        "-A FORWARD -i wg0 -j WG0-FWD",
        "-A FORWARD -o wg0 -j WG0-FWD",
    ],
}


def _chain(host: Host, chain: str, table: str = "filter") -> list[str]:
    return [line for line in host.run("iptables-save", "-t", table).splitlines() if line.startswith(f"-A {chain} ")]


def _first(host: Host, family: int) -> dict[str, list[str]]:
    """Of each table, as many rules at the first places of its built-in chains as JUMPS has."""
    save = "iptables-save" if family == 4 else "ip6tables-save"
    found = {}
    for table, jumps in JUMPS.items():
        saved = host.run(save, "-t", table).splitlines()
        chains = dict.fromkeys(jump.split()[1] for jump in jumps)
        found[table] = [
            rule
            for chain in chains
            for rule in [line for line in saved if line.startswith(f"-A {chain} ")][
                : sum(jump.split()[1] == chain for jump in jumps)
            ]
        ]
    return found


def _chain_of(rule: str) -> str:
    return rule.split()[1]


def _legacy(host: Host) -> None:
    for program in ("iptables", "ip6tables"):
        for kind in ("", "-save", "-restore"):
            host.run("ln", "-s", f"/usr/sbin/{program}-legacy{kind}", f"/usr/local/sbin/{program}{kind}")


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_foreign_rules_stay_byte_for_byte(nyc: Host, keys: Keys, backend: str) -> None:
    if backend == "legacy":
        _legacy(nyc)
    for program, text in FOREIGN.items():
        nyc.run(program, stdin=text)
    before = [foreign_rules(nyc, 4), foreign_rules(nyc, 6)]
    assert "DOCKER" in before[0]
    for each in (between(NYC, AMS), between(NYC, AMS), between(NYC, AMS, SFO, access=(("sfo.lan", "nyc", ""),))):
        settle(nyc, keys.bundle(each, "nyc"))
        assert [foreign_rules(nyc, 4), foreign_rules(nyc, 6)] == before
        assert [_first(nyc, 4), _first(nyc, 6)] == [JUMPS, JUMPS]
    nyc.answer("remove")
    assert [rules(nyc, 4), rules(nyc, 6)] == before


def test_a_live_rule_set_is_the_bundles_text(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, bundle)
    for family, text in ((4, bundle.text.split("@rules.v4\n")[1].split("@rules.v6\n")[0]),
                         (6, bundle.text.split("@rules.v6\n")[1].split("@conf\n")[0])):  # fmt: skip
        told = [line for line in text.splitlines() if line.startswith("-A")]
        live = [line for line in rules(nyc, family).splitlines() if line.startswith("-A WG0-")]
        # Tables and chains come in the kernel's order, the rules of a chain in ours.
        assert sorted(live, key=_chain_of) == sorted(told, key=_chain_of)


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_jumps_that_someone_overtook_are_put_first_again_and_never_missing(nyc: Host, keys: Keys, backend: str) -> None:
    if backend == "legacy":
        _legacy(nyc)
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, bundle)
    clean = rules(nyc)
    # Saves the rule set over and over, each one a moment's; every one of them must have the jump.
    watch = nyc.start(
        "sh",
        "-c",
        "echo on; until [ -e /run/stop ]; do iptables-save -t filter | grep -c -- '-A FORWARD -i wg0 -j WG0-FWD'; done",
    )
    assert watch.stdout is not None
    assert watch.stdout.readline() == "on\n"
    for _ in range(5):
        nyc.sh(OVERTAKING.format("-I"))
        answer, _ = settle(nyc, bundle)
        assert answer.endswith(": jumps put first again") or answer == "jumps put first again"
        assert _first(nyc, 4) == JUMPS
        nyc.sh(OVERTAKING.format("-D"))
        assert rules(nyc) == clean
    nyc.run("touch", "/run/stop")
    seen = watch.communicate(timeout=10)[0].split()
    assert len(seen) > 5
    assert set(seen) == {"1"}


def test_jumps_that_are_doubled_in_another_order_or_flushed_are_put_right(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, bundle)
    clean = rules(nyc)
    for damage in (
        "iptables -A FORWARD -i wg0 -j WG0-FWD",
        "iptables -D FORWARD -i wg0 -j WG0-FWD; iptables -A FORWARD -i wg0 -j WG0-FWD",
        "iptables -F FORWARD",
        "iptables -F INPUT; iptables -t nat -F",
        "iptables -t raw -I PREROUTING -i wg0 -j WG0-RAW",
        "iptables -t raw -F; iptables -t mangle -D FORWARD -o wg0 -j WG0-MSS; iptables -D INPUT ! -i wg0 -j WG0-PORT",
        "iptables -F; iptables -X",
    ):
        nyc.sh(damage)
        assert "differ" in nyc.answer("status")
        settle(nyc, bundle)
        assert rules(nyc) == clean
        assert "differ" not in nyc.answer("status")


def test_rules_are_replaced_without_losing_a_packet(pair: dict[str, Host], keys: Keys) -> None:
    grants = (("ams.lan", "nyc.virbr0", ""),), (("ams.lan", "nyc.virbr0", "tcp/443"),)
    for name, host in pair.items():
        settle(host, keys.bundle(between(NYC, AMS), name))
    with Ping(pair["ams"], "10.99.0.1") as flow:
        for access in grants * 3:
            settle(pair["nyc"], keys.bundle(between(NYC, AMS, access=access), "nyc"))
        assert flow.lost() == []


def test_wg_quick_down_and_up_restores_everything_by_itself(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    before = state(nyc)
    nyc.run("wg-quick", "down", "wg0")
    assert "WG0" not in rules(nyc) + rules(nyc, 6)
    assert forwarding(nyc, "virbr0") == ("0", "0")
    nyc.run("wg-quick", "up", "wg0")
    after = state(nyc)
    for name in ("rules", "device", "peers", "routes", "forwarding", "files"):
        assert after[name] == before[name]
    assert nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text) == "nothing changed"


def test_without_its_rules_there_is_no_interface(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    nyc.sh("wg-quick down wg0; rm /etc/wireguard/wg0.d/rules/*/rules.v6")
    refused = nyc.try_("wg-quick", "up", "wg0")
    assert refused.returncode != 0
    assert "are missing in /etc/wireguard/wg0.d" in refused.stderr
    assert nyc.try_("ip", "link", "show", "dev", "wg0").returncode == 1


def test_a_host_whose_lan_interface_is_late_at_boot_still_comes_up(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    nyc.sh("wg-quick down wg0; ip link del virbr0")
    booted = nyc.try_("wg-quick", "up", "wg0")
    assert booted.returncode == 0
    assert "virbr0/forwarding: nothing is forwarded there" in booted.stderr
    assert "forwarding: differ" in nyc.answer("status")


def _boot(host: Host) -> None:
    """A boot at which LAN interfaces appear only after wg-quick has run. udev has sysctl look at each that appears."""
    host.sh("wg-quick down wg0; rm -r /run/wireguard-mesh; ip link del virbr0; wg-quick up wg0 2>/dev/null")
    host.sh(
        "ip link add virbr0 type bridge; ip link set virbr0 up; sysctl -q -p /etc/sysctl.d/60-wireguard-mesh-*.conf"
    )


def test_a_lan_interface_that_appears_after_wg_quick_at_boot_forwards(nyc: Host, keys: Keys) -> None:
    before = traces(nyc)
    nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)
    assert not nyc.exists(SYSCTL), "nothing is confirmed yet"
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    assert nyc.run("stat", "-c", "%a", SYSCTL) == "644\n"
    assert "wg0/" not in nyc.read(SYSCTL)
    live = forwarding(nyc, "virbr0")
    _boot(nyc)
    assert forwarding(nyc, "virbr0") == live == ("1", "1")
    assert forwarding(nyc, "lo")[0] == "0"
    assert "forwarding: in place" in nyc.answer("status")
    assert settle(nyc, keys.bundle(between(NYC, AMS), "nyc")) == ("nothing changed", "confirmed already")
    nyc.answer("remove")
    nyc.install()
    nyc.sh("ip address add 192.168.122.1/24 dev virbr0; ip address add fd22::1/64 dev virbr0")
    assert traces(nyc) == before


def test_what_the_host_forwards_by_itself_is_not_ours_after_a_boot_either(nyc: Host, keys: Keys) -> None:
    nyc.sh(
        "cd /proc/sys/net; echo 1 | tee ipv4/conf/virbr0/forwarding ipv6/conf/all/forwarding;"
        "[ ! -e ipv6/conf/virbr0/force_forwarding ] || echo 1 >ipv6/conf/virbr0/force_forwarding"
    )
    for _ in range(2):
        settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    assert not nyc.exists(SYSCTL)
    nyc.answer("remove")
    assert forwarding(nyc, "virbr0") == ("1", "1")


def test_only_families_that_a_grant_involves_are_kept_for_the_next_boot(nyc: Host, keys: Keys) -> None:
    nyc.sh("ip link add lan.5 type bridge; ip link set lan.5 up")
    other = replace(NYC, networks=(network("lan", "10.50.0.0/24", interface="lan.5")(SiteName("nyc")),))
    settle(nyc, keys.bundle(between(other, AMS, access=(("ams.lan", "nyc.lan", ""),)), "nyc"))
    assert nyc.read(SYSCTL).splitlines()[1:] == ["net/ipv4/conf/lan.5/forwarding = 1"]
    settle(nyc, keys.bundle(between(other, AMS, access=()), "nyc"))
    assert not nyc.exists(SYSCTL)


@pytest.mark.parametrize("name", ["mesh1", "wg0-b", "wg0.b"])
def test_a_second_mesh_on_the_host_is_left_alone(nyc: Host, keys: Keys, name: str) -> None:
    first = keys.bundle(between(NYC, AMS), "nyc")
    here = replace(site("nyc", "10.98.0.1", endpoint="203.0.113.1"), listen_port=51999)
    there = site("fra", "10.98.0.2", endpoint="203.0.113.4")
    second = replace(mesh(here, there, tunnel=["10.98.0.0/24"]), interface=name)
    bundle = Keys().bundle(second, "nyc")

    def settle_second() -> None:
        nyc.answer("apply", name, stdin=bundle.text)
        nyc.answer("confirm", name, stdin=bundle.generation)

    settle_second()
    alone = traces(nyc)
    assert f"-A FORWARD -i {name} -j {name.upper()}-FWD" in rules(nyc)
    settle(nyc, first)
    both = traces(nyc)
    settle_second()
    settle(nyc, first)
    assert sorted(traces(nyc).splitlines()) == sorted(both.splitlines())
    nyc.answer("remove", "wg0")
    assert traces(nyc) == alone
    settle(nyc, first)
    assert sorted(traces(nyc).splitlines()) == sorted(both.splitlines())
    nyc.answer("remove", name)
    assert f"{name.upper()}-" not in rules(nyc)
    assert "differ" not in nyc.answer("status")
