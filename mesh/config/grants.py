"""Checks of the grants and of the assertions: their sides, their ports, and whether they can mean anything."""

from collections.abc import Generator, Iterator

from mesh.config import ports
from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, shown
from mesh.config.schema import AssertionPart, GrantPart
from mesh.config.selectors import EVERYTHING, Party, Selection, check_list, place_of, sites_by_version


def check(draft: Draft, selection: Selection) -> Iterator[Found]:
    """Yields the faults of `access` and of `assert`."""
    for number, grant in enumerate(draft.config.access):
        loc: Loc = ("access", number)
        inside = "what does not cross a tunnel is not the mesh's to grant"
        if (yield from _check_rule(draft, selection, loc, grant, inside)):
            yield from _check_effect(selection, loc, grant, inside, "nothing could pass")
    for number, assertion in enumerate(draft.config.assertions):
        loc = ("assert", number)
        if draft.misses(*loc, "expect"):
            yield (*loc, "expect"), "is missing; write allow or deny"
        never = "no grant could ever decide that"
        if (yield from _check_rule(draft, selection, loc, assertion, never)):
            yield from _check_effect(selection, loc, assertion, never, never)


def _check_rule(
    draft: Draft, selection: Selection, loc: Loc, rule: GrantPart | AssertionPart, inside: str
) -> Generator[Found, None, bool]:
    """Yields the faults of a rule's keys. Its result is whether all of it is known.

    `inside` says why a pair at one site is none.
    """
    sides = {"from": rule.source or (), "to": rule.destination or ()}
    sound = not draft.spoilt(*loc)
    for key, selectors in sides.items():
        if draft.misses(*loc, key):
            yield (*loc, key), "is missing; name a site or a network, as 'site' or 'site.network'"
        sound &= yield from check_list(draft, selection, (*loc, key), selectors)
    for index, selector in enumerate(sides["to"]):
        if selector in selection.networks and selector in sides["from"]:
            sound = False
            yield (
                place_of(draft, (*loc, "to"), index),
                f"{shown(selector)} is in 'from' as well; a network's own hosts reach each other without the mesh",
            )
    yield from _check_pairs(draft, selection, loc, rule, inside)
    services = rule.services or ()
    where = (*loc, "ports")
    if draft.empty(*where):
        # Taken as left out it would mean everything, which is not what an empty place looks like.
        yield where, "is empty; name what may pass, or leave the key out for everything"
    for index, service in enumerate(services):
        if service is None and draft.misses(*where, index):
            yield (*where, index), "is empty; name a port, or leave the place out"
    for index, message in ports.repeated(services):
        yield (*where, index), message
    return sound


def _check_pairs(
    draft: Draft, selection: Selection, loc: Loc, rule: GrantPart | AssertionPart, inside: str
) -> Iterator[Found]:
    """Yields a fault for each party in `to` that stands, both by their names, beside one of its own site in `from`.

    Wildcards and groups make such pairs as a matter of course; who writes one by name expects something of it. Where
    all of a rule is at one site, that is one fault of the whole.
    """
    sources, destinations = rule.source or (), rule.destination or ()
    everyone = selection.parties((*sources, *destinations))
    if len({selection.known[name].site for name in everyone if name in selection.known}) < 2:
        return
    named: dict[str, str] = {}
    for selector in sources:
        if selector in selection.known:
            named.setdefault(selection.known[selector].site, selector)
    for index, selector in enumerate(destinations):
        party = selection.known.get(selector or "")
        if selector is None or party is None or party.site not in named:
            continue
        where = place_of(draft, (*loc, "to"), index)
        if selector not in sources:
            yield (
                where,
                f"{shown(selector)} and {shown(named[party.site])} in 'from' are both at the site {shown(party.site)};"
                f" {inside}; take one of them out",
            )
        elif party.network is None:  # a network that is named twice is a fault already
            yield where, f"{shown(selector)} is in 'from' as well; {inside}; take it out of one of them"


def _check_effect(
    selection: Selection, loc: Loc, rule: GrantPart | AssertionPart, inside: str, families: str
) -> Iterator[Found]:
    """Yields a fault where a rule is about no pair of parties between which anything could pass."""
    openers, opened = (_known(selection, side) for side in (rule.source, rule.destination))
    if not openers or not opened:
        return
    sites = {party.site for party in (*openers, *opened)}
    if len(sites) > 1:
        here = sites_by_version((party.site, party.opens) for party in openers)
        there = sites_by_version((party.site, party.reached) for party in opened)
        if not any(here[version] and there[version] and len(here[version] | there[version]) > 1 for version in (4, 6)):
            apart = not any(here[version] and there[version] for version in (4, 6))
            yield (
                loc,
                f"one side has only IPv4 and the other only IPv6; {families}"
                if apart
                else f"no two parties of different sites have an IP version in common; {families}",
            )
    elif EVERYTHING not in (*(rule.source or ()), *(rule.destination or ())):
        # A mesh begins with one site, and what was written for all of them stands already.
        yield loc, f"both sides are at the site {shown(*sites)}; {inside}"


def _known(selection: Selection, selectors: tuple[str | None, ...] | None) -> list[Party]:
    """The parties of one side; none where those of one are unknown, so that nothing can be said of all."""
    names = selection.parties(selectors or ())
    return [selection.known[name] for name in names] if all(name in selection.known for name in names) else []
