"""The ports and addresses at which a rule or prefix begins or ends: between two of them nothing can differ."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mesh.model import Family
from mesh.reachability.ruletext import ServiceMatch
from mesh.reachability.textnet import Prefix, TextError

# The bits of ICMP echo, and of all ICMP.
ECHO, ICMP = 0b1, 0b11
_TCP, _UDP = 6, 17
_ICMP_NUMBER: dict[Family, int] = {4: 1, 6: 58}
# RFC 792, RFC 4443: the types of an echo request and of its reply.
_ECHO_TYPES: dict[Family, tuple[int, int]] = {4: (8, 0), 6: (128, 129)}
_NAMES = {_TCP: "tcp", _UDP: "udp"}


class _Ports(NamedTuple):
    protocol: int
    first: int
    last: int


class Services:
    """All there is to carry, cut where some rule makes a difference; a set of pieces is the bits of an integer.

    Bit 0 is ICMP echo, bit 1 all other ICMP, bit 2 what no rule can name, then come the ranges of TCP and UDP ports.
    """

    def __init__(self, matches: Iterable[ServiceMatch]) -> None:
        """Cuts the ports at both ends of every match."""
        cuts: dict[int, set[int]] = {_TCP: {0}, _UDP: {0}}
        for match in matches:
            if match.protocol in cuts:
                cuts[match.protocol] |= {match.ports[0], match.ports[1] + 1}
        self._ports = tuple(_ranges(_TCP, cuts[_TCP])) + tuple(_ranges(_UDP, cuts[_UDP]))
        self.all = (1 << (3 + len(self._ports))) - 1
        self._masks: dict[tuple[ServiceMatch, Family, bool], int] = {}

    def matched(self, match: ServiceMatch, family: Family, *, reply: bool) -> int:
        """The pieces whose packets meet the match, in the opener's direction or the other. Raises TextError."""
        key = match, family, reply
        if key not in self._masks:
            self._masks[key] = self._matched(match, family, reply)
        return self._masks[key]

    def _matched(self, match: ServiceMatch, family: Family, reply: bool) -> int:
        if match.protocol in _NAMES:
            return self._overlapping(match.protocol, *match.ports)
        if match.protocol != _ICMP_NUMBER[family]:
            return 0
        if match.icmp_type is None:
            return ICMP
        if match.icmp_type not in _ECHO_TYPES[family]:
            raise TextError(f"ICMP type {match.icmp_type} of IPv{family} is not known here")
        return int(match.icmp_type == _ECHO_TYPES[family][reply])

    def _overlapping(self, protocol: int, first: int, last: int) -> int:
        bits = 0
        for place, ports in enumerate(self._ports, 3):
            if ports.protocol == protocol and ports.first <= last and first <= ports.last:
                bits |= 1 << place
        return bits

    def named(self, service: str) -> int:
        """The pieces that `all`, `ping`, `icmp`, `tcp`, `tcp/443` or `udp/8000-8100` touches. Raises ValueError."""
        if service in {"all", "ping", "icmp"}:
            return {"all": self.all, "ping": ECHO, "icmp": ICMP}[service]
        name, slash, ports = service.partition("/")
        first, dash, last = ports.partition("-")
        protocol = next((number for number, known in _NAMES.items() if known == name), None)
        if protocol is None or (slash and not first.isdecimal()) or (dash and not last.isdecimal()):
            raise ValueError(f"{service!r} is not a service; write all, ping, icmp, tcp, tcp/443 or tcp/8000-8100")
        return self._overlapping(protocol, int(first or 0), int(last or first or 65535))

    def describe(self, mask: int) -> str:
        """The pieces in words: `all`, or such as `ping, tcp/443, tcp/8000-8100, udp`."""
        if mask == self.all:
            return "all"
        words = [["ping"], ["icmp without ping"], ["icmp"]][(mask & ICMP) - 1] if mask & ICMP else []
        for protocol, name in _NAMES.items():
            for first, last in self._merged(protocol, mask):
                if (first, last) == (0, 65535):
                    words.append(name)
                else:
                    words.append(f"{name}/{first}" if first == last else f"{name}/{first}-{last}")
        return ", ".join(words + ["other protocols"] * bool(mask & 4))

    def _merged(self, protocol: int, mask: int) -> Iterator[tuple[int, int]]:
        """The port ranges of the mask, neighbours joined."""
        start = end = -1
        for place, ports in enumerate(self._ports, 3):
            if ports.protocol != protocol or not mask >> place & 1:
                continue
            if start >= 0 and ports.first == end + 1:
                end = ports.last
                continue
            if start >= 0:
                yield start, end
            start, end = ports.first, ports.last
        if start >= 0:
            yield start, end


def _ranges(protocol: int, cuts: set[int]) -> Iterator[_Ports]:
    starts = sorted(cut for cut in cuts if cut <= 65535)
    for first, after in zip(starts, [*starts[1:], 65536], strict=True):
        yield _Ports(protocol, first, after - 1)


class Addresses:
    """The addresses at which a prefix begins or ends, so that no text tells the addresses between two of them apart."""

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        """Takes every prefix of every text, and of the points themselves."""
        cuts: dict[Family, set[int]] = {4: set(), 6: set()}
        for prefix in prefixes:
            cuts[prefix.family] |= {prefix.first, prefix.end}
        self._cuts = {family: sorted(found) for family, found in cuts.items()}

    def within(self, prefix: Prefix) -> tuple[int, ...]:
        """One address for each stretch of the prefix that may be treated in a way of its own, lowest first."""
        cuts = self._cuts[prefix.family]
        return (prefix.first, *cuts[bisect_right(cuts, prefix.first) : bisect_left(cuts, prefix.end)])
