"""What keeps others out whatever is granted: forged sources, other ways out, packets that look like answers.

Each guard of each gateway is tried with the packets that it is there to stop. A sound mesh gives no remark.
"""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from mesh.model import Family, SiteName
from mesh.reachability.boundaries import CLIENTS
from mesh.reachability.flow import ELSEWHERE, End
from mesh.reachability.gateway import Gateway
from mesh.reachability.network import Network
from mesh.reachability.remarks import Remarks
from mesh.reachability.rules import Packet
from mesh.reachability.usage import Usage

# Addresses that no point can have: "this network" (RFC 1122) and the discard prefix (RFC 6666).
NOWHERE: dict[Family, int] = {4: int(IPv4Address("0.0.0.1")), 6: int(IPv6Address("100::1"))}


class Guards:
    """Tries the guards of every gateway, and tells what is to be tried with each flow, since it may pass with some.

    By site, `sources` are the interfaces by which a neighbour may pose as a network behind the gateway, `ways` those by
    which a packet may leave for nowhere, and `remote` those by which addresses of other sites may come in. `states` and
    `errors` are the chains, by family, that packets of no known flow may pass, and that errors may not.
    """

    def __init__(self, network: Network, used: Mapping[SiteName, Usage], remarks: Remarks) -> None:
        self._network, self._used, self._remarks = network, used, remarks
        self._all = network.services.all
        self.sources: dict[SiteName, set[str]] = {}
        self.ways: dict[SiteName, set[str]] = {}
        self.remote: dict[SiteName, set[str]] = {}
        self.states: set[tuple[SiteName, Family, str]] = set()
        self.errors: set[tuple[SiteName, Family, str]] = set()
        ends: dict[SiteName, list[tuple[Family, End]]] = {site: [] for site in network.gateways}
        for point in network.points:
            if point.interface:
                ends[point.site] += network.openers[point.name]
        for site, gateway in network.gateways.items():
            regular = all(gateway.roots[family]["FWD"].regular(gateway.interface, echo=False) for family in NOWHERE)
            interfaces = (*network.interfaces[site], ELSEWHERE)
            self.sources[site] = set() if regular else set(interfaces)
            self.ways[site] = set() if regular else set(interfaces)
            self.remote[site] = set()
            for family, nowhere in NOWHERE.items():
                behind = [end for known, end in ends[site] if known == family]
                self._try_sides(gateway, family, [*behind, End(gateway, "(none)", nowhere, nowhere)], interfaces)
                self._try_closed(gateway, family, interfaces)
                self._try_states(gateway, family, behind)

    def _try_sides(self, gateway: Gateway, family: Family, ends: Sequence[End], interfaces: Sequence[str]) -> None:
        """Into the tunnel by no interface but the source's, out of it by none but the destination's; to no stranger."""
        for interface in interfaces:
            for end in ends:
                if end.interface == interface:
                    continue
                if gateway.forwards(_into(gateway, family, interface, end.address, "NEW"), self._all, guards=True):
                    self.sources[gateway.site].add(interface)
                    self._itself(gateway, "does not keep its networks from sending with addresses of others")
                if gateway.forwards(_out_of(gateway, family, interface, end.address, "NEW"), self._all, guards=True):
                    self.ways[gateway.site].add(interface)
                    self._itself(gateway, "does not keep what comes out of the tunnel to its networks")

    def _try_closed(self, gateway: Gateway, family: Family, interfaces: Sequence[str]) -> None:
        """What nobody granted is dropped, and addresses of other sites come in by the tunnel alone."""
        nowhere = NOWHERE[family]
        error = _into(gateway, family, ELSEWHERE, nowhere, "RELATED")
        stranger = _out_of(gateway, family, "", nowhere, "NEW")
        if gateway.forwards(error, self._all) or gateway.takes_in(stranger, self._all):
            self._itself(gateway, "lets packets of no flow pass")
        self.remote[gateway.site] |= {
            interface
            for interface in interfaces
            for other, address in self._used[gateway.site].remote
            if other == family and gateway.enters(family, interface, address, self._all)
        }

    def _try_states(self, gateway: Gateway, family: Family, ends: Sequence[End]) -> None:
        """Whether what looks like an answer to no flow is dropped whatever the flow, and errors pass."""
        opening = [way(gateway, family, end.interface, end.address, "NEW") for end in ends for way in (_into, _out_of)]
        errors = [_into(gateway, family, ELSEWHERE, NOWHERE[family], "RELATED")]
        errors += [_out_of(gateway, family, end.interface, end.address, "RELATED") for end in ends]
        inwards = _out_of(gateway, family, "", NOWHERE[family], "NEW")
        for suffix, passes, first, related in (
            ("FWD", gateway.forwards, opening, errors),
            ("IN", gateway.takes_in, [inwards], [inwards._replace(state="RELATED")]),
        ):
            regular = gateway.roots[family][suffix].regular(gateway.interface, echo=suffix == "IN")
            if not (regular and all(passes(packet, self._all, guards=True) == self._all for packet in related)):
                self.errors.add((gateway.site, family, suffix))
            if not (regular and all(self._tells(passes, packet) for packet in first)):
                self.states.add((gateway.site, family, suffix))

    def _tells(self, passes: Callable[..., int], packet: Packet) -> bool:
        """Whether a TCP packet of no known flow is dropped where it looks like an answer, and only there."""
        services = self._network.services
        return all(
            passes(packet._replace(sport=sport), services.tcp, guards=True)
            == services.tcp & ~(services.to_clients if sport < CLIENTS else 0)
            for sport in services.sports
        )

    def _itself(self, gateway: Gateway, remark: str) -> None:
        self._remarks.plainly(gateway.site, f"its {gateway.interface}", remark)


def _into(gateway: Gateway, family: Family, interface: str, address: int, state: str) -> Packet:
    """A packet from an address by an interface into the tunnel, to nowhere and of no flow that somebody granted."""
    nowhere = NOWHERE[family]
    return Packet(family, interface, gateway.interface, address, nowhere, address, nowhere, state)


def _out_of(gateway: Gateway, family: Family, interface: str, address: int, state: str) -> Packet:
    """The same out of the tunnel, to an address by an interface."""
    nowhere = NOWHERE[family]
    return Packet(family, gateway.interface, interface, nowhere, address, nowhere, address, state)
