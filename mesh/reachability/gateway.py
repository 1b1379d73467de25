"""One gateway as its texts make it: what routes, cryptokey routing (AllowedIPs) and its rules do with a packet."""

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from mesh.model import Family, SiteName
from mesh.reachability.boundaries import Services
from mesh.reachability.ruletext import Chain, Rule, Ruleset
from mesh.reachability.textnet import Conf, Peer, Prefix, TextError

T = TypeVar("T")


class Packet(NamedTuple):
    """A packet as a gateway sees it, and the opener's tuple in its conntrack. An interface that it has not is ""."""

    family: Family
    in_interface: str
    out_interface: str
    source: int
    destination: int
    orig_source: int
    orig_destination: int
    state: str
    reply: bool = False

    @property
    def addresses(self) -> tuple[int, int, int, int]:
        """Source and destination, of the packet and of its opener's tuple."""
        return self.source, self.destination, self.orig_source, self.orig_destination


class _LongestMatch(Generic[T]):
    """Values by prefix; the longest prefix that covers an address wins, and of two equal ones the last."""

    def __init__(self) -> None:
        self._tables: dict[tuple[Family, int], dict[int, tuple[Prefix, T]]] = {}
        self._order: list[tuple[Family, int]] = []
        self._found: dict[tuple[Family, int], tuple[Prefix, T] | None] = {}

    def add(self, prefix: Prefix, value: T) -> None:
        key = prefix.family, prefix.mask
        if key not in self._tables:
            self._order = sorted([*self._order, key], key=lambda known: -known[1])
        self._tables.setdefault(key, {})[prefix.first] = prefix, value
        self._found.clear()

    def find(self, family: Family, address: int) -> tuple[Prefix, T] | None:
        key = family, address
        if key not in self._found:
            self._found[key] = self._search(family, address)
        return self._found[key]

    def _search(self, family: Family, address: int) -> tuple[Prefix, T] | None:
        for known, mask in self._order:
            found = self._tables[known, mask].get(address & mask) if known == family else None
            if found is not None:
                return found
        return None


class Gateway:
    """A site's gateway, built from its texts and from the networks that lie behind it."""

    def __init__(
        self,
        *,
        site: SiteName,
        interface: str,
        conf: Conf,
        rules: dict[Family, Ruleset],
        lans: Iterable[tuple[str, Prefix]],
        identify: Callable[[Peer], SiteName | None],
        services: Services,
    ) -> None:
        """`identify` tells whose a peer section is; nobody's keeps its prefixes from the others, as on a host.

        Raises TextError where wg-quick would fail, since then the gateway has no tunnel at all.
        """
        self.site, self.interface, self.lans = site, interface, tuple(lans)
        self.peers: dict[SiteName, Peer] = {}
        self._addresses = {(address.family, address.value): address for address in conf.addresses}
        self._rules, self._services = rules, services
        self._owners: _LongestMatch[SiteName | None] = _LongestMatch()
        self._routes: _LongestMatch[str] = _LongestMatch()
        for lan, prefix in self.lans:
            self._routes.add(prefix, lan)
        for address in conf.addresses:
            self._routes.add(address.prefix, interface)
        for peer in conf.peers:
            self._add_peer(peer, identify(peer))

    def _add_peer(self, peer: Peer, name: SiteName | None) -> None:
        if name == self.site:
            return  # WireGuard drops a peer with its own key without a word
        if name is not None and name in self.peers:
            raise TextError(f"{self.site}: two peer sections are {name}'s")
        if name is not None:
            self.peers[name] = peer
        for prefix in peer.allowed:
            if any(prefix == lan for _, lan in self.lans):
                raise TextError(f"{self.site}: AllowedIPs {prefix.text} is a network of its own; wg-quick fails on it")
            self._owners.add(prefix, name)
            self._routes.add(prefix, self.interface)

    def owns(self, family: Family, address: int) -> bool:
        """Whether the address is one of its own in the tunnel."""
        return (family, address) in self._addresses

    def is_local(self, family: Family, address: int) -> bool:
        """Whether the address can be its own, in the tunnel or in a network behind it, as far as routes tell."""
        return self.owns(family, address) or self.route(family, address) not in {None, self.interface}

    def own_address(self, family: Family) -> int | None:
        """What masquerading on the tunnel's interface makes the source: the first address of the family."""
        return next((value for known, value in self._addresses if known == family), None)

    def owner(self, family: Family, address: int) -> tuple[str, SiteName | None] | None:
        """Cryptokey routing: the prefix and the peer that hold the address, for a source as for a destination."""
        found = self._owners.find(family, address)
        return None if found is None else (found[0].text, found[1])

    def route(self, family: Family, address: int) -> str | None:
        """The interface that its routes choose among the networks behind it and what wg-quick made of AllowedIPs."""
        if self.owns(family, address):
            return None
        found = self._routes.find(family, address)
        return None if found is None else found[1]

    def forwards(self, packet: Packet, mask: int, notes: list[str] | None = None) -> int:
        """The services of `mask` that FORWARD lets through; it jumps to our chain by `-i`, then by `-o`."""
        passed = 0
        for interface in (packet.in_interface, packet.out_interface):
            if interface == self.interface and mask:
                accepted, mask = self._walk("filter", "FWD", packet, mask, notes)
                passed |= accepted
        return passed | self._undecided(mask, notes)

    def takes_in(self, packet: Packet, mask: int, notes: list[str] | None = None) -> int:
        """The services of `mask` that INPUT lets through to the gateway itself."""
        accepted, rest = self._walk("filter", "IN", packet, mask, notes)
        return accepted | self._undecided(rest, notes)

    def masquerades(self, packet: Packet, notes: list[str] | None = None) -> bool:
        """Whether POSTROUTING gives the opener's packet the source address of the interface that it leaves by."""
        return bool(self._walk("nat", "POST", packet, self._services.all, notes)[0])

    def _undecided(self, mask: int, notes: list[str] | None) -> int:
        """A packet that our chains leave to the host passes: ACCEPT is the policy that a kernel starts with."""
        if mask and notes is not None:
            notes.append(f"{self.site}: no rule of ours decides, so the host lets it pass")
        return mask

    def _walk(self, table: str, suffix: str, packet: Packet, mask: int, notes: list[str] | None) -> tuple[int, int]:
        """The services that our chain of that suffix accepts (in nat: rewrites), and those that it leaves undecided."""
        chains = self._rules[packet.family].get(table, {})
        name = f"{self.interface.upper()}-{suffix}"
        if name not in chains:
            raise TextError(f"{self.site}: no chain {name} in table {table} of IPv{packet.family}")
        return self._walk_chain(table, chains[name], packet, mask, notes)

    def _walk_chain(
        self, table: str, chain: Chain, packet: Packet, mask: int, notes: list[str] | None
    ) -> tuple[int, int]:
        accepted = returned = 0
        for rule in chain.candidates(*packet.addresses):
            hit = self._hit(rule, packet, mask)
            if not hit:
                continue
            mask &= ~hit
            if notes is not None:
                notes.append(f"{self.site}: {rule.text}")
            if rule.target in {"ACCEPT", "MASQUERADE"}:
                accepted |= hit if (rule.target == "MASQUERADE") == (table == "nat") else 0
            elif rule.target == "RETURN":
                returned |= hit
            elif rule.target != "DROP":
                inner = self._rules[packet.family][table][rule.target]
                passed, back = self._walk_chain(table, inner, packet, hit, notes)
                accepted |= passed
                mask |= back
            if not mask:
                break
        return accepted, mask | returned

    def _hit(self, rule: Rule, packet: Packet, mask: int) -> int:
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
        if rule.service is None:
            return mask
        return mask & self._services.matched(rule.service, packet.family, reply=packet.reply)
