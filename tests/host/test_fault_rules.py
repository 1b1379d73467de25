"""Rules and locks of others: what they do to ours, what ours do to them (nothing), and what brings ours back."""

import pytest

from tests.host.observe import foreign_rules, rules
from tests.host.outcome import Prepared, agrees, refused, running, up
from tests.host.rulesets import FOREIGN
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between

# As Docker 20 and later make them: the policy, and what they jump to first.
DOCKERS = """
iptables -P FORWARD DROP
iptables -N DOCKER-USER; iptables -A DOCKER-USER -j RETURN
iptables -N DOCKER-ISOLATION-STAGE-1; iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN
iptables -N DOCKER; iptables -I FORWARD -o docker0 -j DOCKER
iptables -I FORWARD -j DOCKER-ISOLATION-STAGE-1; iptables -I FORWARD -j DOCKER-USER
"""
# As libvirt's iptables backend puts them at the first places whenever it starts.
LIBVIRTS = """
iptables -N LIBVIRT_FWI; iptables -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m state --state ESTABLISHED -j ACCEPT
iptables -A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable; iptables -I FORWARD -j LIBVIRT_FWI
iptables -t nat -N LIBVIRT_PRT
iptables -t nat -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE
iptables -t nat -I POSTROUTING -j LIBVIRT_PRT
"""


def _legacy(host: Host) -> None:
    for program in ("iptables", "ip6tables"):
        for kind in ("", "-save", "-restore"):
            host.run("ln", "-s", f"/usr/sbin/{program}-legacy{kind}", f"/usr/local/sbin/{program}{kind}")


@pytest.mark.parametrize("verb", ["apply", "remove"])
def test_a_lock_that_somebody_keeps_is_waited_for_and_then_said(nyc: Host, keys: Keys, verb: str) -> None:
    _legacy(nyc)
    each = Prepared.of(nyc, keys)
    before = rules(nyc)
    holder = nyc.start("flock", "/run/xtables.lock", "cat")
    nyc.sh("until ! flock -n /run/xtables.lock true; do sleep 0.1; done")
    done = nyc.helper(verb, stdin=each.new.text if verb == "apply" else "")
    refused(done, 71, r"iptables-restore: .*xtables lock.*" + ("; went back to " if verb == "apply" else ""))
    assert rules(nyc) == before
    nyc.kill(holder)
    if verb == "apply":
        each.runs_confirmed()
        each.converges()
    nyc.answer("remove")
    assert "WG0" not in rules(nyc)


def test_a_lock_that_is_given_back_in_time_holds_nobody_up(nyc: Host, keys: Keys) -> None:
    _legacy(nyc)
    each = Prepared.of(nyc, keys)
    holder = nyc.start(
        "flock", "/run/xtables.lock", "sh", "-c", "while ! pgrep -f '[i]ptables-restore -w' >/dev/null; do :; done"
    )
    each.converges()
    holder.communicate(timeout=30)


@pytest.mark.parametrize("ruleset", [DOCKERS, LIBVIRTS])
def test_rules_that_others_put_before_ours_show_and_make_way_again(nyc: Host, keys: Keys, ruleset: str) -> None:
    each = Prepared.of(nyc, keys)
    clean = rules(nyc)
    nyc.sh(ruleset)
    theirs = foreign_rules(nyc)
    assert "rules.v4" in nyc.answer("status")
    assert "differ" in nyc.answer("status")
    assert nyc.answer("rollback").endswith(": jumps put first again")
    assert foreign_rules(nyc) == theirs
    forward = [line for line in nyc.run("iptables-save", "-t", "filter").splitlines() if " FORWARD -" in line]
    assert forward[:2] == ["-A FORWARD -i wg0 -j WG0-FWD", "-A FORWARD -o wg0 -j WG0-FWD"]
    agrees(nyc, each.confirmed)
    up(nyc, each.new)
    agrees(nyc, each.new)
    assert foreign_rules(nyc) == theirs
    nyc.answer("remove")
    assert rules(nyc) == theirs
    assert "WG0" in clean


@pytest.mark.parametrize("policy", ["DROP", "ACCEPT"])
@pytest.mark.parametrize("way_out", ["rollback", "up"])
def test_whoever_flushes_forward_takes_our_jumps_along_until_the_next_rollback_or_up(
    nyc: Host, keys: Keys, policy: str, way_out: str
) -> None:
    nyc.sh(f"iptables -P FORWARD {policy}")
    each = Prepared.of(nyc, keys)
    nyc.sh("iptables -F FORWARD")
    # What the tunnel brings is left to the policy: our chain is there, and nothing leads to it.
    assert "-j WG0-FWD" not in rules(nyc)
    assert ":WG0-FWD" in rules(nyc)
    assert "rules.v4" in nyc.answer("status")
    assert "differ" in nyc.answer("status")
    if way_out == "up":
        up(nyc, each.confirmed)
    else:
        assert nyc.answer("rollback").endswith(": jumps put first again")
    agrees(nyc, each.confirmed)
    assert running(nyc) == each.with_confirmed
    each.converges()


@pytest.mark.parametrize("ours", ["nft", "legacy"])
def test_rules_of_the_other_backend_are_not_touched(nyc: Host, keys: Keys, ours: str) -> None:
    other = {"nft": "legacy", "legacy": "nft"}[ours]
    for program, text in FOREIGN.items():
        # What drops there would be refused, and rightly so.
        nyc.run(program.replace("-", f"-{other}-"), stdin=text.replace(":FORWARD DROP", ":FORWARD ACCEPT"))
    if ours == "legacy":
        _legacy(nyc)

    def theirs() -> list[str]:
        return [line for family in ("iptables", "ip6tables") for line in nyc.run(f"{family}-{other}-save").splitlines()
                if not line.startswith(("#", ":"))]  # fmt: skip

    before = theirs()
    assert any("DOCKER" in line for line in before)
    each = Prepared.of(nyc, keys)
    each.converges()
    assert theirs() == before
    nyc.answer("remove")
    assert theirs() == before


def test_a_refusal_of_nat_after_filter_was_loaded_is_of_no_consequence(nyc: Host, keys: Keys) -> None:
    """Tables are loaded in the order of the text, filter last; here somebody's nat is full of faults on its own."""
    for program, text in FOREIGN.items():
        nyc.run(program, stdin=text)
    each = Prepared.of(nyc, keys)
    theirs = foreign_rules(nyc)
    spoilt = keys.edited(
        between(NYC, AMS, access=(("ams.lan", "nyc.virbr0", "tcp/22"),)), "nyc", "-j MASQUERADE", "-j NOSUCH"
    )
    refused(
        nyc.helper("apply", stdin=spoilt.text),
        71,
        f"iptables-restore: .*; went back to {each.confirmed.generation[:12]}",
    )
    assert foreign_rules(nyc) == theirs
    each.runs_confirmed()
    each.converges()
