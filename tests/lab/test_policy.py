"""The lab's own reading of the grants."""

from typing import Literal

import pytest

from lab.policy import Point, allows, judge, points, services
from mesh.model import Mesh, SiteName
from tests.mesh.meshes import mesh, network, site

NYC, AMS = SiteName("nyc"), SiteName("ams")
VIRBR0, LAN = Point(NYC, "virbr0"), Point(AMS, "lan")


def two_sites(*access: tuple[str, str, str]) -> Mesh:
    return mesh(
        site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24"), endpoint="203.0.113.10"),
        site("ams", "10.99.0.2", network("lan", "10.20.0.0/24"), endpoint="198.51.100.20"),
        access=access,
    )


def test_points_are_endpoints_and_networks_in_the_users_order() -> None:
    assert [str(point) for point in points(two_sites())] == ["nyc", "nyc.virbr0", "ams", "ams.lan"]


def test_without_a_grant_endpoints_ping_each_other_and_nothing_else_passes() -> None:
    protocols: tuple[Literal["tcp", "udp", "icmp", "ping"], ...] = ("tcp", "udp", "icmp", "ping")
    granted = {
        (str(source), str(destination), protocol)
        for source in points(two_sites())
        for destination in points(two_sites())
        for protocol in protocols
        if source.site != destination.site and allows(two_sites(), source, destination, protocol, 443)
    }
    assert granted == {("nyc", "ams", "ping"), ("ams", "nyc", "ping")}


def test_a_grant_holds_in_its_direction_only() -> None:
    granting = two_sites(("ams.lan", "nyc.virbr0", ""))
    assert allows(granting, LAN, VIRBR0, "tcp", 443)
    assert not allows(granting, VIRBR0, LAN, "tcp", 443)


def test_a_site_in_a_grant_is_its_endpoint_and_not_the_networks_behind_it() -> None:
    granting = two_sites(("ams", "nyc", ""))
    assert allows(granting, Point(AMS), Point(NYC), "tcp", 443)
    assert not allows(granting, LAN, Point(NYC), "tcp", 443)
    assert not allows(granting, Point(AMS), VIRBR0, "tcp", 443)


@pytest.mark.parametrize(
    ("protocol", "port", "expected"),
    [
        ("tcp", 443, True),
        ("tcp", 442, False),
        ("tcp", 8000, True),
        ("tcp", 8100, True),
        ("tcp", 8101, False),
        ("udp", 443, False),
        ("udp", 53, True),
        ("udp", 54, False),
        ("icmp", 0, False),
        ("ping", 0, False),
    ],
)
def test_a_grant_with_services_is_for_those_only(
    protocol: Literal["tcp", "udp", "icmp", "ping"], port: int, expected: bool
) -> None:
    granting = two_sites(("ams.lan", "nyc.virbr0", "tcp/443 tcp/8000-8100 udp/53"))
    assert allows(granting, LAN, VIRBR0, protocol, port) is expected


def test_a_grant_of_icmp_lets_a_ping_through_and_no_tcp() -> None:
    granting = two_sites(("ams.lan", "nyc.virbr0", "icmp"))
    assert allows(granting, LAN, VIRBR0, "icmp")
    assert allows(granting, LAN, VIRBR0, "ping")
    assert not allows(granting, LAN, VIRBR0, "tcp", 443)


def test_a_grant_of_a_whole_protocol_is_for_every_port_of_it_and_of_no_other() -> None:
    granting = two_sites(("ams.lan", "nyc.virbr0", "udp"))
    assert all(allows(granting, LAN, VIRBR0, "udp", port) for port in (1, 443, 65535))
    assert not allows(granting, LAN, VIRBR0, "tcp", 443)


def granted(*access: tuple[str, str, str]) -> list[str] | None:
    found = services(two_sites(*access), LAN, VIRBR0)
    return None if found is None else [str(service) for service in found]


def test_the_services_of_a_pair_are_those_of_all_its_grants_without_what_another_contains() -> None:
    lan, both, back = ("ams.lan", "nyc.virbr0"), ("ams ams.lan", "nyc nyc.virbr0"), ("nyc.virbr0", "ams.lan")
    grants = [(*lan, "tcp/443 udp/53"), (*both, "tcp/400-500 udp/53"), (*back, "tcp/22"), ("ams", "nyc", "tcp/1")]
    assert granted(*grants) == ["udp/53", "tcp/400-500"]


def test_a_grant_without_services_is_for_everything_and_no_grant_for_nothing() -> None:
    assert granted(("ams.lan", "nyc.virbr0", "tcp/443"), ("ams.lan", "nyc.virbr0", "")) is None
    assert granted() == []


def test_the_judge_goes_by_names_and_knows_nothing_else() -> None:
    passes = judge(two_sites(("ams.lan", "nyc.virbr0", "tcp/443")))
    assert passes("ams.lan", "nyc.virbr0", "tcp/443", 4)
    assert not passes("ams.lan", "nyc.virbr0", "tcp/444", 4)
    assert not passes("nyc.virbr0", "ams.lan", "tcp/443", 4)
    assert passes("ams", "nyc", "ping", 6)
    assert not passes("ams", "nyc", "icmp", 6)
    with pytest.raises(KeyError):
        passes("ams.lan", "nyc.virbr1", "tcp/443", 4)
    with pytest.raises(ValueError, match="sctp"):
        passes("ams.lan", "nyc.virbr0", "sctp/443", 4)
