"""The user's assertions against the grants: which of them do not hold, and which grant is at fault."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

from mesh.faults import Fault
from mesh.model import Assertion, Grant, Mesh, Network, Party, Service
from mesh.services import common, contained, merged, without

_MOST_NAMED = 3
_MOST_TOLD = 10  # of what one assertion lacks


def broken(mesh: Mesh) -> tuple[Fault, ...]:
    """A fault for each assertion that does not hold, in their order: for a denial one for each grant that breaks it.

    What counts is what the grants let a party open to one of another site; echo between the sites' own addresses, which
    passes always, is no grant's. The work grows with the parties that are named, not with the pairs of them.
    """
    rules = [
        _Rule(number, grant, frozenset(map(str, grant.sources)), frozenset(map(str, grant.destinations)))
        for number, grant in enumerate(mesh.access)
    ]
    found: list[Fault] = []
    for number, assertion in enumerate(mesh.assertions):
        messages = _denied(assertion, rules) if assertion.expect == "deny" else _allowed(assertion, rules)
        found += (Fault(f"assert[{number}]", message) for message in messages)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A grant, its place, and the names of its two sides."""

    number: int
    grant: Grant
    sources: frozenset[str]
    destinations: frozenset[str]

    def __str__(self) -> str:
        sides = f"from {_parties(self.grant.sources)} to {_parties(self.grant.destinations)}"
        return f"access[{self.number}] ({sides}, {_services(self.grant.services or (None,))})"


def _denied(assertion: Assertion, rules: Iterable[_Rule]) -> Iterator[str]:
    sources, destinations = frozenset(map(str, assertion.sources)), frozenset(map(str, assertion.destinations))
    for rule in rules:
        here, there = sources & rule.sources, destinations & rule.destinations
        if not here or not there or not (passing := common(assertion.services, rule.grant.services)):
            continue
        openers = [party for party in assertion.sources if str(party) in here]
        opened = [party for party in assertion.destinations if str(party) in there]
        if pair := _passing(openers, opened):
            yield (
                f"{pair[0]} may open {_services(passing)} to {pair[1]}, by {rule}; take it out of that grant, or change"
                " the assertion"
            )


def _allowed(assertion: Assertion, rules: Sequence[_Rule]) -> Iterator[str]:
    if pair := _strangers(assertion):
        yield f"{pair[0]} and {pair[1]} have no IP version in common; leave one of them out of the assertion"
    sources, destinations = frozenset(map(str, assertion.sources)), frozenset(map(str, assertion.destinations))
    as_source, as_destination = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    for rule in rules:
        here, there = sources & rule.sources, destinations & rule.destinations
        whole = len(here) == len(sources) and len(there) == len(destinations)
        if whole and contained(assertion.services, rule.grant.services):
            return
        for name in here:
            as_source[name].add(rule.number)
        for name in there:
            as_destination[name].add(rule.number)
    # Parties that the same grants name lack the same, and are told together.
    groups = product(_alike(assertion.sources, as_source), _alike(assertion.destinations, as_destination))
    lacks = (
        message
        for (openers, opening), (opened, reaching) in groups
        if (message := _lacking(assertion, openers, opened, [rules[n].grant for n in sorted(opening & reaching)]))
    )
    yield from islice(lacks, _MOST_TOLD)


def _lacking(
    assertion: Assertion, sources: Sequence[Party], destinations: Sequence[Party], grants: Sequence[Grant]
) -> str | None:
    """What these parties cannot open, although they should; all of the grants name all of them."""
    openers, opened = _apart(sources, destinations), _apart(destinations, sources)
    services = tuple(service for grant in grants for service in grant.services)
    if not openers or (grants and contained(assertion.services, services)) or not all(g.services for g in grants):
        return None
    if assertion.services:
        verb = f"cannot open {_services(without(assertion.services, services))}"
    else:
        verb = f"can open only {_services(merged(services))}, and not everything," if grants else "cannot open anything"
    return f"{_parties(openers)} {verb} to {_parties(opened)}; grant it, or change the assertion"


def _alike(parties: Iterable[Party], grants: dict[str, set[int]]) -> list[tuple[list[Party], frozenset[int]]]:
    """The parties in groups, each with the numbers of the grants that name all of its members."""
    groups: dict[frozenset[int], list[Party]] = {}
    for party in parties:
        groups.setdefault(frozenset(grants[str(party)]), []).append(party)
    return [(members, numbers) for numbers, members in groups.items()]


def _passing(openers: Sequence[Party], opened: Sequence[Party]) -> tuple[Party, Party] | None:
    """The first pair between which a flow can pass: of different sites, and with an IP version in common."""
    for version in (4, 6):
        pair = _apart_pair(
            [party for party in openers if version in _opens(party)],
            [party for party in opened if version in _reached(party)],
        )
        if pair:
            return pair
    return None


def _strangers(assertion: Assertion) -> tuple[Party, Party] | None:
    """A pair of different sites that has no IP version in common."""
    openers, opened = defaultdict[frozenset[int], list[Party]](list), defaultdict[frozenset[int], list[Party]](list)
    for party in assertion.sources:
        openers[_opens(party)].append(party)
    for party in assertion.destinations:
        opened[_reached(party)].append(party)
    disjoint = ((here, there) for here, there in product(openers, opened) if here.isdisjoint(there))
    return next((pair for here, there in disjoint if (pair := _apart_pair(openers[here], opened[there]))), None)


def _apart_pair(openers: Sequence[Party], opened: Sequence[Party]) -> tuple[Party, Party] | None:
    for source in _apart(openers, opened)[:1]:
        return next((source, party) for party in opened if _site(party) != _site(source))
    return None


def _apart(parties: Sequence[Party], others: Sequence[Party]) -> list[Party]:
    """Those of the parties for which there is one of another site among the others."""
    sites = {_site(other) for other in others}
    return [party for party in parties if len(sites) > (_site(party) in sites)]


def _site(party: Party) -> str:
    return party.site if isinstance(party, Network) else party.name


def _opens(party: Party) -> frozenset[int]:
    prefixes = party.cidrs if isinstance(party, Network) else party.addresses
    return frozenset(prefix.version for prefix in prefixes)


def _reached(party: Party) -> frozenset[int]:
    if isinstance(party, Network):
        return _opens(party)
    return _opens(party).union(*(_opens(network) for network in party.networks))


def _parties(parties: Sequence[Party]) -> str:
    named = [str(party) for party in parties[:_MOST_NAMED]]
    if len(parties) > _MOST_NAMED:
        named.append(f"{len(parties) - _MOST_NAMED} more")
    return _listed(named)


def _services(services: Iterable[Service | None]) -> str:
    return _listed(["everything" if service is None else str(service) for service in services])


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
