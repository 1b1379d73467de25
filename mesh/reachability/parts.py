"""Stretches of a chain made ready for thousands of packets: many rules differ in nothing but their prefixes."""

from collections.abc import Iterable
from functools import cached_property

from mesh.model import Family
from mesh.reachability.boundaries import Services
from mesh.reachability.rules import Packet, Rule, ServiceMatch, Within

_STATES = ("NEW", "ESTABLISHED", "RELATED")
# Where a packet has what the four prefixes of a rule are compared with.
_PLACES = (Packet._fields.index("source"), *range(Packet._fields.index("source") + 1, 7))


class _Classes(dict[int, int]):
    """The class of an address: two have the same one where no prefix of one match of some rules tells them apart."""

    def __init__(self, matches: Iterable[Within | None]) -> None:
        super().__init__()
        self._prefixes = {(match.prefix.mask, match.prefix.first) for match in matches if match is not None}
        self._masks = tuple({mask for mask, _ in self._prefixes})
        self._numbers: dict[tuple[int, ...], int] = {}

    def __bool__(self) -> bool:
        """False where all addresses are of one class."""
        return bool(self._masks)

    def __missing__(self, address: int) -> int:
        within = tuple(address & mask if (mask, address & mask) in self._prefixes else -1 for mask in self._masks)
        number = self[address] = self._numbers.setdefault(within, len(self._numbers))
        return number


class Grants:
    """Neighbouring rules that accept by the opener's tuple and the state alone: their order makes no difference."""

    def __init__(self, rules: Iterable[Rule], services: Services, family: Family) -> None:
        self.in_every_state = True
        # By the masks of the two prefixes, then by their first addresses: the services that pass in each state.
        index: dict[tuple[int, int], dict[tuple[int, int], dict[str, int]]] = {}
        opening = Packet(family, "", "", 0, 0, 0, 0, "NEW")
        masks: dict[ServiceMatch | None, int] = {None: services.all}
        for rule in rules:
            source, destination = rule.orig_source, rule.orig_destination
            known = index.setdefault(
                (source.prefix.mask if source else 0, destination.prefix.mask if destination else 0), {}
            )
            firsts = source.prefix.first if source else 0, destination.prefix.first if destination else 0
            passing = known.setdefault(firsts, dict.fromkeys(_STATES, 0))
            mask = masks.get(rule.service)
            if mask is None and rule.service is not None:
                mask = masks[rule.service] = services.matched(rule.service, opening)
            for state in _STATES:
                if rule.states is None or rule.states.holds(state):
                    passing[state] |= mask or 0
                else:
                    self.in_every_state = False
        self._index = tuple(index.items())

    def accepted(self, packet: Packet, mask: int) -> int:
        """The services of `mask` that one of the rules accepts."""
        opener, opened, state = packet.orig_source, packet.orig_destination, packet.state
        accepted = 0
        for (source, destination), known in self._index:
            passing = known.get((opener & source, opened & destination))
            if passing is not None:
                accepted |= passing[state]
        return accepted & mask

    @staticmethod
    def is_one(rule: Rule) -> bool:
        """Whether the rule is such a one."""
        return (
            rule.target == "ACCEPT"
            and not any((rule.in_interface, rule.out_interface, rule.source, rule.destination))
            and not any(match is not None and match.negated for match in (rule.orig_source, rule.orig_destination))
            and (rule.service is None or (rule.service.icmp_type is None and not rule.service.own))
        )


class Sequence:
    """Neighbouring rules whose order makes a difference."""

    def __init__(self, rules: Iterable[Rule], beyond: Iterable[Rule] = ()) -> None:
        """`beyond` are the rules of the chains that these go on to: what they tell apart, the verdict can depend on."""
        self.rules = tuple(rules)
        self._beyond = tuple(beyond)
        self.verdicts: dict[tuple[object, ...], tuple[int, int, int]] = {}

    @cached_property
    def _index(self) -> list[tuple[tuple[int, ...], dict[tuple[int, ...], list[int]]]]:
        """By the masks of a rule's four prefixes, then by their first addresses: the rules' places."""
        index: dict[tuple[int, ...], dict[tuple[int, ...], list[int]]] = {}
        for place, rule in enumerate(self.rules):
            # The empty mask holds for every address: for a rule without such a match, or with one that is turned round.
            prefixes = [match.prefix if match and not match.negated else None for match in rule.addresses]
            masks = tuple(prefix.mask if prefix else 0 for prefix in prefixes)
            firsts = tuple(prefix.first if prefix else 0 for prefix in prefixes)
            index.setdefault(masks, {}).setdefault(firsts, []).append(place)
        return list(index.items())

    def candidates(self, packet: Packet) -> list[Rule]:
        """Every rule whose prefixes the packet meets, in order."""
        _, _, _, source, destination, opener, opened, _, _, _ = packet
        places: list[int] = []
        for (s, d, os, od), known in self._index:
            places += known.get((source & s, destination & d, opener & os, opened & od), ())
        places.sort()
        return [self.rules[place] for place in places]

    @cached_property
    def _classes(self) -> list[tuple[int, _Classes]]:
        """The places in a packet that prefixes of these rules are compared with, each with its classes."""
        matches = zip(*(rule.addresses for rule in (*self.rules, *self._beyond)), strict=True)
        found = [(place, _Classes(match)) for place, match in zip(_PLACES, matches, strict=True)]
        return [(place, classes) for place, classes in found if classes]

    def key(self, packet: Packet) -> tuple[object, ...]:
        """All about a packet that these rules tell apart."""
        _, incoming, outgoing, _, _, _, _, state, reply, sport = packet
        classes = [known[packet[place]] for place, known in self._classes]  # type: ignore[index]
        return incoming, outgoing, state, reply, sport, *classes
