"""Rules and chains as data, and the packets that rules match."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from mesh.model import Family
from mesh.reachability.textnet import Prefix

# Of source, destination, the opener's source, the opener's destination.
Four: TypeAlias = tuple[int, int, int, int]


class Packet(NamedTuple):
    """A packet as a gateway sees it, and the opener's tuple in its conntrack. An interface that it has not is "".

    `state` is NEW, ESTABLISHED, or RELATED for an ICMP error about the flow. A NEW one begins a flow as its protocol
    does, unless it is TCP's with a `sport`: then it comes from that port in the middle of a flow whose state was lost.
    """

    family: Family
    in_interface: str
    out_interface: str
    source: int
    destination: int
    orig_source: int
    orig_destination: int
    state: str
    reply: bool = False
    sport: int | None = None


@dataclass(frozen=True, slots=True)
class Among:
    """Holds for one of the values, or with `negated` for all others."""

    values: frozenset[str]
    negated: bool

    def holds(self, value: str) -> bool:
        """Whether the match holds for an interface's or a state's name."""
        return (value in self.values) is not self.negated


@dataclass(frozen=True, slots=True)
class Within:
    """Holds for the addresses of a prefix, or with `negated` for all others."""

    prefix: Prefix
    negated: bool

    def holds(self, value: int) -> bool:
        """Whether the match holds for an address."""
        return (value & self.prefix.mask == self.prefix.first) is not self.negated


@dataclass(frozen=True, slots=True)
class ServiceMatch:
    """A protocol number, a range of destination ports of the opener, an ICMP type of the packet itself.

    With `sports` it holds only for TCP packets from these ports that open nothing. `own` marks a match of the packet's
    own destination port, which an answer does not have from its opener.
    """

    protocol: int
    ports: tuple[int, int] = (0, 65535)
    icmp_type: int | None = None
    sports: tuple[int, int] | None = None
    own: bool = False


class Rule(NamedTuple):
    """One `-A` line; None is no such match. `target` is a verdict or the name of a chain in the same table.

    `mapped` is what NETMAP turns a prefix into.
    """

    text: str
    target: str
    in_interface: Among | None
    out_interface: Among | None
    source: Within | None
    destination: Within | None
    orig_source: Within | None
    orig_destination: Within | None
    states: Among | None
    service: ServiceMatch | None
    mapped: Prefix | None

    def of_grant(self, text: str, opener: Within | None, opened: Within | None) -> "Rule":
        """The same rule for one pair of prefixes of the opener's tuple."""
        return Rule(text, *self[1:6], opener, opened, *self[8:])

    def prefixes(self) -> Iterator[Prefix]:
        """Every prefix that the rule names."""
        for match in self.addresses:
            if match is not None:
                yield match.prefix
        if self.mapped is not None:
            yield self.mapped

    @property
    def addresses(self) -> tuple[Within | None, Within | None, Within | None, Within | None]:
        """The matches of source and destination, of the packet and of its opener's tuple."""
        return self[4:8]

    @property
    def unconditional(self) -> bool:
        """True where it matches every packet."""
        others = (self.in_interface, self.out_interface, self.states, self.service)
        return all(match is None for match in (*self.addresses, *others))

    def map(self, address: int) -> int:
        """What NETMAP makes of an address: the prefix is another one, what follows it stays."""
        return address if self.mapped is None else address & ~self.mapped.mask | self.mapped.first


@dataclass(slots=True)
class Chain:
    """The rules of a chain in order."""

    name: str
    rules: list[Rule] = field(default_factory=list)


# Tables by name, each with its chains by name.
Ruleset: TypeAlias = Mapping[str, Mapping[str, Chain]]


def all_rules(ruleset: Ruleset) -> Iterator[Rule]:
    """Every rule of every chain of every table."""
    for table in ruleset.values():
        for chain in table.values():
            yield from chain.rules
