"""What hosts said for `meshctl verify`, held against the config and the state: each fault with its site and its reason.

Pure: no host is asked here, and no clock read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median_low

from cli.fleet import HostRef
from cli.hoststatus import HostStatus, PeerStatus, parse
from mesh.model import Mesh, Site
from mesh.proof import Trial

# WireGuard gives a session up after that many seconds: white paper, 6.1 (REJECT-AFTER-TIME).
_SESSION_SECONDS = 180
# More than clocks differ that are kept by NTP, and more than an answer takes to arrive.
_CLOCK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault: at which site, with which other one where it is between two, and why, in words for an operator."""

    site: str
    peer: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.site} and {self.peer}: {self.reason}" if self.peer else f"{self.site}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one host saw. `answered` is by site and address, `probes` by number.

    `skew` is how many seconds its clock is ahead of ours. `keys` are the public keys that it has for its peers, by each
    address that they own, `endpoints` where it sends to, by these keys.
    """

    before: HostStatus
    after: HostStatus
    answered: Mapping[tuple[str, str], bool]
    probes: Mapping[int, str]
    skew: int
    own_key: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)

    @property
    def unconfirmed(self) -> int | None:
        """The seconds after which a change goes back that was not confirmed, be it meanwhile; None without one."""
        return self.before.goes_back_in if self.after.goes_back_in is None else self.after.goes_back_in

    def heard(self, peer: str) -> int:
        """The bytes that came from a peer meanwhile, of packets that WireGuard took for its."""
        before, after = _peer(self.before, peer), _peer(self.after, peer)
        return 0 if after is None else after.received - (before.received if before else 0)

    def answers(self, peer: Site) -> bool:
        """Whether a peer answered at each address that was asked."""
        asked = [ok for (site, _), ok in self.answered.items() if site == peer.name]
        return bool(asked) and all(asked)


def read(said: str, now: int) -> Seen:
    """What cli/onhost.sh said; `now` is our clock when it had. Raises ValueError."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in said.splitlines():
        if line.startswith("@"):
            lines = sections.setdefault(line, [])
        else:
            lines.append(line)
    try:
        results = [line.split() for line in sections["@results"]]
        wireguard = [line.split() for line in sections["@wireguard"]]
        after = parse("\n".join(sections["@after"]) + "\n")
        return Seen(
            before=parse("\n".join(sections["@before"]) + "\n"),
            after=after,
            answered={(word[1], word[2]): word[0] == "answered" for word in results if word[0] != "probe"},
            probes={int(word[1]): " ".join(word[2:]) for word in results if word[0] == "probe"},
            skew=after.clock - now,
            own_key=next((word[1] for word in wireguard if word[0] == "own"), ""),
            keys={ip.partition("/")[0]: word[1] for word in wireguard if word[0] == "allowed" for ip in word[2:]},
            endpoints={word[1]: word[2] for word in wireguard if word[0] == "endpoint"},
        )
    except (KeyError, IndexError):
        raise ValueError("its answer is cut") from None


def _peer(status: HostStatus, site: str) -> PeerStatus | None:
    return next((peer for peer in status.peers if peer.site == site), None)


def _mended(interface: str, where: str) -> str:
    """The way out where a host differs from what it was given: an `up` that changes nothing there dials nobody."""
    return f"run 'pulumi up', or, where that changes nothing, 'wireguard-mesh rollback {interface}' {where}"


def of_hosts(hosts: Sequence[HostRef], seen: Mapping[str, Seen]) -> Iterator[Finding]:
    """Whether each host runs what the last `up` confirmed on it, and nothing else."""
    for host in hosts:
        if host.site not in seen:
            continue
        status, unconfirmed = seen[host.site].after, seen[host.site].unconfirmed
        if host.generation is None:
            yield Finding(host.site, None, "no 'pulumi up' has confirmed anything there yet; run it")
        elif status.confirmed != host.generation:
            has = f"{status.confirmed[:12]} is" if status.confirmed else "nothing is"
            yield Finding(
                host.site,
                None,
                f"{has} confirmed there, and the state says {host.generation[:12]}; run 'pulumi up', or, where that"
                " changes nothing, raise the site's reapply first",
            )
        if status.live is None:
            yield Finding(host.site, None, f"{host.interface} is down; 'wg-quick up {host.interface}' on the host")
        elif unconfirmed is not None:
            yield Finding(host.site, None, _unconfirmed(unconfirmed))
        elif status.live != status.confirmed:
            yield Finding(
                host.site,
                None,
                f"what is live is not what is confirmed; run 'wireguard-mesh rollback {host.interface}' on the host",
            )
        for drift in status.drift:
            yield Finding(host.site, None, f"is not as it was applied: {drift}")


def _unconfirmed(seconds: int) -> str:
    return (
        f"a change is not confirmed, and goes back in {max(seconds, 0)} s: wait for the 'pulumi up' that is at work, or"
        " run it again; nothing else was tried"
    )


def of_pairs(mesh: Mesh, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    """Whether each two sites answer each other, by a session that is newer than what changed between them.

    Of a pair with a host that was not asked, the other one tells; where an interface is down, that is the reason.
    """
    down = {name for name, one in seen.items() if one.after.live is None}
    for one, other in combinations(mesh.sites, 2):
        if one.name in down or other.name in down:
            continue
        sides = [(here, there) for here, there in ((one, other), (other, one)) if here.name in seen]
        silent = [side for side in sides if not seen[side[0].name].answers(side[1])]
        if silent:
            here, there = silent[0]
            yield Finding(here.name, there.name, _silence(mesh, here, there, seen))
            continue
        for here, there in sides:
            if reason := _outdated(seen[here.name], there.name):
                yield Finding(here.name, there.name, reason)
                break


def _outdated(here: Seen, peer: str) -> str | None:
    known = _peer(here.after, peer)
    if peer in here.after.handover and known is not None and known.handshake_age is None:
        return (
            "it answers by the key that it had, and has not changed to its new one yet; run 'pulumi up', which goes on"
            " with that, or set the number back"
        )
    if known is None or known.handshake_age is None:
        return "it answers, and there has been no handshake: does something else answer at its address?"
    if known.changed_age is None or known.handshake_age <= known.changed_age + 1:  # both are rounded
        return None
    return (
        f"it answers by a session from before the last change ({known.handshake_age} s old, changed"
        f" {known.changed_age} s ago), and no new one is made; its key or the preshared key is another at the other"
        " side: run 'pulumi up' until both have succeeded"
    )


def _silence(mesh: Mesh, here: Site, there: Site, seen: Mapping[str, Seen]) -> str:
    """Why a peer does not answer: what the evidence of both sides leaves of the possible causes."""
    mine, theirs = seen[here.name], seen.get(there.name)
    keys = _keys(mesh, here, there, mine, theirs)
    if keys:
        return keys
    clock = _clock(here, there, seen)
    known = mine.keys.get(str(there.addresses[0]), "")
    target = mine.endpoints.get(known, "(none)")
    where = there.endpoint.at("its address") if target == "(none)" else target
    heard, session = mine.heard(there.name), _session(mine, there.name)
    if theirs is None:
        back = f"nothing comes back from {where}" if not heard else f"something comes back from {where}"
        return f"no answer; {back}, and {there.name} itself could not be asked{clock}"
    heard_there = theirs.heard(here.name)
    if not heard and not heard_there:
        return (
            f"no handshake, though each has the other's public key: neither hears the other, so UDP to {where} is"
            f" filtered on the way, or is not {there.name}'s endpoint; or {here.name}'s own is wrong{clock}"
        )
    if not heard or not heard_there:
        deaf, speaker = (here, there) if not heard else (there, here)
        return (
            f"no answer: {speaker.name} hears {deaf.name}, but what it sends back does not arrive; UDP port"
            f" {deaf.listen_port} of {deaf.name} is filtered on the way{clock}"
        )
    if session and _session(theirs, here.name):
        return "there is a session, but no answer to a ping: another firewall on one of them, or a wrong route"
    mended = _mended(mesh.interface, "on both")
    return f"they hear each other, and agree on no session: their preshared keys differ; {mended}{clock}"


def _session(seen: Seen, peer: str) -> bool:
    known = _peer(seen.after, peer)
    return known is not None and known.handshake_age is not None and known.handshake_age < _SESSION_SECONDS


def _keys(mesh: Mesh, here: Site, there: Site, mine: Seen, theirs: Seen | None) -> str | None:
    """Where one side knows the other by another public key than it has, or not at all."""
    for site, peer, knows, has in ((here, there, mine, theirs), (there, here, theirs, mine)):
        if knows is None or knows.after.live is None:
            continue
        mended = _mended(mesh.interface, f"on {site.name}")
        key = knows.keys.get(str(peer.addresses[0]))
        if key is None:
            return f"no handshake: {site.name} has no peer with the address of {peer.name}; {mended}"
        if has is not None and has.own_key and key != has.own_key:
            return f"no handshake: {site.name} has another public key for {peer.name} than its own; {mended}"
    return None


def _clock(here: Site, there: Site, seen: Mapping[str, Seen]) -> str:
    """What is to be said of clocks: that of a host which differs from most, where one of the two does."""
    hosts = [one.skew for one in seen.values()]
    usual = median_low(hosts if len(hosts) > 2 else [*hosts, 0])  # of two, ours decides
    for site in (here, there):
        ahead = seen[site.name].skew - usual if site.name in seen else 0
        if abs(ahead) > _CLOCK_SECONDS:
            way = "ahead of" if ahead > 0 else "behind"
            return (
                f"; or it is the clock: {site.name}'s is {abs(ahead)} s {way} the others', and WireGuard refuses"
                " handshakes from one that went back, until it has caught up"
            )
    return ""


def of_probes(probes: Sequence[Trial], hosts: Mapping[str, Seen]) -> Iterator[Finding]:
    """Whether what is granted opens, and what is not does not. What was not tried had no answer to a ping before."""
    for number, probe in enumerate(probes):
        seen = hosts.get(probe.source)
        state = seen.probes.get(number) if seen else None
        if state is None:
            continue
        what = f"{probe.service} at {probe.address}"
        passed = state in {"connected", "refused", "answered"}
        if state.startswith("untried"):
            yield Finding(probe.source, probe.destination, f"{what} could not be tried: {state[8:]}")
        elif probe.passes and not passed:
            how = {"silent": "no answer", "unreachable": "rejected by a firewall, or no route"}[state]
            yield Finding(probe.source, probe.destination, f"{what} does not open, though {probe.why}: {how}")
        elif passed and not probe.passes:
            who = {"connected": "somebody listens there", "refused": "nobody listens there, yet packets pass"}
            told = who.get(state, "it answers")
            yield Finding(probe.source, probe.destination, f"{what} is open, though {probe.why}: {told}")
