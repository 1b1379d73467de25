"""Who can open what to whom, told from the rendered texts alone: no code is shared with the plan behind them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import chain, permutations
from operator import or_
from typing import TypeAlias

from mesh.model import Family, IPNetwork, Mesh, SiteName
from mesh.reachability.boundaries import ECHO, ICMP, Addresses, Services
from mesh.reachability.flow import End, Flow
from mesh.reachability.gateway import Gateway
from mesh.reachability.ruletext import Ruleset, all_rules, read_rules
from mesh.reachability.textnet import Peer, Prefix, prefix, read_conf

# Stands for every interface of a gateway that leads to none of its points, such as the one to the internet.
_ELSEWHERE = "(elsewhere)"
# Addresses that no point can have: "this network" (RFC 1122) and the discard prefix (RFC 6666).
_NOWHERE: dict[Family, int] = {4: int(IPv4Address("0.0.0.1")), 6: int(IPv6Address("100::1"))}
# Remarks, each with the services that it holds for.
_Summary: TypeAlias = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """Who opens flows and to whom: a network behind a gateway or, without an `interface`, the gateway itself.

    A gateway opens flows from its `prefixes`, the tunnel addresses; as a destination it is them and every address that
    it may have in the networks behind it.

    `routes_back` is False where the hosts answer only to addresses of their own network, so that who comes from
    elsewhere needs masquerade.
    """

    name: str
    site: SiteName
    prefixes: tuple[IPNetwork, ...]
    interface: str = ""
    routes_back: bool = True


@dataclass(frozen=True, slots=True)
class SiteTexts:
    """What one site gets: its wg-quick file and its rules in iptables-restore syntax, one for each family.

    Peers are told apart by `public_key` where it is given (the texts then hold real keys), otherwise by the comment
    line before their section.
    """

    conf: str
    rules_v4: str
    rules_v6: str
    interface: str = "wg0"
    public_key: str = ""


def points(mesh: Mesh) -> tuple[Point, ...]:
    """Every gateway (by its tunnel addresses) and every network of a mesh, in the mesh's order."""
    found: list[Point] = []
    for site in mesh.sites:
        found.append(Point(site.name, site.name, tuple(ip_network(address) for address in site.addresses)))
        found += [
            Point(str(network), site.name, network.cidrs, network.interface, routes_back=not network.masquerade)
            for network in site.networks
        ]
    return tuple(found)


def reachability(sites: Mapping[SiteName, SiteTexts], points: Sequence[Point]) -> dict[str, dict[str, str]]:
    """From whom to whom to what, only what passes, both levels sorted: `{"ams.lan": {"nyc.virbr0": "all"}}`.

    What is `all`, or services such as `ping, tcp/443`. In brackets: `IPv4 only` or `IPv6 only` where both ends have
    both families; `part` where it holds for some of the addresses; `one way` where packets arrive and no answer
    comes back; `posing as ...` where they arrive with a source address of another point. A sound mesh has none of the
    last two, nor a line from `beside ams` (what a neighbour of that gateway can send into the tunnel) or to
    `beyond nyc` (what that gateway forwards to places that are no point). Points of one site are not compared.

    Raises TextError for a text that cannot be answered for, KeyError for a point at a site without texts.
    """
    network = _Network(sites, points)
    answers: dict[str, dict[str, str]] = {}
    for source, destination in permutations(points, 2):
        if source.site == destination.site:
            continue
        answer = network.answer(source, destination)
        if answer:
            answers.setdefault(source.name, {})[destination.name] = answer
        for poser, posed in network.impostors(source, destination):
            known = answers.setdefault(poser, {})
            known[destination.name] = "; ".join(filter(None, (known.get(destination.name), posed)))
        beyond = network.beyond(source, destination)
        if beyond:
            answers.setdefault(source.name, {})[f"beyond {destination.site}"] = beyond
    return {source: dict(sorted(answers[source].items())) for source in sorted(answers)}


def explain(
    sites: Mapping[SiteName, SiteTexts], points: Sequence[Point], source: str, destination: str, service: str = "all"
) -> tuple[str, ...]:
    """What was tried and how it ended, `10.20.0.0 to 192.168.122.0: passes`, then a line for each hop, prefix and rule.

    Once for each pair of stretches of addresses that the texts tell apart. Raises KeyError for a point that is not
    there, ValueError for a service that is none, and TextError as `reachability` does.
    """
    named = {point.name: point for point in points}
    network = _Network(sites, points)
    lines: list[str] = []
    for flow in network.flows(named[source], named[destination]):
        notes: list[str] = []
        arrived, answered = flow.opened(network.services.named(service), notes)
        outcome = "passes" if answered else "arrives, unanswered" if arrived else "does not pass"
        lines += [f"{flow}: {outcome}", *notes]
    return tuple(lines)


class _Network:
    """All gateways, and the stretches of addresses and ports that their texts tell apart."""

    def __init__(self, sites: Mapping[SiteName, SiteTexts], points: Sequence[Point]) -> None:
        confs = {site: read_conf(texts.conf) for site, texts in sites.items()}
        rules = {site: _rules(texts) for site, texts in sites.items()}
        every = [rule for both in rules.values() for ruleset in both.values() for rule in all_rules(ruleset)]
        self.services = Services({rule.service for rule in every if rule.service})
        keys = {texts.public_key: site for site, texts in sites.items() if texts.public_key}

        def identify(peer: Peer) -> SiteName | None:
            name = SiteName(peer.name)
            return keys.get(peer.public_key, name if name in sites and not sites[name].public_key else None)

        self._prefixes = {point.name: [prefix(str(cidr)) for cidr in point.prefixes] for point in points}
        self._interfaces: dict[SiteName, dict[str, list[str]]] = {site: {} for site in sites}
        lans: dict[SiteName, list[tuple[str, Prefix]]] = {site: [] for site in sites}
        for point in points:
            if point.interface:
                self._interfaces[point.site].setdefault(point.interface, []).append(point.name)
                lans[point.site] += [(point.interface, cidr) for cidr in self._prefixes[point.name]]
        self._gateways = {
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
        boundaries = Addresses(
            {
                *chain.from_iterable(rule.prefixes() for rule in every),
                *chain.from_iterable(conf.prefixes() for conf in confs.values()),
                *chain.from_iterable(self._prefixes.values()),
            }
        )
        self._openers = {point.name: self._ends(point, boundaries) for point in points}
        self._opened = {
            point.name: self._openers[point.name] + ([] if point.interface else self._lan_side(point, boundaries))
            for point in points
        }

    def _ends(self, point: Point, boundaries: Addresses) -> list[tuple[Family, End]]:
        """An end of a flow for each stretch of the point's addresses."""
        gateway = self._gateways[point.site]
        return [
            (cidr.family, End(gateway, point.interface, address, point.routes_back))
            for cidr in self._prefixes[point.name]
            for address in boundaries.within(cidr)
        ]

    def _lan_side(self, point: Point, boundaries: Addresses) -> list[tuple[Family, End]]:
        """The same for a gateway's own addresses in the networks behind it: which they are, no text tells."""
        gateway = self._gateways[point.site]
        return [
            (cidr.family, End(gateway, "", address, lan_side=True))
            for _, cidr in gateway.lans
            for address in boundaries.within(cidr)
        ]

    def flows(self, source: Point, destination: Point, entry: str | None = None) -> Iterator[Flow]:
        """One flow for each pair of ends of one family. `entry` is the opener's interface where it is not its own."""
        entry = source.interface if entry is None else entry
        for family, opener in self._openers[source.name]:
            for other, opened in self._opened[destination.name]:
                if family == other:
                    yield Flow(family, opener, opened, entry)

    def answer(self, source: Point, destination: Point) -> str:
        """What the source can open to the destination, in words; "" for nothing."""
        tried: dict[Family, list[tuple[bool, int, int]]] = {}
        for flow in self.flows(source, destination):
            tried.setdefault(flow.family, []).append((flow.destination.lan_side, *flow.opened(self.services.all)))
        found = {family: _summary(results) for family, results in tried.items()}
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

    def impostors(self, source: Point, destination: Point) -> Iterator[tuple[str, str]]:
        """Who can send to the destination with addresses of the source, from another interface of its gateway; what."""
        if not source.interface:
            return  # no kernel takes its own address from outside
        for entry, names in {**self._interfaces[source.site], _ELSEWHERE: [f"beside {source.site}"]}.items():
            if entry != source.interface:
                flows = self.flows(source, destination, entry)
                mask = reduce(or_, (flow.arriving(self.services.all) for flow in flows), 0)
                for name in names if mask else ():
                    yield name, f"{self.services.describe(mask)} (posing as {source.name})"

    def beyond(self, source: Point, destination: Point) -> str:
        """What the one gateway can send through the other to no point at all, in words; a peer may aim anywhere."""
        mask = 0
        for flow in self.flows(source, destination) if not source.interface and not destination.interface else ():
            mask |= flow.passing(_NOWHERE[flow.family], _ELSEWHERE, self.services.all)
        return f"{self.services.describe(mask)} (one way)" if mask else ""


def _rules(texts: SiteTexts) -> dict[Family, Ruleset]:
    return {4: read_rules(texts.rules_v4, 4), 6: read_rules(texts.rules_v6, 6)}


def _summary(results: Iterable[tuple[bool, int, int]]) -> _Summary:
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
