"""firewalld beside our rules: what it has to be told of, with nft and without, and what its reload takes away."""

import re

import pytest

from tests.host.observe import rules
from tests.host.rulesets import FIREWALLD, FIREWALLD_WITH_THE_PORT, FIREWALLD_WITH_THE_ZONE, LACKING, load, refused
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between, settle

BUNDLE = Keys().bundle(between(NYC, AMS), "nyc")
ZONE = [
    "--new-zone=mesh",
    "--zone=mesh --set-target=ACCEPT",
    "--zone=mesh --add-interface=wg0",
    "--new-policy=mesh-out",
    "--policy=mesh-out --add-ingress-zone=ANY",
    "--policy=mesh-out --add-egress-zone=mesh",
    "--policy=mesh-out --set-target=ACCEPT",
]
PORT = ["--add-port=51820/udp"]


@pytest.mark.parametrize(
    ("ruleset", "options"),
    [(FIREWALLD, ZONE + PORT), (FIREWALLD_WITH_THE_PORT, ZONE), (FIREWALLD_WITH_THE_ZONE, PORT)],
    ids=["fresh", "with the port", "with the zone"],
)
def test_firewalld_is_to_be_told_of_what_it_lacks(nyc: Host, ruleset: str, options: list[str]) -> None:
    """As in firewall-cmd(1) and firewalld.policies(5); all but the reload are for the permanent configuration."""
    load(nyc, ruleset)
    said = refused(nyc, BUNDLE)
    assert re.findall(r"'firewall-cmd ([^']*)'", said) == [*(f"--permanent {each}" for each in options), "--reload"]
    assert "after every later one run 'wireguard-mesh rollback wg0'" in said


def test_a_rollback_puts_back_what_a_reload_of_firewalld_takes_away(nyc: Host) -> None:
    """It flushes all of iptables, rules of others included (Firewall.flush of firewalld 1.3)."""
    settle(nyc, BUNDLE)
    before = rules(nyc), rules(nyc, 6)
    for program in ("iptables", "ip6tables"):
        for table in ("raw", "mangle", "nat", "filter"):
            nyc.sh(f"{program} -t {table} -F; {program} -t {table} -X")
    assert "rules replaced" in nyc.answer("rollback")
    assert (rules(nyc), rules(nyc, 6)) == before


def _without(host: Host, program: str) -> None:
    host.sh(f'touch /run/gone; mount --bind /run/gone "$(readlink -f "$(command -v {program})")"')


def _firewall_cmd(host: Host, zone: str) -> None:
    """A firewalld that runs, and has the tunnel in that zone. Without one, `firewall-cmd` says so and fails."""
    host.sh("cat >/usr/local/sbin/firewall-cmd <<'END'\n"
            '#!/bin/sh\ncase "$*" in --state) ;; '
            f"--get-zone-of-interface=wg0) echo '{zone or 'no zone'}'; exit {0 if zone else 2} ;; *) exit 1 ;; esac\n"
            "END\nchmod 755 /usr/local/sbin/firewall-cmd")  # fmt: skip


def test_without_nft_firewalld_itself_is_asked_whether_it_knows_the_tunnel(nyc: Host) -> None:
    load(nyc, FIREWALLD)
    _firewall_cmd(nyc, zone="")
    _without(nyc, "nft")
    done = nyc.helper("apply", stdin=BUNDLE.text)
    assert done.returncode == LACKING
    assert re.findall(r"'firewall-cmd --permanent ([^']*)'", done.stderr) == ZONE + PORT
    _firewall_cmd(nyc, zone="mesh")
    settle(nyc, BUNDLE)


def test_without_nft_and_with_a_firewalld_that_uses_iptables_nothing_is_in_the_way(nyc: Host) -> None:
    _firewall_cmd(nyc, zone="")
    nyc.sh("mkdir -p /etc/firewalld; echo FirewallBackend=iptables >/etc/firewalld/firewalld.conf")
    _without(nyc, "nft")
    settle(nyc, BUNDLE)
