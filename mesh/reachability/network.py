"""All gateways of a mesh as their texts make them, and every flow that one point can try to open to another."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple, TypeAlias

from mesh.model import Family, SiteName
from mesh.reachability.boundaries import ECHO, ICMP, Addresses, Services
from mesh.reachability.flow import ELSEWHERE, End, Flow, Outcome
from mesh.reachability.gateway import Gateway
from mesh.reachability.point import Point, SiteTexts
from mesh.reachability.rules import Ruleset, all_rules
from mesh.reachability.ruletext import read_rules
from mesh.reachability.textnet import Peer, Prefix, prefix, read_conf

# Remarks, each with the services that it holds for.
_Summary: TypeAlias = tuple[tuple[str, int], ...]


class Tried(NamedTuple):
    """How one flow of a pair of points ended. `lan_side` is the destination's, as `End` has it."""

    lan_side: bool
    arrived: int
    answered: int


@dataclass(frozen=True, slots=True)
class Passing:
    """A flow that passes and is answered, from one point to another."""

    source: Point
    destination: Point
    flow: Flow
    outcome: Outcome


class Network:
    """All gateways, and the stretches of addresses and ports that their texts tell apart."""

    def __init__(self, sites: Mapping[SiteName, SiteTexts], points: Sequence[Point]) -> None:
        """Raises TextError for texts that cannot be answered for, KeyError for a point at a site without texts."""
        confs = {site: read_conf(texts.conf, texts.interface) for site, texts in sites.items()}
        rules = {site: _rules(texts) for site, texts in sites.items()}
        every = [rule for both in rules.values() for ruleset in both.values() for rule in all_rules(ruleset)]
        self.points = tuple(points)
        self.services = Services({rule.service for rule in every if rule.service})
        keys = {texts.public_key: site for site, texts in sites.items() if texts.public_key}

        def identify(peer: Peer) -> SiteName | None:
            name = SiteName(peer.name)
            return keys.get(peer.public_key, name if name in sites and not sites[name].public_key else None)

        self.interfaces: dict[SiteName, dict[str, list[str]]] = {site: {} for site in sites}
        lans: dict[SiteName, list[tuple[str, Prefix]]] = {site: [] for site in sites}
        for point in points:
            if point.interface:
                self.interfaces[point.site].setdefault(point.interface, []).append(point.name)
                lans[point.site] += [(point.interface, real) for real, _ in _prefixes(point)]
        self.gateways = {
            site: Gateway(
                site=site,
                interface=texts.interface,
                conf=confs[site],
                rules=rules[site],
                lans=lans[site],
                identify=identify,
                services=self.services,
            )
            for site, texts in sites.items()
        }
        translated = list(chain.from_iterable(map(_prefixes, points)))
        self.boundaries = Addresses(
            {
                *chain.from_iterable(rule.prefixes() for rule in every),
                *chain.from_iterable(conf.prefixes() for conf in confs.values()),
                *chain.from_iterable(translated),
            },
            translated,
        )
        self.openers = {point.name: list(self._ends(point, point)) for point in points}
        behind: dict[SiteName, list[Point]] = {site: [] for site in sites}
        for point in points:
            if point.interface:
                behind[point.site].append(point)
        # As a destination, a gateway is also every address that it may have in the networks behind it.
        self.opened = {
            point.name: [
                *self.openers[point.name],
                *chain.from_iterable(self._ends(point, lan) for lan in ([] if point.interface else behind[point.site])),
            ]
            for point in points
        }
        self._tried: dict[tuple[str, str], dict[Family, list[Tried]]] = {}
        self._passing: dict[tuple[str, str], list[Passing]] = {}

    def _ends(self, point: Point, of: Point) -> Iterator[tuple[Family, End]]:
        """An end of a flow for each stretch of addresses: of the point itself, or where it is a gateway, of a LAN."""
        gateway = self.gateways[point.site]
        for real, advertised in _prefixes(of):
            for start, end in pairwise((*self.boundaries.within(real), real.end)):
                yield (
                    real.family,
                    End(
                        gateway=gateway,
                        interface=point.interface,
                        address=start,
                        advertised=start - real.first + advertised.first,
                        size=end - start,
                        routes_back=point.routes_back,
                        lan_side=point is not of,
                    ),
                )

    def name(self, site: SiteName, family: Family, address: int, *, opener: bool, itself: bool) -> str:
        """The point that an address of an opener's tuple means at a site: an opener there has its own address.

        With `itself`, an address at the site is the gateway's, also in a network behind it.
        """
        for at_site in (True, False):
            for point in self.points:
                for real, advertised in _prefixes(point) if (point.site == site) is at_site else ():
                    known = real if opener and at_site else advertised
                    if known.family == family and known.first <= address < known.end:
                        return str(site) if itself and at_site else point.name
        return ELSEWHERE

    def flows(self, source: Point, destination: Point) -> Iterator[Flow]:
        """One flow for each pair of ends of one family."""
        opened = self.opened[destination.name]
        for family, opener in self.openers[source.name]:
            for other, end in opened:
                if family == other:
                    yield Flow(family, opener, end)

    def tried(self, source: Point, destination: Point) -> Mapping[Family, Sequence[Tried]]:
        """How every flow of the pair ended, by family; empty where no family is common to both."""
        key = source.name, destination.name
        if key not in self._tried:
            self._try(source, destination)
        return self._tried[key]

    def passing(self, source: Point, destination: Point) -> Sequence[Passing]:
        """The flows of the pair that are answered."""
        self.tried(source, destination)
        return self._passing.get((source.name, destination.name), ())

    def _try(self, source: Point, destination: Point) -> None:
        tried: dict[Family, list[Tried]] = {}
        passing: list[Passing] = []
        for flow in self.flows(source, destination):
            outcome = flow.opened(self.services.all)
            tried.setdefault(flow.family, []).append(
                Tried(flow.destination.lan_side, outcome.arrived, outcome.answered)
            )
            if outcome.answered:
                passing.append(Passing(source, destination, flow, outcome))
        self._tried[source.name, destination.name] = tried
        if passing:
            self._passing[source.name, destination.name] = passing

    def answer(self, source: Point, destination: Point) -> str:
        """What the source can open to the destination, in words; "" for nothing."""
        found = {family: _summary(results) for family, results in self.tried(source, destination).items()}
        if len(set(found.values())) < 2:
            return "; ".join(self._clauses(next(iter(found.values()), ()), ""))
        only = "" if all(any(mask for _, mask in summary) for summary in found.values()) else " only"
        clauses = (self._clauses(summary, f"IPv{family}{only}") for family, summary in sorted(found.items()))
        return "; ".join(chain.from_iterable(clauses))

    def _clauses(self, summary: _Summary, family: str) -> Iterator[str]:
        for remark, mask in summary:
            if mask:
                remarks = ", ".join(filter(None, (remark, family)))
                yield self.services.describe(mask) + (f" ({remarks})" if remarks else "")


def _rules(texts: SiteTexts) -> dict[Family, Ruleset]:
    return {4: read_rules(texts.rules_v4, 4), 6: read_rules(texts.rules_v6, 6)}


def _prefixes(point: Point) -> Iterator[tuple[Prefix, Prefix]]:
    """Each prefix of the point, with what it is advertised as."""
    for real, advertised in zip(point.prefixes, point.advertised or point.prefixes, strict=True):
        yield prefix(str(real)), prefix(str(advertised))


def _summary(results: Iterable[Tried]) -> _Summary:
    """What passes everywhere, what does for a part of the addresses, and what arrives somewhere without an answer.

    Echo without other ICMP is what tunnel addresses answer to each other whatever is granted, so that it is not asked
    of a gateway's addresses on the side of its networks.
    """
    results = tuple(results)
    icmp = {answered & ICMP for lan_side, _, answered in results if not lan_side}
    excused = ECHO if icmp == {ECHO} else 0
    everywhere, somewhere, unanswered = -1, 0, 0
    for lan_side, arrived, answered in results:
        everywhere &= answered | (excused if lan_side else 0)
        somewhere |= answered
        unanswered |= arrived & ~answered
    return ("", everywhere), ("part", somewhere & ~everywhere), ("one way", unanswered)
