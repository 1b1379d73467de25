"""The user's probes against the grants: which could never end as they expect, and why."""

from collections.abc import Iterator

from mesh.faults import Fault
from mesh.model import Mesh, Network, Party, Probe, Service
from mesh.services import contained

_ECHO = Service("icmp")


def destination(mesh: Mesh, probe: Probe) -> Party | None:
    """Who has the address of a probe, as other sites know it: a network, a site by its tunnel address, or nobody."""
    for site in mesh.sites:
        if probe.address in site.addresses:
            return site
        for network in site.networks:
            if any(probe.address in prefix for prefix in network.advertised):
                return network
    return None


def contradicted(mesh: Mesh) -> tuple[Fault, ...]:
    """A fault for each probe that is about nothing, or that the grants contradict, in their order.

    An address in a network may be its gateway's own, which a grant to the site opens; only the host knows.
    """
    return tuple(
        Fault(f"probes[{number}]{where}", message)
        for number, probe in enumerate(mesh.probes)
        for where, message in _faults(mesh, probe)
    )


def _faults(mesh: Mesh, probe: Probe) -> Iterator[tuple[str, str]]:
    party = destination(mesh, probe)
    source = mesh.site(probe.source)
    if party is None:
        known = "a tunnel address, or an address in a network as other sites know it"
        yield ".to", f"{probe.address} is at no site of this mesh; give {known}"
        return
    if _site(party) == probe.source:
        yield ".to", f"{probe.address} is at {probe.source} itself ({party}); no tunnel lies between"
        return
    if not any(own.version == probe.address.version for own in source.addresses):
        yield (
            ".to",
            f"{probe.source} has no IPv{probe.address.version} address in the tunnel to reach that from",
        )
        return
    by = _granting(mesh, probe, party)
    if probe.expect == "deny" and by:
        yield "", f"{probe.source} may open {probe.service} to {party}, by {by}; take it out of that, or expect allow"
    sides = {str(party), _site(party)}
    if probe.expect == "allow" and not by and not any(_grants(mesh, probe, side) for side in sides):
        yield "", f"{probe.source} cannot open {probe.service} to {party}; grant it, or expect deny"


def _granting(mesh: Mesh, probe: Probe, party: Party) -> str | None:
    """What lets a probe pass for certain: a grant's place, or that endpoints always answer each other's echo."""
    if probe.service == _ECHO and not isinstance(party, Network):
        return "what always passes between endpoints"
    return _grants(mesh, probe, str(party))


def _grants(mesh: Mesh, probe: Probe, party: str) -> str | None:
    return next(
        (
            f"access[{number}]"
            for number, grant in enumerate(mesh.access)
            if probe.source in map(str, grant.sources) and party in map(str, grant.destinations)
            if contained((probe.service,), grant.services)
        ),
        None,
    )


def _site(party: Party) -> str:
    return str(party.site if isinstance(party, Network) else party.name)
