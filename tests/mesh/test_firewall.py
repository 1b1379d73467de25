"""The firewall's text: one rule a flow, closed at the end, and exactly what iptables makes of it."""

import os
import shutil
import subprocess
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings

from mesh.firewall import render
from mesh.model import Family, Mesh, Service, SiteName
from mesh.plan import FirewallPlan, Flow, plan
from tests.mesh.meshes import familiar, mesh, meshes, network, service, site

FAMILIES: tuple[Family, ...] = (4, 6)

needs_iptables = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("iptables-nft") is None,
    reason="needs root, to make a network namespace of its own, and the program iptables-nft",
)


def firewall(mesh: Mesh, name: str) -> FirewallPlan:
    return plan(mesh)[SiteName(name)].firewall


def rules(text: str, chain: str) -> list[str]:
    """The rules of one chain, without their common beginning."""
    return [line.removeprefix(f"-A {chain} ") for line in text.splitlines() if line.startswith(f"-A {chain} ")]


def test_the_exposing_site_reads_as_it_was_granted() -> None:
    assert (
        render(firewall(familiar(), "nyc"), 4)
        == """\
*raw
:WG0-RAW - [0:0]
-A WG0-RAW -i lo -j RETURN
-A WG0-RAW -s 10.20.0.0/24 -j DROP
-A WG0-RAW -s 10.30.0.0/24 -j DROP
-A WG0-RAW -s 10.99.0.0/24 -j DROP
COMMIT
*mangle
:WG0-MSS - [0:0]
-A WG0-MSS -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
-A WG0-POST -o wg0 -j ACCEPT
-A WG0-POST -s 10.20.0.0/24 -d 192.168.122.0/24 -o virbr0\
 -m comment --comment "ams.lan -> nyc.virbr0" -j MASQUERADE
-A WG0-POST -s 10.30.0.0/24 -d 192.168.122.0/24 -o virbr0\
 -m comment --comment "sfo.lan -> nyc.virbr0" -j MASQUERADE
COMMIT
*filter
:WG0-DST - [0:0]
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-PORT - [0:0]
:WG0-SRC - [0:0]
-A WG0-DST -d 192.168.122.0/24 -o virbr0 -j RETURN
-A WG0-DST -j DROP
-A WG0-FWD -i wg0 -j WG0-DST
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
-A WG0-FWD -p tcp -m conntrack --ctstate NEW -m tcp --sport 0:32767 --dport 32768:65535\
 ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP
-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED --ctorigsrc 10.20.0.0/24 --ctorigdst 192.168.122.0/24\
 -m comment --comment "ams.lan -> nyc.virbr0" -j ACCEPT
-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED --ctorigsrc 10.30.0.0/24 --ctorigdst 192.168.122.0/24\
 -m comment --comment "sfo.lan -> nyc.virbr0" -j ACCEPT
-A WG0-FWD -j DROP
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 0 -j ACCEPT
-A WG0-IN -j DROP
-A WG0-PORT -p udp -m udp --dport 51820 -j ACCEPT
-A WG0-SRC -s 192.168.122.0/24 -i virbr0 -j RETURN
-A WG0-SRC -j DROP
COMMIT
"""
    )


def test_a_family_without_any_flow_is_closed() -> None:
    assert (
        render(firewall(familiar(), "nyc"), 6)
        == """\
*raw
:WG0-RAW - [0:0]
COMMIT
*mangle
:WG0-MSS - [0:0]
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
-A WG0-POST -o wg0 -j ACCEPT
COMMIT
*filter
:WG0-DST - [0:0]
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-PORT - [0:0]
:WG0-SRC - [0:0]
-A WG0-DST -j DROP
-A WG0-FWD -i wg0 -j WG0-DST
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
-A WG0-FWD -j DROP
-A WG0-IN -j DROP
-A WG0-PORT -p udp -m udp --dport 51820 -j ACCEPT
-A WG0-SRC -j DROP
COMMIT
"""
    )


LIKE_AN_ANSWER = (
    "-p tcp -m conntrack --ctstate NEW -m tcp --sport 0:32767 --dport 32768:65535"
    " ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"
)


@pytest.mark.parametrize(
    ("access", "guarded"),
    [
        ([("ams.lan", "sfo.lan", "")], True),
        ([("ams.lan", "sfo.lan", "tcp/1024-40000")], True),
        ([("ams.lan", "sfo.lan", "tcp/443 udp/40000 icmp")], False),
        # Both ways are granted, and one of them may be revoked later: the flow has to stay its opener's.
        ([("ams.lan", "sfo.lan", ""), ("sfo.lan", "ams.lan", "")], True),
        ([("ams.lan", "sfo.lan", ""), ("sfo.lan", "ams.lan", "tcp/1-32767")], True),
        ([("ams.lan", "sfo.lan", ""), ("sfo.lan", "ams.lan", "tcp/443")], True),
        ([], False),
    ],
)
def test_what_looks_like_an_answer_is_dropped_where_a_grant_could_be_taken_for_it(
    access: list[tuple[str, str, str]], guarded: bool
) -> None:
    of = replace(familiar(), access=mesh(*familiar().sites, access=access).access)
    for name in ("ams", "sfo"):
        text = render(firewall(of, name), 4)
        assert (LIKE_AN_ANSWER in rules(text, "WG0-FWD")) == guarded
        assert LIKE_AN_ANSWER not in rules(text, "WG0-IN")


def test_mss_is_clamped_where_tcp_is_forwarded() -> None:
    for services, clamped in (("", True), ("tcp/443", True), ("udp/53 icmp", False)):
        of = replace(familiar(), access=mesh(*familiar().sites, access=[("ams.lan", "sfo.lan", services)]).access)
        assert bool(rules(render(firewall(of, "sfo"), 4), "WG0-MSS")) == clamped
        assert not rules(render(firewall(of, "nyc"), 4), "WG0-MSS")


def test_an_advertised_prefix_is_mapped_one_to_one_on_its_way_in_and_out() -> None:
    lans = {"nyc": "10.202.0.0/24", "ams": "10.201.0.0/24"}
    twins = [
        site(
            name,
            f"10.99.0.{n}",
            network("lan", "192.168.122.0/24", advertise_as=[lans[name]]),
            endpoint=f"{name}.example",
        )
        for n, name in enumerate(lans, 1)
    ]
    of = mesh(*twins, access=[("ams.lan", "nyc.lan", "tcp/443")])
    nyc, ams = render(firewall(of, "nyc"), 4), render(firewall(of, "ams"), 4)
    assert rules(nyc, "WG0-PRE") == ["-d 10.202.0.0/24 -j NETMAP --to 192.168.122.0/24"]
    assert rules(nyc, "WG0-POST") == ["-o wg0 -j ACCEPT"]
    assert rules(ams, "WG0-PRE") == []
    assert rules(ams, "WG0-POST") == [
        "-s 192.168.122.0/24 -o wg0 -j NETMAP --to 10.201.0.0/24",
        "-o wg0 -j ACCEPT",
    ]
    tuples = {"nyc": "10.201.0.0/24 --ctorigdst 10.202.0.0/24", "ams": "192.168.122.0/24 --ctorigdst 10.202.0.0/24"}
    for name, text in (("nyc", nyc), ("ams", ams)):
        (rule,) = (line for line in rules(text, "WG0-FWD") if line.endswith("ACCEPT"))
        assert f"--ctproto 6 --ctorigsrc {tuples[name]} --ctorigdstport 443 " in rule
        assert rules(text, "WG0-DST")[0] == "-d 192.168.122.0/24 -o lan -j RETURN"


def test_each_family_has_its_own_flows_and_sources() -> None:
    text = render(firewall(familiar(), "fra"), 6)
    flows = [line for line in rules(text, "WG0-FWD") if "ACCEPT" in line]
    assert [line.partition(" --ctorigsrc ")[2].partition(" -m ")[0] for line in flows] == [
        "fd20::/64 --ctorigdst fd40::/64",
        "fd40::/64 --ctorigdst fd20::/64",
    ]
    assert rules(text, "WG0-SRC") == ["-s fd40::/64 -i eth1 -j RETURN", "-j DROP"]
    assert "10." not in text


@pytest.mark.parametrize(
    ("text", "family", "match"),
    [
        ("tcp/443", 4, "--ctproto 6 {} --ctorigdstport 443"),
        ("tcp/443", 6, "--ctproto 6 {} --ctorigdstport 443"),
        ("udp/8000-8100", 4, "--ctproto 17 {} --ctorigdstport 8000:8100"),
        ("tcp", 4, "--ctproto 6 {}"),
        ("udp/1-65535", 6, "--ctproto 17 {} --ctorigdstport 1:65535"),
        ("icmp", 4, "--ctproto 1 {}"),
        ("icmp", 6, "--ctproto 58 {}"),
    ],
)
def test_a_service_is_matched_by_protocol_and_the_openers_port(text: str, family: Family, match: str) -> None:
    here, there = {4: (ip_network("10.20.0.7"), "10.40.0.0/24"), 6: (ip_network("fd20::7"), "fd40::/64")}[family]
    flow = Flow(here, ip_network(there), service(text), "a", "b")
    expected = (
        f"-m conntrack --ctstate NEW,RELATED,ESTABLISHED {match.format(f'--ctorigsrc {here[0]} --ctorigdst {there}')}"
        ' -m comment --comment "a -> b" -j ACCEPT'
    )
    closed = replace(firewall(familiar(), "sfo"), forward=(), input=())
    forwarding, receiving = replace(closed, forward=(flow,)), replace(closed, input=(flow,))
    assert rules(render(forwarding, family), "WG0-FWD")[-2:] == [expected, "-j DROP"]
    assert rules(render(receiving, family), "WG0-IN")[-2:] == [expected, "-j DROP"]
    assert expected not in rules(render(forwarding, family), "WG0-IN") + rules(render(receiving, family), "WG0-FWD")


def test_echo_between_endpoints_passes_in_both_families() -> None:
    nyc = replace(
        firewall(familiar(), "nyc"),
        tunnel=(ip_network("10.99.0.0/24"), ip_network("fd99::/64")),
        addresses=(ip_network("10.99.0.1/32"), ip_network("fd99::1/128")),
    )
    assert rules(render(nyc, 6), "WG0-IN")[:-1] == [
        "-s fd99::/64 -d fd99::1/128 -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT",
        "-s fd99::/64 -d fd99::1/128 -p ipv6-icmp -m icmp6 --icmpv6-type 129 -j ACCEPT",
    ]
    assert "fd99" not in render(nyc, 4)


@given(meshes())
def test_every_chain_ends_by_dropping_and_only_ours_are_touched(mesh: Mesh) -> None:
    for site_plan in plan(mesh).values():
        for family in FAMILIES:
            text = render(site_plan.firewall, family)
            assert text.isascii()
            prefix = mesh.interface.upper()
            for role in ("FWD", "IN", "SRC", "DST"):
                assert rules(text, f"{prefix}-{role}")[-1] == "-j DROP"
            for line in text.splitlines():
                assert line.startswith((f"-A {prefix}-", f":{prefix}-", "*", "COMMIT"))
                assert len(line.split()[0].strip(":")) <= 28


def test_one_flow_is_one_rule_at_each_end() -> None:
    for name, count in {"nyc": 2, "ams": 3, "sfo": 1, "fra": 2}.items():
        text = render(firewall(familiar(), name), 4)
        assert sum("ACCEPT" in line for line in rules(text, "WG0-FWD")) == count


@needs_iptables
@pytest.mark.lab
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(meshes())
def test_iptables_prints_back_what_it_was_given(mesh: Mesh) -> None:
    for site_plan in plan(mesh).values():
        for family, program in zip(FAMILIES, ("iptables-nft", "ip6tables-nft"), strict=True):
            text = render(site_plan.firewall, family)
            assert ours(loaded_and_saved(program, text), mesh.interface) == ours(text, mesh.interface)


@needs_iptables
@pytest.mark.lab
def test_the_longest_names_load_with_a_comment_that_is_cut() -> None:
    names, lan = ("a" * 63, "b" * 63), "n" * 63
    ends = [
        site(names[0], "10.99.0.1", network(lan, "10.1.0.0/24", interface="eth1"), endpoint="203.0.113.1"),
        site(names[1], "10.99.0.2", network(lan, "10.2.0.0/24", interface="eth1"), endpoint="203.0.113.2"),
    ]
    far = firewall(mesh(*ends, access=[(f"{names[0]}.{lan}", f"{names[1]}.{lan}", "")]), names[1])
    assert len(far.forward[0].reason) > 255
    assert ours(loaded_and_saved("iptables-nft", render(far, 4)), "wg0") == ours(render(far, 4), "wg0")


@needs_iptables
@pytest.mark.lab
def test_a_rule_in_another_form_is_seen_to_differ() -> None:
    """The comparison above can fail: the same rule, written otherwise, does not come back as it was."""
    flow = Flow(ip_network("10.20.0.7/32"), ip_network("10.40.0.0/24"), Service("tcp", 443, 443), "a", "b")
    text = render(replace(firewall(familiar(), "sfo"), forward=(flow,)), 4)
    written = text.replace("--ctproto 6", "--ctproto tcp")
    assert written != text
    assert ours(loaded_and_saved("iptables-nft", written), "wg0") == ours(text, "wg0") != ours(written, "wg0")


def loaded_and_saved(program: str, text: str) -> str:
    """What a network namespace that knows nothing else prints after loading the text."""
    script = f"{program}-restore --noflush && {program}-save"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ours(text: str, interface: str) -> dict[str, list[str]]:
    """The lines of our chains, by table."""
    tables: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            tables[line] = []
        elif line.startswith((f":{interface.upper()}-", f"-A {interface.upper()}-")):
            tables[next(reversed(tables))].append(line)
    return tables
