"""Firewalls of others that would overrule ours: found before anything is touched, and refused with what helps."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.bundle import Bundle
from mesh.model import Endpoint
from tests.host.rulesets import (
    DOCKER,
    FAIL2BAN,
    FIREWALLD,
    FIREWALLD_WITH_BOTH,
    KUBE_PROXY,
    LIBVIRT,
    LIBVIRT_ROUTED,
    NETAVARK,
    chain,
    load,
    refused,
)
from tests.host.scratch import Host, connect
from tests.host.sites import AMS, NYC, Keys, between, settle
from tests.mesh.meshes import mesh, network, site

KEYS = Keys()
BUNDLE = KEYS.bundle(between(NYC, AMS), "nyc")
FROM_THE_GATEWAY = between(NYC, AMS, access=(("ams", "nyc.virbr0", ""),))
TO_THE_GATEWAY = KEYS.bundle(between(NYC, AMS, access=(("ams.lan", "nyc", "tcp/22"),)), "nyc")

IPV4_ONLY = mesh(
    site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24", masquerade=True), endpoint="203.0.113.1"),
    site("ams", "10.99.0.2", network("lan", "10.20.0.0/24", interface="br0"), endpoint="203.0.113.2"),
    access=[("ams.lan", "nyc.virbr0", "")],
)


def _refused(host: Host, bundle: Bundle = BUNDLE) -> str:
    return refused(host, bundle)


@pytest.mark.parametrize(
    ("ruleset", "way"),
    [
        pytest.param(chain("forward", "", policy="drop"), "inet filter theirs", id="policy"),
        pytest.param(chain("forward", 'iifname "eth9" accept', policy="drop"), "inet filter theirs", id="for another"),
        pytest.param(chain("forward", "ct state related accept\ncounter reject"), "inet filter theirs", id="at last"),
        pytest.param(chain("forward", "log drop", comment="all we accept here"), "inet filter theirs", id="comment"),
        pytest.param(chain("forward", "jump closed"), "inet filter theirs", id="jump"),
        pytest.param(chain("forward", "drop", table="ip filter"), "ip filter theirs", id="iptables' table"),
        pytest.param(chain("forward", "drop", table="ip6 own"), "ip6 own theirs", id="IPv6"),
        pytest.param(chain("input", 'iifname "wg0" accept', policy="drop"), "inet filter theirs", id="port, policy"),
        pytest.param(chain("input", "udp dport 51821 accept\ngoto closed"), "inet filter theirs", id="another port"),
        pytest.param(chain("input", "tcp dport 51820 accept\njump closed"), "inet filter theirs", id="TCP"),
        pytest.param(
            chain("input", 'iif "lo" accept\nicmp type 8 accept\nip saddr 192.0.2.0/24 accept', policy="drop"),
            "inet filter theirs",
            id="for few",
        ),
        pytest.param(
            chain("input", 'iifname vmap { "lo" : accept, "eth9" : jump closed }', policy="drop"),
            "inet filter theirs",
            id="map of links",
        ),
    ],
)
def test_a_chain_that_ends_by_dropping_is_refused_until_the_commands_were_run(
    nyc: Host, ruleset: str, way: str
) -> None:
    load(nyc, ruleset)
    said = _refused(nyc)
    assert f"nftables drops in chain {way} what our rules accept" in said
    commands = re.findall(r"'(nft insert rule [^']*)'", said)
    assert len(commands) == (2 if "hook forward" in ruleset else 1)
    for command in commands:
        nyc.run(*command.split())
    settle(nyc, BUNDLE)


@pytest.mark.parametrize(
    "ruleset",
    [
        pytest.param(chain("forward", 'iifname "wg0" accept\noifname "wg0" accept\ndrop'), id="tunnel"),
        pytest.param(chain("forward", "iifname @links accept", policy="drop", links='"eth9", "wg0"'), id="set"),
        pytest.param(chain("forward", 'iifname "wg*" accept', policy="drop"), id="tunnel by pattern"),
        pytest.param(chain("forward", "ct state invalid drop\nct state new accept", policy="drop"), id="all new"),
        pytest.param(
            chain("forward", "ct state vmap { invalid : drop, new : accept }", policy="drop"), id="all new, by a map"
        ),
        pytest.param(chain("forward", "jump through\nreject"), id="all, by a jump"),
        pytest.param(chain("forward", 'oifname "virbr0" accept', policy="drop"), id="all to the LAN"),
        pytest.param(chain("forward", "ip daddr 169.254.169.254 drop"), id="metadata"),
        pytest.param(chain("forward", 'iifname "virbr0" oifname "virbr0" drop'), id="guests among themselves"),
        pytest.param(chain("forward", "ct state new limit rate over 90/second drop"), id="rate"),
        pytest.param(chain("forward", 'iifname "eth9" jump closed\nip saddr @banned drop'), id="banned"),
        pytest.param(chain("forward", 'accept comment "then drop"'), id="comment"),
        pytest.param(chain("input", "udp dport 51820 accept", policy="drop"), id="port"),
        pytest.param(chain("input", "jump opened\nreject", ports="53, 51000-52000"), id="port in a range"),
        pytest.param(chain("input", "udp dport @ports accept", policy="drop", ports="53, 51820"), id="port in a set"),
        pytest.param(chain("input", "udp dport vmap { 53 : drop, 51820 : accept }", policy="drop"), id="port in a map"),
        pytest.param(chain("input", 'iifname "wan0" accept', policy="drop"), id="all from outside"),
        pytest.param(
            chain("input", 'iifname vmap { "lo" : accept, "wan0" : jump through }', policy="drop"), id="map of links"
        ),
        pytest.param(chain("input", "meta l4proto { tcp, udp } accept", policy="drop"), id="all UDP"),
        pytest.param(chain("input", "icmp type 8 drop\nudp dport 53 drop"), id="services"),
        pytest.param(chain("input", "drop", table="ip6 own"), id="IPv6 outside"),
        pytest.param(chain("forward", "drop", table="bridge filter"), id="bridge"),
        pytest.param(chain("output", "drop"), id="another hook"),
        pytest.param(DOCKER, id="docker"),
        pytest.param(NETAVARK, id="netavark"),
        pytest.param(KUBE_PROXY, id="kube-proxy"),
        pytest.param(FAIL2BAN, id="fail2ban"),
        pytest.param(FIREWALLD_WITH_BOTH, id="firewalld"),
    ],
)
def test_a_chain_that_may_let_our_packets_pass_is_no_hindrance(nyc: Host, ruleset: str) -> None:
    load(nyc, ruleset)
    settle(nyc, BUNDLE)


def test_chains_count_only_for_what_the_bundle_needs_of_their_family_and_hook(nyc: Host) -> None:
    load(nyc, chain("forward", "", policy="drop"))
    settle(nyc, TO_THE_GATEWAY)
    assert "inet filter theirs" in _refused(nyc, BUNDLE)
    nyc.run("nft", "delete", "table", "inet", "filter")
    load(
        nyc,
        chain("forward", "", policy="drop", table="ip6 own")
        + chain("input", "", policy="drop", name="in", table="ip6 own"),
    )
    settle(nyc, KEYS.bundle(IPV4_ONLY, "nyc"))
    assert "ip6 own theirs" in _refused(nyc, BUNDLE)


def test_a_closed_input_of_ipv6_matters_where_an_endpoint_is_there(nyc: Host) -> None:
    load(nyc, chain("input", "", policy="drop", table="ip6 own"))
    settle(nyc, BUNDLE)
    outside = replace(AMS, endpoint=Endpoint("2001:db8::2", 51820))
    assert "'nft insert rule ip6 own theirs udp dport 51820 accept'" in _refused(
        nyc, KEYS.bundle(between(NYC, outside), "nyc")
    )


def test_what_is_granted_to_the_gateway_itself_has_to_pass_the_chains_of_input_as_well(nyc: Host) -> None:
    load(nyc, chain("input", "udp dport 51820 accept", policy="drop"))
    settle(nyc, BUNDLE)
    said = _refused(nyc, TO_THE_GATEWAY)
    assert re.findall(r"'(nft [^']*)'", said) == ["nft insert rule inet filter theirs iifname wg0 accept"]
    nyc.run("nft", "insert", "rule", "inet", "filter", "theirs", "iifname", "wg0", "accept")
    settle(nyc, TO_THE_GATEWAY)


@pytest.fixture
def served(pair: dict[str, Host], tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """The gateways of nyc and ams after their first `up`, and a host behind nyc at 192.168.122.7."""
    nyc, ams = pair["nyc"], pair["ams"]
    with Host(tmp_path / "lan") as lan:
        connect(lan, nyc, "eth0", "lan0")
        lan.sh("ip address add 192.168.122.7/24 dev eth0")
        nyc.sh("ip link set lan0 master virbr0")
        settle(nyc, KEYS.bundle(FROM_THE_GATEWAY, "nyc"))
        settle(ams, KEYS.bundle(FROM_THE_GATEWAY, "ams"))
        yield nyc, ams


def _answered(ams: Host, seconds: int) -> bool:
    return ams.try_("ping", "-n", "-c1", f"-w{seconds}", "192.168.122.7").returncode == 0


def test_a_drop_there_is_final_and_an_accept_by_the_tunnels_name_ends_it(served: tuple[Host, Host]) -> None:
    """What the refusals are about, with packets."""
    nyc, ams = served
    assert _answered(ams, 20)
    load(nyc, chain("forward", "", policy="drop"))
    assert not _answered(ams, 1)
    said = nyc.helper("apply", stdin=BUNDLE.text).stderr
    for command in re.findall(r"'(nft insert rule [^']*)'", said):
        nyc.run(*command.split())
    assert _answered(ams, 20)
    load(nyc, LIBVIRT)
    assert not _answered(ams, 1)


def test_libvirts_own_rules_matter_where_they_are_about_a_network_of_the_site(nyc: Host) -> None:
    load(nyc, LIBVIRT)
    said = _refused(nyc)
    assert 'set firewall_backend = "iptables" in /etc/libvirt/network.conf, restart virtnetworkd or libvirtd' in said
    settle(nyc, TO_THE_GATEWAY)  # which forwards nothing
    nyc.sh("nft delete table ip libvirt_network; ip link add virbr9 type bridge")
    load(nyc, LIBVIRT.replace("virbr0", "virbr9"))
    settle(nyc, BUNDLE)
    nyc.sh("nft delete table ip libvirt_network")
    load(nyc, LIBVIRT_ROUTED)
    settle(nyc, BUNDLE)


def test_everything_in_the_way_is_told_at_once(nyc: Host) -> None:
    load(nyc, FIREWALLD + LIBVIRT + chain("forward", "", policy="drop") + chain("input", "", policy="drop", name="in"))
    said = _refused(nyc)
    assert [words in said for words in ("firewalld drops", "libvirt rejects")] == [True, True]
    assert re.findall("nftables drops in chain ([a-z ]*) what", said) == ["inet filter theirs", "inet filter in"]


def _use(host: Host, backend: str) -> None:
    for program in ("iptables", "ip6tables"):
        for kind in ("", "-save", "-restore"):
            host.run("ln", "-sf", f"/usr/sbin/{program}-{backend}{kind}", f"/usr/local/sbin/{program}{kind}")


OTHER_BACKEND = [("nft", "legacy"), ("legacy", "nft")]


@pytest.mark.parametrize(("used", "other"), OTHER_BACKEND)
@pytest.mark.parametrize("program", ["iptables", "ip6tables"])
@pytest.mark.parametrize("rule", ["-P FORWARD DROP", '-A FORWARD -m comment --comment "the rest" -j REJECT'])
def test_a_chain_of_the_other_backend_that_ends_by_dropping_is_refused_until_it_names_the_tunnel(
    nyc: Host, used: str, other: str, program: str, rule: str
) -> None:
    _use(nyc, used)
    nyc.sh(f"{program}-{other} -A FORWARD -i eth9 -j ACCEPT; {program}-{other} {rule}")
    said = _refused(nyc)
    assert f"{program} of the other backend drops what our rules accept (FORWARD)" in said
    assert f"'update-alternatives --config {program}'" in said
    nyc.sh(f"{program}-{other} -I FORWARD -i wg+ -j ACCEPT; {program}-{other} -I FORWARD -o wg0 -j ACCEPT")
    settle(nyc, BUNDLE)


@pytest.mark.parametrize(("used", "other"), OTHER_BACKEND)
def test_input_of_the_other_backend_has_to_let_the_port_pass(nyc: Host, used: str, other: str) -> None:
    _use(nyc, used)
    nyc.sh(f"iptables-{other} -P INPUT DROP; iptables-{other} -A INPUT -p tcp --dport 1024:65535 -j ACCEPT")
    assert "iptables of the other backend drops what our rules accept (INPUT)" in _refused(nyc)
    nyc.sh(f"iptables-{other} -A INPUT -p udp -m multiport --dports 53,51000:52000 -j ACCEPT")
    settle(nyc, BUNDLE)


@pytest.mark.parametrize(("used", "other"), OTHER_BACKEND)
@pytest.mark.parametrize(
    "rules",
    [
        "-A FORWARD -o virbr0 -j REJECT; iptables -t nat -A POSTROUTING -j MASQUERADE",
        "-N f2b-sshd; iptables -A f2b-sshd -s 192.0.2.4/32 -j REJECT; iptables -A f2b-sshd -j RETURN;"
        " iptables -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd",
        "-P FORWARD DROP; iptables -A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
        "-P INPUT DROP; iptables -A INPUT -i wan0 -j ACCEPT",
    ],
    ids=["conditional", "fail2ban", "everything new", "all from outside"],
)
def test_rules_of_the_other_backend_that_may_let_our_packets_pass_are_no_hindrance(
    nyc: Host, used: str, other: str, rules: str
) -> None:
    _use(nyc, used)
    nyc.sh(f"iptables-{other} {rules}".replace("; iptables ", f"; iptables-{other} "))
    settle(nyc, BUNDLE)
