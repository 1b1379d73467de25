"""How an answer came about: for each family the addresses, the verdict, and at every hop what decided.

Plain data: `dataclasses.asdict` makes JSON of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, reduce
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from operator import and_
from typing import Literal, NamedTuple, TypeAlias

from mesh.model import Family
from mesh.reachability.boundaries import Services
from mesh.reachability.flow import End, Flow, Outcome
from mesh.reachability.trace import Kind, Trace

Verdict: TypeAlias = Literal["passes", "does not pass", "one way", "in part"]


@dataclass(frozen=True, slots=True)
class Step:
    """What decided at one hop. `text` is the rule or the prefix itself, or says what is missing.

    `services` are those that it decided about, and `passes` tells how. `answer` is False on the way of the opener's
    packet, True on that of the answer.
    """

    site: str
    kind: Kind
    text: str
    services: str
    passes: bool
    answer: bool


@dataclass(frozen=True, slots=True)
class Case:
    """Addresses of both ends that the texts treat alike, and what happens between them.

    Each side is prefixes as its own site has them, and as the other sites know them (`..._as`), lowest first.
    `passing` is what passes of the service that was asked about, "" for nothing.
    """

    source: tuple[str, ...]
    source_as: tuple[str, ...]
    destination: tuple[str, ...]
    destination_as: tuple[str, ...]
    verdict: Verdict
    passing: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class FamilyAnswer:
    """The verdict of one family, and the cases behind it.

    Of a gateway as the destination, the verdict is that of its tunnel addresses, where it has any. `passing` is what
    passes between all addresses of that verdict, "" where nothing does.
    """

    family: Family
    verdict: Verdict
    passing: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to one question; `families` are those that the two have in common, IPv4 first."""

    source: str
    destination: str
    service: str
    families: tuple[FamilyAnswer, ...]


class _End(NamedTuple):
    """How flows end that go the same way: whether to a gateway's address in its own network, and what passes."""

    lan_side: bool
    verdict: Verdict
    answered: int
    steps: tuple[Step, ...]


def explain(names: tuple[str, str], service: str, asked: int, flows: Iterable[Flow], services: Services) -> Explanation:
    """Follows all flows of two points, and puts those together that go the same way to the same end."""
    told = partial(_told, services, service)
    cases: dict[Family, dict[_End, list[Flow]]] = {}
    for flow in flows:
        trace = Trace()
        outcome = flow.opened(asked, trace)
        steps = tuple(
            Step(step.site, step.kind, step.text, told(step.services), step.passes, step.back) for step in trace.steps
        )
        end = _End(flow.destination.lan_side, _verdict(asked, outcome), outcome.answered, steps)
        cases.setdefault(flow.family, {}).setdefault(end, []).append(flow)
    return Explanation(*names, service, tuple(_answer(family, found, told) for family, found in sorted(cases.items())))


def _answer(family: Family, found: dict[_End, list[Flow]], told: Callable[[int], str]) -> FamilyAnswer:
    counted = [end for end in found if not end.lan_side] or list(found)
    verdicts = {end.verdict for end in counted}
    return FamilyAnswer(
        family=family,
        verdict=verdicts.pop()
        if len(verdicts) == 1
        else "in part"
        if any(end.answered for end in counted)
        else "one way",
        passing=told(reduce(and_, (end.answered for end in counted))),
        cases=tuple(
            Case(
                *_prefixes(family, (flow.source for flow in flows)),
                *_prefixes(family, (flow.destination for flow in flows)),
                end.verdict,
                told(end.answered),
                end.steps,
            )
            for end, flows in sorted(found.items(), key=lambda case: case[0].lan_side)
        ),
    )


def _told(services: Services, asked: str, mask: int) -> str:
    """The services in words, as far as they are asked about. Ports are told from 1 on: nobody asks for port 0."""
    words = (word.replace("/0-", "/1-") for word in services.describe(mask, asked).split(", "))
    return ", ".join(word.removesuffix("-1") if word.endswith("/1-1") else word for word in words if word[-2:] != "/0")


def _verdict(asked: int, outcome: Outcome) -> Verdict:
    if outcome.answered == asked:
        return "passes"
    if outcome.answered:
        return "in part"
    return "one way" if outcome.arrived else "does not pass"


def _prefixes(family: Family, ends: Iterable[End]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The addresses of all ends in as few prefixes as can be, as they are and as they are advertised."""
    ends = tuple(ends)
    own = _joined(family, {(end.address, end.address + end.size) for end in ends})
    return own, _joined(family, {(end.advertised, end.advertised + end.size) for end in ends})


def _joined(family: Family, ranges: set[tuple[int, int]]) -> tuple[str, ...]:
    joined: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if joined and joined[-1][1] == first:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((first, end))
    kind = IPv4Address if family == 4 else IPv6Address
    return tuple(
        str(network) for first, end in joined for network in summarize_address_range(kind(first), kind(end - 1))
    )
