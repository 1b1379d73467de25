"""Reachability told from texts that are written by hand: each way to pass, and beside it what must not."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from mesh.model import SiteName
from mesh.reachability import Point, explain
from tests.mesh.reachability.handwritten import ACCEPT, AMS, GATEWAYS_PING, GRANT, NYC, POINTS, Texts

GRANTED = {"ams": {"nyc": "ping"}, "ams.lan": {"nyc.virbr0": "all"}, "nyc": {"ams": "ping"}}


def lan(answer: str) -> dict[str, dict[str, str]]:
    """What there is when ams.lan reaches nyc.virbr0 with that answer."""
    return GATEWAYS_PING | {"ams.lan": {"nyc.virbr0": answer}}


def test_a_granted_network_reaches_the_other_and_nothing_goes_the_other_way() -> None:
    assert Texts().answers() == GRANTED


def test_the_answer_is_sorted_whatever_the_order_of_the_points() -> None:
    answers = replace(Texts(), points=POINTS[::-1]).answers()
    assert list(answers) == sorted(answers)
    assert answers == GRANTED


@pytest.mark.parametrize(
    ("site", "prefix", "why"),
    [
        (AMS, ", 192.168.122.0/24", "the source has no route"),
        (NYC, ", 10.20.0.0/24", "the destination takes no packet from that source"),
    ],
)
def test_a_network_that_is_in_no_allowed_ips_is_not_reached(site: SiteName, prefix: str, why: str) -> None:
    assert Texts().edit(site, prefix).answers() == GATEWAYS_PING, why


@pytest.mark.parametrize("site", [AMS, NYC])
def test_a_rule_at_one_end_alone_opens_nothing(site: SiteName) -> None:
    assert Texts().edit(site, ACCEPT).answers() == GATEWAYS_PING


def test_a_gateway_without_its_own_address_reaches_nobody_and_nobody_reaches_it() -> None:
    answers = Texts().edit(AMS, "Address = 10.99.0.2/32\n").answers()
    assert answers == {"ams.lan": {"nyc.virbr0": "all"}}


def test_a_gateway_may_open_what_its_own_address_was_granted_and_its_network_may_not() -> None:
    granted = ACCEPT.replace("10.20.0.0/24", "10.99.0.2/32")
    texts = Texts().edit(NYC, ACCEPT, granted).edit(AMS, ACCEPT)
    assert texts.answers() == GATEWAYS_PING | {"ams": {"nyc": "ping", "nyc.virbr0": "all (one way)"}}
    replies = granted.replace("WG0-FWD", "WG0-IN")
    texts = texts.edit(AMS, "-A WG0-IN -j DROP", f"{replies}-A WG0-IN -j DROP")
    assert texts.answers() == GATEWAYS_PING | {"ams": {"nyc": "ping", "nyc.virbr0": "all"}}


def test_a_network_reaches_a_gateway_through_its_input_chain_only() -> None:
    granted = ACCEPT + ACCEPT.replace("192.168.122.0/24", "10.99.0.1")
    opened = Texts().edit(AMS, ACCEPT, granted)
    assert opened.edit(NYC, ACCEPT, granted.replace(ACCEPT, "")).answers() == GATEWAYS_PING
    opened = opened.edit(NYC, ACCEPT)
    at_input = granted.replace("WG0-FWD", "WG0-IN")
    both = opened.edit(NYC, "-A WG0-IN -j DROP", f"{at_input}-A WG0-IN -j DROP").answers()
    assert both == GATEWAYS_PING | {"ams.lan": {"nyc": "all"}}
    one = at_input.splitlines(keepends=True)[1]
    tunnel_only = opened.edit(NYC, "-A WG0-IN -j DROP", f"{one}-A WG0-IN -j DROP").answers()
    assert tunnel_only == GATEWAYS_PING | {"ams.lan": {"nyc": "all (part)"}}


@pytest.mark.parametrize(
    ("match", "answer"),
    [
        ("--ctproto tcp {} --ctorigdstport 443", "tcp/443"),
        ("--ctproto 6 {} --ctorigdstport 443", "tcp/443"),
        ("--ctproto tcp {} --ctorigdstport 8000:8100", "tcp/8000-8100"),
        ("--ctproto tcp {}", "tcp"),
        ("--ctproto udp {} --ctorigdstport 65535", "udp/65535"),
        ("--ctproto icmp {}", "icmp"),
    ],
)
def test_a_service_is_all_that_a_rule_for_it_opens(match: str, answer: str) -> None:
    assert Texts().both(GRANT, match.format(GRANT)).answers() == lan(answer)


def test_two_ends_that_open_different_ports_open_what_both_do() -> None:
    texts = Texts().edit(NYC, GRANT, f"--ctproto tcp {GRANT} --ctorigdstport 8000:8100")
    assert texts.edit(AMS, GRANT, f"--ctproto tcp {GRANT} --ctorigdstport 8050:9000").answers() == lan("tcp/8050-8100")
    assert texts.edit(AMS, GRANT, f"--ctproto udp {GRANT} --ctorigdstport 8000:8100").answers() == GATEWAYS_PING


def test_several_services_are_listed_and_neighbouring_ports_are_one_range() -> None:
    rules = [f"--ctproto {what}" for what in ("tcp {} --ctorigdstport 80", "tcp {} --ctorigdstport 81", "udp {}")]
    accepts = "".join(ACCEPT.replace(GRANT, rule.format(GRANT)) for rule in rules)
    assert Texts().both(ACCEPT, accepts).answers() == lan("tcp/80-81, udp")


@pytest.mark.parametrize(
    ("site", "part"),
    [(NYC, GRANT.replace("10.20.0.0/24", "10.20.0.128/25")), (AMS, GRANT.replace("122.0/24", "122.7"))],
)
def test_a_rule_for_some_of_the_addresses_is_told_from_one_for_all(site: SiteName, part: str) -> None:
    assert Texts().edit(site, GRANT, part).answers() == lan("all (part)")


def test_a_prefix_for_some_of_the_addresses_is_told_from_one_for_all() -> None:
    assert Texts().edit(NYC, ", 10.20.0.0/24", ", 10.20.0.0/25").answers()["ams.lan"] == {"nyc.virbr0": "all (part)"}


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
    rules = texts.nyc.rules_v4.replace("10.20.0.0/24", "fd20::/64").replace("192.168.122.0/24", "fd22::/64")
    rules = "".join(line for line in rules.splitlines(keepends=True) if "icmp" not in line)
    texts = texts.edit(NYC, "10.20.0.0/24\n", "10.20.0.0/24, fd20::/64\n").edit(AMS, "2.0/24\n", "2.0/24, fd22::/64\n")
    texts = replace(
        texts,
        nyc=replace(texts.nyc, rules_v6=rules),
        ams=replace(texts.ams, rules_v6=rules.replace("-s fd22::/64 -i virbr0", "-s fd20::/64 -i eth1")),
    )
    assert texts.answers() == lan("all")
    assert texts.both(ACCEPT).answers() == lan("all (IPv6 only)")
    https = f"--ctproto tcp {GRANT} --ctorigdstport 443"
    assert texts.edit(NYC, GRANT, https).answers() == lan("tcp/443 (IPv4); all (IPv6)")


@pytest.mark.parametrize(("states", "answer"), [("NEW", "all (one way)"), ("RELATED,ESTABLISHED", "")])
def test_a_flow_needs_both_its_first_packet_and_the_ones_after_it(states: str, answer: str) -> None:
    answers = Texts().edit(NYC, f"--ctstate NEW,RELATED,ESTABLISHED {GRANT}", f"--ctstate {states} {GRANT}").answers()
    assert answers == (lan(answer) if answer else GATEWAYS_PING)


def test_a_flow_whose_answers_alone_are_let_through_does_not_go_on() -> None:
    first = ACCEPT.replace("NEW,RELATED,ESTABLISHED", "NEW")
    answer = "-A WG0-FWD -s 192.168.122.0/24 -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
    assert Texts().edit(NYC, ACCEPT, first + answer).answers() == lan("all (one way)")
    onward = answer.replace("-s 192.168.122.0/24", "-s 10.20.0.0/24")
    assert Texts().edit(NYC, ACCEPT, first + answer + onward).answers() == lan("all")


def test_a_chain_that_does_not_end_by_dropping_leaves_the_rest_open() -> None:
    answers = Texts().edit(NYC, "-A WG0-FWD -j DROP\n").answers()
    assert answers["ams"] == {"beyond nyc": "all (one way)", "nyc": "ping", "nyc.virbr0": "all (one way)"}
    answers = Texts().both("-A WG0-IN -j DROP\n").answers()
    assert answers["ams"] == {"nyc": "all"}


def test_rules_are_walked_in_order() -> None:
    assert Texts().edit(NYC, ACCEPT, "-A WG0-FWD -j DROP\n" + ACCEPT).answers() == GATEWAYS_PING
    assert Texts().edit(NYC, ACCEPT, "-A WG0-FWD -i eth7 -j DROP\n" + ACCEPT).answers() == GRANTED
    assert Texts().edit(NYC, ACCEPT, "-A WG0-FWD ! -i eth7 -j DROP\n" + ACCEPT).answers() == GATEWAYS_PING


@pytest.mark.parametrize("match", ["-s 10.20.0.0/25", "--ctorigsrc 10.20.0.0/25", "--ctorigdst 192.168.122.0/25"])
def test_a_match_that_is_turned_round_is_about_all_other_addresses(match: str) -> None:
    before = f"-A WG0-FWD -i wg0 -m conntrack {match} -j DROP\n"
    both = Texts().edit(NYC, ACCEPT, before.replace(match, f"! {match}") + before + ACCEPT)
    assert both.answers() == GATEWAYS_PING
    assert Texts().edit(NYC, ACCEPT, before.replace(match, f"! {match}") + ACCEPT).answers() == lan("all (part)")


def test_a_chain_that_returns_goes_on_where_it_was_called_from() -> None:
    texts = Texts().edit(NYC, ACCEPT, "-A WG0-FWD -j WG0-X\n" + ACCEPT)
    chain, there, back, rest = (
        ":WG0-IN - [0:0]\n:WG0-X - [0:0]\n",
        "-A WG0-X -d 192.168.122.0/24 -j RETURN\n",
        "-A WG0-X -d 10.20.0.0/24 -j RETURN\n",
        "-A WG0-X -j DROP\n",
    )
    assert texts.edit(NYC, ":WG0-IN - [0:0]\n", chain + rest).answers() == GATEWAYS_PING
    assert texts.edit(NYC, ":WG0-IN - [0:0]\n", chain + there + rest).answers() == lan("all (one way)")
    assert texts.edit(NYC, ":WG0-IN - [0:0]\n", chain + there + back + rest).answers() == GRANTED
    assert texts.edit(NYC, ":WG0-IN - [0:0]\n", chain).answers() == GRANTED


def test_the_last_of_two_peers_with_the_same_prefix_has_it() -> None:
    stranger = "\n# sfo\n[Peer]\nPublicKey = (public key of sfo)\nAllowedIPs = 192.168.122.0/24\n"
    conf = Texts().ams.conf
    after, before = conf + stranger, conf.replace("\n# nyc", f"{stranger}\n# nyc")
    assert replace(Texts(), ams=replace(Texts().ams, conf=after)).answers() == GATEWAYS_PING
    assert replace(Texts(), ams=replace(Texts().ams, conf=before)).answers() == GRANTED


def test_the_longest_prefix_has_its_addresses() -> None:
    stranger = "\n# sfo\n[Peer]\nPublicKey = (public key of sfo)\nAllowedIPs = 192.168.122.64/26\n\n# nyc"
    assert Texts().edit(AMS, "\n# nyc", stranger).answers() == lan("all (part)")


def test_a_peer_that_is_the_gateway_itself_counts_for_nothing() -> None:
    itself = "\n# ams\n[Peer]\nPublicKey = (public key of ams)\nAllowedIPs = 192.168.122.0/24\n"
    conf = Texts().ams.conf + itself
    assert replace(Texts(), ams=replace(Texts().ams, conf=conf)).answers() == GRANTED


def test_an_answer_that_is_routed_elsewhere_does_not_come_back() -> None:
    nearer = Point("nyc.dmz", NYC, (ip_network("10.20.0.0/25"),), "eth9")
    assert replace(Texts(), points=(*POINTS, nearer)).answers() == lan("all (part); all (one way)")
    looped = Texts().edit(AMS, ", 192.168.122.0/24", ", 192.168.122.0/24, 10.20.0.0/25")
    assert looped.answers() == lan("all (part); all (one way)")


def test_hosts_that_know_no_way_back_answer_only_to_a_masqueraded_flow() -> None:
    points = tuple(replace(point, routes_back=point.name != "nyc.virbr0") for point in POINTS)
    texts = replace(Texts(), points=points)
    assert texts.answers() == lan("all (one way)")
    rule = ":WG0-POST - [0:0]\n-A WG0-POST -s {} -d 192.168.122.0/24 -o virbr0 -j MASQUERADE\n"
    assert texts.edit(NYC, ":WG0-POST - [0:0]\n", rule.format("10.20.0.0/24")).answers() == lan("all")
    partly = texts.edit(NYC, ":WG0-POST - [0:0]\n", rule.format("10.20.0.0/25")).answers()
    assert partly == lan("all (part); all (one way)")


def test_masquerading_into_the_tunnel_makes_the_source_the_gateway() -> None:
    rule = ":WG0-POST - [0:0]\n-A WG0-POST -o wg0 -j MASQUERADE\n"
    texts = Texts().edit(AMS, ":WG0-POST - [0:0]\n", rule)
    assert texts.answers() == GATEWAYS_PING
    granted = texts.edit(NYC, "--ctorigsrc 10.20.0.0/24", "--ctorigsrc 10.99.0.2/32")
    assert granted.answers()["ams.lan"] == {"nyc.virbr0": "all"}


@pytest.mark.parametrize(
    "lost", ["-A WG0-SRC -j DROP\n", "-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC\n"]
)
def test_whoever_could_pose_as_a_granted_network_is_named(lost: str) -> None:
    posing = {"nyc.virbr0": "all (posing as ams.lan)"}
    assert Texts().edit(AMS, lost).answers() == GRANTED | {"ams.guests": posing, "beside ams": posing}


@pytest.mark.parametrize("site", [AMS, NYC])
def test_one_end_that_knows_the_other_ones_endpoint_is_enough(site: SiteName) -> None:
    endpoints = {AMS: "Endpoint = 203.0.113.10:51820\n", NYC: "Endpoint = 198.51.100.20:51820\n"}
    assert Texts().edit(site, endpoints[site]).answers() == GRANTED
    neither = Texts().edit(AMS, endpoints[AMS]).edit(NYC, endpoints[NYC])
    assert neither.answers() == {}
    assert neither.both("-A WG0-FWD -j DROP\n").answers() == {}


def test_preshared_keys_that_differ_join_nobody() -> None:
    one, other = "q" * 43 + "=", "r" * 43 + "="
    keyed = Texts().edit(AMS, "AllowedIPs", f"PresharedKey = {one}\nAllowedIPs")
    assert keyed.answers() == {}
    assert keyed.edit(NYC, "AllowedIPs", f"PresharedKey = {other}\nAllowedIPs").answers() == {}
    assert keyed.edit(NYC, "AllowedIPs", f"PresharedKey = {one}\nAllowedIPs").answers() == GRANTED


def test_a_peer_is_known_by_its_real_key_whatever_the_comment_says() -> None:
    key = "a" * 43 + "="
    texts = replace(Texts(), nyc=replace(Texts().nyc, public_key=key))
    assert texts.edit(AMS, "(public key of nyc)", key).edit(AMS, "# nyc", "# anything").answers() == GRANTED
    assert texts.edit(AMS, "(public key of nyc)", "b" * 43 + "=").answers() == {}


def test_an_explanation_names_the_prefixes_and_rules_that_decide() -> None:
    lines = explain(Texts().sites(), POINTS, "ams.lan", "nyc.virbr0", "tcp/443")
    assert lines[0] == "10.20.0.0 to 192.168.122.0: passes"
    assert "ams: sends 192.168.122.0 to nyc, whose AllowedIPs have 192.168.122.0/24" in lines
    assert "nyc: takes 10.20.0.0 from ams, whose AllowedIPs have 10.20.0.0/24" in lines
    assert f"nyc: {ACCEPT.strip()}" in lines


def test_an_explanation_of_what_does_not_pass_ends_with_what_stops_it() -> None:
    lines = explain(Texts().edit(NYC, ACCEPT).sites(), POINTS, "ams.lan", "nyc.virbr0")
    assert (lines[0], lines[-1]) == ("10.20.0.0 to 192.168.122.0: does not pass", "nyc: -A WG0-FWD -j DROP")
    lines = explain(Texts().edit(AMS, ", 192.168.122.0/24").sites(), POINTS, "ams.lan", "nyc.virbr0")
    assert lines[-1] == "ams: routes 192.168.122.0 to no interface that is known here"
    with pytest.raises(ValueError, match="'ssh' is not a service"):
        explain(Texts().sites(), POINTS, "ams.lan", "nyc.virbr0", "ssh")


def test_a_point_of_an_unknown_site_is_refused() -> None:
    with pytest.raises(KeyError):
        replace(Texts(), points=(*POINTS, Point("sfo", SiteName("sfo"), ()))).answers()
