"""`meshctl verify`: proves on the hosts that a mesh is as its stack file says, after an `up`. It changes nothing."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cli.fleet import Answer, Fleet, HostRef, known, run_all
from cli.ssh import printable
from cli.verdict import Finding, Seen, of_hosts, of_pairs, of_probes, read
from mesh import bundle
from mesh.commands import Commands
from mesh.model import Mesh, SiteName
from mesh.plan import plan
from mesh.proof import Trial, trials

_SCRIPT = (Path(__file__).parent / "onhost.sh").read_text()
# Beside the pings: waiting for another run on the host, for sessions to be renewed, and the connections.
_BEYOND_SECONDS = 300
# A packet may be lost where something is granted; where nothing is, each try is time that is waited for.
_TRIES, _TRIES_DENIED = 3, 1


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. `left_out` are the paused sites; `pings` and `probes` say how many were tried.

    `not_waited_for` are sites that were asked, and late when another's answer had decided: nothing is known of them.
    """

    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]
    not_waited_for: tuple[str, ...]
    sites: int
    pings: int
    probes: int
    connections: int
    seconds: float

    @property
    def summary(self) -> str:
        """One line of what was tried."""
        numbers = ((self.sites, "host"), (self.pings, "ping"), (self.probes, "connection"))
        hosts, pings, tried = (f"{number} {what}{'s' * (number != 1)}" for number, what in numbers)
        return f"{hosts} asked, {pings} and {tried} between them tried ({self.seconds:.1f} s)"


def verify(
    mesh: Mesh, stack: str, directory: Path, within: int, progress: Callable[[str], None] = lambda _: None
) -> Verified:
    """Asks every host of a stack, at once. A peer that is silent is given up after `within` seconds.

    Raises FleetError where the stack's state cannot be had.
    """
    start = time.monotonic()
    progress("reads the stack's state")
    fleet = known(stack, directory)
    plans = plan(mesh)
    expected = {str(name): bundle.rules_id(bundle.rules(one)) for name, one in plans.items()}
    paused = {host.site for host in fleet.hosts if host.paused}
    findings = list(_not_applied(mesh, fleet, expected))
    # What the file says of these is not what their hosts were given.
    behind = {found.site for found in findings}
    asked = [host for host in fleet.hosts if host.site not in paused and host.site in expected]
    there = replace(mesh, sites=tuple(site for site in mesh.sites if site.name in {host.site for host in asked}))
    wanted = tuple(
        probe
        for probe in trials(mesh, plans)
        if not behind & {str(probe.source), str(probe.destination)}
        and {str(probe.source), str(probe.destination)} <= {host.site for host in asked}
    )
    answers = _ask(there, asked, wanted, within, progress)
    seen: dict[str, Seen] = {}
    for site, answer in answers.items():
        if isinstance(answer, Seen):
            seen[site] = answer
        else:
            findings.append(Finding(site, None, answer))
    findings += of_hosts(asked, seen)
    if all(one.unconfirmed is None for one in seen.values()):
        findings += [*of_pairs(there, seen), *of_probes(wanted, seen)]
    return Verified(
        findings=tuple(findings),
        left_out=tuple(sorted(paused)),
        not_waited_for=tuple(sorted(host.site for host in asked if host.site not in answers)),
        sites=len(seen),
        pings=sum(len(one.answered) for one in seen.values()),
        probes=sum(len(one.probes) for one in seen.values()),
        connections=len(asked),
        seconds=time.monotonic() - start,
    )


def _not_applied(mesh: Mesh, fleet: Fleet, expected: Mapping[str, str]) -> list[Finding]:
    """Sites that the file and the last `up` do not say the same of."""
    names = {str(site.name) for site in mesh.sites}
    unfinished = fleet.lacking(names) if fleet.begun else dict.fromkeys(names, "was never deployed; run 'pulumi up'")
    found = [Finding(name, None, why) for name, why in sorted(unfinished.items())]
    for host in fleet.hosts:
        if host.site not in names:
            why = "is not in the stack file any more, but still deployed; run 'pulumi up'"
            found.append(Finding(host.site, None, why))
        elif not host.paused and host.rules != expected[host.site]:
            why = "the stack file says otherwise than the last 'pulumi up' did; run it"
            found.append(Finding(host.site, None, why))
    return found


def _ask(
    mesh: Mesh, asked: Sequence[HostRef], wanted: Sequence[Trial], within: int, progress: Callable[[str], None]
) -> dict[str, Seen | str]:
    """By site what its host saw, or why it saw nothing. One connection to each."""
    heard: dict[str, int] = {}

    def done(site: str) -> None:
        heard[site] = int(time.time())
        progress(f"{len(heard)} of {len(asked)} hosts have answered")

    progress(f"asks {len(asked)} hosts")
    answers = asyncio.run(
        run_all(
            asked,
            lambda host: Commands(host.interface, host.site).script(_SCRIPT, within + _BEYOND_SECONDS, within),
            {str(site.name): work(mesh, site.name, wanted) for site in mesh.sites},
            seconds=within + _BEYOND_SECONDS + 15,
            done=done,
            # Others would wait for handshakes by what may be gone in a moment.
            decides=_is_unconfirmed,
        )
    )
    return {site: _seen(answer, heard[site]) for site, answer in answers.items()}


def _is_unconfirmed(answer: Answer | str) -> bool:
    seen = _seen(answer, 0)
    return isinstance(seen, Seen) and seen.unconfirmed is not None


def _seen(answer: Answer | str, now: int) -> Seen | str:
    if isinstance(answer, str):
        return f"could not be asked: {answer}"
    if answer.failure is not None:
        return f"could not be asked: {answer.failure}"
    try:
        return read(printable(answer.stdout), now)
    except ValueError as error:
        return f"could not be asked: {error}; 'pulumi up' brings its program up to date"


def work(mesh: Mesh, site: SiteName, wanted: Sequence[Trial]) -> str:
    """What one host has to try, as cli/onhost.sh reads it. It holds names, addresses and ports."""
    own = {address.version for address in mesh.site(site).addresses}
    lines = [
        f"peer {peer.name} {address}"
        for peer in mesh.sites
        if peer.name != site
        for address in peer.addresses
        if address.version in own
    ]
    for number, probe in enumerate(wanted):
        if probe.source == site:
            kind = "icmp" if probe.service.protocol == "icmp" else "tcp"
            tries = _TRIES if probe.passes else _TRIES_DENIED
            port = "" if kind == "icmp" else f" {max(probe.service.first, 1)}"
            lines.append(f"{kind} {number} {probe.destination} {probe.address} {tries}{port}")
    return "".join(f"{line}\n" for line in lines)


def data(verified: Verified) -> dict[str, object]:
    """The same for programs."""
    return {
        "verified": not verified.findings,
        "findings": [{"site": one.site, "peer": one.peer, "reason": one.reason} for one in verified.findings],
        "left_out": list(verified.left_out),
        "not_waited_for": list(verified.not_waited_for),
        "hosts": verified.sites,
        "pings": verified.pings,
        "probes": verified.probes,
        "connections": verified.connections,
        "seconds": round(verified.seconds, 1),
    }
