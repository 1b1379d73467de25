"""The grants, read in the plainest way: may this point open this to that one? Shares no code with the plan."""

from dataclasses import dataclass
from typing import Literal

from mesh.model import Grant, Mesh, SiteName


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
    mesh: Mesh, source: Point, destination: Point, protocol: Literal["tcp", "udp", "icmp"], port: int = 0
) -> bool:
    """True where `source` may open this to `destination`, another site's; for `icmp`, an echo request.

    A site that is granted something, or to, is its endpoint and not the networks behind it. Endpoints may always ping
    one another.
    """
    if protocol == "icmp" and source.network is None and destination.network is None:
        return True
    return any(_grants(grant, source, destination, protocol, port) for grant in mesh.access)


def _grants(grant: Grant, source: Point, destination: Point, protocol: str, port: int) -> bool:
    if str(source) not in [str(party) for party in grant.sources]:
        return False
    if str(destination) not in [str(party) for party in grant.destinations]:
        return False
    if not grant.services:
        return True
    for service in grant.services:
        if service.protocol == protocol and (protocol == "icmp" or service.first <= port <= service.last):
            return True
    return False
