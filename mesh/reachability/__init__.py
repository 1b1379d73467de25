"""Who can open what to whom, told from the rendered texts alone: no code is shared with the plan behind them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from mesh.model import Family, SiteName
from mesh.reachability.audit import Audit
from mesh.reachability.explanation import Case, Explanation, FamilyAnswer, Step, explain
from mesh.reachability.guards import Guards
from mesh.reachability.misuse import Misuse
from mesh.reachability.network import Network
from mesh.reachability.point import Point, SiteTexts, points
from mesh.reachability.remarks import Remarks
from mesh.reachability.textnet import TextError
from mesh.reachability.usage import usage

__all__ = [
    "Case",
    "Explanation",
    "FamilyAnswer",
    "Point",
    "Reachability",
    "SiteTexts",
    "Step",
    "TextError",
    "points",
    "reachability",
]


class Reachability:
    """The answers that the texts of all sites give about some points."""

    def __init__(self, sites: Mapping[SiteName, SiteTexts], points: Sequence[Point]) -> None:
        """Raises TextError for a text that cannot be answered for, KeyError for a point at a site without texts."""
        self._network = Network(sites, points)
        self._named = {point.name: point for point in points}

    def table(self) -> dict[str, dict[str, str]]:
        """From whom to whom to what, only what passes, both levels sorted: `{"ams.lan": {"nyc.virbr0": "all"}}`.

        What is `all`, or services such as `ping, tcp/443`. In brackets: `IPv4 only` or `IPv6 only` where both ends have
        both families, `part` where it holds for some of the addresses, `one way` where packets arrive and no answer
        comes back. Points of one site are not compared.

        All else are faults, which a sound mesh has none of. From `beside ams`: what a neighbour of that gateway can
        send, `posing as` somebody. To `beyond nyc`: what would leave that gateway for no point, though it is `meant
        for` one. From or to `(elsewhere)`: what a rule says about addresses of no point. To `its wg0`: what holds for a
        gateway's tunnel as a whole, such as `MSS not clamped`. Of a pair: `granted at ams, does not pass` where that
        site's rules alone would let it, and what lost state or ICMP errors do to it. No answer has a colon.
        """
        network = self._network
        table: dict[str, dict[str, str]] = {}
        for source, destination in self._pairs():
            answer = network.answer(source, destination)
            if answer:
                table.setdefault(source.name, {})[destination.name] = answer
        for source_name, destination_name, words in self._remarks().words():
            said = table.setdefault(source_name, {})
            said[destination_name] = "; ".join(filter(None, (said.get(destination_name), words)))
        return {name: dict(sorted(table[name].items())) for name in sorted(table)}

    def _pairs(self) -> Iterator[tuple[Point, Point]]:
        return ((one, other) for one, other in permutations(self._network.points, 2) if one.site != other.site)

    def _remarks(self) -> Remarks:
        """What only a mesh that is not sound gives cause for."""
        network = self._network
        passing = [one for pair in self._pairs() for one in network.passing(*pair)]
        used = usage(passing, network.gateways, network.services.tcp)
        remarks = Remarks(network.services)
        misuse = Misuse(network, Guards(network, used, remarks), remarks)
        for one in passing:
            misuse.try_flow(one)
        Audit(network, used, remarks)
        return remarks

    def answer(self, source: str, destination: str) -> str:
        """What passes between the two, in the words of the table, and without what only it remarks; "" for nothing.

        Raises KeyError and ValueError as `passes` does.
        """
        return self._network.answer(*self._pair(source, destination))

    def passes(self, source: str, destination: str, service: str, family: Family) -> bool:
        """Whether all of a service passes and is answered, between all addresses of a family that the two have.

        A service is such as `tcp/443`, `tcp/8000-8100`, `udp`, `icmp`, `ping` or `all`. Of a gateway as the destination
        only the tunnel addresses count. False where the two have no family in common. Raises KeyError for a point that
        is not there, ValueError for a service that is none and for two points of one site.
        """
        asked = self._network.services.named(service)
        pair = self._pair(source, destination)
        results = [one for one in self._network.tried(*pair).get(family, ()) if not one.lan_side]
        return bool(results) and all(one.answered & asked == asked for one in results)

    def explain(self, source: str, destination: str, service: str = "all") -> Explanation:
        """What decides whether the source can open a service to the destination, there and back, hop by hop.

        Raises KeyError and ValueError as `passes` does.
        """
        asked = self._network.services.named(service)
        flows = self._network.flows(*self._pair(source, destination))
        return explain((source, destination), service, asked, flows, self._network.services)

    def _pair(self, source: str, destination: str) -> tuple[Point, Point]:
        one, other = self._named[source], self._named[destination]
        if one.site == other.site:
            raise ValueError(f"{source} and {destination} are at one site: no tunnel lies between them")
        return one, other


def reachability(sites: Mapping[SiteName, SiteTexts], points: Sequence[Point]) -> dict[str, dict[str, str]]:
    """`Reachability(sites, points).table()`, and its errors."""
    return Reachability(sites, points).table()
