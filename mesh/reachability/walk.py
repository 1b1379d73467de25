"""What one chain of a gateway does with a packet, for all services at once."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from mesh.model import Family, SiteName
from mesh.reachability.boundaries import Services
from mesh.reachability.parts import Grants, Sequence
from mesh.reachability.rules import Among, Chain, Packet, Rule
from mesh.reachability.trace import Trace

_NAT = frozenset({"ACCEPT", "MASQUERADE", "NETMAP"})


class Root:
    """A chain that the host jumps to, with all the chains that it goes on to."""

    def __init__(
        self, site: SiteName, family: Family, chains: Mapping[str, Chain], chain: Chain, services: Services
    ) -> None:
        self._site, self._chains, self._services = site, chains, services
        self._all = Sequence(chain.rules)
        self._inner = {name: Sequence(chains[name].rules) for name in self._reached(chain.rules)}
        # The rule by which the chain drops what nothing was said about, if it has one, and all that stand before it.
        self._drops = bool(chain.rules) and chain.rules[-1].target == "DROP" and chain.rules[-1].unconditional
        before = chain.rules[:-1] if self._drops else chain.rules
        self._parts: list[Grants | Sequence] = []
        for grants, group in groupby(before, Grants.is_one):
            rules = list(group)
            beyond = (rule for name in self._reached(rules) for rule in chains[name].rules)
            self._parts.append(Grants(rules, services, family) if grants else Sequence(rules, beyond))

    def _reached(self, rules: Iterable[Rule]) -> set[str]:
        """The names of all chains that the rules go on to."""
        pending, seen = {rule.target for rule in rules}, set[str]()
        while pending:
            name = pending.pop()
            if name in self._chains and name not in seen:
                seen.add(name)
                pending |= {rule.target for rule in self._chains[name].rules}
        return seen

    def rules(self) -> Iterator[Rule]:
        """Every rule that can be reached from the chain's head, once."""
        yield from self._all.rules
        for inner in self._inner.values():
            yield from inner.rules

    def regular(self, interface: str, *, echo: bool) -> bool:
        """Whether all that keeps something out stands before the rules that let flows pass, and those are alike.

        Then what is kept out is so whatever the flow, and need not be tried for each one: the first rules know of no
        opener, ask for sources only on the way into the tunnel's interface, and for destinations only on the way out.
        With `echo`, rules that accept ICMP echo may stand among these.
        """
        first = self._parts[0] if self._parts else None
        before = first.rules if isinstance(first, Sequence) else ()
        after = self._parts[1:] if before else self._parts
        if len(after) > 1 or not all(isinstance(part, Grants) and part.in_every_state for part in after):
            return False
        tunnel = Among(frozenset({interface}), negated=False)
        for rule in before:
            if echo and rule.target == "ACCEPT" and rule.service is not None and rule.service.icmp_type is not None:
                continue
            if rule.target == "ACCEPT" or any(rule.addresses):
                return False
            for inner in (inner for name in self._reached((rule,)) for inner in self._chains[name].rules):
                asks_source = inner.source is not None and rule.out_interface != tunnel
                asks_destination = inner.destination is not None and rule.in_interface != tunnel
                if asks_source or asks_destination or any(inner.addresses[2:]):
                    return False
        return True

    def walk(
        self, packet: Packet, mask: int, trace: Trace | None = None, *, without_end: bool = False
    ) -> tuple[int, int]:
        """The services of `mask` that the chain accepts, and those that it leaves undecided; it drops all others.

        `without_end` leaves out the rule by which the chain drops what nothing was said about; a trace is of the whole.
        """
        if trace is not None:
            accepted, left, returned = self._run(self._all, packet, mask, trace)
            return accepted, left | returned
        accepted = returned = 0
        for part in self._parts:
            if isinstance(part, Grants):
                hit = part.accepted(packet, mask)
                accepted |= hit
                mask &= ~hit
            else:
                passed, left, back = self._verdict(part, packet)
                accepted |= passed & mask
                returned |= back & mask
                mask &= left
            if not mask:
                break
        return accepted, returned | (0 if self._drops and not without_end else mask)

    def _verdict(self, rules: Sequence, packet: Packet) -> tuple[int, int, int]:
        key = rules.key(packet)
        verdict = rules.verdicts.get(key)
        if verdict is None:
            verdict = rules.verdicts[key] = self._run(rules, packet, self._services.all, None)
        return verdict

    def _run(self, rules: Sequence, packet: Packet, mask: int, trace: Trace | None) -> tuple[int, int, int]:
        """What some rules accept, what they leave to the next one, and what they send back to where they came from."""
        accepted = returned = 0
        for rule in rules.candidates(packet):
            hit = _hit(rule, packet, mask, self._services)
            if not hit:
                continue
            if rule.target == "TCPMSS":
                accepted |= hit
                continue
            mask &= ~hit
            if rule.target == "ACCEPT":
                accepted |= hit
            elif rule.target == "RETURN":
                returned |= hit
            elif rule.target != "DROP":
                passed, left, back = self._run(self._inner[rule.target], packet, hit, trace)
                accepted |= passed
                mask |= left | back
            if trace is not None and rule.target in {"ACCEPT", "DROP"}:
                trace.step(self._site, "rule", rule.text, hit, rule.target == "ACCEPT")
            if not mask:
                break
        return accepted, mask, returned

    def nat(self, packet: Packet, mask: int, trace: Trace | None = None) -> Rule | None:
        """The rule of a nat table's chain that decides, or None; all services of `mask` alike."""
        found = self._nat(self._all, packet)
        if trace is not None and found is not None and found.target != "ACCEPT":
            trace.step(self._site, "NAT", found.text, mask)
        return found

    def _nat(self, rules: Sequence, packet: Packet) -> Rule | None:
        for rule in rules.candidates(packet):
            if not _hit(rule, packet, self._services.all, self._services):
                continue
            if rule.target == "RETURN":
                return None
            found = rule if rule.target in _NAT else self._nat(self._inner[rule.target], packet)
            if found is not None:
                return found
        return None


def _hit(rule: Rule, packet: Packet, mask: int, services: Services) -> int:
    """The services of `mask` whose packets the rule matches."""
    matches = (
        (rule.states is None or rule.states.holds(packet.state))
        and (rule.in_interface is None or rule.in_interface.holds(packet.in_interface))
        and (rule.out_interface is None or rule.out_interface.holds(packet.out_interface))
        and (rule.source is None or rule.source.holds(packet.source))
        and (rule.destination is None or rule.destination.holds(packet.destination))
        and (rule.orig_source is None or rule.orig_source.holds(packet.orig_source))
        and (rule.orig_destination is None or rule.orig_destination.holds(packet.orig_destination))
    )
    if not matches:
        return 0
    return mask if rule.service is None else mask & services.matched(rule.service, packet)
