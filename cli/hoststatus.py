"""What a host's `wireguard-mesh status` answers, read line by line."""

import re
from dataclasses import dataclass

_PEER = re.compile(
    r"peer (?P<site>\S+): handshake (?:never|(?P<handshake>\d+) s ago), changed (?:long ago|(?P<changed>\d+) s ago), "
    r"received (?P<received>\d+), sent (?P<sent>\d+)(?:, .*)?"
)
_BACK = re.compile(r"in (-?\d+) s\b.*")


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer as a host has it live. Ages in seconds: of the newest handshake (None: there was none), and of the last
    change of the peer by us (None: before the host began to note it). Bytes since the peer was added.
    """

    site: str
    handshake_age: int | None
    changed_age: int | None
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host. Generations are digests, None where there is none; `live` may also say in words what it is instead.

    `goes_back_in` is in seconds, where what is live has still to be confirmed. `backend` is `kernel`, `wireguard-go`,
    or empty where the interface is not up. `drift` has a sentence for each difference. `clock` is the host's, in
    seconds. `handover` are the peers that are taken by two keys. `adopted` is where the file is kept that was there
    before the host was taken over, and what of it could not be undone; None where there was none.
    """

    confirmed: str | None
    staged: str | None
    live: str | None
    goes_back_in: int | None
    backend: str
    peers: tuple[PeerStatus, ...]
    drift: tuple[str, ...]
    clock: int
    handover: tuple[str, ...] = ()
    adopted: str | None = None


def parse(text: str) -> HostStatus:
    """The answer as data; keys that it does not know are left alone. Raises ValueError for what it cannot read."""
    values: dict[str, str] = {}
    peers: list[PeerStatus] = []
    drift: list[str] = []
    for line in text.splitlines():
        key, colon, value = line.partition(": ")
        if not colon:
            raise ValueError(f"no 'key: value': {line[:80]!r}")
        if key.startswith("peer "):
            peers.append(_peer(line))
        elif key == "drift":
            drift.append(value)
        else:
            values[key] = value
    lacking = [key for key in ("confirmed", "staged", "live", "clock") if key not in values]
    if lacking or not drift:
        raise ValueError(f"no line '{(lacking or ['drift'])[0]}: ...'")
    return HostStatus(
        confirmed=_or_none(values["confirmed"]),
        staged=_or_none(values["staged"]),
        live=_or_none(values["live"]),
        goes_back_in=_goes_back(values.get("goes back")),
        backend=values.get("wireguard", ""),
        peers=tuple(peers),
        drift=() if drift == ["none"] else tuple(drift),
        clock=int(values["clock"]),
        handover=tuple(values.get("handover", "").replace(",", " ").split()),
        adopted=values.get("adopted"),
    )


def _or_none(value: str) -> str | None:
    return None if value == "none" else value


def _goes_back(value: str | None) -> int | None:
    if value is None:
        return None
    if not (found := _BACK.fullmatch(value)):
        raise ValueError(f"no seconds in 'goes back: {value[:80]}'")
    return int(found[1])


def _peer(line: str) -> PeerStatus:
    if not (found := _PEER.fullmatch(line)):
        raise ValueError(f"no peer's line: {line[:120]!r}")
    return PeerStatus(
        site=found["site"],
        handshake_age=_number(found["handshake"]),
        changed_age=_number(found["changed"]),
        received=int(found["received"]),
        sent=int(found["sent"]),
    )


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)
