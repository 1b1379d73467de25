"""`meshctl explain`: whether one party can open something to another and what decides it, from a stack file alone."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.check import Checked, NoStackFileError, stack_files
from cli.question import Question, question
from mesh.model import Grant, Network
from mesh.outputs import site_texts
from mesh.plan import plan
from mesh.reachability import Case, Explanation, FamilyAnswer, Reachability, Step, points
from mesh.services import common

_VERDICTS = {
    "passes": "passes",
    "one way": "does not pass: packets arrive, and no answer comes back",
    "does not pass": "does not pass",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A grant that names both parties: its place and line, its sides as the file has them, and what it lets pass.

    A side that the file names by itself is that alone, whatever else is named there. `lets` is whether anything of what
    was asked is among the services.
    """

    place: str
    line: int | None
    source: str
    destination: str
    services: tuple[str, ...]
    lets: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked, and the answer.

    `what` is the service, or else what passes between the two at all. `backwards` are the places of the grants that
    name them the other way round.
    """

    question: Question
    what: str
    explanation: Explanation
    grants: tuple[Named, ...]
    backwards: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether all of the service passes, in each family that the two have in common; or else, whether anything."""
        if self.question.service is None:
            return self.anything
        families = self.explanation.families
        return bool(families) and all(answer.verdict == "passes" for answer in families)

    @property
    def anything(self) -> bool:
        """Whether anything of it passes."""
        return any(answer.verdict in ("passes", "in part") for answer in self.explanation.families)

    @property
    def verdict(self) -> str:
        """In words; where they differ, by family."""
        families = self.explanation.families
        if not families:
            return "does not pass: the two have no IP version in common"
        if self.question.service is None and self.anything:
            return "passes"
        each = {answer.family: _verdict(answer) for answer in families}
        if len(set(each.values())) == 1:
            return each[families[0].family]
        told = "; ".join(f"IPv{family} {words}" for family, words in each.items())
        return f"passes in part: {told}" if self.anything else told

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those that the question is about and that other sites know by another prefix."""
        source, destination = self.question.source, self.question.destination
        asked = [source] if isinstance(source, Network) else []
        behind = [destination] if isinstance(destination, Network) else list(destination.networks)
        return tuple(network for network in (*asked, *behind) if network.advertised != network.cidrs)


def only_stack_file(directory: Path, stack: str | None) -> tuple[str, Path]:
    """The stack file that is asked about: the one named, or the only one there is. Raises NoStackFileError."""
    found = stack_files(directory, stack)
    if len(found) > 1:
        raise NoStackFileError(f"there are several stack files, of {', '.join(found)}; name one by --stack")
    return next(iter(found.items()))


def explain(checked: Checked, source: str, destination: str, service: str | None) -> Answer | None:
    """The answer to one question; None where the stack file has faults. Raises QuestionError."""
    mesh = checked.mesh
    if mesh is None:
        return None
    asked = question(checked, mesh, source, destination, service)
    reachability = Reachability(site_texts(plan(mesh)), points(mesh))
    there = (number for number, grant in enumerate(mesh.access) if _names(grant, source, destination))
    back = (number for number, grant in enumerate(mesh.access) if _names(grant, destination, source))
    return Answer(
        question=asked,
        what=asked.service or reachability.answer(source, destination) or "anything",
        explanation=reachability.explain(source, destination, asked.service or "all"),
        grants=tuple(_named(checked, number, mesh.access[number], asked) for number in there),
        backwards=tuple(f"access[{number}]" for number in back),
    )


def _named(checked: Checked, number: int, grant: Grant, asked: Question) -> Named:
    place = f"access[{number}]"
    access: Any = checked.file.sections["access"]
    return Named(
        place=place,
        line=checked.file.line(place),
        source=_written(access[number]["from"], str(asked.source)),
        destination=_written(access[number]["to"], str(asked.destination)),
        services=tuple(map(str, grant.services)),
        lets=bool(common(asked.services, grant.services)),
    )


def _written(selectors: str | list[str], name: str) -> str:
    """The party's name where the file has it, or else the groups and wildcards that may stand for it."""
    listed = [selectors] if isinstance(selectors, str) else selectors
    return name if name in listed else ", ".join(listed)


def lines(answer: Answer, file: Path, width: int | None = None) -> Iterator[str]:
    """The answer for a person: the verdict, the grants, the networks with two names, and at each hop what decided.

    Of what passes, each place that let it through is told once; of what does not, the place that stopped it. `file` is
    the stack file, for the lines of the grants. `width` is where lines are broken; None breaks none.
    """
    yield f"{answer.question.source} -> {answer.question.destination} ({answer.what}): {answer.verdict}"
    for head, text in (*_granted(answer, file), *_two_names(answer), *_ways(answer)):
        yield from _wrapped(head, text, width)


def _granted(answer: Answer, file: Path) -> Iterator[tuple[str, str]]:
    source, destination = answer.question.source, answer.question.destination
    for grant in answer.grants:
        place = f"  {file}:{grant.line}: {grant.place}"
        if grant.lets:
            services = ", ".join(grant.services) or "everything"
            yield f"{place}: ", f"{grant.source} -> {grant.destination} ({services})"
        elif not any(other.lets for other in answer.grants):
            yield f"{place} ", f"lets it open only {_and(grant.services)}"
    if not answer.grants:
        none = f"no grant lets {source} open anything to {destination}"
        if answer.backwards:
            none += f"; the other way round, {_and(answer.backwards)} {'do' if len(answer.backwards) > 1 else 'does'}"
        yield "  ", none
    if answer.anything and not any(grant.lets for grant in answer.grants):
        yield "  ", "an echo between hosts' tunnel addresses needs no grant"


def _two_names(answer: Answer) -> Iterator[tuple[str, str]]:
    for network in answer.networks:
        for real, known in zip(network.cidrs, network.advertised, strict=True):
            if real != known:
                yield "  ", f"{network}: {real} at {network.site}, {known} to all others"


def _ways(answer: Answer) -> Iterator[tuple[str, str]]:
    """What decided, once for all addresses for which it is the same but for these.

    Where the question is what passes, nothing that does is stopped in part: what stops the rest is told at the end.
    """
    listing = answer.question.service is None and answer.anything
    told: dict[tuple[object, ...], list[Case]] = {}
    for family in answer.explanation.families:
        for case in family.cases:
            way = (case.verdict, case.passing, *((step.site, step.kind, step.passes) for step in _decisive(case)))
            told.setdefault(way, []).append(case)
    rest: dict[str, None] = {}
    stops = "dropped"
    for case, *alike in told.values():
        if len(told) > 1 or alike:
            passes = listing and case.passing
            yield "  ", _addresses(case) + (f" ({case.passing}): passes" if passes else f": {_verdict(case)}")
        longest = max(len(step.site) for step in case.steps)
        for step in _decisive(case):
            if listing and not step.passes:
                rest[f"at {step.site}: {step.text}"] = None
                stops = stops if step.kind == "rule" else "stopped"
                continue
            in_part = f" ({step.services})" if not step.passes and case.verdict == "in part" and step.services else ""
            yield f"    {step.site:<{longest}}  {step.kind:<11}  ", step.text + in_part
        for other in alike:
            yield "  ", f"{_addresses(other)}: likewise"
    if rest:
        yield "  ", f"the rest is {stops} {'; '.join(rest)}"


def _verdict(answer: Case | FamilyAnswer) -> str:
    """In words; where a part passes, which, if it is the same for all addresses."""
    if answer.verdict == "in part":
        return f"passes in part: {answer.passing or 'for some of the addresses'}"
    return _VERDICTS[answer.verdict]


def _and(words: Sequence[str]) -> str:
    """The words as in a sentence."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def data(answer: Answer, checked: Checked) -> dict[str, Any]:
    """The answer for programs, with every step there and back."""
    return {
        "stack": checked.stack,
        "file": str(checked.path),
        "source": str(answer.question.source),
        "destination": str(answer.question.destination),
        "service": answer.question.service,
        "what": answer.what,
        "passes": answer.passes,
        "verdict": answer.verdict,
        "grants": [asdict(grant) for grant in answer.grants],
        "advertised": {
            str(network): dict(zip(map(str, network.cidrs), map(str, network.advertised), strict=True))
            for network in answer.networks
        },
        "families": asdict(answer.explanation)["families"],
    }


def _decisive(case: Case) -> list[Step]:
    """The steps that a person wants: what stopped it; where nothing did, what let it pass on its way there."""
    stopped = [step for step in case.steps if not step.passes]
    if case.verdict != "in part" and stopped:
        return stopped[-1:]
    return [step for step in case.steps if not step.passes or not (step.answer or step.kind in ("route", "handshake"))]


def _addresses(case: Case) -> str:
    sides = (", ".join(_bare(prefix) for prefix in side) for side in (case.source_as, case.destination_as))
    return " -> ".join(sides)


def _bare(prefix: str) -> str:
    """A prefix of one address without its length."""
    return prefix.removesuffix("/128" if ":" in prefix else "/32")


def _wrapped(head: str, text: str, width: int | None) -> list[str]:
    if width is None or len(head) + len(text) <= width:
        return [head + text]
    indent = " " * len(head)
    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _names(grant: Grant, source: str, destination: str) -> bool:
    return source in map(str, grant.sources) and destination in map(str, grant.destinations)
