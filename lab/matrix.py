"""The reachability matrix: who was expected to reach whom and who does, as cells with a verdict, and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.policy import Point
from lab.probing import Result
from mesh.model import Network

PASSES, PING, PART, DENIED = "✓", "○", "◐", "·"
BLOCKED, LEAKED, DISGUISED, DISPUTED = "✗", "!", "≠", "?"

_ORDER = ("ping", "icmp", "tcp", "udp")


@dataclass(frozen=True, slots=True)
class Cell:
    """All results from one point to another."""

    source: Point
    destination: Point
    results: tuple[Result, ...]

    @property
    def problems(self) -> list[Result]:
        """Those that are not as the policy says."""
        return [result for result in self.results if result.problem]

    @property
    def services(self) -> tuple[str, ...]:
        """What is granted: `all`, or `ping`, `icmp`, `tcp/443`, ..., TCP before UDP, by port."""
        return tuple(sorted({result.probe.service for result in self.results if result.probe.service}, key=_order))

    @property
    def marks(self) -> str:
        """One character for what the policy says where all is so; otherwise one for each kind of problem."""
        if self.problems:
            wrong = {
                BLOCKED: any(result.blocked for result in self.results),
                LEAKED: any(result.leaked for result in self.results),
                DISGUISED: any(result.disguised for result in self.results),
                DISPUTED: any(result.probe.disputed for result in self.results),
            }
            return "".join(mark for mark, present in wrong.items() if present)
        return {(): DENIED, ("all",): PASSES, ("ping",): PING}.get(self.services, PART)

    @property
    def part(self) -> str:
        """Where only part of what is granted, or denied, is wrong: which, in short (`tcp`, `IPv6`, `tcp6`)."""
        sides = {result.probe.granted for result in self.problems}
        wrong = [_kinds(each) for each in self.problems]
        every = [_kinds(each) for each in self.results if each.probe.granted in sides]
        if len(wrong) == len(every):
            return ""
        # From the widest name to the narrowest: the first that means just these.
        for number in range(len(_kinds(self.results[0]))):
            names = {kinds[number] for kinds in wrong}
            if len(names) == 1 and len(wrong) == sum(kinds[number] in names for kinds in every):
                return names.pop()
        return shortened(sorted({kinds[-1] for kinds in wrong}, key=_order), room=1)


def _kinds(result: Result) -> tuple[str, ...]:
    """The names of what a probe is one of, the widest first."""
    probe = result.probe
    named = f"{probe.protocol}/{probe.port}" if probe.port else probe.protocol
    return probe.protocol, f"IPv{probe.family}", f"{probe.protocol}{probe.family}", named


def _order(service: str) -> tuple[int, int]:
    protocol, _, ports = service.partition("/")
    return _ORDER.index(protocol) if protocol in _ORDER else -1, int(ports.partition("-")[0] or 0)


def shortened(services: Sequence[str], room: int) -> str:
    """As many as there is room for, one at least, and how many more there are: `tcp/443 udp/53 +2`."""
    count = max(1, sum(len(" ".join(services[: number + 1])) <= room for number in range(len(services))))
    return " ".join(services[:count]) + (f" +{len(services) - count}" if count < len(services) else "")


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells, and the points in their order. `known_as`: networks that other sites know by another prefix.

    Each is the network's name, its prefix and what that is elsewhere.
    """

    points: tuple[Point, ...]
    cells: dict[tuple[Point, Point], Cell]
    known_as: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def of(cls, results: Iterable[Result], networks: Iterable[Network] = ()) -> "Matrix":
        """Sorts results into cells; points are in the order in which they first send. `networks` are the mesh's."""
        sorted_in: dict[tuple[Point, Point], list[Result]] = {}
        for result in results:
            sorted_in.setdefault((result.probe.source, result.probe.destination), []).append(result)
        points = tuple(dict.fromkeys(source for source, _ in sorted_in))
        known_as = tuple(
            (str(network), str(cidr), str(elsewhere))
            for network in networks
            for cidr, elsewhere in zip(network.cidrs, network.advertised, strict=True)
            if cidr != elsewhere
        )
        return cls(points, {pair: Cell(*pair, tuple(found)) for pair, found in sorted_in.items()}, known_as)

    @property
    def problems(self) -> list[Result]:
        """Every result that is not as the policy says."""
        return [result for cell in self.cells.values() for result in cell.problems]

    @property
    def as_granted(self) -> bool:
        """The verdict: there is something to judge, and every cell is as the policy says."""
        return bool(self.cells) and not self.problems

    @property
    def summary(self) -> str:
        """One line: how many pairs and probes, and the verdict."""
        results = [result for cell in self.cells.values() for result in cell.results]
        granted = sum(result.probe.granted for result in results)
        wrong = len(self.problems)
        verdict = f"{wrong} of {len(results)} probes not as the policy says" if wrong else "all as the policy says"
        return f"{len(self.cells)} pairs, {granted} probes granted, {len(results) - granted} denied: {verdict}"

    def as_json(self) -> dict[str, Any]:
        """Plain data: the verdict, and every probe of every pair with what was expected and what was seen."""
        return {
            "as_granted": self.as_granted,
            "summary": self.summary,
            "points": [str(point) for point in self.points],
            "known_as": [dict(zip(("network", "cidr", "elsewhere"), each, strict=True)) for each in self.known_as],
            "cells": [
                {
                    "from": str(cell.source),
                    "to": str(cell.destination),
                    "granted": [*cell.services],
                    "as_granted": not cell.problems,
                    "probes": [_plain(result) for result in cell.results],
                }
                for cell in self.cells.values()
            ],
        }


def _plain(result: Result) -> dict[str, Any]:
    probe = result.probe
    return {
        "family": probe.family,
        "protocol": probe.protocol,
        "port": probe.port or None,
        "from": str(probe.sends_from),
        "to": str(probe.to.known_as),
        "there": str(probe.to.real),
        "granted": probe.granted,
        "state": result.state,
        "seen_as": result.seen,
        "seconds": result.seconds,
        "problem": result.problem,
    }
