"""Sending probes in a lab's world: from every point at once, the granted ones first, with somebody to answer them."""

import json
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from lab.namespaces import PATH, LabError, Namespace
from lab.policy import Point
from lab.probing import Probe, Result
from lab.world import World

# Above those that the kernel takes by itself (ip(7), ip_local_port_range).
_SOURCE_PORTS = range(61000, 65536)


def measure(
    world: World,
    wanted: Sequence[Probe],
    *,
    within: float = 15,
    wait: float = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Sends all probes and gives their results in the same order. While it does, every destination answers them.

    Granted ones are tried again until they are answered, for at most `within` seconds. Only then are the denied ones
    sent, each for `wait` seconds, so that none is blocked just because the tunnel was not up yet.

    Every destination also says which of the denied ones arrived, so that one whose answer is lost on the way back is no
    less of a leak. Datagrams and echo requests are known there by what is in them; a TCP SYN has no content, and is
    known by its source port, which masquerade keeps where it is free, and its port: where a gateway changes either of
    the two, only an answer tells that it arrived. Raises LabError where nobody can answer.
    """
    tags = _tags(wanted)
    granted = [number for number, probe in enumerate(wanted) if probe.granted]
    denied = [number for number, probe in enumerate(wanted) if not probe.granted]
    results: dict[int, Result] = {}
    with _answering(world, wanted) as arrived:
        for what, numbers, seconds in (("granted", granted, within), ("denied", denied, 0.0)):
            progress(f"under way: {len(numbers)} that are {what}")
            found = _send(world, [(wanted[number], tags[number]) for number in numbers], seconds, wait)
            results |= zip(numbers, found, strict=True)
    for number in denied:
        probe = wanted[number]
        results[number] = replace(results[number], arrived=tags[number].at_arrival(probe) in arrived[probe.destination])
    return [results[number] for number in range(len(wanted))]


@dataclass(frozen=True, slots=True)
class _Tag:
    """What tells a probe from all others at its destination: what it carries, and for denied TCP its source port."""

    token: str
    source_port: int = 0

    def at_arrival(self, probe: Probe) -> str:
        """What lab/answer.py notes of it."""
        return f"tcp{probe.family} {self.source_port} {probe.port}" if probe.protocol == "tcp" else self.token


def _tags(wanted: Iterable[Probe]) -> list[_Tag]:
    """One for each. Source ports begin anywhere: what an earlier run left in a connection table is not met again."""
    run, first = secrets.token_hex(8), secrets.randbelow(len(_SOURCE_PORTS))
    alike: Counter[tuple[Point, int, int]] = Counter()
    tags: list[_Tag] = []
    for number, probe in enumerate(wanted):
        token = f"probe:{run}:{number}"
        if probe.protocol == "tcp" and not probe.granted:
            kind = (probe.destination, probe.family, probe.port)
            tags.append(_Tag(token, _SOURCE_PORTS[(first + alike[kind]) % len(_SOURCE_PORTS)]))
            alike[kind] += 1
        else:
            tags.append(_Tag(token))
    return tags


@contextmanager
def _answering(world: World, wanted: Iterable[Probe]) -> Iterator[dict[Point, set[str]]]:
    """In every destination somebody answers at the addresses and ports that are asked for, and at no others.

    Gives what arrived at each of them, which is there when the context is left (see lab/answer.py).
    """
    places: dict[Point, dict[tuple[str, str, int], None]] = {}
    for probe in wanted:
        asked = places.setdefault(probe.destination, {})
        if probe.protocol != "icmp":
            asked[probe.protocol, str(probe.to.real), probe.port] = None
    arrived: dict[Point, set[str]] = {}
    with ExitStack() as stack:
        started = {point: stack.enter_context(_answerer(_namespace(world, point))) for point in places}
        for point, process in started.items():
            stdin = cast("IO[str]", process.stdin)
            with suppress(BrokenPipeError):  # it is gone, and has said why
                stdin.write(json.dumps([*places[point]]) + "\n")
                stdin.flush()
        for point, process in started.items():
            if cast("IO[str]", process.stdout).readline() != "ready\n":
                said = process.communicate()[1].strip()
                raise LabError(f"{point} does not answer probes: {said or 'no reason given'}")
        yield arrived
        for point, process in started.items():
            noted, said = process.communicate()
            if process.returncode != 0:
                raise LabError(f"{point} stopped answering probes: {said.strip() or 'no reason given'}")
            arrived[point] = set(json.loads(noted))


@contextmanager
def _answerer(namespace: Namespace) -> Iterator["subprocess.Popen[str]"]:
    """A program that answers in a namespace until it is left, or until this process is gone (see lab/answer.py)."""
    argv = namespace.python_command([_program("answer.py")], sys.executable)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={"PATH": PATH}) as process:
        try:
            yield process
        finally:
            with suppress(BrokenPipeError):
                cast("IO[str]", process.stdin).close()


def _send(world: World, wanted: Sequence[tuple[Probe, _Tag]], within: float, wait: float) -> list[Result]:
    by_source: dict[Point, list[int]] = {}
    for number, (probe, _) in enumerate(wanted):
        by_source.setdefault(probe.source, []).append(number)

    def one(source: Point) -> Iterable[Result]:
        return _send_from(_namespace(world, source), [wanted[number] for number in by_source[source]], within, wait)

    results: dict[int, Result] = {}
    if by_source:
        # One thread for each: they only wait, and shall send at the same time.
        with ThreadPoolExecutor(max_workers=len(by_source)) as pool:
            for source, found in zip(by_source, pool.map(one, by_source), strict=True):
                results |= zip(by_source[source], found, strict=True)
    return [results[number] for number in range(len(wanted))]


def _send_from(namespace: Namespace, wanted: Sequence[tuple[Probe, _Tag]], within: float, wait: float) -> list[Result]:
    """Sends probes from one namespace, all at once, and gives their results in the same order (see lab/probe.py)."""
    request = {
        "within": within,
        "wait": wait,
        "probes": [
            {
                "protocol": probe.protocol,
                "source": str(probe.sends_from),
                "target": str(probe.to.known_as),
                "port": probe.port,
                "token": tag.token,
                "source_port": tag.source_port,
            }
            for probe, tag in wanted
        ],
    }
    answers = json.loads(namespace.python([_program("probe.py")], sys.executable, input=json.dumps(request)))
    return [Result(probe, **answer) for (probe, _), answer in zip(wanted, answers, strict=True)]


def _program(name: str) -> str:
    return str(Path(__file__).with_name(name))


def _namespace(world: World, point: Point) -> Namespace:
    return world.lan(str(point)) if point.network else world.host(point.site)
