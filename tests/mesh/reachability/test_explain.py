"""An answer explains itself: the hops there and back, what decided at each, and what stops what does not pass."""

import json
from dataclasses import asdict, replace
from ipaddress import ip_network

import pytest

from mesh.reachability import Explanation, Step
from tests.mesh.reachability.handwritten import (
    ACCEPT,
    AMS,
    GRANT,
    NYC,
    POINTS,
    Texts,
    one_prefix_at_both_sites,
)

ECHO = "-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT"
ROUTE = "PostUp = ip -4 route replace 10.20.0.0/24 dev %i mtu 1412\n"
OWN_NAT = "-A WG0-POST -o wg0 -j ACCEPT\n"


def hops(explanation: Explanation) -> list[tuple[str, str, str, bool]]:
    """Site, kind, text and whether it passes, of the one case that there is."""
    ((case,),) = [family.cases for family in explanation.families]
    return [(step.site, step.kind, step.text, step.passes) for step in case.steps]


def last(explanation: Explanation) -> tuple[str, str, str]:
    """What denies it."""
    *before, (site, kind, text, passes) = hops(explanation)
    assert all(step[3] for step in before)
    assert not passes
    return site, kind, text


def test_each_hop_of_a_flow_that_passes_names_what_decided() -> None:
    explanation = Texts().asked().explain("ams.lan", "nyc.virbr0", "tcp/443")
    rule = ACCEPT.strip()
    assert hops(explanation) == [
        ("ams", "route", "192.168.122.0/24 by wg0", True),
        ("ams", "rule", rule, True),
        ("ams", "allowed IPs", "192.168.122.0/24 of nyc", True),
        ("ams", "handshake", "with nyc", True),
        ("nyc", "source", "10.20.0.0/24 of ams", True),
        ("nyc", "route", "192.168.122.0/24 by virbr0", True),
        ("nyc", "rule", rule, True),
        ("nyc", "route", "10.20.0.0/24 by wg0", True),
        ("nyc", "rule", rule, True),
        ("nyc", "allowed IPs", "10.20.0.0/24 of ams", True),
        ("ams", "route", "10.20.0.0/24 by eth1", True),
        ("ams", "rule", rule, True),
    ]
    ((case,),) = [family.cases for family in explanation.families]
    assert [step.answer for step in case.steps] == [False] * 7 + [True] * 5
    assert {step.services for step in case.steps} == {"tcp/443"}
    assert (case.source, case.source_as) == (("10.20.0.0/24",), ("10.20.0.0/24",))
    assert (case.destination, case.destination_as) == (("192.168.122.0/24",), ("192.168.122.0/24",))
    assert [(family.family, family.verdict) for family in explanation.families] == [(4, "passes")]
    assert (explanation.source, explanation.destination, explanation.service) == ("ams.lan", "nyc.virbr0", "tcp/443")


def test_nat_is_named_with_both_the_real_and_the_advertised_addresses() -> None:
    texts = one_prefix_at_both_sites().edit(
        NYC, OWN_NAT, f"{OWN_NAT}-A WG0-POST -s 10.201.0.0/24 -d 192.168.122.0/24 -o virbr0 -j MASQUERADE\n"
    )
    explanation = texts.asked().explain("ams.lan", "nyc.virbr0")
    ((case,),) = [family.cases for family in explanation.families]
    assert [(step.site, step.text, step.answer) for step in case.steps if step.kind == "NAT"] == [
        ("ams", "-A WG0-POST -s 192.168.122.0/24 -o wg0 -j NETMAP --to 10.201.0.0/24", False),
        ("nyc", "-A WG0-PRE -d 10.202.0.0/24 -j NETMAP --to 192.168.122.0/24", False),
        ("nyc", "-A WG0-POST -s 10.201.0.0/24 -d 192.168.122.0/24 -o virbr0 -j MASQUERADE", False),
    ]
    assert (case.source, case.source_as) == (("192.168.122.0/24",), ("10.201.0.0/24",))
    assert (case.destination, case.destination_as) == (("192.168.122.0/24",), ("10.202.0.0/24",))


@pytest.mark.parametrize(
    ("texts", "denied"),
    [
        (Texts().edit(AMS, ACCEPT), ("ams", "rule", "-A WG0-FWD -j DROP")),
        (Texts().edit(NYC, ACCEPT), ("nyc", "rule", "-A WG0-FWD -j DROP")),
        (Texts().edit(AMS, "-i eth1 -j RETURN", "-i eth3 -j RETURN"), ("ams", "rule", "-A WG0-SRC -j DROP")),
        (Texts().edit(NYC, "-o virbr0 -j RETURN", "-o eth3 -j RETURN"), ("nyc", "rule", "-A WG0-DST -j DROP")),
        (Texts().edit(AMS, ", 192.168.122.0/24"), ("ams", "route", "no route")),
        (
            Texts().edit(AMS, "192.168.122.0/24\n", "192.168.122.0/24\n\n# sfo\n[Peer]\nPublicKey = k\n"
                         "AllowedIPs = 192.168.122.0/24\n"),
            ("ams", "allowed IPs", "192.168.122.0/24 of nobody"),
        ),
        (
            Texts().edit(AMS, "AllowedIPs", "PresharedKey = secret\nAllowedIPs"),
            ("ams", "handshake", "nyc has another preshared key"),
        ),
        (
            Texts().edit(NYC, ROUTE).edit(NYC, ", 10.20.0.0/24"),
            ("nyc", "source", "no peer has the opener's address"),
        ),
        (
            one_prefix_at_both_sites().edit(NYC, "-A WG0-PRE -d 10.202.0.0/24 -j NETMAP --to 192.168.122.0/24\n"),
            ("nyc", "NAT", "the advertised address is not turned into the real one"),
        ),
        (
            replace(Texts(), points=tuple(replace(point, routes_back=False) for point in POINTS)),
            ("nyc", "NAT", "no masquerade, and the host has no route to the opener"),
        ),
        (
            Texts().edit(NYC, "-A WG0-RAW -i lo", "-A WG0-RAW -s 192.168.122.0/24 -j DROP\n-A WG0-RAW -i lo"),
            ("nyc", "rule", "-A WG0-RAW -s 192.168.122.0/24 -j DROP"),
        ),
    ],
)  # fmt: skip
def test_what_does_not_pass_ends_with_what_denies_it(texts: Texts, denied: tuple[str, str, str]) -> None:
    explanation = texts.asked().explain("ams.lan", "nyc.virbr0", "tcp/443")
    assert last(explanation) == denied
    assert explanation.families[0].verdict in {"does not pass", "one way"}


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (ACCEPT, ACCEPT.replace("NEW,RELATED,ESTABLISHED", "NEW"), "one way"),
        (GRANT, f"--ctproto 6 {GRANT} --ctorigdstport 443", "in part"),
        (GRANT, GRANT.replace("10.20.0.0/24", "10.20.0.0/25"), "in part"),
        (ACCEPT, "", "does not pass"),
    ],
)
def test_the_verdict_says_how_far_it_gets(old: str, new: str, verdict: str) -> None:
    (family,) = Texts().edit(NYC, old, new).asked().explain("ams.lan", "nyc.virbr0").families
    assert family.verdict == verdict


def test_addresses_that_go_the_same_way_are_one_case() -> None:
    texts = Texts().edit(NYC, GRANT, GRANT.replace("10.20.0.0/24", "10.20.0.64/26"))
    (family,) = texts.asked().explain("ams.lan", "nyc.virbr0").families
    assert [(case.source, case.verdict) for case in family.cases] == [
        (("10.20.0.0/26", "10.20.0.128/25"), "does not pass"),
        (("10.20.0.64/26",), "passes"),
    ]


def test_services_that_end_differently_have_a_step_each() -> None:
    texts = Texts().edit(NYC, GRANT, f"--ctproto 6 {GRANT} --ctorigdstport 443")
    ((case,),) = [family.cases for family in texts.asked().explain("ams.lan", "nyc.virbr0", "tcp/440-450").families]
    at_nyc = [step for step in case.steps if (step.site, step.kind, step.answer) == ("nyc", "rule", False)]
    assert [(step.services, step.passes) for step in at_nyc] == [("tcp/443", True), ("tcp/440-442, tcp/444-450", False)]


def test_the_next_packets_of_a_flow_are_explained_where_they_stop() -> None:
    first = ACCEPT.replace("NEW,RELATED,ESTABLISHED", "NEW,RELATED")
    answer = "-A WG0-FWD -s 192.168.122.0/24 -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
    explanation = Texts().edit(NYC, ACCEPT, first + answer).asked().explain("ams.lan", "nyc.virbr0")
    ((case,),) = [family.cases for family in explanation.families]
    assert case.verdict == "one way"
    assert case.steps[-1] == Step("nyc", "rule", "-A WG0-FWD -j DROP", "all", passes=False, answer=False)


def test_a_gateway_is_told_by_its_tunnel_address_and_its_other_addresses_follow() -> None:
    explanation = Texts().asked().explain("ams", "nyc", "ping")
    (family,) = explanation.families
    assert [(case.destination, case.verdict) for case in family.cases] == [
        (("10.99.0.1/32",), "passes"),
        (("192.168.122.0/24",), "does not pass"),
    ]
    assert family.verdict == "passes"
    assert ECHO in {step.text for step in family.cases[0].steps}


def test_both_families_are_explained_and_a_pair_without_a_common_one_has_none() -> None:
    six = {"ams.lan": ip_network("fd20::/64"), "nyc.virbr0": ip_network("fd22::/64")}
    points = tuple(
        replace(point, prefixes=(*point.prefixes, six[point.name])) if point.name in six else point for point in POINTS
    )
    found = replace(Texts(), points=points).asked().explain("ams.lan", "nyc.virbr0").families
    assert [(family.family, family.verdict) for family in found] == [(4, "passes"), (6, "does not pass")]
    alone = tuple(replace(point, prefixes=(six[point.name],)) if point.name == "ams.lan" else point for point in POINTS)
    assert replace(Texts(), points=alone).asked().explain("ams.lan", "nyc.virbr0").families == ()


def test_an_explanation_is_plain_data() -> None:
    text = json.dumps(asdict(Texts().asked().explain("ams.lan", "nyc.virbr0", "tcp/443")))
    assert json.loads(text)["families"][0]["cases"][0]["steps"][0] == {
        "site": "ams",
        "kind": "route",
        "text": "192.168.122.0/24 by wg0",
        "services": "tcp/443",
        "passes": True,
        "answer": False,
    }


def test_what_cannot_be_explained_is_refused() -> None:
    with pytest.raises(ValueError, match="'ssh' is not a service"):
        Texts().asked().explain("ams.lan", "nyc.virbr0", "ssh")
    with pytest.raises(KeyError):
        Texts().asked().explain("ams.lan", "nyc.lan")
    with pytest.raises(ValueError, match="at one site"):
        Texts().asked().explain("ams.lan", "ams")
