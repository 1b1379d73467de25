"""The ports and addresses at which a rule or prefix begins or ends: between two of them nothing can differ."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mesh.model import Family
from mesh.reachability.rules import Packet, ServiceMatch
from mesh.reachability.textnet import Prefix, TextError

# The bits of ICMP echo, and of all ICMP.
ECHO, ICMP = 0b1, 0b11
_TCP, _UDP = 6, 17
_ICMP_NUMBER: dict[Family, int] = {4: 1, 6: 58}
# RFC 792, RFC 4443: the types of an echo request and of its reply.
_ECHO_TYPES: dict[Family, tuple[int, int]] = {4: (8, 0), 6: (128, 129)}
_NAMES = {_TCP: "tcp", _UDP: "udp"}
# ip-sysctl(7), ip_local_port_range: Linux opens flows from ports that are not lower.
CLIENTS = 32768


# What has no ports.
_WORDS = {"all": -1, "ping": ECHO, "icmp": ICMP}
_SERVICE = re.compile(r"(?P<protocol>tcp|udp)(?:/(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?)?", re.ASCII)


class _Ports(NamedTuple):
    protocol: int
    first: int
    last: int


class Services:
    """All there is to carry, cut where some rule makes a difference; a set of pieces is the bits of an integer.

    Bit 0 is ICMP echo, bit 1 all other ICMP, bit 2 what no rule can name, then come the ranges of TCP and UDP ports.
    """

    def __init__(self, matches: Iterable[ServiceMatch]) -> None:
        """Cuts the ports at both ends of every match, and where the ports of clients begin."""
        cuts: dict[int, set[int]] = {_TCP: {0, CLIENTS}, _UDP: {0}}
        sports = {1, CLIENTS}
        for match in matches:
            if match.protocol in cuts:
                cuts[match.protocol] |= {match.ports[0], match.ports[1] + 1}
            if match.sports:
                sports |= {match.sports[0], match.sports[1] + 1}
        self._ports = tuple(_ranges(_TCP, cuts[_TCP])) + tuple(_ranges(_UDP, cuts[_UDP]))
        self.all = (1 << (3 + len(self._ports))) - 1
        self.tcp = self._overlapping(_TCP, 0, 65535)
        self.to_clients = self._overlapping(_TCP, CLIENTS, 65535)
        # The first of each range of source ports that rules tell apart; nobody sends from port 0.
        self.sports = tuple(ports.first for ports in _ranges(_TCP, sports - {0}))
        self._masks: dict[tuple[ServiceMatch, Family, bool, int | None, bool], int] = {}
        self._named: dict[str, int] = {}

    def matched(self, match: ServiceMatch, packet: Packet) -> int:
        """The pieces whose packets, in place of that one, meet the match. Raises TextError."""
        key = match, packet.family, packet.reply, packet.sport, packet.state == "RELATED"
        if key not in self._masks:
            self._masks[key] = self._matched(match, packet)
        return self._masks[key]

    def _matched(self, match: ServiceMatch, packet: Packet) -> int:
        if packet.state == "RELATED" and match.icmp_type is not None:
            return 0  # an ICMP error is no echo
        if match.own and packet.reply and match.sports is None:
            raise TextError("the destination port of an answer is not known here")
        if match.protocol in _NAMES:
            opens = packet.sport is None
            if match.sports and (opens or not match.sports[0] <= (packet.sport or 0) <= match.sports[1]):
                return 0
            return self._overlapping(match.protocol, *match.ports)
        if match.protocol != _ICMP_NUMBER[packet.family]:
            return 0
        if match.icmp_type is None:
            return ICMP
        if match.icmp_type not in _ECHO_TYPES[packet.family]:
            raise TextError(f"ICMP type {match.icmp_type} of IPv{packet.family} is not known here")
        return int(match.icmp_type == _ECHO_TYPES[packet.family][packet.reply])

    def _overlapping(self, protocol: int, first: int, last: int) -> int:
        bits = 0
        for place, ports in enumerate(self._ports, 3):
            if ports.protocol == protocol and ports.first <= last and first <= ports.last:
                bits |= 1 << place
        return bits

    def named(self, service: str) -> int:
        """The pieces that `all`, `ping`, `icmp`, `tcp`, `tcp/443` or `udp/8000-8100` touches. Raises ValueError."""
        if service not in self._named:
            self._named[service] = self._parsed(service)
        return self._named[service]

    def _parsed(self, service: str) -> int:
        if service in _WORDS:
            return self.all if service == "all" else _WORDS[service]
        protocol, first, last = _ports(service)
        return self._overlapping(protocol, first, last)

    def describe(self, mask: int, asked: str = "all") -> str:
        """The pieces in words, `all` or such as `ping, tcp/443, tcp/8000-8100, udp`, as far as they are asked about."""
        mask &= self.named(asked)
        if mask == self.named(asked):
            return asked
        words = [["ping"], ["icmp without ping"], ["icmp"]][(mask & ICMP) - 1] if mask & ICMP else []
        least, most = (0, 65535) if asked in _WORDS else _ports(asked)[1:]
        for protocol, name in _NAMES.items():
            for start, end in self._merged(protocol, mask):
                first, last = max(start, least), min(end, most)
                ports = f"/{first}" if first == last else f"/{first}-{last}"
                words.append(name if (first, last) == (0, 65535) else name + ports)
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


def _ports(service: str) -> tuple[int, int, int]:
    """The protocol of `tcp/8000-8100`, `tcp/443` or `tcp`, and the first and the last port. Raises ValueError."""
    found = _SERVICE.fullmatch(service)
    if found is not None:
        first = int(found["first"] or 0)
        last = int(found["last"] or found["first"] or 65535)
        if first <= last <= 65535:
            return {"tcp": _TCP, "udp": _UDP}[found["protocol"]], first, last
    raise ValueError(f"{service!r} is not a service; write all, ping, icmp, tcp, tcp/443 or tcp/8000-8100")


def _ranges(protocol: int, cuts: set[int]) -> Iterator[_Ports]:
    starts = sorted(cut for cut in cuts if cut <= 65535)
    for first, after in zip(starts, [*starts[1:], 65536], strict=True):
        yield _Ports(protocol, first, after - 1)


class Addresses:
    """The addresses at which a prefix begins or ends, so that no text tells the addresses between two of them apart."""

    def __init__(self, prefixes: Iterable[Prefix], translated: Sequence[tuple[Prefix, Prefix]]) -> None:
        """Takes every prefix of every text, and those of the points themselves.

        `translated` pairs real prefixes with advertised ones of the same size: what ends in one ends in the other.
        """
        cuts: dict[Family, set[int]] = {4: set(), 6: set()}
        for prefix in prefixes:
            cuts[prefix.family] |= {prefix.first, prefix.end}
        self._cuts = {family: sorted(found) for family, found in cuts.items()}
        # A real prefix can be that of several points, an advertised one only of one: hence in this order.
        for pairs in ([(advertised, real) for real, advertised in translated], translated):
            for old, new in pairs:
                cuts[new.family] |= {start - old.first + new.first for start in self.within(old)}
            self._cuts = {family: sorted(found) for family, found in cuts.items()}

    def within(self, prefix: Prefix) -> tuple[int, ...]:
        """One address for each stretch of the prefix that may be treated in a way of its own, lowest first."""
        cuts = self._cuts[prefix.family]
        return (prefix.first, *cuts[bisect_right(cuts, prefix.first) : bisect_left(cuts, prefix.end)])
