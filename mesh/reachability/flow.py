"""One flow from one address to another, followed through both gateways, there and back."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mesh.model import Family
from mesh.reachability.gateway import Gateway, Packet

Notes = list[str] | None


@dataclass(frozen=True, slots=True)
class End:
    """One end of a flow: the gateway, the interface that leads to the host ("" for the gateway itself), the address.

    `routes_back` is False where the host answers only to addresses of its own network. `lan_side` is True for an
    address that a gateway has in a network behind it.
    """

    gateway: Gateway
    interface: str
    address: int
    routes_back: bool = True
    lan_side: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that `source` opens to `destination`. `entry` is the interface by which the opener's packets come in.

    That is the source's own, unless somebody behind another one only poses as the source. Services are the bits of
    `Services`; `notes`, where given, takes a line for each prefix and rule that had a say.
    """

    family: Family
    source: End
    destination: End
    entry: str

    def opened(self, mask: int, notes: Notes = None) -> tuple[int, int]:
        """The services whose packets arrive, and of these the ones that are answered and then go on."""
        wire = self._way_there(notes)
        if wire is None:
            return 0, 0
        arrived = self._carried(wire, "NEW", mask, notes)
        if not arrived or not self._way_back(wire, notes):
            return arrived, 0
        answered = self._answered(wire, arrived, notes)
        return arrived, self._carried(wire, "ESTABLISHED", answered, None)

    def arriving(self, mask: int) -> int:
        """The services whose first packet arrives, whatever becomes of the answer."""
        wire = self._way_there(None)
        return 0 if wire is None else self._carried(wire, "NEW", mask, None)

    def passing(self, address: int, interface: str, mask: int) -> int:
        """The services that the source can send through the destination's gateway to that address and interface."""
        near, far, source = self.source.gateway, self.destination.gateway, self.source.address
        if not _linked(near, far, None) or not self._out_of_tunnel(far, source, near, None):
            return 0
        packet = Packet(self.family, far.interface, interface, source, address, source, address, "NEW")
        return far.forwards(packet, mask)

    def __str__(self) -> str:
        return f"{self._text(self.source.address)} to {self._text(self.destination.address)}"

    def _way_there(self, notes: Notes) -> int | None:
        """Routes and AllowedIPs towards the destination: the source address within the tunnel, or None for no way."""
        near, far = self.source.gateway, self.destination.gateway
        if not self.source.interface and not self._delivered(self.source, notes):
            return None
        if not self._into_tunnel(near, self.destination.address, far, notes) or not _linked(near, far, notes):
            return None
        wire: int | None = self.source.address
        if near.masquerades(self._packet("", near.interface, self.source.address, "NEW"), notes):
            wire = near.own_address(self.family)
        if wire is None or not self._out_of_tunnel(far, wire, near, notes):
            return None
        return wire if self._delivered(self.destination, notes) else None

    def _way_back(self, wire: int, notes: Notes) -> bool:
        """Routes and AllowedIPs towards the opener, and whether the host knows where to send its answer."""
        near, far = self.source.gateway, self.destination.gateway
        last = self._packet("", self.destination.interface, wire, "NEW")
        if not self.destination.routes_back and not far.masquerades(last, notes):
            if notes is not None:
                notes.append(f"{far.site}: does not masquerade {self._text(wire)}, so that the host cannot answer")
            return False
        # The opener's gateway takes the answer since it sends there: AllowedIPs are one table for both.
        return self._into_tunnel(far, wire, near, notes) and self._delivered(self.source, notes)

    def _carried(self, wire: int, state: str, mask: int, notes: Notes) -> int:
        """What the rules of both gateways leave of `mask` for a packet of the opener."""
        near, far = self.source.gateway, self.destination.gateway
        if self.entry:
            mask = near.forwards(self._packet(self.entry, near.interface, self.source.address, state), mask, notes)
        packet = self._packet(far.interface, self.destination.interface, wire, state)
        return _received(self.destination, packet, mask, notes)

    def _answered(self, wire: int, mask: int, notes: Notes) -> int:
        """What the rules of both gateways leave of `mask` for an answer. They see it with NAT already undone."""
        near, far = self.source.gateway, self.destination.gateway
        if self.destination.interface:
            packet = self._packet(self.destination.interface, far.interface, wire, "ESTABLISHED", reply=True)
            mask = far.forwards(packet, mask, notes)
        packet = self._packet(near.interface, self.source.interface, self.source.address, "ESTABLISHED", reply=True)
        return _received(self.source, packet, mask, notes)

    def _packet(self, incoming: str, outgoing: str, opener: int, state: str, *, reply: bool = False) -> Packet:
        """A packet of this flow at a gateway that knows the opener by the address `opener`."""
        opened = self.destination.address
        source, destination = (opened, opener) if reply else (opener, opened)
        return Packet(self.family, incoming, outgoing, source, destination, opener, opened, state, reply)

    def _into_tunnel(self, gateway: Gateway, address: int, peer: Gateway, notes: Notes) -> bool:
        """Whether the gateway sends packets for the address to that peer."""
        interface, owner = gateway.route(self.family, address), gateway.owner(self.family, address)
        if notes is not None:
            if interface != gateway.interface:
                said = f"routes {self._text(address)} to {interface or 'no interface that is known here'}"
            elif owner is None:
                said = f"{self._text(address)} is in no peer's AllowedIPs"
            else:
                said = f"sends {self._text(address)} to {owner[1] or 'nobody'}, whose AllowedIPs have {owner[0]}"
            notes.append(f"{gateway.site}: {said}")
        return interface == gateway.interface and owner is not None and owner[1] == peer.site

    def _out_of_tunnel(self, gateway: Gateway, address: int, peer: Gateway, notes: Notes) -> bool:
        """Whether the gateway takes packets from the address when that peer sends them."""
        owner = gateway.owner(self.family, address)
        taken = owner is not None and owner[1] == peer.site
        if notes is not None:
            said = f"takes {self._text(address)}" if taken else f"does not take {self._text(address)}"
            prefix = f"have {owner[0]}" if owner and taken else "have it not"
            notes.append(f"{gateway.site}: {said} from {peer.site}, whose AllowedIPs {prefix}")
        return taken

    def _delivered(self, end: End, notes: Notes) -> bool:
        """Whether the end's gateway has the address itself, or routes it to the end's interface."""
        if end.interface:
            interface = end.gateway.route(self.family, end.address)
            delivered, fault = interface == end.interface, f"is routed to {interface or 'no interface'}"
        else:
            delivered, fault = end.gateway.is_local(self.family, end.address), "is not its own address"
        if not delivered and notes is not None:
            notes.append(f"{end.gateway.site}: {self._text(end.address)} {fault}")
        return delivered

    def _text(self, address: int) -> str:
        return str(IPv4Address(address) if self.family == 4 else IPv6Address(address))


def _received(end: End, packet: Packet, mask: int, notes: Notes) -> int:
    """The last gateway's rules: FORWARD towards a host behind it, INPUT for itself."""
    if not mask:
        return 0
    return (end.gateway.forwards if end.interface else end.gateway.takes_in)(packet, mask, notes)


def _linked(near: Gateway, far: Gateway, notes: Notes) -> bool:
    """Whether the two can shake hands: both are peers, one knows the other's endpoint, the preshared keys agree."""
    here, there = near.peers.get(far.site), far.peers.get(near.site)
    if here is None or there is None:
        fault = "is not a peer of" if here is None else "does not have as a peer"
    elif not (here.endpoint or there.endpoint):
        fault = "has no endpoint for, nor the other way round,"
    elif not here.agrees(there):
        fault = "has another preshared key than"
    else:
        return True
    if notes is not None:
        notes.append(f"{far.site}: {fault} {near.site}")
    return False
