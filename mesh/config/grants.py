"""Checks of the grants, what their selectors stand for, and the resolvers that take a grant to be reached."""

from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, nearest, shown
from mesh.config.schema import GrantPart, SitePart, StackPart
from mesh.model import IPAddress

# What a selector stands for: its site, and the IP versions in which it can open flows, and in which it can be reached.
_Known: TypeAlias = dict[str, tuple[str, frozenset[int], frozenset[int]]]


def check(draft: Draft) -> Iterator[Found]:
    """Yields the faults of `access`, and of every `dns` that lies where no grant leads."""
    names = set(_names(draft))
    known = _known(draft.config)
    for number, grant in enumerate(draft.config.access):
        yield from _check_grant(draft, ("access", number), grant, names, known)
    yield from _check_resolvers(draft.config, names)


def _check_grant(draft: Draft, loc: Loc, grant: GrantPart, names: set[str], known: _Known) -> Iterator[Found]:
    for key in ("from", "to"):
        if draft.misses(*loc, key):
            yield (*loc, key), "is missing; name a site or a network, as 'site' or 'site.network'"
    sources, destinations = grant.source or (), grant.destination or ()
    faulty = any(found[: len(loc)] == loc for found, _ in draft.found)
    for key, selectors in (("from", sources), ("to", destinations)):
        for index, selector in enumerate(selectors):
            where: Loc = (*loc, key, index)
            if selector is not None and draft.misses(*where):
                where = (*loc, key)  # it was written without a list
            if selector is None:
                if draft.misses(*where) and not draft.misses(*loc, key):
                    yield where, "is empty; name a site or a network, or leave the place out"
            elif _spoilt(draft, selector):
                faulty = True
            elif selector not in names:
                faulty = True
                yield where, f"{shown(selector)} is no site or network; {nearest(selector, sorted(names))}"
            elif selector in selectors[:index]:
                yield where, f"{shown(selector)} is named twice"
            elif key == "to" and "." in selector and selector in sources:
                faulty = True
                yield (
                    where,
                    f"{shown(selector)} is in 'from' as well; a network's own hosts reach each other without the mesh",
                )
    if not faulty:
        yield from _check_effect(loc, sources, destinations, known)


def _check_effect(
    loc: Loc, sources: tuple[str | None, ...], destinations: tuple[str | None, ...], known: _Known
) -> Iterator[Found]:
    """Yields a fault where a grant lets nothing pass at all."""
    pairs = [(known[a], known[b]) for a, b in product(sources, destinations) if a in known and b in known]
    if len(pairs) < len(sources) * len(destinations) or not pairs:
        return
    if all(source[0] == destination[0] for source, destination in pairs):
        site = shown(pairs[0][0][0])
        yield loc, f"both sides are at the site {site}; what does not cross a tunnel is not the mesh's to grant"
    elif not any(a[0] != b[0] and a[1] & b[2] for a, b in pairs):
        yield loc, "one side has only IPv4 and the other only IPv6; nothing could pass"


def _check_resolvers(config: StackPart, names: set[str]) -> Iterator[Found]:
    """Yields a fault for each resolver in another site that this site's host may not reach.

    wg-quick makes them the host's only resolvers, so that the host would be left without DNS. A grant to its networks
    does not help: the host asks from its tunnel address.
    """
    granted: dict[str, set[str | None]] = {}
    for grant in config.access:
        for source in grant.source or ():
            granted.setdefault(source or "", set()).update(grant.destination or (None,))
    owners: dict[IPAddress, tuple[str, str] | None] = {}
    for name, site in config.sites.items():
        allowed = granted.get(name, set())
        if not allowed <= names:
            continue  # a fault already: which of its grants was meant for the resolver is unknown
        for resolver in dict.fromkeys(site.dns or ()):
            if resolver not in owners:
                owners[resolver] = _owner(config, resolver)
            if (owner := owners[resolver]) and (message := _unreachable(name, site, resolver, owner, allowed)):
                yield ("sites", name, "dns"), message


def _owner(config: StackPart, address: IPAddress) -> tuple[str, str] | None:
    """The site that an address lies in, and the selector: of its network, or of itself for its tunnel address."""
    for name, site in config.sites.items():
        if address in (site.address or ()):
            return name, name
        for label, network in site.networks.items():
            if any(address.version == prefix.version and address in prefix for prefix in network.cidr or ()):
                return name, f"{name}.{label}"
    return None


def _unreachable(
    name: str, site: SitePart, resolver: IPAddress, owner: tuple[str, str], allowed: set[str | None]
) -> str | None:
    host, selector = owner
    if host == name:
        return None
    where = f"{resolver} is an address of {host}" if selector == host else f"{resolver} lies in {selector}"
    # Whether an address in a network is the site's own or another host's is not written in the config.
    if allowed.isdisjoint(owner):
        way_out = f"grant {{from: {name}, to: {host}}}"
        if selector != host:
            way_out += f" if it is the address of {host} itself, or else {{from: {name}, to: {selector}}}"
        return f"{where}, and no grant lets {name} itself reach it; {way_out}"
    if site.address and all(address.version != resolver.version for address in site.address):
        family = f"IPv{resolver.version}"
        return f"{where}, and {name} has no {family} address in the tunnel to reach it from; name one of another family"
    return None


def _names(draft: Draft) -> Iterator[str]:
    """Every selector that the config offers, also of sites and networks with faults."""
    for site in draft.names("sites"):
        yield site
        for network in draft.names("sites", site, "networks"):
            yield f"{site}.{network}"


def _spoilt(draft: Draft, selector: str) -> bool:
    """True where a fault of its site or networks leaves unknown whether the selector names something."""
    site = selector.partition(".")[0]
    return not draft.faulty.isdisjoint({("sites",), ("sites", site), ("sites", site, "networks")})


def _known(config: StackPart) -> _Known:
    known: _Known = {}
    for name, site in config.sites.items():
        own = frozenset(address.version for address in site.address or ())
        owned = own
        for label, network in site.networks.items():
            versions = frozenset(prefix.version for prefix in network.cidr or ())
            owned |= versions
            if versions:
                known[f"{name}.{label}"] = (name, versions, versions)
        if site.address:
            known[name] = (name, own, owned)
    return known
