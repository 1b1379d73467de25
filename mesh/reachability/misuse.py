"""What could pass along with a flow: somebody who poses as one of its ends, a packet that strays, or looks like it.

Asked only where the guards of a gateway leave a doubt. A sound mesh gives no remark.
"""

from mesh.reachability.boundaries import CLIENTS, ECHO
from mesh.reachability.flow import ELSEWHERE, End
from mesh.reachability.gateway import Gateway
from mesh.reachability.guards import Guards
from mesh.reachability.network import Network, Passing
from mesh.reachability.remarks import Remarks
from mesh.reachability.usage import chain_of


class Misuse:
    """Tries what the guards leave a doubt about."""

    def __init__(self, network: Network, guards: Guards, remarks: Remarks) -> None:
        self._network, self._guards, self._remarks = network, guards, remarks

    def try_flow(self, one: Passing) -> None:
        """What could pass along with a flow."""
        flow = one.flow
        sites = flow.source.gateway.site, flow.destination.gateway.site
        if any(self._guards.sources[site] for site in sites):
            self._try_sources(one)
        if any(self._guards.remote[site] for site in sites):
            self._try_remote(one)
        if any(self._guards.ways[site] for site in sites):
            self._try_ways(one)
        for end in (flow.source, flow.destination):
            place = end.gateway.site, flow.family, chain_of(end)
            if place in self._guards.states:
                self._try_lost_state(one, end)
            if place in self._guards.errors:
                self._try_errors(one, end)

    def _try_sources(self, one: Passing) -> None:
        """Somebody beside one end's gateway sends into the tunnel with that end's address."""
        flow, answered = one.flow, one.outcome.answered
        near, far, wire = flow.source.gateway, flow.destination.gateway, one.outcome.wire or 0
        for entry in self._guards.sources[near.site] if flow.source.interface else ():
            if entry != flow.source.interface:
                posed = flow.at_near("NEW", answered, entry=entry)
                self._posed(near, entry, one.destination.name, one.source.name, posed)
        for entry in self._guards.sources[far.site] if flow.destination.interface else ():
            if entry != flow.destination.interface:
                packet = flow.at_far_packet(entry, far.interface, wire, "ESTABLISHED", reply=True)
                posed = far.enters(flow.family, entry, flow.destination.address, answered)
                self._posed(far, entry, one.source.name, one.destination.name, far.forwards(packet, posed))

    def _try_remote(self, one: Passing) -> None:
        """Somebody beside one end's gateway sends to that end with the other one's address."""
        flow, answered, wire = one.flow, one.outcome.answered, one.outcome.wire or 0
        for gateway, address, local, remote in (
            (flow.destination.gateway, wire, one.destination.name, one.source.name),
            (flow.source.gateway, flow.destination.advertised, one.source.name, one.destination.name),
        ):
            for entry in self._guards.remote[gateway.site]:
                self._posed(gateway, entry, local, remote, gateway.enters(flow.family, entry, address, answered))

    def _posed(self, gateway: Gateway, entry: str, goal: str, posing: str, services: int) -> None:
        names = self._network.interfaces[gateway.site].get(entry, [f"beside {gateway.site}"])
        for name in names if services else ():
            if name != goal:
                self._remarks.about(name, goal, f"posing as {posing}", services)

    def _try_ways(self, one: Passing) -> None:
        """The network's interface is down, or routes have changed, and the packet would leave by another one."""
        flow, answered = one.flow, one.outcome.answered
        near, far, wire = flow.source.gateway, flow.destination.gateway, one.outcome.wire or 0
        for way in self._guards.ways[far.site] if flow.destination.interface else ():
            if way != flow.destination.interface:
                left = flow.at_far(wire, "NEW", answered, leaving=way)
                self._strayed(far, way, one.source.name, one.destination.name, left)
        for way in self._guards.ways[near.site] if flow.source.interface else ():
            if way != flow.source.interface:
                packet = flow.at_near_packet(near.interface, way, "ESTABLISHED", reply=True)
                self._strayed(near, way, one.destination.name, one.source.name, near.forwards(packet, answered))

    def _strayed(self, gateway: Gateway, way: str, source: str, meant: str, services: int) -> None:
        for name in self._network.interfaces[gateway.site].get(way, [f"beyond {gateway.site}"]) if services else ():
            self._remarks.about(source, name, f"meant for {meant}", services)

    def _try_lost_state(self, one: Passing, end: End) -> None:
        """A TCP packet in the middle of a flow that the gateway of one of its ends knows nothing of any more.

        From a server's port to a client's it looks like an answer: it would turn a flow around, which then lives and
        dies with the grant for the other direction. From any other port it goes on with the flow itself.
        """
        services, flow, site = self._network.services, one.flow, end.gateway.site
        tcp = one.outcome.answered & services.tcp
        if end is flow.source and not end.interface:
            return  # what a gateway sends of its own accord passes no chain of ours
        for sport in services.sports if tcp else ():
            if end is flow.source:
                passed = flow.at_near("NEW", tcp, sport=sport)
            else:
                passed = flow.at_far(one.outcome.wire or 0, "NEW", tcp, sport=sport)
            like = tcp & services.to_clients if sport < CLIENTS else 0
            self._remark(one, f"what looks like an answer passes {site}", passed & like)
            self._remark(one, f"cut off where {site} loses its state", tcp & ~like & ~passed)

    def _try_errors(self, one: Passing, end: End) -> None:
        """ICMP errors about the flow, from a router on the way: without them, the path's MTU is not found."""
        flow, gateway = one.flow, end.gateway
        # Tunnel addresses answer each other's echo by rules that know of no flow, and so of no error about one.
        meant = one.outcome.answered & ~(0 if end.interface else ECHO)
        interface, wire = gateway.interface, one.outcome.wire or 0
        if end is flow.source:
            inwards = flow.at_near_packet(interface, end.interface, "RELATED", reply=True)
            outwards = flow.at_near_packet(ELSEWHERE, interface, "RELATED")
        else:
            inwards = flow.at_far_packet(interface, end.interface, wire, "RELATED")
            outwards = flow.at_far_packet(ELSEWHERE, interface, wire, "RELATED", reply=True)
        if end.interface:
            passed = gateway.forwards(inwards, meant) & gateway.forwards(outwards, meant)
        else:
            passed = gateway.takes_in(inwards, meant)
        self._remark(one, f"ICMP errors do not pass {gateway.site}", meant & ~passed)

    def _remark(self, one: Passing, remark: str, services: int) -> None:
        self._remarks.about(one.source.name, one.destination.name, remark, services)
