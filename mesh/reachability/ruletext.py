"""Reads a rendered iptables-restore text back as data. What it does not know, it refuses."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias

from mesh.model import Family
from mesh.reachability.rules import Among, Chain, Rule, Ruleset, ServiceMatch, Within
from mesh.reachability.textnet import Prefix, TextError, prefix

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')
_STATES = frozenset({"NEW", "ESTABLISHED", "RELATED"})
_MODULES = frozenset({"conntrack", "comment", "icmp", "icmp6", "tcp", "udp"})
_BUILT_IN = frozenset({"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"})
# How many words follow an option.
_SERVICE_OPTIONS = {
    "-p": 1,
    "--ctproto": 1,
    "--ctorigdstport": 1,
    "--icmp-type": 1,
    "--icmpv6-type": 1,
    "--sport": 1,
    "--dport": 1,
    "--tcp-flags": 2,
}
_CONNTRACK_OPTIONS = frozenset({"--ctstate", "--ctorigsrc", "--ctorigdst", "--ctproto", "--ctorigdstport"})
_PLAIN_OPTIONS = dict.fromkeys(("-i", "-o", "-s", "-d", "--ctorigsrc", "--ctorigdst", "--ctstate", "--comment"), 1)
_TARGET_OPTIONS = {"--to": 1, "--clamp-mss-to-pmtu": 0}
_OPTIONS = _SERVICE_OPTIONS | _PLAIN_OPTIONS | _TARGET_OPTIONS | {"-m": 1, "-j": 1}
_NO_NEGATION = frozenset(_SERVICE_OPTIONS.keys() | _TARGET_OPTIONS.keys() | {"-j", "-m", "--comment"}) - {"--tcp-flags"}
# iptables-save prints a protocol of the conntrack match by its number, in others by its name.
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58}
_TARGETS = {
    "raw": frozenset({"DROP", "RETURN"}),
    "mangle": frozenset({"TCPMSS"}),
    "nat": frozenset({"ACCEPT", "RETURN", "MASQUERADE", "NETMAP"}),
    "filter": frozenset({"ACCEPT", "DROP", "RETURN"}),
}
# What opens nothing (iptables' `! --syn`), and what carries an MSS.
_NO_OPENING = ("FIN,SYN,RST,ACK SYN", True)
_CARRIES_MSS = ("SYN,RST SYN", False)

# A grant's rule: all but its two prefixes and its comment is the same in thousands of them, and read once.
_GRANT = re.compile(
    r"(-A \S+ .*[^!] )--ctorigsrc (\S+) --ctorigdst (\S+)((?: --ctorigdstport \S+)?)"
    r'(?: -m comment --comment "[^"\\]*")?( -j ACCEPT)'
)

_Options: TypeAlias = Mapping[str, tuple[str, bool]]


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
    for chains in tables.values():
        for name in chains:
            _refuse_loops(chains, (name,))
    return tables


def _refuse_loops(chains: Mapping[str, Chain], way: tuple[str, ...]) -> None:
    for rule in chains[way[-1]].rules:
        if rule.target in way:
            raise TextError(f"chain {rule.target} leads back to itself")
        if rule.target in chains:
            _refuse_loops(chains, (*way, rule.target))


def _read_line(line: str, table: str, tables: dict[str, dict[str, Chain]], family: Family) -> str:
    """Takes one line in; gives the name of the table that is open after it."""
    if not line or line.startswith("#"):
        return table
    if line.startswith("*"):
        name = line[1:]
        if table or name not in _TARGETS or name in tables:
            raise TextError("unknown or repeated table, or the one before is not committed")
        tables[name] = {}
        return name
    if not table:
        raise TextError("outside of a table")
    if line == "COMMIT":
        return ""
    if line.startswith(":"):
        name = line[1:].split(maxsplit=1)[0]
        if name in _BUILT_IN or name in tables[table]:
            raise TextError("a chain that is not ours, or a repeated one")
        tables[table][name] = Chain(name)
    else:
        _read_rule(line, table, tables[table], family)
    return table


def _read_rule(line: str, table: str, chains: dict[str, Chain], family: Family) -> None:
    grant = _GRANT.fullmatch(line)
    name, rule = _rule(grant[1] + grant[4] + grant[5] if grant else line, table, family)
    if name not in chains:
        raise TextError("not a rule at the end of a chain of this text")
    if rule.target not in _TARGETS[table] and rule.target not in chains:
        raise TextError(f"unknown target {rule.target}")
    if grant:
        if rule.orig_source or rule.orig_destination:
            raise TextError("repeated option")
        rule = rule.of_grant(line, _within((grant[2], False), family), _within((grant[3], False), family))
    chains[name].rules.append(rule)


@lru_cache(maxsize=4096)
def _rule(line: str, table: str, family: Family) -> tuple[str, Rule]:
    """A rule, and the chain that it is appended to."""
    words = _WORD.findall(line)
    if words[0] != "-A" or len(words) < 2:
        raise TextError("not a rule at the end of a chain of this text")
    options = _options(words[2:])
    if table == "raw" and (options.keys() & _CONNTRACK_OPTIONS or "-o" in options):
        raise TextError("unknown match before there is a flow or a route")
    rule = _matching(line, options, family)
    if table == "nat" and (rule.service or rule.states):
        raise TextError("unknown match for NAT")
    return words[1], rule


def _options(words: list[str]) -> dict[str, tuple[str, bool]]:
    """Each option with its value and whether a `!` stands before it."""
    options: dict[str, tuple[str, bool]] = {}
    rest = iter(words)
    for word in rest:
        negated = word == "!"
        option = next(rest, "") if negated else word
        count = _OPTIONS.get(option, -1)
        values = [next(rest, "") for _ in range(count)]
        if count < 0 or not all(values) or ("-j" in options and option not in _TARGET_OPTIONS):
            raise TextError(f"unknown option {option!r}")
        if negated and option in _NO_NEGATION:
            raise TextError(f"unknown negation of {option}")
        if option == "-m":
            if values[0] not in _MODULES:
                raise TextError(f"unknown match {values[0]!r}")
        elif option in options:
            raise TextError(f"repeated option {option}")
        else:
            options[option] = " ".join(values), negated
    return options


def _matching(line: str, options: _Options, family: Family) -> Rule:
    if "-j" not in options:
        raise TextError("no target")
    target = options["-j"][0]
    if target == "NETMAP" and len(options.keys() & {"-s", "-d"}) != 1:
        raise TextError("NETMAP of both addresses or of none")
    expected = {"NETMAP": {"--to"}, "TCPMSS": {"--clamp-mss-to-pmtu"}}.get(target, set())
    if options.keys() & _TARGET_OPTIONS.keys() != expected:
        raise TextError(f"unknown options of target {target}")
    if target == "TCPMSS" and "--tcp-flags" not in options:
        raise TextError("not only packets that carry an MSS")
    if "--sport" in options and options.get("--ctstate") != ("NEW", False):
        raise TextError("what opens nothing is told from a flow that goes on by --ctstate NEW alone")
    mapped = _within(options.get("--to"), family)
    source, destination = _within(options.get("-s"), family), _within(options.get("-d"), family)
    of = source or destination
    if mapped and (of is None or of.prefix.mask != mapped.prefix.mask):
        raise TextError("NETMAP to a prefix of another size")
    return Rule(
        text=line,
        target=target,
        in_interface=_interface(options.get("-i")),
        out_interface=_interface(options.get("-o")),
        source=source,
        destination=destination,
        orig_source=_within(options.get("--ctorigsrc"), family),
        orig_destination=_within(options.get("--ctorigdst"), family),
        states=_states(options.get("--ctstate")),
        service=_service({name: options[name] for name in _SERVICE_OPTIONS if name in options}, target, family),
        mapped=None if mapped is None else mapped.prefix,
    )


def _interface(option: tuple[str, bool] | None) -> Among | None:
    if option is None:
        return None
    if option[0].endswith("+"):
        raise TextError(f"a pattern of interfaces: {option[0]}")
    return Among(frozenset({option[0]}), option[1])


@lru_cache(maxsize=1 << 16)
def _within(option: tuple[str, bool] | None, family: Family) -> Within | None:
    if option is None:
        return None
    parsed: Prefix = prefix(option[0])
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


def _service(options: _Options, target: str, family: Family) -> ServiceMatch | None:
    """The forms in use, by the options that each of them has; any other combination is an error."""
    if not options:
        return None
    names = frozenset(options)
    flags = options.get("--tcp-flags")
    icmp_type = "--icmp-type" if family == 4 else "--icmpv6-type"
    protocol = _protocol(next((options[name][0] for name in ("-p", "--ctproto") if name in options), ""))
    match = None
    if names == {"-p", icmp_type} and protocol == (1 if family == 4 else 58):
        match = ServiceMatch(protocol, icmp_type=_number(options[icmp_type][0], 255))
    elif names == {"--ctproto"}:
        match = ServiceMatch(protocol)
    elif names == {"--ctproto", "--ctorigdstport"} and protocol in {6, 17}:
        match = ServiceMatch(protocol, _ports(options["--ctorigdstport"][0]))
    elif names == {"-p", "--dport"} and protocol in {6, 17}:
        match = ServiceMatch(protocol, _ports(options["--dport"][0]), own=True)
    elif names == {"-p", "--sport", "--dport", "--tcp-flags"} and protocol == 6 and flags == _NO_OPENING:
        sports = _ports(options["--sport"][0])
        match = ServiceMatch(protocol, _ports(options["--dport"][0]), sports=sports, own=True)
    elif names == {"-p", "--tcp-flags"} and protocol == 6 and flags == _CARRIES_MSS and target == "TCPMSS":
        match = ServiceMatch(protocol, own=True)
    if match is None:
        raise TextError(f"unknown combination of {', '.join(_words(options))}")
    return match


def _words(options: _Options) -> Iterator[str]:
    for name, (value, negated) in sorted(options.items()):
        yield f"{'! ' * negated}{name} {value}"


def _protocol(name: str) -> int:
    number = _PROTOCOLS.get(name, int(name) if name.isdecimal() else 0)
    if number not in _PROTOCOLS.values():
        raise TextError(f"unknown protocol {name}")
    return number


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    return _number(first, 65535), _number(last or first, 65535)


def _number(text: str, most: int) -> int:
    if not text.isdecimal() or int(text) > most:
        raise TextError(f"not a number up to {most}: {text}")
    return int(text)
