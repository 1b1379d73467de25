"""Reads a rendered iptables-restore text back as data. What it does not know, it refuses."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mesh.model import Family
from mesh.reachability.textnet import Prefix, TextError, prefix

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')
_STATES = frozenset({"INVALID", "NEW", "ESTABLISHED", "RELATED"})
_MODULES = frozenset({"conntrack", "comment", "icmp", "icmp6"})
_BUILT_IN = frozenset({"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"})
_INTERFACE_OPTIONS = frozenset({"-i", "-o"})
_PREFIX_OPTIONS = frozenset({"-s", "-d", "--ctorigsrc", "--ctorigdst"})
_SERVICE_OPTIONS = frozenset({"-p", "--ctproto", "--ctorigdstport", "--icmp-type", "--icmpv6-type"})
_OPTIONS = _INTERFACE_OPTIONS | _PREFIX_OPTIONS | _SERVICE_OPTIONS | {"--ctstate", "--comment", "-m", "-j"}
# iptables-save prints a protocol of the conntrack match by its number, in others by its name.
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58}
_TARGETS = {"filter": frozenset({"ACCEPT", "DROP", "RETURN"}), "nat": frozenset({"ACCEPT", "RETURN", "MASQUERADE"})}


# Of source, destination, the opener's source, the opener's destination.
_Four: TypeAlias = tuple[int, int, int, int]


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
    """A protocol number, a range of destination ports of the opener, an ICMP type of the packet itself."""

    protocol: int
    ports: tuple[int, int] = (0, 65535)
    icmp_type: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One `-A` line; None is no such match. `target` is a verdict or the name of a chain in the same table."""

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

    def prefixes(self) -> Iterator[Prefix]:
        """Every prefix that the rule names."""
        for match in (self.source, self.destination, self.orig_source, self.orig_destination):
            if match is not None:
                yield match.prefix


@dataclass(slots=True)
class Chain:
    """The rules of a chain in order, indexed by their prefixes: a mesh has thousands that differ in nothing else."""

    name: str
    rules: list[Rule] = field(default_factory=list)
    # By the masks of a rule's four prefixes, then by their first addresses: the rules' places in the chain.
    _index: dict[_Four, dict[_Four, list[int]]] = field(default_factory=dict)
    _found: dict[_Four, tuple[Rule, ...]] = field(default_factory=dict)

    def append(self, rule: Rule) -> None:
        """Adds a rule at the end."""
        # The empty mask holds for every address: for a rule without such a match, or with one that a `!` turns round.
        (s, source), (d, destination), (os, orig_source), (od, orig_destination) = (
            (0, 0) if match is None or match.negated else (match.prefix.mask, match.prefix.first)
            for match in (rule.source, rule.destination, rule.orig_source, rule.orig_destination)
        )
        places = self._index.setdefault((s, d, os, od), {})
        places.setdefault((source, destination, orig_source, orig_destination), []).append(len(self.rules))
        self.rules.append(rule)

    def candidates(self, source: int, destination: int, orig_source: int, orig_destination: int) -> tuple[Rule, ...]:
        """Every rule whose prefixes a packet with these addresses and this opener's tuple meets, in order."""
        key = source, destination, orig_source, orig_destination
        if key not in self._found:
            places: list[int] = []
            for (s, d, os, od), known in self._index.items():
                places += known.get((source & s, destination & d, orig_source & os, orig_destination & od), ())
            self._found[key] = tuple(self.rules[place] for place in sorted(places))
        return self._found[key]


# Tables by name, each with its chains by name.
Ruleset = Mapping[str, Mapping[str, Chain]]


def all_rules(ruleset: Ruleset) -> Iterator[Rule]:
    """Every rule of every chain of every table."""
    for table in ruleset.values():
        for chain in table.values():
            yield from chain.rules


def read_rules(text: str, family: Family) -> Ruleset:
    """Reads an iptables-restore text. Raises TextError for a table, match or target that this reader does not know."""
    tables: dict[str, dict[str, Chain]] = {}
    table = ""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        try:
            table = _read_line(line, table, tables, family)
        except TextError as error:
            raise TextError(f"IPv{family} rules, line {number}: {error}: {line}") from None
    if table:
        raise TextError(f"IPv{family} rules: table {table} is not committed")
    return tables


def _read_line(line: str, table: str, tables: dict[str, dict[str, Chain]], family: Family) -> str:
    """Takes one line in; gives the name of the table that is open after it."""
    if not line or line.startswith("#"):
        return table
    if line.startswith("*"):
        table = line[1:]
        if table not in _TARGETS or table in tables:
            raise TextError("unknown or repeated table")
        tables[table] = {}
    elif not table:
        raise TextError("outside of a table")
    elif line == "COMMIT":
        table = ""
    elif line.startswith(":"):
        name = line[1:].split(maxsplit=1)[0]
        if name in _BUILT_IN:
            raise TextError("a chain that is not ours")
        tables[table][name] = Chain(name)
    else:
        _read_rule(line, table, tables[table], family)
    return table


def _read_rule(line: str, table: str, chains: dict[str, Chain], family: Family) -> None:
    words = _WORD.findall(line)
    if words[0] != "-A" or words[1:2] == [] or words[1] not in chains:
        raise TextError("not a rule at the end of a chain of this text")
    rule = _rule(line, _options(words[2:]), family)
    if rule.target not in _TARGETS[table] and rule.target not in chains:
        raise TextError(f"unknown target {rule.target}")
    if table == "nat" and (rule.service or rule.states):
        raise TextError("unknown match for NAT")
    chains[words[1]].append(rule)


def _options(words: list[str]) -> dict[str, tuple[str, bool]]:
    """Each option with its value and whether a `!` stands before it."""
    options: dict[str, tuple[str, bool]] = {}
    rest = iter(words)
    for word in rest:
        negated = word == "!"
        option = next(rest, "") if negated else word
        value = next(rest, "")
        if option not in _OPTIONS or not value or "-j" in options:
            raise TextError(f"unknown option {option!r}")
        if option == "-m":
            if value not in _MODULES:
                raise TextError(f"unknown match {value!r}")
        elif option in options:
            raise TextError(f"repeated option {option}")
        elif negated and option in _SERVICE_OPTIONS | {"-j", "--comment"}:
            raise TextError(f"unknown negation of {option}")
        else:
            options[option] = value, negated
    return options


def _rule(line: str, options: Mapping[str, tuple[str, bool]], family: Family) -> Rule:
    if "-j" not in options:
        raise TextError("no target")
    return Rule(
        text=line,
        target=options["-j"][0],
        in_interface=_interface(options.get("-i")),
        out_interface=_interface(options.get("-o")),
        source=_within(options.get("-s"), family),
        destination=_within(options.get("-d"), family),
        orig_source=_within(options.get("--ctorigsrc"), family),
        orig_destination=_within(options.get("--ctorigdst"), family),
        states=_states(options.get("--ctstate")),
        service=_service({option: options[option][0] for option in _SERVICE_OPTIONS & options.keys()}, family),
    )


def _interface(option: tuple[str, bool] | None) -> Among | None:
    if option is None:
        return None
    if option[0].endswith("+"):
        raise TextError(f"a pattern of interfaces: {option[0]}")
    return Among(frozenset({option[0]}), option[1])


def _within(option: tuple[str, bool] | None, family: Family) -> Within | None:
    if option is None:
        return None
    parsed = prefix(option[0])
    if parsed.family != family:
        raise TextError(f"{option[0]} is of the other family")
    return Within(parsed, option[1])


def _states(option: tuple[str, bool] | None) -> Among | None:
    if option is None:
        return None
    states = frozenset(option[0].split(","))
    if not states <= _STATES:
        raise TextError(f"unknown state in {option[0]}")
    return Among(states, option[1])


def _service(options: Mapping[str, str], family: Family) -> ServiceMatch | None:
    """The forms in use: `--ctproto P [--ctorigdstport N[:M]]`, and `-p icmp --icmp-type N` for a packet's own type."""
    if not options:
        return None
    icmp_type = "--icmp-type" if family == 4 else "--icmpv6-type"
    if options.keys() == {"-p", icmp_type}:
        protocol, kind = _protocol(options["-p"]), _number(options[icmp_type], 255)
        if protocol != (1 if family == 4 else 58):
            raise TextError("an ICMP type of another protocol")
        return ServiceMatch(protocol, icmp_type=kind)
    if options.keys() == {"--ctproto"}:
        return ServiceMatch(_protocol(options["--ctproto"]))
    if options.keys() == {"--ctproto", "--ctorigdstport"}:
        protocol = _protocol(options["--ctproto"])
        first, _, last = options["--ctorigdstport"].partition(":")
        if protocol not in {6, 17}:
            raise TextError("a port of a protocol without ports")
        return ServiceMatch(protocol, (_number(first, 65535), _number(last or first, 65535)))
    raise TextError(f"unknown combination of {', '.join(sorted(options))}")


def _protocol(name: str) -> int:
    number = _PROTOCOLS.get(name, int(name) if name.isdecimal() else 0)
    if number not in _PROTOCOLS.values():
        raise TextError(f"unknown protocol {name}")
    return number


def _number(text: str, most: int) -> int:
    if not text.isdecimal() or int(text) > most:
        raise TextError(f"not a number up to {most}: {text}")
    return int(text)
