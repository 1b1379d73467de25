"""Packets lost between two sites while something changes, in our way and by hand, on the same hosts in the same run."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bench.changes import FROM, TO, Kind, State, changed
from bench.flow import Flow
from bench.ways import KINDS_OF, WAYS, Hosts, Way, backend
from lab.world import World
from mesh.config import parse

# How long nothing is done where nothing changes, and how long is waited after a change, in pings; repetitions in a row.
_AS_LONG = 1500
_AFTER = 300
_TURN = 10


@dataclass(frozen=True, slots=True)
class Counted:
    """Pings sent and lost from before a change until after it, and how many seconds the change took."""

    sent: int
    lost: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Loss:
    """All repetitions of one kind of change, made in one way."""

    counted: Sequence[Counted]

    @property
    def sent(self) -> int:
        """Pings in all repetitions."""
        return sum(each.sent for each in self.counted)

    @property
    def lost(self) -> int:
        """Lost ones in all repetitions."""
        return sum(each.lost for each in self.counted)

    @property
    def worst(self) -> int:
        """The most that were lost in one repetition."""
        return max(each.lost for each in self.counted)

    @property
    def spoiled(self) -> int:
        """How many repetitions lost any."""
        return sum(each.lost > 0 for each in self.counted)


@dataclass(frozen=True, slots=True)
class Measured:
    """What each kind of change lost, by the way in which it was made; `backend` is what WireGuard was."""

    losses: Mapping[tuple[Way, Kind], Loss]
    backend: str


def measure(repetitions: int, *, on_run: Callable[[str], None], on_tick: Callable[[str], None]) -> Measured:
    """Measures in a lab of three sites, which is ended whatever happens. Raises LabError, RunError.

    The ways take turns, so that a slow minute of the machine spoils none alone.
    """
    found: dict[tuple[Way, Kind], list[Counted]] = {}
    used = ""
    with World(parse(changed(State(), "added").sections()), f"bench-{os.getpid()}") as world:
        for begin in range(0, repetitions, _TURN):
            numbers = range(begin, min(begin + _TURN, repetitions))
            for way in WAYS:
                for kind, counted in _turn(world, way, numbers, on_tick):
                    used = used or backend(world.host(FROM))
                    found.setdefault((way, kind), []).append(counted)
                total = Loss([each for (which, _), all_ in found.items() if which == way for each in all_])
                on_run(f"[{numbers[-1] + 1}/{repetitions}] {way}: {total.lost} of {total.sent} pings lost so far")
    return Measured({what: Loss(counted) for what, counted in found.items()}, used)


def _turn(world: World, way: Way, numbers: range, on_tick: Callable[[str], None]) -> Iterator[tuple[Kind, Counted]]:
    hosts, state = Hosts(world, way), State()
    hosts.prepare()
    hosts.change(None, state)
    for number in numbers:
        for kind in KINDS_OF[way]:
            on_tick(f"repetition {number + 1}, {way}: {kind}")
            before, state = state, changed(state, kind)
            yield kind, _count(world, partial(hosts.change, before, state), nothing=kind == "nothing")
        # What was not done in this way is undone before the next repetition begins.
        before, state = state, state.without_third()
        hosts.change(before, state)
    hosts.take_down(state)


def _count(world: World, change: Callable[[], None], *, nothing: bool) -> Counted:
    with Flow(world, f"{FROM}.lan", f"{TO}.lan") as flow:
        start = time.perf_counter()
        if nothing:
            flow.wait(_AS_LONG)
        else:
            change()
        seconds = time.perf_counter() - start
        flow.wait(_AFTER)
        return Counted(*flow.lost(), seconds)
