"""NAT told from the texts: advertised prefixes both ways, masquerade, and what the host's own NAT may do."""

from dataclasses import replace
from typing import Literal

import pytest

from mesh.model import SiteName
from mesh.reachability import Point, points
from tests.mesh.meshes import mesh, network, site
from tests.mesh.reachability.handwritten import (
    AMS,
    GRANT,
    GRANTED,
    NYC,
    POINTS,
    Texts,
    one_prefix_at_both_sites,
)

PRE = "-A WG0-PRE -d 10.202.0.0/24 -j NETMAP --to 192.168.122.0/24\n"
POST = "-A WG0-POST -s 192.168.122.0/24 -o wg0 -j NETMAP --to 10.201.0.0/24\n"
OWN_NAT = "-A WG0-POST -o wg0 -j ACCEPT\n"
MASQUERADE = f"{OWN_NAT}-A WG0-POST -s 10.20.0.0/24 -d 192.168.122.0/24 -o virbr0 -j MASQUERADE\n"


def reached(texts: Texts) -> str:
    return texts.answers().get("ams.lan", {}).get("nyc.virbr0", "")


def unrouted() -> Texts:
    """With hosts behind nyc that know no route back."""
    return replace(Texts(), points=tuple(replace(point, routes_back=point.name != "nyc.virbr0") for point in POINTS))


def test_two_sites_with_one_prefix_reach_each_other_by_what_they_are_advertised_as() -> None:
    assert one_prefix_at_both_sites().answers() == GRANTED


IN_VAIN = "all (granted at ams and nyc, does not pass)"


@pytest.mark.parametrize(("site", "line"), [(NYC, PRE), (AMS, POST)])
def test_without_the_mapping_at_either_end_nothing_is_reached(site: SiteName, line: str) -> None:
    assert reached(one_prefix_at_both_sites().edit(site, line)) == IN_VAIN


@pytest.mark.parametrize(
    ("site", "right", "wrong"),
    [
        (NYC, "--to 192.168.122.0/24", "--to 192.168.123.0/24"),
        (NYC, "-d 10.202.0.0/24 -j NETMAP", "-d 10.203.0.0/24 -j NETMAP"),
        (AMS, "--to 10.201.0.0/24", "--to 10.200.0.0/24"),
        (AMS, "-s 192.168.122.0/24 -o wg0", "-s 192.168.122.0/24 -o eth1"),
    ],
)
def test_a_mapping_to_or_from_another_prefix_reaches_nothing(site: SiteName, right: str, wrong: str) -> None:
    assert reached(one_prefix_at_both_sites().edit(site, right, wrong)) == IN_VAIN


def test_a_mapping_of_a_part_reaches_a_part() -> None:
    half = PRE.replace("10.202.0.0/24", "10.202.0.128/25").replace("122.0/24", "122.128/25")
    assert reached(one_prefix_at_both_sites().edit(NYC, PRE, half)) == f"all (part); {IN_VAIN}"
    shifted = half.replace("122.128/25", "122.0/25")
    assert reached(one_prefix_at_both_sites().edit(NYC, PRE, shifted)) == IN_VAIN


def test_each_gateway_sees_the_opener_by_its_own_tuple() -> None:
    texts = one_prefix_at_both_sites()
    for where, right, wrong in (
        (NYC, "--ctorigsrc 10.201.0.0/24", "--ctorigsrc 192.168.122.0/24"),
        (NYC, "--ctorigdst 10.202.0.0/24", "--ctorigdst 192.168.122.0/24"),
        (AMS, "--ctorigsrc 192.168.122.0/24", "--ctorigsrc 10.201.0.0/24"),
    ):
        answers = texts.edit(where, right, wrong).answers()
        assert not any(what.startswith("all;") for what in answers["ams.lan"].values())
        other = {NYC: AMS, AMS: NYC}[where]
        assert answers["ams.lan"]["nyc.virbr0"] == f"all (granted at {other}, does not pass)"


def test_a_mapping_behind_the_end_of_its_chain_is_none() -> None:
    texts = one_prefix_at_both_sites()
    assert reached(texts.edit(AMS, f"{POST}{OWN_NAT}", f"{OWN_NAT}{POST}")) == IN_VAIN


def test_others_know_a_network_by_no_other_address_than_the_advertised() -> None:
    texts = one_prefix_at_both_sites()
    assert texts.asked().passes("ams.lan", "nyc.virbr0", "all", 4)
    real = tuple(replace(point, advertised=()) for point in texts.points)
    assert not replace(texts, points=real).asked().passes("ams.lan", "nyc.virbr0", "all", 4)


def test_a_mapping_that_no_flow_needs_is_named() -> None:
    more = PRE + "-A WG0-PRE -d 10.209.0.0/24 -j NETMAP --to 192.168.9.0/24\n"
    added = one_prefix_at_both_sites().edit(NYC, PRE, more).added()
    assert added == {"nyc": {"its wg0": "more in WG0-PRE than anybody needs"}}
    more = POST + "-A WG0-POST -s 192.168.9.0/24 -o wg0 -j NETMAP --to 10.209.0.0/24\n"
    added = one_prefix_at_both_sites().edit(AMS, POST, more).added()
    assert added == {"ams": {"its wg0": "more in WG0-POST than anybody needs"}}


@pytest.mark.parametrize(
    ("site", "whole", "half"),
    [
        (NYC, "--ctorigdst 10.202.0.0/24", "--ctorigdst 10.202.0.0/25"),
        (NYC, "--ctorigsrc 10.201.0.0/24", "--ctorigsrc 10.201.0.128/25"),
        (NYC, "-d 192.168.122.0/24 -o virbr0", "-d 192.168.122.128/25 -o virbr0"),
        (AMS, "--ctorigsrc 192.168.122.0/24", "--ctorigsrc 192.168.122.0/25"),
        (AMS, "--ctorigdst 10.202.0.0/24", "--ctorigdst 10.202.0.128/25"),
        (AMS, "-s 192.168.122.0/24 -i eth1", "-s 192.168.122.0/25 -i eth1"),
    ],
)
def test_half_of_the_real_addresses_is_half_of_the_advertised_ones(site: SiteName, whole: str, half: str) -> None:
    assert reached(one_prefix_at_both_sites().edit(site, whole, half)).startswith("all (part); ")


@pytest.mark.parametrize(
    ("masquerade", "route", "answers"), [(False, "manual", True), (False, None, False), (True, "manual", False)]
)
def test_hosts_answer_by_themselves_where_somebody_sees_to_the_route_and_nobody_masquerades(
    masquerade: bool, route: Literal["manual"] | None, answers: bool
) -> None:
    lan = network("lan", "10.20.0.0/24", masquerade=masquerade, return_route=route)
    assert [point.routes_back for point in points(mesh(site("ams", "10.99.0.2", lan, endpoint="b")))] == [True, answers]


def test_hosts_that_know_no_way_back_answer_only_to_a_masqueraded_flow() -> None:
    assert reached(unrouted()) == f"all (one way); {IN_VAIN}"
    assert unrouted().edit(NYC, OWN_NAT, MASQUERADE).answers() == GRANTED
    half = MASQUERADE.replace("10.20.0.0/24", "10.20.0.0/25")
    assert reached(unrouted().edit(NYC, OWN_NAT, half)) == f"all (part); all (one way); {IN_VAIN}"
    elsewhere = MASQUERADE.replace("-o virbr0", "-o eth0")
    assert reached(unrouted().edit(NYC, OWN_NAT, elsewhere)) == f"all (one way); {IN_VAIN}"


def test_masquerading_into_the_tunnel_makes_the_source_the_gateway() -> None:
    texts = Texts().edit(AMS, OWN_NAT, "-A WG0-POST -o wg0 -j MASQUERADE\n")
    assert reached(texts) == IN_VAIN
    granted = texts.edit(NYC, GRANT, GRANT.replace("10.20.0.0/24", "10.99.0.2/32"))
    assert reached(granted) == "all"


def test_without_an_end_of_nat_the_hosts_own_may_change_what_enters_the_tunnel() -> None:
    remark = {"ams": {"its wg0": "the host's own NAT may change what enters the tunnel"}}
    assert Texts().edit(AMS, OWN_NAT).added() == remark
    assert Texts().edit(AMS, OWN_NAT, OWN_NAT.replace("-o wg0", "-o wg1")).added() == remark
    assert Texts().edit(AMS, OWN_NAT, OWN_NAT.replace("-o wg0", "-s 10.20.0.0/24 -o wg0")).added() == remark
    for source in ("10.20.0.0/24", "10.99.0.2/32"):
        returned = f"-A WG0-POST -s {source} -o wg0 -j RETURN\n{OWN_NAT}"
        assert Texts().edit(AMS, OWN_NAT, returned).added() == remark


def test_a_point_without_advertised_prefixes_is_known_as_it_is() -> None:
    assert Point("a", NYC, ()).advertised == ()
    same = tuple(replace(point, advertised=point.prefixes) for point in POINTS)
    assert replace(Texts(), points=same).answers() == GRANTED
