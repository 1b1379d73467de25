"""Flows told from texts that are written by hand: each way to pass, and beside it what must not."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from mesh.model import SiteName
from mesh.reachability import Point, Reachability
from tests.mesh.reachability.handwritten import (
    ACCEPT,
    AMS,
    GATEWAYS_PING,
    GRANT,
    GRANTED,
    LIKE_AN_ANSWER,
    NYC,
    POINTS,
    Texts,
)

IN_VAIN = "all (granted at ams and nyc, does not pass)"
KEYS = {NYC: "\n# ams\n[Peer]", AMS: "\n# nyc\n[Peer]"}


def lan(answer: str) -> dict[str, dict[str, str]]:
    """What there is when ams.lan reaches nyc.virbr0 with that answer."""
    return GATEWAYS_PING | {"ams.lan": {"nyc.virbr0": answer}}


def reached(texts: Texts) -> str:
    return texts.answers().get("ams.lan", {}).get("nyc.virbr0", "")


def test_a_granted_network_reaches_the_other_and_nothing_goes_the_other_way() -> None:
    assert Texts().answers() == GRANTED


def test_the_answer_is_sorted_whatever_the_order_of_points_and_sites() -> None:
    answers = Reachability(dict(reversed(Texts().sites().items())), POINTS[::-1]).table()
    assert list(answers) == sorted(answers)
    assert answers == GRANTED


def test_a_point_of_an_unknown_site_is_refused() -> None:
    with pytest.raises(KeyError):
        replace(Texts(), points=(*POINTS, Point("sfo", SiteName("sfo"), ()))).answers()


@pytest.mark.parametrize(
    ("site", "prefix", "why"),
    [
        (AMS, ", 192.168.122.0/24", "the source has no route"),
        (NYC, ", 10.20.0.0/24", "the destination takes no packet from that source"),
    ],
)
def test_a_network_that_is_in_no_allowed_ips_is_not_reached(site: SiteName, prefix: str, why: str) -> None:
    hook = {NYC: "PostUp = ip -4 route replace 10.20.0.0/24 dev %i mtu 1412\n", AMS: "PostDown"}[site]
    texts = Texts().edit(site, hook, "" if site == NYC else hook)
    assert reached(texts.edit(site, prefix)) == IN_VAIN, why


@pytest.mark.parametrize(("site", "other"), [(AMS, "nyc"), (NYC, "ams")])
def test_a_rule_at_one_end_alone_opens_nothing(site: SiteName, other: str) -> None:
    assert reached(Texts().edit(site, ACCEPT)) == f"all (granted at {other}, does not pass)"


def test_a_gateway_without_its_own_address_reaches_nobody_and_nobody_reaches_it() -> None:
    answers = Texts().edit(AMS, "Address = 10.99.0.2/32\n").answers()
    assert answers["ams.lan"] == {"nyc.virbr0": "all"}
    assert "nyc" not in answers["ams"]
    assert "ams" not in answers["nyc"]


def test_a_gateway_may_open_what_its_own_address_was_granted_and_its_network_may_not() -> None:
    granted = ACCEPT.replace("10.20.0.0/24", "10.99.0.2/32")
    texts = Texts().edit(NYC, ACCEPT, granted).edit(AMS, ACCEPT)
    assert texts.answers()["ams"]["nyc.virbr0"] == "all (one way); all (granted at nyc, does not pass)"
    assert "ams.lan" not in texts.answers()
    replies = granted.replace("WG0-FWD", "WG0-IN")
    texts = texts.edit(AMS, "-A WG0-IN -j DROP", f"{replies}-A WG0-IN -j DROP")
    assert texts.answers()["ams"]["nyc.virbr0"] == "all"


def test_a_network_reaches_a_gateway_through_its_input_chain_only() -> None:
    granted = ACCEPT + ACCEPT.replace("192.168.122.0/24", "10.99.0.1")
    opened = Texts().edit(AMS, ACCEPT, granted)
    forwarded = opened.edit(NYC, ACCEPT, granted.replace(ACCEPT, "")).answers()
    assert forwarded["ams.lan"]["nyc"] == IN_VAIN
    opened = opened.edit(NYC, ACCEPT)
    guard = LIKE_AN_ANSWER.replace("WG0-FWD", "WG0-IN")
    at_input = granted.replace("WG0-FWD", "WG0-IN")
    both = opened.edit(NYC, "-A WG0-IN -j DROP", f"{guard}{at_input}-A WG0-IN -j DROP").answers()
    assert both["ams.lan"]["nyc"] == "all"
    assert both["ams.lan"].get("nyc.virbr0", "") == ""
    one = at_input.splitlines(keepends=True)[1]
    tunnel_only = opened.edit(NYC, "-A WG0-IN -j DROP", f"{guard}{one}-A WG0-IN -j DROP").answers()
    assert tunnel_only["ams.lan"]["nyc"] == "all (part)"


@pytest.mark.parametrize(
    ("site", "part", "other"),
    [
        (NYC, GRANT.replace("10.20.0.0/24", "10.20.0.128/25"), "ams"),
        (AMS, GRANT.replace("122.0/24", "122.7"), "nyc"),
    ],
)
def test_a_rule_for_some_of_the_addresses_is_told_from_one_for_all(site: SiteName, part: str, other: str) -> None:
    assert reached(Texts().edit(site, GRANT, part)) == f"all (part); all (granted at {other}, does not pass)"


def test_one_family_of_two_is_named() -> None:
    six = [ip_network("fd22::/64"), ip_network("fd20::/64")]
    points = tuple(
        replace(point, prefixes=(*point.prefixes, six[point.site == AMS]))
        if point.name in {"nyc.virbr0", "ams.lan"}
        else point
        for point in POINTS
    )
    texts = replace(Texts(), points=points)
    assert texts.answers() == lan("all (IPv4 only)")

    def in_ipv6(rules: str) -> str:
        rules = rules.replace("10.20.0.0/24", "fd20::/64").replace("192.168.122.0/24", "fd22::/64")
        return "".join(line for line in rules.splitlines(keepends=True) if "icmp" not in line and "10." not in line)

    texts = texts.edit(NYC, "10.20.0.0/24\n", "10.20.0.0/24, fd20::/64\n").edit(AMS, "2.0/24\n", "2.0/24, fd22::/64\n")
    hook = "PostUp = ip -6 route replace fd20::/64 dev %i mtu 1412\nPostDown"
    texts = texts.edit(NYC, "PostDown", hook)
    texts = replace(
        texts,
        nyc=replace(texts.nyc, rules_v6=in_ipv6(texts.nyc.rules_v4)),
        ams=replace(texts.ams, rules_v6=in_ipv6(texts.ams.rules_v4)),
    )
    assert texts.answers() == lan("all")
    assert texts.asked().passes("ams.lan", "nyc.virbr0", "all", 6)
    assert reached(texts.both(ACCEPT)) == "all (IPv6 only)"
    https = f"--ctproto tcp {GRANT} --ctorigdstport 443"
    assert reached(texts.both(GRANT, https)) == "tcp/443 (IPv4); all (IPv6)"


@pytest.mark.parametrize(
    ("states", "answer"),
    [
        ("NEW", "all (one way); all (granted at ams and nyc, does not pass)"),
        ("RELATED,ESTABLISHED", "all (granted at ams and nyc, does not pass)"),
        ("NEW,ESTABLISHED", "all; all (ICMP errors do not pass nyc)"),
    ],
)
def test_a_flow_needs_its_first_packet_the_ones_after_it_and_errors(states: str, answer: str) -> None:
    every = f"--ctstate NEW,RELATED,ESTABLISHED {GRANT}"
    assert reached(Texts().edit(NYC, every, f"--ctstate {states} {GRANT}")) == answer


def test_a_flow_whose_answers_alone_are_let_through_does_not_go_on() -> None:
    first = ACCEPT.replace("NEW,RELATED,ESTABLISHED", "NEW,RELATED")
    answer = "-A WG0-FWD -s 192.168.122.0/24 -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
    assert reached(Texts().edit(NYC, ACCEPT, first + answer)) == f"all (one way); {IN_VAIN}"
    onward = answer.replace("-s 192.168.122.0/24", "-s 10.20.0.0/24")
    assert reached(Texts().edit(NYC, ACCEPT, first + answer + onward)) == "all"


def test_rules_are_walked_in_order() -> None:
    assert reached(Texts().edit(NYC, ACCEPT, "-A WG0-FWD -j DROP\n" + ACCEPT)) == IN_VAIN
    assert Texts().edit(NYC, ACCEPT, "-A WG0-FWD -i eth7 -j DROP\n" + ACCEPT).answers() == GRANTED
    assert reached(Texts().edit(NYC, ACCEPT, "-A WG0-FWD ! -i eth7 -j DROP\n" + ACCEPT)) == IN_VAIN


@pytest.mark.parametrize("match", ["-s 10.20.0.0/25", "--ctorigsrc 10.20.0.0/25", "--ctorigdst 192.168.122.0/25"])
def test_a_match_that_is_turned_round_is_about_all_other_addresses(match: str) -> None:
    before = f"-A WG0-FWD -i wg0 -m conntrack {match} -j DROP\n"
    both = Texts().edit(NYC, ACCEPT, before.replace(match, f"! {match}") + before + ACCEPT)
    assert reached(both) == IN_VAIN
    assert reached(Texts().edit(NYC, ACCEPT, before.replace(match, f"! {match}") + ACCEPT)).startswith("all (part);")


def test_a_grant_that_is_turned_round_is_for_all_other_addresses() -> None:
    turned = GRANT.replace("--ctorigsrc 10.20.0.0/24", "! --ctorigsrc 10.20.0.0/25")
    assert reached(Texts().edit(NYC, GRANT, turned)).startswith("all (part); ")
    others = GRANT.replace("--ctorigsrc 10.20.0.0/24", "! --ctorigsrc 10.21.0.0/24")
    assert reached(Texts().edit(NYC, GRANT, others)) == "all"


def test_an_echo_rule_lets_the_request_or_the_reply_pass_and_not_both() -> None:
    request, reply = (f"-p icmp -m icmp --icmp-type {kind} -j ACCEPT\n" for kind in (8, 0))
    between = "-s 10.99.0.0/24 -d 10.99.0.2/32 "
    anybody = Texts().edit(AMS, f"-A WG0-IN {between}{reply}").edit(AMS, between + request, request).asked()
    assert anybody.passes("nyc", "ams", "ping", 4)
    assert not anybody.passes("ams", "nyc", "ping", 4)


def test_a_chain_that_returns_goes_on_where_it_was_called_from() -> None:
    texts = Texts().edit(NYC, ACCEPT, "-A WG0-FWD -j WG0-X\n" + ACCEPT)
    chain, there, back, rest = (
        ":WG0-IN - [0:0]\n:WG0-X - [0:0]\n",
        "-A WG0-X -d 192.168.122.0/24 -j RETURN\n",
        "-A WG0-X -d 10.20.0.0/24 -j RETURN\n",
        "-A WG0-X -j DROP\n",
    )
    assert reached(texts.edit(NYC, ":WG0-IN - [0:0]\n", chain + rest)) == IN_VAIN
    assert reached(texts.edit(NYC, ":WG0-IN - [0:0]\n", chain + there + rest)) == f"all (one way); {IN_VAIN}"
    assert reached(texts.edit(NYC, ":WG0-IN - [0:0]\n", chain + there + back + rest)) == "all"
    assert texts.edit(NYC, ":WG0-IN - [0:0]\n", chain).answers() == GRANTED


def test_a_source_that_the_first_table_drops_sends_nothing_and_answers_nothing() -> None:
    drop = "-A WG0-RAW -s 192.168.122.0/24 -j DROP\n"
    last = "-A WG0-RAW -s 10.99.0.0/24 -j DROP\n"
    assert reached(Texts().edit(NYC, last, last + drop)).startswith("all (one way)")
    own = last + drop.replace("192.168.122.0", "10.20.0.0")
    assert reached(Texts().edit(AMS, last, own)) == IN_VAIN


def test_the_last_of_two_peers_with_the_same_prefix_has_it() -> None:
    stranger = "\n# sfo\n[Peer]\nPublicKey = (public key of sfo)\nAllowedIPs = 192.168.122.0/24\n"
    conf = Texts().ams.conf
    after, before = conf + stranger, conf.replace("\n# nyc", f"{stranger}\n# nyc")
    assert reached(replace(Texts(), ams=replace(Texts().ams, conf=after))) == IN_VAIN
    texts = replace(Texts(), ams=replace(Texts().ams, conf=before))
    assert texts.added() == {"ams": {"its wg0": "a peer that is no site"}}


def test_the_longest_prefix_has_its_addresses() -> None:
    stranger = "\n# sfo\n[Peer]\nPublicKey = (public key of sfo)\nAllowedIPs = 192.168.122.64/26\n\n# nyc"
    assert reached(Texts().edit(AMS, "\n# nyc", stranger)) == f"all (part); {IN_VAIN}"


def test_a_peer_that_is_the_gateway_itself_counts_for_nothing() -> None:
    itself = "\n# ams\n[Peer]\nPublicKey = (public key of ams)\nAllowedIPs = 192.168.122.0/24\n"
    conf = Texts().ams.conf + itself
    assert replace(Texts(), ams=replace(Texts().ams, conf=conf)).answers() == GRANTED


def test_an_answer_that_is_routed_elsewhere_does_not_come_back() -> None:
    nearer = Point("nyc.dmz", NYC, (ip_network("10.20.0.0/25"),), "eth9")
    assert reached(replace(Texts(), points=(*POINTS, nearer))).startswith("all (part); all (one way); ")
    looped = Texts().edit(AMS, ", 192.168.122.0/24", ", 192.168.122.0/24, 10.20.0.0/25")
    assert reached(looped).startswith("all (part); all (one way); ")


@pytest.mark.parametrize(("site", "keepalive"), [(AMS, NYC), (NYC, AMS)])
def test_one_end_that_knows_the_other_and_speaks_of_its_own_accord_is_enough(
    site: SiteName, keepalive: SiteName
) -> None:
    endpoints = {AMS: "Endpoint = 203.0.113.10:51820\n", NYC: "Endpoint = 198.51.100.20:51820\n"}
    hidden = Texts().edit(site, endpoints[site])
    assert hidden.answers() == GRANTED
    quiet = hidden.edit(keepalive, "PersistentKeepalive = 25\n").asked()
    assert quiet.passes(keepalive, site, "ping", 4)
    assert not quiet.passes(site, keepalive, "ping", 4)
    neither = Texts().edit(AMS, endpoints[AMS]).edit(NYC, endpoints[NYC])
    assert neither.asked().passes("ams", "nyc", "ping", 4) is False


def test_preshared_keys_that_differ_join_nobody() -> None:
    one, other = "q" * 43 + "=", "r" * 43 + "="
    keyed = Texts().edit(AMS, "AllowedIPs", f"PresharedKey = {one}\nAllowedIPs")
    for texts in (keyed, keyed.edit(NYC, "AllowedIPs", f"PresharedKey = {other}\nAllowedIPs")):
        assert not texts.asked().passes("ams", "nyc", "ping", 4)
        assert not texts.asked().passes("ams.lan", "nyc.virbr0", "ping", 4)
    assert keyed.edit(NYC, "AllowedIPs", f"PresharedKey = {one}\nAllowedIPs").answers() == GRANTED


def test_a_peer_is_known_by_its_real_key_whatever_the_comment_says() -> None:
    key = "a" * 43 + "="
    texts = replace(Texts(), nyc=replace(Texts().nyc, public_key=key))
    assert texts.edit(AMS, "(public key of nyc)", key).edit(AMS, "# nyc", "# anything").answers() == GRANTED
    assert reached(texts.edit(AMS, "(public key of nyc)", "b" * 43 + "=")) == IN_VAIN


def test_a_peer_without_a_section_is_not_reached() -> None:
    assert reached(Texts().edit(AMS, KEYS[AMS], "\n# sfo\n[Peer]")) == IN_VAIN
