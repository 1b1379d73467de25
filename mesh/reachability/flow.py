"""One flow from one address to another, followed through both gateways, there and back."""

from dataclasses import dataclass
from typing import NamedTuple

from mesh.model import Family
from mesh.reachability.gateway import Gateway
from mesh.reachability.rules import Packet
from mesh.reachability.trace import Kind, Trace

# Stands for every interface of a gateway that leads to none of its points, such as the one to the internet.
ELSEWHERE = "(elsewhere)"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a flow: the gateway, the interface that leads to the host ("" for the gateway itself), the address.

    It stands for `size` addresses from this one on, which no text tells apart; `advertised` is the one by which other
    sites know the first of them. `routes_back` is False where the host answers only to
    addresses of its own network. `lan_side` is True for an address that a gateway has in a network behind it.
    """

    gateway: Gateway
    interface: str
    address: int
    advertised: int
    size: int = 1
    routes_back: bool = True
    lan_side: bool = False


class Outcome(NamedTuple):
    """The services whose packets arrive, and of these the ones that are answered and then go on.

    `wire` is the source that the opener's packets have in the tunnel, None where they do not come out of it.
    """

    arrived: int
    answered: int
    wire: int | None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that `source` opens to `destination`, at the address that the destination is advertised by.

    Services are the bits of `Services`. A `trace` takes each prefix and rule that had a say.
    """

    family: Family
    source: End
    destination: End

    def opened(self, mask: int, trace: Trace | None = None) -> Outcome:
        """What of `mask` the source can open."""
        wire, left = self._leaves(mask, trace)
        arrived = 0 if wire is None else self._arrives(wire, left, trace)
        if wire is None or not arrived:
            return Outcome(0, 0, wire)
        if trace is not None:
            trace.back = True
        answered = self._answered(wire, arrived, trace)
        return Outcome(arrived, self._goes_on(wire, answered, trace), wire)

    def _goes_on(self, wire: int, mask: int, trace: Trace | None) -> int:
        """The services for which the opener's next packets arrive as well."""
        goes_on = self.at_far(wire, "ESTABLISHED", self.at_near("ESTABLISHED", mask))
        if trace is not None and goes_on != mask:
            trace.back = False
            self.at_far(wire, "ESTABLISHED", self.at_near("ESTABLISHED", mask, trace), trace)
        return goes_on

    def _leaves(self, mask: int, trace: Trace | None) -> tuple[int | None, int]:
        """The first packet up to the tunnel: the source that it has in there, None for no way, and the services."""
        near, far, source = self.source.gateway, self.destination.gateway, self.source.address
        if not self.source.interface and not near.owns(self.family, source):
            return None, self._denied(near, trace, "source", "no such address of its own", mask)
        if not self._routed(near, self.destination.advertised, mask, trace):
            return None, 0
        mask = self.at_near("NEW", mask, trace)
        if not mask:
            return None, 0
        out = near.maps_out(self.family, near.interface, source, self.destination.advertised, mask=mask, trace=trace)
        wire = near.own_address(self.family) if out.masqueraded else out.address
        if wire is None:
            return None, self._denied(near, trace, "NAT", "no address of its own to masquerade with", mask)
        if not self._allowed(near, self.destination.advertised, far, mask, trace) or not self._linked(mask, trace):
            return None, 0
        return wire, mask

    def _arrives(self, wire: int, mask: int, trace: Trace | None) -> int:
        """The services for which that packet then gets from the tunnel to the destination."""
        far, opened = self.destination.gateway, self.destination
        if not self._out_of_tunnel(far, wire, mask, trace):
            return 0
        mapped = far.maps_in(self.family, wire, opened.advertised, mask=mask, trace=trace).address
        if mapped != opened.address:
            return self._denied(far, trace, "NAT", "the advertised address is not turned into the real one", mask)
        if not self._delivered(opened, mask, trace):
            return 0
        mask = self.at_far(wire, "NEW", mask, trace)
        if mask and opened.interface and trace is not None:
            far.maps_out(self.family, opened.interface, wire, opened.address, mask=mask, trace=trace)
        return mask

    def _answered(self, wire: int, mask: int, trace: Trace | None) -> int:
        """The answer: the services for which it comes back. Rules see it with NAT already undone."""
        near, far, host = self.source.gateway, self.destination.gateway, self.destination
        if host.interface:
            out = far.maps_out(self.family, host.interface, wire, host.address, mask=mask)
            if not (host.routes_back or out.masqueraded):
                return self._denied(far, trace, "NAT", "no masquerade, and the host has no route to the opener", mask)
        if not self._routed(far, wire, mask, trace):
            return 0
        if host.interface:
            mask = far.enters(self.family, host.interface, host.address, mask, trace)
            packet = self.at_far_packet(host.interface, far.interface, wire, "ESTABLISHED", reply=True)
            mask = far.forwards(packet, mask, trace)
        # The opener's gateway takes the answer since it sends there: AllowedIPs are one table for both.
        if not mask or not self._allowed(far, wire, near, mask, trace):
            return 0
        if not self._delivered(self.source, mask, trace):
            return 0
        packet = self.at_near_packet(near.interface, self.source.interface, "ESTABLISHED", reply=True)
        return near.forwards(packet, mask, trace) if self.source.interface else near.takes_in(packet, mask, trace)

    def at_near(
        self, state: str, mask: int, trace: Trace | None = None, *, sport: int | None = None, entry: str | None = None
    ) -> int:
        """What the rules of the opener's gateway leave of `mask` for its packets.

        `entry` is the interface that they come in by, where it is not the source's own: then somebody only poses as it.
        """
        near, entry = self.source.gateway, self.source.interface if entry is None else entry
        if not entry:
            return mask
        mask = near.enters(self.family, entry, self.source.address, mask, trace)
        return near.forwards(self.at_near_packet(entry, near.interface, state, sport=sport), mask, trace) if mask else 0

    def at_far(
        self,
        wire: int,
        state: str,
        mask: int,
        trace: Trace | None = None,
        *,
        sport: int | None = None,
        leaving: str | None = None,
    ) -> int:
        """What the rules of the destination's gateway leave of `mask` for the opener's packets.

        `leaving` is the interface that they would leave by, where it is not the destination's own.
        """
        far, leaving = self.destination.gateway, self.destination.interface if leaving is None else leaving
        if not mask:
            return 0
        packet = self.at_far_packet(far.interface, leaving, wire, state, sport=sport)
        return far.forwards(packet, mask, trace) if leaving else far.takes_in(packet, mask, trace)

    def at_near_packet(
        self, incoming: str, outgoing: str, state: str, *, reply: bool = False, sport: int | None = None
    ) -> Packet:
        """A packet of this flow at the opener's gateway, which knows the opener by its own address."""
        opener, opened = self.source.address, self.destination.advertised
        source, destination = (opened, opener) if reply else (opener, opened)
        return Packet(self.family, incoming, outgoing, source, destination, opener, opened, state, reply, sport)

    def at_far_packet(
        self, incoming: str, outgoing: str, wire: int, state: str, *, reply: bool = False, sport: int | None = None
    ) -> Packet:
        """A packet of this flow at the destination's gateway, whose own hosts have their own addresses."""
        opened = self.destination.address
        source, destination = (opened, wire) if reply else (wire, opened)
        tuple_ = wire, self.destination.advertised
        return Packet(self.family, incoming, outgoing, source, destination, *tuple_, state, reply, sport)

    def _routed(self, gateway: Gateway, address: int, mask: int, trace: Trace | None) -> bool:
        """Whether the gateway's routes lead to the address by the tunnel."""
        route = gateway.route_of(self.family, address)
        sent = route is not None and route[1] == gateway.interface
        if trace is not None:
            trace.step(gateway.site, "route", f"{route[0]} by {route[1]}" if route else "no route", mask, sent)
        return sent

    def _allowed(self, gateway: Gateway, address: int, peer: Gateway, mask: int, trace: Trace | None) -> bool:
        """Whether what the gateway sends to the address goes to that peer."""
        owner = gateway.owner(self.family, address)
        sent = owner is not None and owner[1] == peer.site
        if trace is not None:
            told = f"{owner[0]} of {owner[1] or 'nobody'}" if owner else "no peer has the address"
            trace.step(gateway.site, "allowed IPs", told, mask, sent)
        return sent

    def _linked(self, mask: int, trace: Trace | None) -> bool:
        """Whether the two can shake hands once the opener has something to send."""
        near, far = self.source.gateway, self.destination.gateway
        fault = near.no_handshake(far)
        if trace is not None:
            trace.step(near.site, "handshake", fault or f"with {far.site}", mask, not fault)
        return not fault

    def _out_of_tunnel(self, gateway: Gateway, address: int, mask: int, trace: Trace | None) -> bool:
        """Whether the gateway takes packets from the address when the opener's gateway sends them."""
        owner, peer = gateway.owner(self.family, address), self.source.gateway
        taken = owner is not None and owner[1] == peer.site
        if trace is not None:
            told = f"{owner[0]} of {owner[1] or 'nobody'}" if owner else "no peer has the opener's address"
            trace.step(gateway.site, "source", told, mask, taken)
        return taken

    def _delivered(self, end: End, mask: int, trace: Trace | None) -> bool:
        """Whether the end's gateway has the address itself, or routes it to the end's interface."""
        route = end.gateway.route_of(self.family, end.address)
        if end.interface:
            delivered = route is not None and route[1] == end.interface
        else:
            delivered = end.gateway.is_local(self.family, end.address)
        if trace is not None:
            own = not end.interface and delivered
            told = f"{route[0]} by {route[1]}" if route else "no route"
            trace.step(end.gateway.site, "route", "its own address" if own else told, mask, delivered)
        return delivered

    def _denied(self, gateway: Gateway, trace: Trace | None, kind: Kind, told: str, mask: int) -> int:
        """Nothing passes, and why."""
        if trace is not None:
            trace.step(gateway.site, kind, told, mask, passes=False)
        return 0
