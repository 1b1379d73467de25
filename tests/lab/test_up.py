"""A real `up`, on a real engine, with real packets: the sample environment from nothing to nothing."""

import re

import pytest

from tests.lab.conftest import Start
from tests.lab.environment import pair, sample

pytestmark = pytest.mark.lab

OURS = "WG0-"
FOREIGN = """
iptables -N THEIRS
iptables -A THEIRS -p tcp --dport 8080 -m comment --comment "not ours" -j ACCEPT
iptables -A FORWARD -j THEIRS
iptables -A INPUT -i eth0 -p udp --dport 9 -j DROP
iptables -t nat -A POSTROUTING -s 172.16.5.0/24 -j MASQUERADE
iptables -t mangle -A PREROUTING -p udp -j MARK --set-mark 0x7
ip6tables -A FORWARD -p tcp --dport 8081 -j DROP
"""
SAVE = "iptables-save; ip6tables-save"


def rules(text: str) -> list[str]:
    """Two saved rule sets, line by line, without counters and without tables in which there is nothing.

    Reading or loading a table makes it, with its built-in chains empty: no rule set of anybody's.
    """
    kept: list[str] = []
    table: list[str] = []
    for line in (line.split(" [")[0] for line in text.splitlines()):
        if line.startswith("*"):
            table = [line]
        elif line == "COMMIT":
            said = [entry for entry in table[1:] if not re.fullmatch(r":[A-Z]+ ACCEPT", entry)]
            kept += table if said else []
        elif line and not line.startswith("#"):
            table.append(line)
    return kept


def strip_index(text: str) -> str:
    """Without the interface's number, which grows with every interface made."""
    return re.sub(r"^\d+: ", "", text, flags=re.MULTILINE)


def test_the_sample_comes_up_as_granted_and_a_second_up_changes_nothing(start: Start) -> None:
    environment = start(sample())
    first = environment.up()
    assert first.warnings == ()
    matrix = environment.probe()
    assert matrix.as_granted, matrix.summary
    results = [result for cell in matrix.cells.values() for result in cell.results]
    assert {result.probe.family for result in results if result.probe.granted} == {4, 6}
    assert any(result.probe.granted for result in results)
    assert any(not result.probe.granted for result in results)

    look = "wg show wg0 dump | cut -f 1-5 | sort; ip route; stat -c '%i %Y' /etc/wireguard/wg0.conf"
    before, saved = environment.on("nyc", look), rules(environment.on("nyc", SAVE))
    second = environment.up()
    assert second.nothing_changed, second.changes
    assert environment.on("nyc", look) == before
    assert rules(environment.on("nyc", SAVE)) == saved


def test_a_forgotten_rule_shows_in_the_matrix(start: Start) -> None:
    """The matrix can fail: here a gateway that lost a grant."""
    environment = start(pair())
    environment.up()
    assert environment.probe().as_granted
    environment.on("nyc", "iptables -R WG0-FWD 3 -j DROP")
    assert {(str(p.probe.source), str(p.probe.destination)) for p in environment.probe().problems} == {
        ("ams.lan", "nyc.virbr0")
    }


def test_rules_of_others_are_the_same_after_up_and_after_destroy(start: Start) -> None:
    environment = start(pair())
    environment.on("nyc", FOREIGN)
    untouched = rules(environment.on("nyc", SAVE))
    for _ in range(2):
        environment.up()
        saved = environment.on("nyc", SAVE)
        assert rules("\n".join(line for line in saved.splitlines() if OURS not in line)) == untouched
        ours = [rule for rule in rules(saved) if OURS in rule]
        assert "-A FORWARD -i wg0 -j WG0-FWD" in ours
        # Nothing of ours stands in a chain of others, but for the jumps, which come first.
        assert {rule for rule in ours if not rule.startswith((f":{OURS}", f"-A {OURS}"))} == {
            "-A FORWARD -i wg0 -j WG0-FWD",
            "-A FORWARD -o wg0 -j WG0-FWD",
            "-A FORWARD -i wg0 -j WG0-MSS",
            "-A FORWARD -o wg0 -j WG0-MSS",
            "-A INPUT -i wg0 -j WG0-IN",
            "-A INPUT ! -i wg0 -j WG0-PORT",
            "-A PREROUTING ! -i wg0 -j WG0-RAW",
            "-A PREROUTING -i wg0 -j WG0-PRE",
            "-A POSTROUTING -j WG0-POST",
        }
    assert environment.deployment.run("destroy").failure is None
    assert rules(environment.on("nyc", SAVE)) == untouched


def test_destroy_takes_everything_of_ours_off_a_host(start: Start) -> None:
    environment = start(pair())
    look = (
        "ls -A /etc/wireguard /usr/local/sbin /var/lib 2>/dev/null; ip -o link | cut -d: -f2; ip route; ip -6 route;"
        " cat /proc/sys/net/ipv4/conf/virbr0/forwarding; pgrep -a wireguard || true"
    )
    before = environment.on("nyc", look)
    environment.up()
    assert environment.on("nyc", look) != before
    assert environment.deployment.run("destroy").failure is None
    assert environment.on("nyc", look) == before


def test_wg_quick_alone_restores_the_same_behaviour(start: Start) -> None:
    environment = start(pair())
    environment.up()
    forwarding = "cat /proc/sys/net/ipv4/conf/virbr0/forwarding"
    look = f"wg show wg0 allowed-ips; ip route show dev wg0; ip -4 addr show dev wg0; {forwarding}"
    before, saved = environment.on("nyc", look), rules(environment.on("nyc", SAVE))
    environment.on("nyc", "wg-quick strip wg0 >/dev/null")
    environment.on("nyc", "wg-quick down wg0")
    assert "WG0" not in environment.on("nyc", SAVE)
    assert not environment.probe().as_granted
    environment.on("nyc", "wg-quick up wg0 </dev/null >/dev/null 2>&1")
    assert rules(environment.on("nyc", SAVE)) == saved
    assert strip_index(environment.on("nyc", look)) == strip_index(before)
    assert environment.probe().as_granted


def test_a_revoked_grant_is_gone_and_a_new_one_passes(start: Start) -> None:
    environment = start(pair())
    environment.up()
    environment.config["access"] = [{"from": "nyc.virbr0", "to": "ams.lan"}]
    environment.write()
    environment.up()
    matrix = environment.probe()
    assert matrix.as_granted, matrix.summary


def test_a_site_as_a_party_is_its_gateway_and_not_the_hosts_behind_it(start: Start) -> None:
    environment = start({**pair(), "access": [{"from": "ams", "to": "nyc.virbr0"}, {"from": "ams.lan", "to": "nyc"}]})
    environment.up()
    matrix = environment.probe()
    assert matrix.as_granted, matrix.summary
    lan = environment.world.lan("ams.lan")
    assert lan.run(["ping", "-c1", "-W2", "192.168.122.1"]).returncode == 0
    assert lan.run(["ping", "-c1", "-W1", "192.168.122.10"], check=False).returncode == 1
