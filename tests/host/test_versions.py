"""A host with the rules of the version before, which had five chains in two tables: upgraded, and gone back to."""

import re

from mesh.bundle import Bundle
from tests.host.observe import filled_tables, foreign_rules, rules, state
from tests.host.rulesets import FOREIGN
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between, sealed, settle

# As the version before rendered them for nyc, whose network ams may reach; filter came before nat.
EARLIER = """*filter
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-SRC - [0:0]
-A WG0-FWD -m conntrack --ctstate INVALID -j DROP
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED --ctorigsrc {source} --ctorigdst {lan} -j ACCEPT
-A WG0-FWD -j DROP
-A WG0-IN -m conntrack --ctstate INVALID -j DROP
-A WG0-IN -j DROP
-A WG0-SRC -s {lan} -i virbr0 -j RETURN
-A WG0-SRC -j DROP
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
-A WG0-POST -s {source} -d {lan} -o virbr0 -j MASQUERADE
COMMIT
"""
EARLIER_JUMPS = {
    "-A FORWARD -i wg0 -j WG0-FWD",
    "-A FORWARD -o wg0 -j WG0-FWD",
    "-A INPUT -i wg0 -j WG0-IN",
    "-A PREROUTING -i wg0 -j WG0-PRE",
    "-A POSTROUTING -j WG0-POST",
}


def _earlier(bundle: Bundle) -> Bundle:
    """The bundle with the rules of the version before."""
    v4 = EARLIER.format(source="10.20.0.0/24", lan="192.168.122.0/24")
    v6 = EARLIER.format(source="fd20::/64", lan="fd22::/64")
    text = re.sub(r"@rules\.v4\n.*@conf\n", f"@rules.v4\n{v4}@rules.v6\n{v6}@conf\n", bundle.text, flags=re.DOTALL)
    return sealed(text)


def _jumps(host: Host, family: int) -> set[str]:
    return {line for line in rules(host, family).splitlines() if re.search(r"^-A [A-Z]+ .*-j WG0-", line)}


def test_the_rules_of_the_version_before_are_taken_over_by_a_plain_apply_and_gone_back_to(
    nyc: Host, keys: Keys
) -> None:
    for program, text in FOREIGN.items():
        nyc.run(program, stdin=text)
    foreign = foreign_rules(nyc, 4), foreign_rules(nyc, 6)
    now = keys.bundle(between(NYC, AMS), "nyc")
    earlier = _earlier(now)
    settle(nyc, earlier)
    assert _jumps(nyc, 4) == _jumps(nyc, 6) == EARLIER_JUMPS
    assert "differ" not in nyc.answer("status")
    before = state(nyc)

    answer = nyc.answer("apply", stdin=now.text)
    assert answer == f"applied {now.generation[:12]}: rules replaced"
    assert "differ" not in nyc.answer("status")
    assert len(_jumps(nyc, 4)) == len(_jumps(nyc, 6)) == 9
    assert (foreign_rules(nyc, 4), foreign_rules(nyc, 6)) == foreign

    assert nyc.answer("rollback") == f"rolled back to {earlier.generation[:12]}: rules replaced"
    assert "differ" not in nyc.answer("status")
    assert state(nyc)["rules"] == before["rules"]
    assert (foreign_rules(nyc, 4), foreign_rules(nyc, 6)) == foreign

    settle(nyc, now)
    nyc.answer("remove")
    assert (rules(nyc, 4), rules(nyc, 6)) == foreign


def test_a_host_with_the_rules_of_the_version_before_still_boots(nyc: Host, keys: Keys) -> None:
    earlier = _earlier(keys.bundle(between(NYC, AMS), "nyc"))
    settle(nyc, earlier)
    before = state(nyc)
    nyc.sh("wg-quick down wg0; rm -r /run/wireguard-mesh; wg-quick up wg0")
    assert state(nyc)["rules"] == before["rules"]
    assert settle(nyc, earlier) == ("nothing changed", "confirmed already")


def test_an_upgrade_that_fails_goes_back_to_the_rules_of_the_version_before(nyc: Host, keys: Keys) -> None:
    now = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, _earlier(now))
    before = filled_tables(nyc)
    done = nyc.helper("apply", stdin=sealed(now.text.replace("-j MASQUERADE", "-j NOSUCHTARGET")).text)
    assert done.returncode == 71
    assert "; went back to " in done.stderr
    assert filled_tables(nyc) == before
