"""A link that carries less than the networks at its ends: TCP is told in time, all else when it sends too much.

`tests/mesh/gateway.py` draws the world. Its networks carry 1500 bytes, and the peer's link less, by the MTU of its
route, as wg-quick's `PostUp = ip route replace ... mtu N` sets it.
"""

import socket
import struct

import pytest

from mesh.model import Family
from tests.mesh.gateway import DMZ, PEER, VIRBR0, World
from tests.mesh.namespaces import BOTH_FAMILIES, PACKETS, Namespace, discovering, path_mtu, talks, until

pytestmark = PACKETS

LINK = 1392
# What is left of the link for TCP's payload: without the headers of IP (20 or 40 bytes) and of TCP (20 bytes).
MSS: dict[Family, int] = {4: 1352, 6: 1332}
# Of a network that carries 1500 bytes.
FULL_MSS: dict[Family, int] = {4: 1460, 6: 1440}

_ETH_P_IP: dict[Family, int] = {4: 0x0800, 6: 0x86DD}
_MSS_OPTION = 2


def narrow(world: World, family: Family) -> None:
    prefix = {4: "10.20.0.0/24", 6: "fd20::/64"}[family]
    world.gateway.run("ip", f"-{family}", "route", "replace", prefix, "dev", "wg0", "mtu", str(LINK))


class Ear:
    """Hears every packet that comes to a namespace's interface."""

    def __init__(self, namespace: Namespace, family: Family) -> None:
        self._family = family
        # SOCK_DGRAM leaves the link's own header out.
        self._socket = namespace.open(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP[family]))
        self._socket.bind(("eth0", _ETH_P_IP[family]))

    def opening(self, answer: bool) -> int:
        """The MSS in the next SYN that comes in, or SYN-ACK."""
        while True:
            packet, (_, _, kind, *_) = self._socket.recvfrom(2000)
            segment = packet[(packet[0] & 15) * 4 :] if self._family == 4 else packet[40:]
            protocol = packet[9] if self._family == 4 else packet[6]
            if kind == socket.PACKET_HOST and protocol == socket.IPPROTO_TCP and segment[13] == (0x12 if answer else 2):
                # The first option that Linux writes.
                option, length, mss = struct.unpack_from("!BBH", segment, 20)
                assert (option, length) == (_MSS_OPTION, 4)
                return int(mss)


@BOTH_FAMILIES
def test_both_halves_of_an_opening_carry_the_links_mss_from_either_side(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.dmz nyc.virbr0", ""), ("nyc.dmz", "ams.lan", ""))
    narrow(world, family)
    for near, source, far, destination in (
        (world.peer, PEER, world.dmz, DMZ),
        (world.peer, PEER, world.virbr0, VIRBR0),
        (world.dmz, DMZ, world.peer, PEER),
    ):
        at_server, at_opener = Ear(far, family), Ear(near, family)
        assert talks(*near.connected(source[family], far.listening(destination[family])))
        assert (at_server.opening(answer=False), at_opener.opening(answer=True)) == (MSS[family], MSS[family])


@BOTH_FAMILIES
def test_an_opening_beside_the_tunnel_is_left_as_it_is(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.dmz", ""))
    world.gateway.ip(f"link set virbr0 mtu {LINK}")
    server, at_server = world.virbr0.listening(VIRBR0[family]), Ear(world.virbr0, family)
    assert talks(*world.dmz.connected(DMZ[family], server))
    assert at_server.opening(answer=False) == FULL_MSS[family]
    # The clamp for every packet would have changed it.
    world.gateway.append(family, "mangle", "FORWARD -j WG0-MSS")
    assert talks(*world.dmz.connected(DMZ[family], server))
    assert at_server.opening(answer=False) == MSS[family]


@BOTH_FAMILIES
def test_a_datagram_that_the_link_cannot_carry_comes_back_with_what_it_can(world: World, family: Family) -> None:
    world.load(("nyc.dmz", "ams.lan", ""))
    narrow(world, family)
    server = world.peer.bound(PEER[family], 4000)
    opener = discovering(world.dmz.bound(DMZ[family]), PEER[family], 4000)
    # 8 bytes of UDP's header, and IP's.
    most = LINK - 8 - {4: 20, 6: 40}[family]
    opener.send(bytes(most))
    assert len(server.recv(2000)) == most
    assert path_mtu(opener) == 1500
    opener.send(bytes(most + 1))
    until(lambda: path_mtu(opener) == LINK, "the sender learns the link's MTU")
    with pytest.raises(OSError, match="Message too long"):
        opener.send(bytes(most + 1))
