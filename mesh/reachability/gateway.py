"""One gateway as its texts make it: what routes, cryptokey routing (AllowedIPs), NAT and its rules do with a packet."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from mesh.model import Family, SiteName
from mesh.reachability.boundaries import Services
from mesh.reachability.rules import Packet, Rule, Ruleset
from mesh.reachability.textnet import Conf, Peer, Prefix, TextError
from mesh.reachability.trace import Trace
from mesh.reachability.walk import Root

T = TypeVar("T")

# Our chains, and where the host jumps to them, before any rule of its own. No text says so: the helper makes the jumps.
#   raw PREROUTING ! -i wg0: RAW      mangle FORWARD -i wg0, then -o wg0: MSS      nat PREROUTING -i wg0: PRE
#   filter FORWARD -i wg0, then -o wg0: FWD      filter INPUT -i wg0: IN      filter INPUT ! -i wg0: PORT
#   nat POSTROUTING: POST
_ROOTS = (
    ("raw", "RAW"),
    ("mangle", "MSS"),
    ("nat", "PRE"),
    ("nat", "POST"),
    ("filter", "FWD"),
    ("filter", "IN"),
    ("filter", "PORT"),
)
# Chains that FWD jumps to. A text whose jump is lost still has them.
_GUARDS = (("filter", "DST"), ("filter", "SRC"))


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


class Translated(NamedTuple):
    """What NAT made of an address, and by which rule; without one the host's own rules may do what they like."""

    address: int
    rule: Rule | None

    @property
    def masqueraded(self) -> bool:
        """Whether the packet has the gateway's own address now."""
        return self.rule is not None and self.rule.target == "MASQUERADE"


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
        self.site, self.interface, self.conf, self.lans = site, interface, conf, tuple(lans)
        self.peers: dict[SiteName, Peer] = {}
        self.strangers = 0
        self._addresses = {(address.family, address.value): address for address in conf.addresses}
        self._services = services
        self._owners: _LongestMatch[SiteName | None] = _LongestMatch()
        self._routes: _LongestMatch[str] = _LongestMatch()
        for lan, prefix in self.lans:
            self._routes.add(prefix, lan)
        for address in conf.addresses:
            self._routes.add(address.prefix, interface)
        for peer in conf.peers:
            self._add_peer(peer, identify(peer))
        self.roots = {family: self._read_roots(family, rules[family]) for family in rules}

    def _read_roots(self, family: Family, rules: Ruleset) -> dict[str, Root]:
        roots: dict[str, Root] = {}
        reached = {(table, self.chain(suffix)) for table, suffix in _ROOTS + _GUARDS}
        for table, suffix in _ROOTS + _GUARDS:
            name = self.chain(suffix)
            if name not in rules.get(table, {}):
                raise TextError(f"{self.site}: no chain {name} in table {table} of IPv{family}")
            roots[suffix] = Root(self.site, family, rules[table], rules[table][name], self._services)
            reached |= {(table, rule.target) for rule in roots[suffix].rules()}
        for table, chains in rules.items():
            for name in chains:
                if (table, name) not in reached:
                    raise TextError(f"{self.site}: nothing jumps to chain {name} in table {table} of IPv{family}")
        return roots

    def _add_peer(self, peer: Peer, name: SiteName | None) -> None:
        if name == self.site:
            return  # WireGuard drops a peer with its own key without a word
        if name is not None and name in self.peers:
            raise TextError(f"{self.site}: two peer sections are {name}'s")
        if name is None:
            self.strangers += 1
        else:
            self.peers[name] = peer
        for prefix in peer.allowed:
            if any(prefix == lan for _, lan in self.lans):
                raise TextError(f"{self.site}: AllowedIPs {prefix.text} is a network of its own; wg-quick fails on it")
            self._owners.add(prefix, name)
            self._routes.add(prefix, self.interface)

    def chain(self, suffix: str) -> str:
        """The name of its chain of that suffix: `WG0-FWD`."""
        return f"{self.interface.upper()}-{suffix}"

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
        found = self.route_of(family, address)
        return None if found is None else found[1]

    def route_of(self, family: Family, address: int) -> tuple[str, str] | None:
        """The same with the prefix that decides; None for an address of its own, too."""
        if self.owns(family, address):
            return None
        found = self._routes.find(family, address)
        return None if found is None else (found[0].text, found[1])

    def enters(self, family: Family, interface: str, source: int, mask: int, trace: Trace | None = None) -> int:
        """The services of `mask` that may come in from that source by an interface, before anything else is known."""
        if interface == self.interface:
            return mask
        packet = Packet(family, interface, "", source, 0, source, 0, "NEW")
        accepted, undecided = self.roots[family]["RAW"].walk(packet, mask, trace)
        return accepted | undecided

    def forwards(self, packet: Packet, mask: int, trace: Trace | None = None, *, guards: bool = False) -> int:
        """The services of `mask` that FORWARD lets through; it jumps to our chain by `-i`, then by `-o`.

        With `guards`, what would be let through if everything were granted: what no grant may open.
        """
        passed = 0
        for interface in (packet.in_interface, packet.out_interface):
            if interface == self.interface and mask:
                accepted, undecided = self.roots[packet.family]["FWD"].walk(packet, mask, trace, without_end=guards)
                passed |= accepted
                mask = undecided
        return passed | self._undecided(mask, trace)

    def takes_in(self, packet: Packet, mask: int, trace: Trace | None = None, *, guards: bool = False) -> int:
        """The services of `mask` that INPUT lets through to the gateway itself, from the tunnel."""
        accepted, undecided = self.roots[packet.family]["IN"].walk(packet, mask, trace, without_end=guards)
        return accepted | self._undecided(undecided, trace)

    def _undecided(self, mask: int, trace: Trace | None) -> int:
        """A packet that our chains leave to the host passes: ACCEPT is the policy that a kernel starts with."""
        if mask and trace is not None:
            trace.step(self.site, "rule", "no rule of ours decides, so the host lets it pass", mask)
        return mask

    def no_handshake(self, peer: "Gateway") -> str:
        """Why no handshake comes about once this gateway has something to send; "" where one does.

        Both have to be each other's peers, with the same preshared key. Then this one knows where the other is, or the
        other keeps shaking hands of its own accord.
        """
        here, there = self.peers.get(peer.site), peer.peers.get(self.site)
        if here is None or there is None:
            return f"{peer.site} is no peer" if here is None else f"it is no peer of {peer.site}"
        if not here.agrees(there):
            return f"{peer.site} has another preshared key"
        if (here.endpoint and peer.hears) or (there.endpoint and there.keepalive and self.hears):
            return ""
        return f"no packet of WireGuard's own gets to {peer.site}, nor from there"

    @cached_property
    def hears(self) -> bool:
        """Whether its rules take in what peers send to WireGuard's port, by IPv4 and by IPv6.

        By which of the two a peer comes, no text tells: an endpoint can be a name, and WireGuard follows a peer that
        moves. Whether the host takes it in anyway, none tells either.
        """
        port = self._services.named(f"udp/{self.conf.port}")
        return all(self.opens(family) & port == port for family in self.roots)

    def opens(self, family: Family) -> int:
        """The services that everybody may open to the gateway itself, by any interface but the tunnel's."""
        nobody = Packet(family, "", "", 0, 0, 0, 0, "NEW")
        return self.roots[family]["PORT"].walk(nobody, self._services.all)[0]

    def clamps(self, family: Family, incoming: str, outgoing: str) -> bool:
        """Whether a forwarded packet that carries an MSS gets one that fits the tunnel."""
        packet = Packet(family, incoming, outgoing, 0, 0, 0, 0, "NEW")
        return bool(self.roots[family]["MSS"].walk(packet, self._services.tcp)[0])

    def maps_in(
        self, family: Family, source: int, destination: int, *, mask: int, trace: Trace | None = None
    ) -> Translated:
        """Where the first packet of a flow out of the tunnel goes, once PREROUTING is through with it."""
        packet = Packet(family, self.interface, "", source, destination, source, destination, "NEW")
        rule = self.roots[family]["PRE"].nat(packet, mask, trace)
        changed = rule is not None and rule.target == "NETMAP" and rule.destination is not None
        return Translated(rule.map(destination) if rule and changed else destination, rule)

    def maps_out(
        self, family: Family, interface: str, source: int, destination: int, *, mask: int, trace: Trace | None = None
    ) -> Translated:
        """Which source the first packet of a flow leaves an interface with, once POSTROUTING is through with it."""
        packet = Packet(family, "", interface, source, destination, source, destination, "NEW")
        rule = self.roots[family]["POST"].nat(packet, mask, trace)
        changed = rule is not None and rule.target == "NETMAP" and rule.source is not None
        return Translated(rule.map(source) if rule and changed else source, rule)
