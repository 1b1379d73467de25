"""The grants, read in the plainest way: may this point open this to that one? Shares no code with the plan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mesh.model import Family, Grant, Mesh, Service, SiteName

# Whether all of a service ("tcp/443", "ping", "icmp") passes from one point to another, named as in the config, in a
# family that both have. The grants, read plainly, are one (`judge`), the rendered texts another (mesh.reachability).
Judge: TypeAlias = Callable[[str, str, str, Family], bool]


@dataclass(frozen=True, slots=True)
class Point:
    """Something to probe from and to: a site's endpoint at its tunnel addresses, or the host in a network."""

    site: SiteName
    network: str | None = None

    def __str__(self) -> str:
        return f"{self.site}.{self.network}" if self.network else self.site


def points(mesh: Mesh) -> tuple[Point, ...]:
    """Every point, in the mesh's order: each site's endpoint, then its networks."""
    found: list[Point] = []
    for site in mesh.sites:
        found.append(Point(site.name))
        found += [Point(site.name, network.name) for network in site.networks]
    return tuple(found)


def allows(
    mesh: Mesh, source: Point, destination: Point, protocol: Literal["tcp", "udp", "icmp", "ping"], port: int = 0
) -> bool:
    """True where `source` may open this to `destination`, another site's.

    A site that is granted something, or to, is its endpoint and not the networks behind it. Endpoints may always ping
    one another.
    """
    if protocol == "ping":
        endpoints = source.network is None and destination.network is None
        return endpoints or allows(mesh, source, destination, "icmp")
    for grant in _between(mesh, source, destination):
        if not grant.services:
            return True
        for service in grant.services:
            if service.protocol == protocol and (protocol == "icmp" or service.first <= port <= service.last):
                return True
    return False


def services(mesh: Mesh, source: Point, destination: Point) -> tuple[Service, ...] | None:
    """What is granted, in the order of the grants, without what something else there contains; None means all."""
    found: list[Service] = []
    for grant in _between(mesh, source, destination):
        if not grant.services:
            return None
        found += grant.services
    return tuple(
        service
        for service in dict.fromkeys(found)
        if not any(other.contains(service) for other in found if other != service)
    )


def judge(mesh: Mesh) -> Judge:
    """What `allows` says, asked by names. The judge raises KeyError for a point that is not there."""
    named = {str(point): point for point in points(mesh)}

    def passes(source: str, destination: str, service: str, family: Family) -> bool:  # noqa: ARG001
        protocol, _, port = service.partition("/")
        if protocol not in ("tcp", "udp", "icmp", "ping"):
            raise ValueError(service)
        return allows(mesh, named[source], named[destination], protocol, int(port or 0))  # type: ignore[arg-type]

    return passes


def _between(mesh: Mesh, source: Point, destination: Point) -> Iterator[Grant]:
    """The grants that name both."""
    for grant in mesh.access:
        from_here = any(str(party) == str(source) for party in grant.sources)
        to_there = any(str(party) == str(destination) for party in grant.destinations)
        if from_here and to_there:
            yield grant
