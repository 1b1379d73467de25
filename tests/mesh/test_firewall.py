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
*filter
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-SRC - [0:0]
-A WG0-FWD -m conntrack --ctstate INVALID -j DROP
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED --ctorigsrc 10.20.0.0/24 --ctorigdst 192.168.122.0/24\
 -m comment --comment "ams.lan -> nyc.virbr0" -j ACCEPT
-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED --ctorigsrc 10.30.0.0/24 --ctorigdst 192.168.122.0/24\
 -m comment --comment "sfo.lan -> nyc.virbr0" -j ACCEPT
-A WG0-FWD -j DROP
-A WG0-IN -m conntrack --ctstate INVALID -j DROP
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 0 -j ACCEPT
-A WG0-IN -j DROP
-A WG0-SRC -s 192.168.122.0/24 -i virbr0 -j RETURN
-A WG0-SRC -j DROP
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
-A WG0-POST -s 10.20.0.0/24 -d 192.168.122.0/24 -o virbr0\
 -m comment --comment "ams.lan -> nyc.virbr0" -j MASQUERADE
-A WG0-POST -s 10.30.0.0/24 -d 192.168.122.0/24 -o virbr0\
 -m comment --comment "sfo.lan -> nyc.virbr0" -j MASQUERADE
COMMIT
"""
    )


def test_a_family_without_any_flow_is_closed() -> None:
    assert (
        render(firewall(familiar(), "nyc"), 6)
        == """\
*filter
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-SRC - [0:0]
-A WG0-FWD -m conntrack --ctstate INVALID -j DROP
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
-A WG0-FWD -j DROP
-A WG0-IN -m conntrack --ctstate INVALID -j DROP
-A WG0-IN -j DROP
-A WG0-SRC -j DROP
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
COMMIT
"""
    )


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
        ("icmp", 4, "--ctproto 1 {}"),
        ("icmp", 6, "--ctproto 58 {}"),
    ],
)
def test_a_service_is_matched_by_protocol_and_the_openers_port(text: str, family: Family, match: str) -> None:
    here, there = {4: (ip_network("10.20.0.7"), "10.40.0.0/24"), 6: (ip_network("fd20::7"), "fd40::/64")}[family]
    flow = Flow(here, ip_network(there), service(text), "a -> b")
    expected = (
        f"-m conntrack --ctstate NEW,RELATED,ESTABLISHED {match.format(f'--ctorigsrc {here[0]} --ctorigdst {there}')}"
        ' -m comment --comment "a -> b" -j ACCEPT'
    )
    closed = replace(firewall(familiar(), "sfo"), forward=(), input=())
    forwarding, receiving = replace(closed, forward=(flow,)), replace(closed, input=(flow,))
    assert rules(render(forwarding, family), "WG0-FWD")[2:] == [expected, "-j DROP"]
    assert rules(render(receiving, family), "WG0-IN")[-2:] == [expected, "-j DROP"]
    assert expected not in rules(render(forwarding, family), "WG0-IN") + rules(render(receiving, family), "WG0-FWD")


def test_echo_between_endpoints_passes_in_both_families() -> None:
    nyc = replace(
        firewall(familiar(), "nyc"),
        tunnel=(ip_network("10.99.0.0/24"), ip_network("fd99::/64")),
        addresses=(ip_network("10.99.0.1/32"), ip_network("fd99::1/128")),
    )
    assert rules(render(nyc, 6), "WG0-IN")[1:-1] == [
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
            for role in ("FWD", "IN", "SRC"):
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
    flow = Flow(ip_network("10.20.0.7/32"), ip_network("10.40.0.0/24"), Service("tcp", 443, 443), "a -> b")
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
