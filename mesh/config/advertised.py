"""What a network is advertised as, so that two sites may have the same prefix: its pairs of prefixes, and checks."""

from collections.abc import Iterator

from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc
from mesh.model import IPNetwork


def own_and_known(draft: Draft, site: str, label: str) -> Iterator[tuple[IPNetwork, IPNetwork | None]]:
    """Each prefix of a network, and the one by which other sites know it; None where that has a fault."""
    network = draft.config.sites[site].networks[label]
    faulty = {version for version, _ in _faults(draft, site, label)}
    unread = _unread(draft, _loc(site, label))
    given = {prefix.version: prefix for prefix in network.advertise_as or ()}
    for own in network.cidr or ():
        yield own, None if unread or own.version in faulty else given.get(own.version, own)


def check(draft: Draft) -> Iterator[Found]:
    """Yields the faults of every network's `advertise_as`, overlaps aside."""
    for name, site in draft.config.sites.items():
        for label in site.networks:
            for _, message in _faults(draft, name, label):
                yield _loc(name, label), message


def _faults(draft: Draft, site: str, label: str) -> Iterator[tuple[int, str]]:
    """The faults of one network's `advertise_as`, with the IP version that each is about."""
    network = draft.config.sites[site].networks[label]
    given = network.advertise_as or ()
    for version in dict.fromkeys(prefix.version for prefix in given):
        own = [prefix for prefix in network.cidr or () if prefix.version == version]
        known, *more = (prefix for prefix in given if prefix.version == version)
        if more:
            listed = ", ".join(str(prefix) for prefix in (known, *more))
            yield version, f"{listed}: at most one prefix of each family, as in 'cidr'"
        elif not own and not _unread(draft, (*_loc(site, label)[:-1], "cidr")):
            yield version, f"{known} is IPv{version}, and 'cidr' has no prefix of that family; leave it out"
        elif len(own) == 1 and known.prefixlen != own[0].prefixlen:
            yield (
                version,
                f"{known} is not of the same size as {own[0]}, whose addresses it stands for one by one;"
                f" give a prefix with the length /{own[0].prefixlen}",
            )
        elif own == [known]:
            yield version, f"{known} is the network's own prefix; leave it out, or advertise another one"


def _loc(site: str, label: str) -> Loc:
    return ("sites", site, "networks", label, "advertise_as")


def _unread(draft: Draft, loc: Loc) -> bool:
    """True where a value is missing or has faults of its own, so that what was meant is unknown."""
    missing = loc[-1] == "cidr" and draft.misses(*loc)
    return missing or draft.spoilt(*loc)
