"""What proves a mesh on the hosts themselves: connections that have to open, and others that must not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, permutations

from mesh.model import Family, IPAddress, Mesh, Network, Service, Site, SiteName
from mesh.outputs import site_texts
from mesh.plan import SitePlan
from mesh.probes import destination
from mesh.reachability import Reachability, points

# Ports that somebody listens on or would like to: discard (RFC 863), SSH, the web, BGP, and one that nobody has.
_USUAL_PORTS = (9, 22, 443, 80, 179, 65535)


@dataclass(frozen=True, slots=True)
class Trial:
    """A connection that a site's host opens to an address at another site, and whether it has to pass.

    `why` says who wants that: the grants as a whole, or a place in the config.
    """

    source: SiteName
    destination: SiteName
    address: IPAddress
    service: Service
    passes: bool
    why: str


def trials(mesh: Mesh, plans: Mapping[SiteName, SitePlan]) -> tuple[Trial, ...]:
    """From each site to each other one, in each family: one port of TCP that is granted and one that is not.

    Told by what the rendered texts let pass, so that it is no second reading of the grants. Where everything or nothing
    is granted there is one of them. They go to the tunnel address: connected or refused by the host is passing. After
    these come the user's own probes.
    """
    reachability = Reachability(site_texts(plans), points(mesh))
    pairs = permutations(mesh.sites, 2)
    return (*chain.from_iterable(_between(reachability, mesh, one, other) for one, other in pairs), *_wanted(mesh))


def _wanted(mesh: Mesh) -> Iterator[Trial]:
    """The user's own, each at the place where it is written."""
    for number, probe in enumerate(mesh.probes):
        party = destination(mesh, probe)
        if party is not None:
            site = party.site if isinstance(party, Network) else party.name
            why = f"probes[{number}] expects {probe.expect}"
            yield Trial(probe.source, site, probe.address, probe.service, probe.expect == "allow", why)


def _between(reachability: Reachability, mesh: Mesh, source: Site, destination: Site) -> Iterator[Trial]:
    ports = _candidates(mesh, source, destination)
    for address in destination.addresses:
        family: Family = 4 if address.version == 4 else 6
        if not any(own.version == family for own in source.addresses):
            continue
        for passes in (True, False):
            port = _first(reachability, source, destination, ports, family, passes=passes)
            if port is not None:
                why = "it is granted" if passes else "nothing grants it"
                yield Trial(source.name, destination.name, address, Service("tcp", port, port), passes, why)


def _first(
    reachability: Reachability, source: Site, destination: Site, ports: Sequence[int], family: Family, *, passes: bool
) -> int | None:
    return next(
        (port for port in ports if reachability.passes(source.name, destination.name, f"tcp/{port}", family) is passes),
        None,
    )


def _candidates(mesh: Mesh, source: Site, destination: Site) -> tuple[int, ...]:
    """Ports at both sides of every boundary that the grants between the two draw, and some that are usual."""
    between = (
        grant.services
        for grant in mesh.access
        if source.name in map(str, grant.sources) and destination.name in map(str, grant.destinations)
    )
    named = [service for services in between for service in services if service.protocol == "tcp"]
    inside = [max(service.first, 1) for service in named]
    outside = [port for service in named for port in (service.first - 1, service.last + 1) if 0 < port < 65536]
    return tuple(dict.fromkeys((*inside, *_USUAL_PORTS, *outside)))
