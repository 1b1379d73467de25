"""What of the texts no flow shows: what none of them needs, the MTU of links, what the host may do to the tunnel.

A sound mesh gives no remark.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from mesh.model import Family, SiteName
from mesh.reachability.gateway import Gateway
from mesh.reachability.guards import NOWHERE
from mesh.reachability.network import Network
from mesh.reachability.remarks import Remarks
from mesh.reachability.rules import Packet, Rule, Within
from mesh.reachability.usage import Usage

_FAMILIES: tuple[Family, ...] = (4, 6)


class Audit:
    """Goes through the texts of every gateway."""

    def __init__(self, network: Network, used: Mapping[SiteName, Usage], remarks: Remarks) -> None:
        self._network, self._used, self._remarks = network, used, remarks
        self._services = network.services
        # By site, the chains and AllowedIPs that hold more than is needed; by pair of names, what each site grants so.
        self._more: dict[SiteName, dict[str, None]] = {site: {} for site in network.gateways}
        self._vain: dict[tuple[str, str], dict[SiteName, int]] = {}
        tunnels = {
            (site, family): frozenset(rule.source.prefix.text for rule in _echoes(gateway, family) if rule.source)
            for site, gateway in network.gateways.items()
            for family in _FAMILIES
        }
        for site, gateway in network.gateways.items():
            self._port(gateway)
            self._mtus(gateway)
            self._routes(gateway)
            for family in _FAMILIES:
                self._host(gateway, family)
                self._mss(gateway, family)
                self._needless(gateway, family, tunnels[site, family])
                self._grants(gateway, family)
        for family in _FAMILIES:
            counts = Counter(tunnels[site, family] for site in network.gateways)
            if len(counts) > 1:
                most = max(counts.values())
                usual = [tunnel for tunnel, count in counts.items() if count == most]
                for site, gateway in network.gateways.items():
                    if usual != [tunnels[site, family]]:
                        self._itself(gateway, "answers echo for another tunnel network than other sites")
        self._say_needless()

    def _say_needless(self) -> None:
        for site, more in self._more.items():
            if more:
                self._itself(self._network.gateways[site], f"more in {_listed(more)} than anybody needs")
        for names, vain in self._vain.items():
            for services in dict.fromkeys(vain.values()):
                sites = sorted(site for site, granted in vain.items() if granted == services)
                self._remarks.about(*names, f"granted at {_listed(sites)}, does not pass", services)

    def _itself(self, gateway: Gateway, remark: str) -> None:
        self._remarks.plainly(gateway.site, f"its {gateway.interface}", remark)

    def _port(self, gateway: Gateway) -> None:
        """WireGuard's own port is open, and no other."""
        port = self._services.named(f"udp/{gateway.conf.port}")
        for family in _FAMILIES:
            opened = gateway.opens(family)
            if opened & port != port:
                self._itself(gateway, f"WireGuard's own port is not opened over IPv{family}")
            self._remarks.about(f"beside {gateway.site}", gateway.site, f"IPv{family}, one way", opened & ~port)

    def _mtus(self, gateway: Gateway) -> None:
        """Every route to a peer has the lower MTU of both ends."""
        for site, peer in gateway.peers.items():
            other = self._network.gateways[site].conf.mtu
            right = min(gateway.conf.mtu, other)
            for prefix in peer.allowed:
                mtu = gateway.conf.route_mtus.get(prefix, gateway.conf.mtu)
                if mtu != right:
                    self._itself(gateway, f"MTU {mtu} towards {site} where the link has {right}")

    def _routes(self, gateway: Gateway) -> None:
        """Every address that is routed into the tunnel, and taken from a peer, has a part in some flow."""
        remote = self._used[gateway.site].remote
        for site, peer in gateway.peers.items():
            for prefix in peer.allowed:
                family = prefix.family
                for start in self._network.boundaries.within(prefix):
                    owner = gateway.owner(family, start)
                    if (family, start) not in remote or owner is None or owner[1] != site:
                        self._more[gateway.site][f"the AllowedIPs of {site}"] = None
        if gateway.strangers:
            self._itself(gateway, "a peer that is no site")
        for address in gateway.conf.addresses:
            if address.prefix.end - address.prefix.first > 1:
                self._itself(gateway, "its address brings a route for more than itself")

    def _host(self, gateway: Gateway, family: Family) -> None:
        """What the host sends to itself passes, and its own NAT has no say in what enters the tunnel."""
        raw = gateway.roots[family]["RAW"]
        forged = [rule.source.prefix for rule in raw.rules() if rule.target == "DROP" and rule.source]
        if any(gateway.enters(family, "lo", prefix.first, 1) == 0 for prefix in forged):
            self._itself(gateway, f"the host cannot reach its own tunnel address over IPv{family}")
        own = (address.value for address in gateway.conf.addresses if address.family == family)
        behind = (address for known, _, address in self._used[gateway.site].behind if known == family)
        sources = (NOWHERE[family], *own, *behind)
        out = (gateway.maps_out(family, gateway.interface, source, NOWHERE[family], mask=1) for source in sources)
        if any(translated.rule is None for translated in out):
            self._itself(gateway, "the host's own NAT may change what enters the tunnel")

    def _mss(self, gateway: Gateway, family: Family) -> None:
        for known, interface in self._used[gateway.site].clamped:
            ways = (interface, gateway.interface), (gateway.interface, interface)
            if known == family and not all(gateway.clamps(family, *way) for way in ways):
                self._itself(gateway, "MSS not clamped")

    def _needless(self, gateway: Gateway, family: Family, tunnel: frozenset[str]) -> None:
        """Every rule that lets pass, translates or refuses forged sources does so for addresses of flows that pass."""
        used, roots = self._used[gateway.site], gateway.roots[family]
        for rule in roots["RAW"].rules():
            if rule.source and rule.source.prefix.text not in tunnel:
                self._check(gateway, "RAW", ((family, start) in used.remote for start in self._starts(rule.source)))
        for rule in _echoes(gateway, family):
            own = (gateway.owns(family, start) for start in self._starts(rule.destination))
            self._check(gateway, "IN", own)
        for suffix in ("SRC", "DST"):
            for rule in roots[suffix].rules():
                if rule.target == "RETURN":
                    behind = rule.source if suffix == "SRC" else rule.destination
                    interface = rule.in_interface if suffix == "SRC" else rule.out_interface
                    names = interface.values if interface else frozenset({""})
                    places = product(names, self._starts(behind))
                    self._check(gateway, suffix, ((family, *place) in used.behind for place in places))
        for rule in roots["PRE"].rules():
            self._check(gateway, "PRE", ((family, start) in used.mapped_in for start in self._starts(rule.destination)))
        for rule in roots["POST"].rules():
            if rule.target == "NETMAP":
                mapped = ((family, start) in used.mapped_out for start in self._starts(rule.source))
                self._check(gateway, "POST", mapped)
            if rule.target == "MASQUERADE":
                pairs = product(self._starts(rule.source), self._starts(rule.destination))
                self._check(gateway, "POST", ((family, *pair) in used.masqueraded for pair in pairs))

    def _check(self, gateway: Gateway, suffix: str, needed: Iterable[bool]) -> None:
        if not all(needed):
            self._more[gateway.site][gateway.chain(suffix)] = None

    def _starts(self, match: Within | None) -> tuple[int, ...]:
        """The stretches of a match, each by an address; of one that is not there or turned round, none's."""
        return (-1,) if match is None or match.negated else self._network.boundaries.within(match.prefix)

    def _grants(self, gateway: Gateway, family: Family) -> None:
        """Every rule that accepts a flow is about one that passes at the other end, too."""
        used = self._used[gateway.site].tuples
        for suffix in ("FWD", "IN"):
            for rule in gateway.roots[family][suffix].rules():
                if rule.target != "ACCEPT" or not (rule.orig_source and rule.orig_destination):
                    continue
                pairs = product(self._starts(rule.orig_source), self._starts(rule.orig_destination))
                opening = Packet(family, "", "", 0, 0, 0, 0, "NEW")
                services = self._services.matched(rule.service, opening) if rule.service else self._services.all
                for opener, opened in pairs:
                    unused = services & ~used.get((family, suffix, opener, opened), 0)
                    if unused:
                        names = (
                            self._network.name(gateway.site, family, opener, opener=True, itself=suffix == "IN"),
                            self._network.name(gateway.site, family, opened, opener=False, itself=suffix == "IN"),
                        )
                        vain = self._vain.setdefault(names, {})
                        vain[gateway.site] = vain.get(gateway.site, 0) | unused


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _echoes(gateway: Gateway, family: Family) -> Iterator[Rule]:
    """The rules that accept an ICMP echo by the addresses of the packet itself."""
    for rule in gateway.roots[family]["IN"].rules():
        if rule.target == "ACCEPT" and rule.service is not None and rule.service.icmp_type is not None:
            yield rule
