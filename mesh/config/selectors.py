"""Selectors: the names of parties, what each stands for, and their faults wherever a list of them is written."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, nearest, place, shown
from mesh.config.schema import StackPart
from mesh.config.values import is_label

EVERYTHING = "*"
_ENGINES_WORD = "secure"  # the key of {secure: ...}


@dataclass(frozen=True, slots=True)
class Party:
    """A site, or a network behind it: the IP versions in which it can open flows, and in which it can be reached.

    `network` is the network's name, None for a site.
    """

    site: str
    network: str | None
    opens: frozenset[int]
    reached: frozenset[int]


class Selection:
    """What the selectors of one config stand for.

    Parties are named as they are selected, `ams` and `ams.lan`. Those whose addresses have faults are in every name
    that includes them, and not in `known`.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._sites = {site: draft.names("sites", site, "networks") for site in sorted(draft.names("sites"))}
        self.groups = draft.names("groups")
        self.networks = {name for site, labels in self._sites.items() for name in _networks(site, labels)}
        self._names = {*self._sites, *self.networks}
        self.known = dict(_known(draft.config))
        self.rings: list[list[str]] = []
        self._unsure: set[str] = set()
        self._stand_for: dict[str, tuple[str, ...]] = {}
        for site, labels in self._sites.items():
            self._stand_for[f"{site}.*"] = tuple(_networks(site, labels))
        self._stand_for |= {name: (name,) for name in self._names}
        self._stand_for[EVERYTHING] = tuple(
            name for site, labels in self._sites.items() for name in (site, *_networks(site, labels))
        )
        for group in self.groups:
            self._follow(group)

    def parties(self, selectors: Iterable[str | None]) -> tuple[str, ...]:
        """The parties that the selectors stand for, each once, in the order in which they are first mentioned."""
        named = (name for selector in selectors for name in self._stand_for.get(selector or "", ()))
        return tuple(dict.fromkeys(named))

    def sure(self, selectors: Iterable[str | None]) -> bool:
        """True where it is known what each of them stands for."""
        return all(name is not None and self._stand_for.get(name) and not self.spoilt(name) for name in selectors)

    def spoilt(self, selector: str) -> bool:
        """True where a fault elsewhere leaves unknown what the selector stands for."""
        if selector in self._unsure:
            return True
        site = selector.partition(".")[0]
        if selector == EVERYTHING:
            return self._draft.spoilt("sites")
        places = {("sites",), ("sites", site), ("sites", site, "networks"), ("groups",)}
        return not self._draft.faulty.isdisjoint(places)

    def fault(self, selector: str) -> str | None:
        """What is wrong with a selector that stands for nothing."""
        site, dot, rest = selector.partition(".")
        if self._stand_for.get(selector) or selector in self.groups or selector == EVERYTHING:
            return None
        if dot and rest == "*" and site in self._sites:
            return f"{shown(selector)} is every network of {site}, which has none; name '{site}' for the host itself"
        if "*" in selector and rest != "*":
            return f"{shown(selector)}: a * stands for everything, alone, or for every network of a site, as in 'nyc.*'"
        what = "site, network or group" if self.groups else "site or network"
        candidates = [*self._names, *self.groups]
        if rest == "*":
            candidates += [f"{name}.*" for name, labels in self._sites.items() if labels]
        return f"{shown(selector)} is no {what}; {nearest(selector, sorted(candidates))}"

    def _follow(self, start: str) -> None:
        """Finds what a group stands for, those that it names first; without recursion, since they may be many."""
        path: list[str] = [start]
        while path:
            group = path[-1]
            inner = self._selectors(group)
            ahead = next((name for name in inner if name not in self._stand_for and name not in path), None)
            if group in self._stand_for:
                path.pop()
            elif ahead is not None:
                path.append(ahead)
            else:
                if rings := [path[path.index(name) :] for name in inner if name in path]:
                    self._close(rings)
                if self._has_faults(group):
                    self._unsure.add(group)
                self._stand_for[group] = self.parties(inner)
                path.pop()

    def _selectors(self, group: str) -> list[str]:
        """What a group names and what can be looked up: other groups, and selectors that stand for something."""
        written = self._draft.config.groups.get(group, ())
        return [name for name in written if name is not None and (name in self._stand_for or name in self.groups)]

    def _close(self, rings: list[list[str]]) -> None:
        for ring in rings:
            self._unsure.update(ring)
            first = ring.index(min(ring, key=self.groups.index))
            self.rings.append([*ring[first:], *ring[: first + 1]])

    def _has_faults(self, group: str) -> bool:
        written = self._draft.config.groups.get(group, ())
        return self._draft.spoilt("groups", group) or any(
            name is not None and (self.fault(name) or self.spoilt(name)) for name in written
        )


def sites_by_version(parties: Iterable[tuple[str, frozenset[int]]]) -> dict[int, set[str]]:
    """The sites of parties by the IP versions that these have. Flows pass between different sites, in one version."""
    found: dict[int, set[str]] = {4: set(), 6: set()}
    for site, versions in parties:
        for version in versions:
            found[version].add(site)
    return found


def check_name(draft: Draft, loc: Loc, what: str) -> Iterator[Found]:
    """Yields a fault where the name of a site, network or group is no DNS label, or the engine's own word."""
    name, others = str(loc[-1]), draft.names(*loc[:-1])
    if name == _ENGINES_WORD and loc[:-1] not in draft.faulty:  # a fault already where all of it is encrypted
        yield loc, f"'{name}' is no {what}'s name: the engine keeps that word for encrypted values; take another one"
    if is_label(name):
        return
    better = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    way_out = (
        f"; '{better}' would do" if is_label(better) and better not in others and "not shown" not in shown(name) else ""
    )
    yield loc, f"{shown(name)} is no {what}'s name: 1 to 63 of a-z, 0-9 and -, and no - at an end{way_out}"


def check_groups(draft: Draft, selection: Selection) -> Iterator[Found]:
    """Yields the faults of `groups`. One that nobody uses is none."""
    sites = frozenset(draft.names("sites"))
    for group in selection.groups:
        loc = ("groups", group)
        yield from check_name(draft, loc, "group")
        if group in sites:
            yield loc, f"{place(('sites', group))} has that name already; give the group another one"
        if draft.misses(*loc):
            yield loc, "is empty; name a site or a network, or leave the group out"
        yield from check_list(draft, selection, loc, draft.config.groups.get(group, ()))
    for ring in selection.rings:
        way = " -> ".join(ring)
        yield ("groups", ring[0]), f"contains itself: {way}; leave '{ring[1]}' out of it, or break the ring elsewhere"


def check_list(
    draft: Draft, selection: Selection, loc: Loc, selectors: Sequence[str | None]
) -> Generator[Found, None, bool]:
    """Yields the faults of one list of selectors. Its result is whether it is known what all of them stand for."""
    sound = True
    for index, selector in enumerate(selectors):
        where = place_of(draft, loc, index)
        if selector is None:
            if draft.misses(*where) and not draft.misses(*loc):
                yield where, "is empty; name a site or a network, or leave the place out"
        elif selection.spoilt(selector):
            sound = False
        elif message := selection.fault(selector):
            sound = False
            yield where, message
        elif selector in selectors[:index]:
            yield where, f"{shown(selector)} is named twice"
    return sound


def place_of(draft: Draft, loc: Loc, index: int) -> Loc:
    """The place of one value of a list, or of the only one, where it was written without a list."""
    return loc if draft.single(*loc) else (*loc, index)


def _networks(site: str, labels: Iterable[str]) -> Iterator[str]:
    return (f"{site}.{label}" for label in sorted(labels))


def _known(config: StackPart) -> Iterator[tuple[str, Party]]:
    for name, site in config.sites.items():
        own = frozenset(address.version for address in site.address or ())
        owned = own
        for label, network in site.networks.items():
            versions = frozenset(prefix.version for prefix in network.cidr or ())
            owned |= versions
            if versions:
                yield f"{name}.{label}", Party(name, label, versions, versions)
        if site.address:
            yield name, Party(name, None, own, owned)
