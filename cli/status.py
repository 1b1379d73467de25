"""`meshctl status`: whether every host of a stack still is as the last `up` left it. It changes nothing."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.fleet import Answer, HostRef, known, run_all
from cli.hoststatus import HostStatus, parse
from cli.ssh import printable
from mesh.commands import Commands

# Waiting for a run at work, and for the host's slowest programs.
_SECONDS = 75.0
# What an answer takes to arrive is no difference of the clocks.
_SKEW_SECONDS = 30


@dataclass(frozen=True, slots=True)
class SiteState:
    """One site: `host` is what its host says, or None where `reason` says why there is no answer.

    `expected` is the generation that the last `up` confirmed there, None where none was. `ahead` is how many seconds
    the host's clock is ahead of ours. One that is not `set_up` was given nothing yet, and was not asked.
    """

    site: str
    paused: bool
    expected: str | None
    reason: str | None = None
    host: HostStatus | None = None
    ahead: int = 0
    set_up: bool = True

    @property
    def faults(self) -> tuple[str, ...]:
        """A sentence for each thing that is not as it should be. A paused site may be unreachable, and nothing else."""
        if self.host is None:
            return () if self.paused else (self.reason or "no answer",)
        return (*_generations(self.expected, self.host), *(f"drift: {line}" for line in self.host.drift))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is worth knowing, and no fault."""
        if self.host is None:
            return (f"paused; {self.reason}",) if self.paused else ()
        return tuple(self._told(self.host))

    def _told(self, host: HostStatus) -> Iterable[str]:
        if host.handover:
            yield f"takes {', '.join(host.handover)} by an old key and a new one"
        _, _, left = (host.adopted or "").partition("; ")
        if left:
            yield f"of what was set up by hand there, not all was undone: {left}"
        if abs(self.ahead) >= _SKEW_SECONDS:
            yield f"its clock is {age(abs(self.ahead))} {'ahead of' if self.ahead > 0 else 'behind'} ours"


def survey(
    stack: str, directory: Path, declared: Iterable[str] = (), progress: Callable[[str], None] = lambda _: None
) -> tuple[SiteState, ...]:
    """Asks every host of a stack, all at once. Raises FleetError where the stack's state cannot be had.

    `declared` are the sites of the stack file: those that no `up` has come to are told of, too.
    """
    progress("reads the stack's state")
    fleet = known(stack, directory)
    heard: dict[str, int] = {}

    def done(site: str) -> None:
        heard[site] = int(time.time())
        progress(f"{len(heard)} of {len(asked)} hosts have answered")

    # The others were paused from the first: there is nothing to ask for.
    asked = [host for host in fleet.hosts if host.interface]
    progress(f"asks {len(asked)} hosts")
    answers = asyncio.run(
        run_all(asked, lambda host: Commands(host.interface, host.site).status, seconds=_SECONDS, done=done)
    )
    lacking = (
        SiteState(site, paused=False, expected=None, reason=reason, set_up=False)
        for site, reason in fleet.lacking(declared).items()
    )
    return tuple(sorted((*states(fleet.hosts, answers, heard), *lacking), key=lambda state: state.site))


def states(
    known: Sequence[HostRef], answers: Mapping[str, Answer | str], heard: Mapping[str, int]
) -> tuple[SiteState, ...]:
    """The sites by what their hosts answered, and when, by our clock in seconds."""
    never = "nothing was ever done on its host"
    return tuple(_state(host, answers.get(host.site, never), heard.get(host.site, 0)) for host in known)


def _state(host: HostRef, answer: Answer | str, heard: int) -> SiteState:
    def unknown(reason: str) -> SiteState:
        return SiteState(host.site, host.paused, host.generation, reason)

    if isinstance(answer, str):
        return unknown(answer)
    if answer.status == 127:
        return unknown("wireguard-mesh is not on this host any more")
    if answer.failure is not None:
        return unknown(f"wireguard-mesh status failed: {answer.failure}")
    try:
        status = parse(printable(answer.stdout))
    except ValueError as error:
        return unknown(f"its wireguard-mesh status is not as this version writes it: {error}")
    return SiteState(host.site, host.paused, host.generation, None, status, status.clock - heard)


def _generations(expected: str | None, host: HostStatus) -> Iterable[str]:
    if expected is None:
        yield "no 'pulumi up' has confirmed it yet"
    elif host.confirmed != expected:
        yield f"confirmed is {short(host.confirmed)}, and by the stack's state {short(expected)}"
    if host.live == host.confirmed:
        return
    if host.live is not None and host.live == host.staged:
        back = "" if host.goes_back_in is None else f"; it goes back in {max(host.goes_back_in, 0)} s"
        yield f"{short(host.live)} is applied and not confirmed{back}"
    elif host.live == "unfinished":
        yield "a run was ended before it was done"
    else:
        yield f"live is {short(host.live)}, and confirmed {short(host.confirmed)}"


def short(generation: str | None) -> str:
    """A generation as people see it elsewhere, too: its first 12 digits."""
    if generation is None:
        return "none"
    return generation[:12] if " " not in generation else generation


def age(seconds: int) -> str:
    """Seconds in the two largest units that fit: `2 h 5 min`."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def size(number: int) -> str:
    """Bytes in the largest unit of which there is one: `1.5 MiB`."""
    amount, units = float(number), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{number} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def data(stack: str, sites: Sequence[SiteState]) -> dict[str, object]:
    """All of it, for programs. Ages in seconds."""
    return {
        "stack": stack,
        "ok": not any(site.faults for site in sites),
        "sites": [
            {
                "site": site.site,
                "paused": site.paused,
                "set_up": site.set_up,
                "reachable": site.host is not None,
                "reason": site.reason,
                "expected": site.expected,
                "clock_ahead": site.ahead if site.host else None,
                "host": asdict(site.host) if site.host else None,
                "faults": list(site.faults),
            }
            for site in sites
        ],
    }
