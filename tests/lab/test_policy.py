"""The lab's own reading of the grants."""

from typing import Literal

import pytest

from lab.policy import Point, allows, points
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
    granted = {
        (str(source), str(destination), protocol)
        for source in points(two_sites())
        for destination in points(two_sites())
        for protocol in ("icmp", "tcp")
        if source.site != destination.site and allows(two_sites(), source, destination, protocol, 443)
    }
    assert granted == {("nyc", "ams", "icmp"), ("ams", "nyc", "icmp")}


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
        ("icmp", 0, False),
    ],
)
def test_a_grant_with_services_is_for_those_only(
    protocol: Literal["tcp", "udp", "icmp"], port: int, expected: bool
) -> None:
    granting = two_sites(("ams.lan", "nyc.virbr0", "tcp/443 tcp/8000-8100"))
    assert allows(granting, LAN, VIRBR0, protocol, port) is expected


def test_a_grant_of_icmp_lets_no_tcp_through() -> None:
    granting = two_sites(("ams.lan", "nyc.virbr0", "icmp"))
    assert allows(granting, LAN, VIRBR0, "icmp")
    assert not allows(granting, LAN, VIRBR0, "tcp", 443)
