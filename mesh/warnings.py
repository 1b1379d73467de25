"""What a mesh can do with and should do without: told, and refused by nobody."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from mesh.faults import Fault
from mesh.model import Colo, Mesh
from mesh.quotas import beyond
from mesh.services import contained

_MOST_NAMED = 10


def warnings(mesh: Mesh) -> tuple[Fault, ...]:
    """Warnings, with places: paused sites, open doors, quotas, new keys, unused ways back, and grants in others."""
    return (
        *_paused(mesh),
        *_wide_open(mesh),
        *_from_anywhere(mesh),
        *beyond(mesh),
        *_rekeyed(mesh),
        *_unused_routes(mesh),
        *_contained(mesh),
    )


def _paused(mesh: Mesh) -> Iterator[Fault]:
    for site in mesh.sites:
        if site.paused:
            yield Fault(
                f"sites.{site.name}.paused", "nothing is done on its host, whatever changes, until this is gone"
            )


def _wide_open(mesh: Mesh) -> Iterator[Fault]:
    made = [site.name for site in mesh.sites if not isinstance(site.kind, Colo)]
    for prefix in mesh.operators:
        if prefix.prefixlen == 0:
            what = f"lets anyone try SSH at {_listed(made)}" if made else "says nothing, since that is everyone"
            yield Fault("operators", f"{prefix} {what}; name the prefixes that people and CI come from")


def _from_anywhere(mesh: Mesh) -> Iterator[Fault]:
    """Of colos without a fixed address: every machine in a cloud is a peer of each, and lets it in."""
    made = [site.name for site in mesh.sites if not isinstance(site.kind, Colo)]
    for site in mesh.sites:
        if made and isinstance(site.kind, Colo) and all(address.version == 6 for address in site.kind.sends_from):
            yield Fault(
                f"sites.{site.name}.colo",
                f"what it sends from is not known, so that {_listed(made)} let{'s' * (len(made) == 1)} WireGuard's"
                " packets in from anywhere; give it 'sends_from', where it has a fixed public address",
            )


def _rekeyed(mesh: Mesh) -> Iterator[Fault]:
    for site in mesh.sites:
        if site.adopts and site.private_key is None:
            yield Fault(
                f"sites.{site.name}.colo.adopt",
                "stands without a 'private_key': the host gets a new key, and its tunnels are down until all others"
                " know it; give the site the key that the host has (leave 'adopt' out once it is taken over)",
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def _unused_routes(mesh: Mesh) -> Iterator[Fault]:
    for site in mesh.sites:
        for network in site.networks:
            if network.masquerade and network.return_route:
                yield Fault(
                    f"sites.{site.name}.networks.{network.name}.return_route",
                    "says nothing beside 'masquerade: true', with which answers go to this host without a route;"
                    " leave one of them out",
                )


def _contained(mesh: Mesh) -> Iterator[Fault]:
    """Of two equal grants the later is told.

    A grant within another changes nothing, and taking it out of the config revokes nothing: people think otherwise.
    """
    sides = [(frozenset(map(str, grant.sources)), frozenset(map(str, grant.destinations))) for grant in mesh.access]
    from_party, to_party = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    for number, (sources, destinations) in enumerate(sides):
        for name in sources:
            from_party[name].add(number)
        for name in destinations:
            to_party[name].add(number)
    for number, grant in enumerate(mesh.access):
        sources, destinations = sides[number]
        candidates = from_party[str(grant.sources[0])] & to_party[str(grant.destinations[0])]
        for other in sorted(candidates - {number}):
            wider = sources <= sides[other][0] and destinations <= sides[other][1]
            if wider and contained(grant.services, mesh.access[other].services):
                same = sides[other] == sides[number] and contained(mesh.access[other].services, grant.services)
                if not same or other < number:
                    word = "says the same as" if same else "is contained in"
                    yield Fault(f"access[{number}]", f"{word} access[{other}]; leave it out")
                    break
