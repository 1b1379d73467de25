"""Which probes a mesh needs, and sending them: from every point at once, the granted ones first."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lab.namespaces import Namespace
from lab.policy import Point, allows, points
from lab.topology import Topology
from lab.world import ANSWER_PORT, World
from mesh.model import Family, IPAddress, Mesh

State: TypeAlias = Literal["answered", "refused", "unreachable", "silent", "no source"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to try from one point to another, and what the policy says about it.

    `arrives_as` is the source address that the destination has to see (None: not to be asked, as with ICMP).
    """

    source: Point
    destination: Point
    family: Family
    protocol: Literal["tcp", "icmp"]
    port: int
    sends_from: IPAddress
    sends_to: IPAddress
    granted: bool
    arrives_as: IPAddress | None = None

    def __str__(self) -> str:
        return f"IPv{self.family} {self.protocol}" + (f"/{self.port}" if self.protocol == "tcp" else "")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a probe. `seen` is the source address that the destination saw, where it answered by TCP."""

    probe: Probe
    state: State
    seen: str | None = None
    seconds: float | None = None
    tries: int = 0

    @property
    def reached(self) -> bool:
        """True where something at the other end said anything, "no" included: the packets passed."""
        return self.state in ("answered", "refused")

    @property
    def blocked(self) -> bool:
        """True where the policy grants it and there was no answer."""
        return self.probe.granted and self.state != "answered"

    @property
    def leaked(self) -> bool:
        """True where the policy denies it and it got there."""
        return not self.probe.granted and self.reached

    @property
    def disguised(self) -> bool:
        """True where it arrived with another source address than the network's `masquerade` says."""
        expected = self.probe.arrives_as
        return self.probe.granted and self.state == "answered" and bool(expected) and self.seen != str(expected)

    @property
    def problem(self) -> str | None:
        """What is not as the policy says, as a few words, or None."""
        if self.blocked:
            return f"granted, but {self.state} ({self.tries} {'try' if self.tries == 1 else 'tries'})"
        if self.leaked:
            return f"denied, but {self.state}" + (f", seen as {self.seen}" if self.seen else "")
        if self.disguised:
            return f"granted, but arrives as {self.seen} instead of {self.probe.arrives_as}"
        return None


def probes(mesh: Mesh, topology: Topology) -> list[Probe]:
    """ICMP echo and TCP for every ordered pair of points at different sites, in each family that both have."""
    found: list[Probe] = []
    everything = points(mesh)
    for source in everything:
        for destination in everything:
            if source.site != destination.site:
                found += _pair(mesh, topology, source, destination)
    return found


def _pair(mesh: Mesh, topology: Topology, source: Point, destination: Point) -> Iterator[Probe]:
    for own in _addresses(mesh, topology, source):
        for target in _addresses(mesh, topology, destination):
            if own.version != target.version:
                continue
            icmp = allows(mesh, source, destination, "icmp")
            yield Probe(source, destination, own.version, "icmp", 0, own, target, icmp)
            tcp = allows(mesh, source, destination, "tcp", ANSWER_PORT)
            seen = _masquerade(mesh, topology, destination, own)
            yield Probe(source, destination, own.version, "tcp", ANSWER_PORT, own, target, tcp, seen)


def _addresses(mesh: Mesh, topology: Topology, point: Point) -> tuple[IPAddress, ...]:
    if point.network is None:
        return mesh.site(point.site).addresses
    return tuple(address.ip for address in topology.lan_host(str(point)).addresses)


def _masquerade(mesh: Mesh, topology: Topology, destination: Point, own: IPAddress) -> IPAddress:
    """The gateway's own address in a network with masquerade, otherwise the opener's."""
    networks = {str(network): network for network in mesh.site(destination.site).networks}
    network = networks.get(str(destination))
    if network is None or not network.masquerade:
        return own
    routers = topology.lan_host(str(destination)).routers
    return next(router for router in routers if router.version == own.version)


def measure(
    world: World,
    wanted: Sequence[Probe],
    *,
    within: float = 15,
    wait: float = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Sends all probes and gives their results in the same order.

    Granted ones are tried again until they are answered, for at most `within` seconds. Only then are the denied ones
    sent, each for `wait` seconds, so that none is blocked just because the tunnel was not up yet.
    """
    granted = [number for number, probe in enumerate(wanted) if probe.granted]
    denied = [number for number, probe in enumerate(wanted) if not probe.granted]
    results: dict[int, Result] = {}
    for what, numbers, seconds in (("granted", granted, within), ("denied", denied, 0.0)):
        progress(f"{len(numbers)} {what} probes")
        found = _send(world, [wanted[number] for number in numbers], seconds, wait)
        results |= zip(numbers, found, strict=True)
    return [results[number] for number in range(len(wanted))]


def _send(world: World, wanted: Sequence[Probe], within: float, wait: float) -> list[Result]:
    by_source: dict[Point, list[int]] = {}
    for number, probe in enumerate(wanted):
        by_source.setdefault(probe.source, []).append(number)

    def one(source: Point) -> Iterable[Result]:
        return send(_namespace(world, source), [wanted[number] for number in by_source[source]], within, wait)

    results: dict[int, Result] = {}
    if by_source:
        # One thread for each: they only wait, and shall send at the same time.
        with ThreadPoolExecutor(max_workers=len(by_source)) as pool:
            for source, found in zip(by_source, pool.map(one, by_source), strict=True):
                results |= zip(by_source[source], found, strict=True)
    return [results[number] for number in range(len(wanted))]


def send(namespace: Namespace, wanted: Sequence[Probe], within: float, wait: float) -> list[Result]:
    """Sends probes from one namespace, all at once, and gives their results in the same order (see lab/probe.py)."""
    request = {
        "within": within,
        "wait": wait,
        "probes": [
            {
                "protocol": probe.protocol,
                "source": str(probe.sends_from),
                "target": str(probe.sends_to),
                "port": probe.port,
            }
            for probe in wanted
        ],
    }
    program = str(Path(__file__).with_name("probe.py"))
    answers = json.loads(namespace.python([program, "send"], sys.executable, input=json.dumps(request)))
    return [Result(probe, **answer) for probe, answer in zip(wanted, answers, strict=True)]


def _namespace(world: World, point: Point) -> Namespace:
    return world.lan(str(point)) if point.network else world.host(point.site)
