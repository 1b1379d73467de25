"""What no flow shows: a text that harms the tunnel as a whole, or holds more than is needed, has a remark about it."""

from dataclasses import replace

import pytest

from mesh.model import SiteName
from tests.mesh.reachability.handwritten import (
    ACCEPT,
    AMS,
    GRANT,
    LIKE_AN_ANSWER,
    NYC,
    Texts,
)

MSS = "-A WG0-MSS -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n"


def in_vain(site: str) -> str:
    return f"all (granted at {site}, does not pass)"


@pytest.mark.parametrize("site", [AMS, NYC])
def test_a_segment_size_that_is_not_clamped_in_both_directions_is_named(site: SiteName) -> None:
    remark = {str(site): {"its wg0": "MSS not clamped"}}
    assert Texts().edit(site, MSS).added() == remark
    for way in ("-i wg0", "-o wg0"):
        assert Texts().edit(site, "-A WG0-MSS", f"-A WG0-MSS {way}").added() == remark


def test_a_gateway_that_forwards_no_tcp_clamps_nothing() -> None:
    texts = Texts().both(GRANT, f"--ctproto 17 {GRANT}").both(LIKE_AN_ANSWER)
    assert texts.both(MSS).added() == {"ams.lan": {"nyc.virbr0": "udp"}}


def test_a_port_of_wireguard_that_is_not_open_is_named_and_closed_at_both_ends_joins_nobody() -> None:
    nyc, ams = "-A WG0-PORT -p udp -m udp --dport 51820 -j ACCEPT\n", "-A WG0-PORT -p udp -m udp --dport 51821"
    closed = Texts().edit(NYC, nyc)
    assert closed.added() == {"nyc": {"its wg0": "WireGuard's own port is not opened over IPv4"}}
    assert not closed.edit(AMS, ams, ams.replace("51821", "51822")).asked().passes("ams", "nyc", "ping", 4)
    quiet = closed.edit(NYC, "PersistentKeepalive = 25\n").asked()
    assert quiet.passes("nyc", "ams", "ping", 4)
    assert not quiet.passes("ams", "nyc", "ping", 4)
    six = replace(closed.nyc, rules_v4=Texts().nyc.rules_v4, rules_v6=closed.nyc.rules_v6.replace(nyc, ""))
    assert closed.change(NYC, six).added() == {"nyc": {"its wg0": "WireGuard's own port is not opened over IPv6"}}


def test_a_port_that_is_open_besides_is_named() -> None:
    wide = Texts().edit(NYC, "--dport 51820", "--dport 51820:51829")
    assert wide.added() == {"beside nyc": {"nyc": "udp/51821-51829 (IPv4, one way)"}}


@pytest.mark.parametrize(
    ("site", "right", "wrong", "remarks"),
    [
        (NYC, "10.20.0.0/24 dev %i mtu 1412", "10.20.0.0/24 dev %i mtu 1420", {NYC: (1420, "ams", 1412)}),
        (NYC, "10.20.0.0/24 dev %i mtu 1412", "10.20.0.0/24 dev %i mtu 1400", {NYC: (1400, "ams", 1412)}),
        (NYC, "PostUp = ip -4 route replace 10.99.0.2/32 dev %i mtu 1412\n", "", {NYC: (1420, "ams", 1412)}),
        (AMS, "MTU = 1412", "MTU = 1408", {NYC: (1412, "ams", 1408)}),
        (AMS, "MTU = 1412", "MTU = 1420", {NYC: (1412, "ams", 1420), AMS: (1420, "nyc", 1420)}),
        (NYC, "MTU = 1420", "MTU = 1400", {NYC: (1412, "ams", 1400), AMS: (1412, "nyc", 1400)}),
    ],
)
def test_a_route_with_another_mtu_than_the_lower_one_of_both_ends_is_named(
    site: SiteName, right: str, wrong: str, remarks: dict[SiteName, tuple[int, str, int]]
) -> None:
    assert Texts().edit(site, right, wrong).added() == {
        name: {"its wg0": f"MTU {mtu} towards {peer} where the link has {link}"}
        for name, (mtu, peer, link) in remarks.items()
        if mtu != link
    }


@pytest.mark.parametrize(
    ("site", "right", "wrong", "where"),
    [
        (AMS, "= 10.99.0.1/32, 192.168.122.0/24", "= 10.99.0.1/32, 192.168.122.0/23", "the AllowedIPs of nyc"),
        (AMS, "= 10.99.0.1/32,", "= 10.99.0.0/31,", "the AllowedIPs of nyc"),
        (NYC, "-A WG0-RAW -s 10.20.0.0/24", "-A WG0-RAW -s 10.20.0.0/23", "WG0-RAW"),
        (NYC, "-A WG0-SRC -s 192.168.122.0/24", "-A WG0-SRC -s 192.168.122.0/23", "WG0-SRC"),
        (NYC, "-A WG0-DST -d 192.168.122.0/24", "-A WG0-DST -d 192.168.122.0/23", "WG0-DST"),
        (NYC, "-d 10.99.0.1/32", "-d 10.99.0.0/31", "WG0-IN"),
    ],
)
def test_a_prefix_that_is_wider_than_needed_is_named(site: SiteName, right: str, wrong: str, where: str) -> None:
    assert Texts().edit(site, right, wrong).added() == {site: {"its wg0": f"more in {where} than anybody needs"}}


def test_an_address_that_brings_a_route_for_others_is_named() -> None:
    texts = Texts().edit(AMS, "Address = 10.99.0.2/32", "Address = 10.99.0.2/24")
    assert texts.added() == {"ams": {"its wg0": "its address brings a route for more than itself"}}


def test_a_rule_for_more_than_passes_is_named_with_whom_it_means() -> None:
    wide = GRANT.replace("10.20.0.0/24", "10.20.0.0/23")
    assert Texts().edit(NYC, GRANT, wide).added() == {"(elsewhere)": {"nyc.virbr0": in_vain("nyc")}}
    everyone = GRANT.replace("10.20.0.0/24", "10.20.0.0/15")
    added = Texts().edit(NYC, GRANT, everyone).added()
    assert added == {"ams.guests": {"nyc.virbr0": in_vain("nyc")}, "(elsewhere)": {"nyc.virbr0": in_vain("nyc")}}


def test_a_rule_about_a_gateways_own_addresses_means_the_gateway() -> None:
    vain = ACCEPT.replace("WG0-FWD", "WG0-IN").replace("10.20.0.0/24", "10.21.0.0/24")
    texts = Texts().edit(NYC, "-A WG0-IN -j DROP", f"{vain}-A WG0-IN -j DROP")
    assert texts.added() == {"ams.guests": {"nyc": in_vain("nyc")}}


def test_echo_rules_for_another_tunnel_network_than_elsewhere_are_named() -> None:
    remark = "answers echo for another tunnel network than other sites"
    wide = Texts().edit(NYC, "-s 10.99.0.0/24 -d", "-s 10.99.0.0/23 -d").added()
    assert remark in wide["nyc"]["its wg0"]
    assert remark in wide["ams"]["its wg0"]
