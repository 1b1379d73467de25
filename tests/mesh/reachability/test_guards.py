"""What could pass along with what is granted, or harm it: such a fault of a text has its remark, a sound text none."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from mesh.model import SiteName
from mesh.reachability import Point, TextError
from tests.mesh.reachability.handwritten import (
    ACCEPT,
    AMS,
    GRANT,
    GRANTED,
    LIKE_AN_ANSWER,
    NYC,
    POINTS,
    Texts,
    difference,
)

SRC = "-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC\n"
DST = "-A WG0-FWD -i wg0 -j WG0-DST\n"
SENDS = "does not keep its networks from sending with addresses of others"
STRAYS = "does not keep what comes out of the tunnel to its networks"
POSING_AS_LAN = {"nyc.virbr0": "all (posing as ams.lan)"}


@pytest.mark.parametrize("lost", ["-A WG0-SRC -j DROP\n", SRC])
def test_whoever_could_send_as_a_granted_network_is_named(lost: str) -> None:
    added = {"beside ams": POSING_AS_LAN, "ams.guests": POSING_AS_LAN, "ams": {"its wg0": SENDS}}
    assert Texts().edit(AMS, lost).added() == added


@pytest.mark.parametrize("lost", ["-A WG0-SRC -j DROP\n", SRC])
def test_whoever_could_answer_as_a_granted_network_is_named(lost: str) -> None:
    added = {"beside nyc": {"ams.lan": "all (posing as nyc.virbr0)"}, "nyc": {"its wg0": SENDS}}
    assert Texts().edit(NYC, lost).added() == added


def test_a_network_that_may_send_by_another_interface_is_named() -> None:
    texts = Texts().edit(AMS, "-A WG0-SRC -s 10.20.0.0/24 -i eth1", "-A WG0-SRC -s 10.20.0.0/24 -i eth2")
    assert texts.answers()["ams.lan"] == {"nyc.virbr0": "all (granted at ams and nyc, does not pass)"}
    both = "-A WG0-SRC -s 10.20.0.0/24 -i eth1 -j RETURN\n-A WG0-SRC -s 10.20.0.0/24 -i eth2"
    texts = Texts().edit(AMS, "-A WG0-SRC -s 10.20.0.0/24 -i eth1", both)
    needless = f"{SENDS}; more in WG0-SRC than anybody needs"
    assert texts.added() == {"ams": {"its wg0": needless}, "ams.guests": POSING_AS_LAN}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (SRC, f"{ACCEPT}{SRC}"),
        (SRC, SRC.replace("-o wg0", "-o wg0 ! -d 192.168.122.0/24")),
        ("-A WG0-SRC -j DROP\n", "-A WG0-SRC -d 192.168.122.0/24 -j RETURN\n-A WG0-SRC -j DROP\n"),
    ],
)
def test_a_guard_that_the_grant_itself_passes_by_lets_others_pose_as_its_network(old: str, new: str) -> None:
    added = Texts().edit(AMS, LIKE_AN_ANSWER).edit(AMS, old, new).added()
    assert added["beside ams"] == added["ams.guests"] == POSING_AS_LAN
    assert "its wg0" not in added.get("ams", {}) or "WG0-SRC" in added["ams"]["its wg0"]


def test_an_echo_rule_before_the_guards_lets_others_pose_by_echo() -> None:
    echo = "-A WG0-FWD -s 10.20.0.0/24 -d 192.168.122.0/24 -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"
    assert Texts().edit(AMS, SRC, echo + SRC).added()["beside ams"] == {"nyc.virbr0": "ping (posing as ams.lan)"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (DST + SRC + LIKE_AN_ANSWER, f"{LIKE_AN_ANSWER}{SRC}{ACCEPT}{DST}"),
        ("-A WG0-DST -j DROP\n", "-A WG0-DST -s 10.20.0.0/24 -j RETURN\n-A WG0-DST -j DROP\n"),
    ],
)
def test_a_guard_that_the_grant_itself_passes_by_lets_its_packets_leave_by_any_interface(old: str, new: str) -> None:
    assert Texts().edit(NYC, old, new).added()["ams.lan"]["beyond nyc"] == "all (meant for nyc.virbr0)"


def test_an_interface_that_answers_may_come_in_by_without_a_guard_is_named() -> None:
    dmz = Point("nyc.dmz", NYC, (ip_network("10.23.0.0/24"),), "eth9")
    early = f"-A WG0-FWD -i eth9 -m conntrack --ctstate ESTABLISHED -j ACCEPT\n{DST}"
    texts = replace(Texts(), points=(*POINTS, dmz)).edit(NYC, DST, early)
    assert texts.added() == {"nyc.dmz": {"ams.lan": "all (posing as nyc.virbr0)"}}


def test_nobody_can_pose_as_a_network_whose_addresses_come_in_by_its_interface_alone() -> None:
    own = "-A WG0-RAW -i lo -j RETURN\n-A WG0-RAW ! -i virbr0 -s 192.168.122.0/24 -j DROP\n"
    texts = Texts().edit(NYC, SRC).edit(NYC, "-A WG0-RAW -i lo -j RETURN\n", own)
    assert "beside nyc" not in texts.added()
    assert "beside nyc" in Texts().edit(NYC, SRC).added()


@pytest.mark.parametrize(
    ("site", "rule", "local", "remote"),
    [
        (NYC, "-A WG0-RAW -s 10.20.0.0/24 -j DROP\n", "nyc.virbr0", "ams.lan"),
        (NYC, "-A WG0-RAW -s 10.99.0.0/24 -j DROP\n", "nyc", "ams"),
        (AMS, "-A WG0-RAW -s 192.168.122.0/24 -j DROP\n", "ams.lan", "nyc.virbr0"),
    ],
)
def test_whoever_could_send_as_another_site_beside_the_tunnel_is_named(
    site: SiteName, rule: str, local: str, remote: str
) -> None:
    what = "ping" if remote == "ams" else "all"
    added = Texts().edit(site, rule).added()
    assert added[f"beside {site}"] == {local: f"{what} (posing as {remote})"}
    interface = {NYC: "virbr0", AMS: "eth2"}[site]
    by_it = Texts().edit(site, rule, rule.replace("-s", f"! -i {interface} -s")).added()
    assert f"beside {site}" not in by_it
    assert set(by_it) == ({"ams.guests"} if site == AMS else {"nyc.virbr0"} if local == "nyc" else set())


def test_a_host_that_cannot_reach_its_own_tunnel_address_is_named() -> None:
    loopback = "-A WG0-RAW -i lo -j RETURN\n"
    added = {"nyc": {"its wg0": "the host cannot reach its own tunnel address over IPv4"}}
    assert Texts().edit(NYC, loopback).added() == added
    first = "-A WG0-RAW -s 10.20.0.0/24 -j DROP\n-A WG0-RAW -s 10.99.0.0/24 -j DROP\n"
    assert Texts().edit(NYC, loopback + first, first + loopback).added() == added


@pytest.mark.parametrize("lost", ["-A WG0-DST -j DROP\n", DST])
def test_packets_that_would_leave_by_another_interface_are_named(lost: str) -> None:
    added = {"ams.lan": {"beyond nyc": "all (meant for nyc.virbr0)"}, "nyc": {"its wg0": STRAYS}}
    assert Texts().edit(NYC, lost).added() == added
    stray = "all (meant for ams.lan)"
    added = {"nyc.virbr0": {"beyond ams": stray, "ams.guests": stray}, "ams": {"its wg0": STRAYS}}
    assert Texts().edit(AMS, lost).added() == added


def test_a_network_that_packets_may_leave_for_by_any_interface_is_named() -> None:
    texts = Texts().edit(NYC, "-A WG0-DST -d 192.168.122.0/24 -o virbr0", "-A WG0-DST -d 192.168.122.0/24")
    assert texts.added()["ams.lan"] == {"beyond nyc": "all (meant for nyc.virbr0)"}


def test_a_chain_that_does_not_end_by_dropping_leaves_the_rest_open() -> None:
    added = Texts().edit(NYC, "-A WG0-FWD -j DROP\n").added()
    assert added["ams"] == {"nyc.virbr0": "all (one way)"}
    assert added["nyc"] == {"its wg0": "lets packets of no flow pass"}
    added = Texts().both("-A WG0-IN -j DROP\n").added()
    open_host = "all; tcp/32768-65535 (what looks like an answer passes nyc)"
    assert added["ams"] == {"nyc": open_host, "its wg0": "lets packets of no flow pass"}


def test_errors_about_flows_that_nobody_opened_are_named_where_nothing_else_is_forwarded() -> None:
    open_end = Texts().ams.rules_v6.replace("-A WG0-FWD -j DROP\n", "")
    texts = replace(Texts(), ams=replace(Texts().ams, rules_v6=open_end))
    assert texts.added() == {"ams": {"its wg0": "lets packets of no flow pass"}}


@pytest.mark.parametrize("site", [AMS, NYC])
def test_what_looks_like_an_answer_is_named_at_each_end(site: SiteName) -> None:
    remark = f"all; tcp/32768-65535 (what looks like an answer passes {site})"
    assert Texts().edit(site, LIKE_AN_ANSWER).added() == {"ams.lan": {"nyc.virbr0": remark}}
    late = Texts().edit(site, LIKE_AN_ANSWER + ACCEPT, ACCEPT + LIKE_AN_ANSWER)
    assert late.added() == {"ams.lan": {"nyc.virbr0": remark}}


@pytest.mark.parametrize(
    ("right", "wrong", "remark"),
    [
        ("0:32767", "0:32766", "tcp/32768-65535 (what looks like an answer passes nyc)"),
        ("32768:65535", "32769:65535", "tcp/32768 (what looks like an answer passes nyc)"),
        ("32768:65535", "32768:65534", "tcp/65535 (what looks like an answer passes nyc)"),
        ("0:32767", "0:32768", "tcp/32768-65535 (cut off where nyc loses its state)"),
        ("32768:65535", "32767:65535", "tcp/32767 (cut off where nyc loses its state)"),
    ],
)
def test_the_ports_of_an_answer_are_those_of_servers_and_clients(right: str, wrong: str, remark: str) -> None:
    texts = Texts().edit(NYC, LIKE_AN_ANSWER, LIKE_AN_ANSWER.replace(right, wrong))
    assert texts.added() == {"ams.lan": {"nyc.virbr0": f"all; {remark}"}}


def test_a_rule_for_answers_that_stops_clients_at_both_ends_is_named_for_each() -> None:
    wide = Texts().both(LIKE_AN_ANSWER, LIKE_AN_ANSWER.replace("0:32767", "0:65535"))
    remarks = "; ".join(f"tcp/32768-65535 (cut off where {site} loses its state)" for site in (AMS, NYC))
    assert wide.added() == {"ams.lan": {"nyc.virbr0": f"all; {remarks}"}}


def test_a_grant_that_reaches_no_clients_needs_no_such_rule() -> None:
    low = f"--ctproto 6 {GRANT} --ctorigdstport 0:32767"
    assert Texts().both(GRANT, low).both(LIKE_AN_ANSWER).added() == {"ams.lan": {"nyc.virbr0": "tcp/0-32767"}}
    high = low.replace("0:32767", "32768")
    answer = Texts().both(GRANT, high).edit(NYC, LIKE_AN_ANSWER).answers()["ams.lan"]["nyc.virbr0"]
    assert answer == "tcp/32768; tcp/32768 (what looks like an answer passes nyc)"


@pytest.mark.parametrize("site", [AMS, NYC])
@pytest.mark.parametrize("way", ["-i wg0", "-o wg0"])
def test_errors_that_do_not_pass_one_way_are_named(site: SiteName, way: str) -> None:
    drop = f"-A WG0-FWD {way} -m conntrack --ctstate RELATED -j DROP\n{ACCEPT}"
    remark = f"all; all (ICMP errors do not pass {site})"
    assert Texts().edit(site, ACCEPT, drop).added() == {"ams.lan": {"nyc.virbr0": remark}}


def test_errors_that_do_not_get_to_a_gateway_are_named() -> None:
    granted = ACCEPT.replace("192.168.122.0/24", "10.99.0.1")
    at_input = granted.replace("WG0-FWD", "WG0-IN")
    texts = Texts().edit(AMS, ACCEPT, ACCEPT + granted)
    guard = LIKE_AN_ANSWER.replace("WG0-FWD", "WG0-IN")
    end = "-A WG0-IN -j DROP\n"
    assert texts.edit(NYC, end, guard + at_input + end).added()["ams.lan"] == {"nyc": "all (part)"}
    without = at_input.replace("NEW,RELATED,", "NEW,")
    what = "all (part); icmp without ping, tcp, udp, other protocols (ICMP errors do not pass nyc)"
    assert texts.edit(NYC, end, guard + without + end).added()["ams.lan"] == {"nyc": what}


def test_an_error_is_no_echo() -> None:
    echo = "-A WG0-FWD -s {} -p icmp -m icmp --icmp-type {} -j ACCEPT\n"
    rules = echo.format("10.20.0.0/24", 8) + echo.format("192.168.122.0/24", 0)
    answer = Texts().edit(NYC, ACCEPT, rules).answers()["ams.lan"]["nyc.virbr0"]
    assert answer.startswith("ping; ping (ICMP errors do not pass nyc); icmp without ping, ")


@pytest.mark.parametrize("site", [AMS, NYC])
@pytest.mark.parametrize(
    "chain",
    ["*raw", ":WG0-MSS", ":WG0-PRE", ":WG0-POST", ":WG0-DST", ":WG0-FWD", ":WG0-IN", ":WG0-PORT", ":WG0-SRC", "COMMIT"],
)
def test_a_text_without_one_of_its_chains_is_refused(site: SiteName, chain: str) -> None:
    texts = Texts().nyc if site == NYC else Texts().ams
    lines = texts.rules_v6.splitlines(keepends=True)
    lines.remove(next(line for line in lines if line.startswith(chain)))
    with pytest.raises(TextError):
        Texts().change(site, replace(texts, rules_v6="".join(lines))).answers()


def test_the_difference_of_two_answers_names_what_is_lost_as_well() -> None:
    assert difference(GRANTED, {"ams": {"nyc": "all"}}) == {
        "ams": {"nyc": "all"},
        "ams.lan": {"nyc.virbr0": ""},
        "nyc": {"ams": ""},
    }
