"""Nobody speaks for others: forged sources from every side, and aims at what nobody granted, get nowhere.

`tests/mesh/gateway.py` draws the world. Its gateway forwards everything by itself, and so each test can fail: where the
drop of our own is taken away, the same packet arrives.
"""

import socket

import pytest

from mesh.model import Family
from tests.mesh.gateway import (
    DMZ,
    DMZ_GATEWAY,
    ENDPOINT,
    GATEWAY,
    NEIGHBOUR,
    PEER,
    VIRBR0,
    VIRBR0_GATEWAY,
    WAN_GATEWAY,
    World,
)
from tests.mesh.namespaces import BOTH_FAMILIES, PACKETS, silent, talks

pytestmark = PACKETS

BOTH_WAYS = (("ams.lan", "nyc.virbr0 nyc.dmz", ""), ("nyc.virbr0 nyc.dmz", "ams.lan", ""))
# The metadata service of a cloud and a host on the internet: both are beyond the gateway's default route.
METADATA: dict[Family, str] = {4: "169.254.169.254", 6: "fd00:ec2::254"}
INTERNET: dict[Family, str] = {4: "192.0.2.80", 6: "2001:db8:80::80"}
# Somebody else at the other end of the tunnel, and in the same LAN there.
OTHER_ENDPOINT: dict[Family, str] = {4: "10.99.0.77", 6: "fd99::77"}
OTHER_PEER: dict[Family, str] = {4: "10.20.0.9", 6: "fd20::9"}
PREFIXES: dict[Family, dict[str, str]] = {
    4: {PEER[4]: "10.20.0.0/24", OTHER_PEER[4]: "10.20.0.0/24", OTHER_ENDPOINT[4]: "10.99.0.0/24"},
    6: {PEER[6]: "fd20::/64", OTHER_PEER[6]: "fd20::/64", OTHER_ENDPOINT[6]: "fd99::/64"},
}


@BOTH_FAMILIES
def test_a_peer_reaches_nothing_that_was_not_granted(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.dmz", ""))
    world.neighbour.own("lo", METADATA[family], INTERNET[family])
    opener = world.peer.bound(PEER[family])
    for namespace, address, rule in (
        (world.neighbour, METADATA[family], "WG0-DST"),
        (world.neighbour, INTERNET[family], "WG0-DST"),
        (world.neighbour, NEIGHBOUR[family], "WG0-DST"),
        (world.virbr0, VIRBR0[family], "WG0-DST"),
        (world.gateway, WAN_GATEWAY[family], "WG0-IN"),
        (world.gateway, GATEWAY[family], "WG0-IN"),
        (world.gateway, DMZ_GATEWAY[family], "WG0-IN"),
    ):
        target = namespace.bound(address, 4000)
        with world.gateway.dropped_by(rule, family):
            opener.sendto(b"anyone?", target.getsockname())
        assert silent(target)
    server = world.dmz.bound(DMZ[family], 4000)
    opener.sendto(b"granted", server.getsockname())
    assert server.recv(100) == b"granted"


@BOTH_FAMILIES
def test_a_peer_reaches_nothing_from_an_address_that_was_not_granted(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.dmz", ""))
    world.peer.own("lo", OTHER_ENDPOINT[family], METADATA[family])
    server = world.dmz.bound(DMZ[family], 4000)
    for source in (ENDPOINT[family], OTHER_ENDPOINT[family], METADATA[family]):
        with world.gateway.dropped_by("WG0-FWD", family):
            world.peer.bound(source).sendto(b"not mine", server.getsockname())
    assert silent(server)


@pytest.mark.parametrize("address", ["10.5.0.255", "255.255.255.255", "224.0.0.1", "fd05::", "ff02::1"])
def test_a_peer_speaks_to_no_lan_as_a_whole(world: World, address: str) -> None:
    """Under a grant for the LAN: broadcasts, multicasts that every host takes, and IPv6's address for any router."""
    world.load(("ams.lan", "nyc.dmz", ""))
    family: Family = 6 if ":" in address else 4
    any_address = {4: "0.0.0.0", 6: "::"}[family]
    listeners = [namespace.bound(any_address, 4000) for namespace in (world.gateway, world.dmz, world.virbr0)]
    opener = world.peer.bound(PEER[family])
    opener.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    with world.gateway.dropped_by("WG0-IN", family):
        opener.sendto(b"everyone", (address, 4000))
    assert silent(*listeners)


@BOTH_FAMILIES
def test_a_spoofed_source_on_a_lan_is_dropped_before_the_tunnel(world: World, family: Family) -> None:
    world.load(("nyc.virbr0", "ams.lan", ""), ("ams.lan", "nyc.virbr0", ""))
    server = world.peer.bound(PEER[family], 5000)
    of_virbr0 = {4: "192.168.122.9", 6: "fd22::9"}[family]
    world.dmz.own("lo", of_virbr0, INTERNET[family])
    for source in (of_virbr0, INTERNET[family], DMZ[family]):
        with world.gateway.dropped_by("WG0-SRC", family):
            world.dmz.bound(source).sendto(b"spoofed", server.getsockname())
    world.virbr0.bound(VIRBR0[family]).sendto(b"real", server.getsockname())
    assert server.recv(100) == b"real"
    assert silent(server)


@BOTH_FAMILIES
def test_a_reply_that_another_lan_forges_is_dropped(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.virbr0 nyc.dmz", ""))
    opener, server = world.peer.bound(PEER[family], 5000), world.dmz.bound(DMZ[family], 4000)
    opener.sendto(b"open", server.getsockname())
    assert server.recv(100) == b"open"
    world.virbr0.own("lo", DMZ[family])
    with world.gateway.dropped_by("WG0-SRC", family):
        world.virbr0.bound(DMZ[family], 4000).sendto(b"forged", opener.getsockname())
    server.sendto(b"reply", opener.getsockname())
    assert opener.recv(100) == b"reply"


@BOTH_FAMILIES
@pytest.mark.parametrize("from_the_wan", [True, False], ids=["wan", "lan"])
def test_nobody_beside_the_tunnel_speaks_for_those_beyond_it(world: World, family: Family, from_the_wan: bool) -> None:
    world.load(*BOTH_WAYS, ("ams.lan", "nyc", ""))
    forger = world.neighbour if from_the_wan else world.virbr0
    sources = [OTHER_PEER[family], OTHER_ENDPOINT[family]]
    forger.own("lo", *sources)
    forger.ip(f"route replace {DMZ[family]} via {(WAN_GATEWAY if from_the_wan else VIRBR0_GATEWAY)[family]}")
    forger.ip(f"route replace {GATEWAY[family]} via {(WAN_GATEWAY if from_the_wan else VIRBR0_GATEWAY)[family]}")
    targets = [
        world.dmz.bound(DMZ[family], 4000),
        world.gateway.bound(GATEWAY[family], 4000),
        world.gateway.bound((WAN_GATEWAY if from_the_wan else VIRBR0_GATEWAY)[family], 4000),
    ]
    forged = [(forger.bound(source), target) for source in sources for target in targets]
    world.gateway.forget()
    for sender, target in forged:
        with world.gateway.dropped_by(f"WG0-RAW -s {PREFIXES[family][sender.getsockname()[0]]}", family):
            sender.sendto(b"forged", target.getsockname())
    assert silent(*targets)
    assert not any("dport=4000" in flow for flow in world.gateway.flows())
    # Nothing else of the gateway's would have stopped them.
    for prefix in {PREFIXES[family][source] for source in sources}:
        world.gateway.delete(family, "raw", f"WG0-RAW -s {prefix} -j DROP")
    for sender, target in forged:
        sender.sendto(b"forged", target.getsockname())
        assert target.recvfrom(100)[1][0] == sender.getsockname()[0]
    assert sum("dport=4000" in flow for flow in world.gateway.flows()) == len(forged)


@BOTH_FAMILIES
def test_a_neighbour_on_the_wan_gets_nothing_into_the_tunnel(world: World, family: Family) -> None:
    world.load(*BOTH_WAYS)
    of_virbr0 = {4: "192.168.122.9", 6: "fd22::9"}[family]
    world.neighbour.own("lo", of_virbr0)
    world.neighbour.ip(f"route add {PEER[family]} via {WAN_GATEWAY[family]}")
    server = world.peer.bound(PEER[family], 4000)
    for source in (NEIGHBOUR[family], of_virbr0):
        with world.gateway.dropped_by("WG0-SRC", family):
            world.neighbour.bound(source).sendto(b"let me in", server.getsockname())
    assert silent(server)


@BOTH_FAMILIES
def test_a_gateway_speaks_to_its_own_tunnel_address(world: World, family: Family) -> None:
    world.load()
    server = world.gateway.listening(GATEWAY[family])
    for source in (GATEWAY[family], DMZ_GATEWAY[family]):
        assert talks(*world.gateway.connected(source, server))
    world.gateway.delete(family, "raw", "WG0-RAW -i lo -j RETURN")
    with world.gateway.dropped_by(f"WG0-RAW -s {PREFIXES[family][OTHER_ENDPOINT[family]]}", family):
        world.gateway.connecting(GATEWAY[family], GATEWAY[family])


@BOTH_FAMILIES
def test_a_granted_packet_stays_where_its_network_is_when_that_is_down(world: World, family: Family) -> None:
    world.load(*BOTH_WAYS)
    opener, server = world.peer.bound(PEER[family]), world.dmz.bound(DMZ[family], 4000)
    opener.sendto(b"open", server.getsockname())
    assert server.recv(100) == b"open"
    world.gateway.ip("link set dmz down")
    world.neighbour.own("lo", DMZ[family])
    elsewhere = world.neighbour.bound(DMZ[family], 4000)
    for sender in (opener, world.peer.bound(PEER[family])):
        with world.gateway.dropped_by("WG0-DST", family):
            sender.sendto(b"for the LAN", elsewhere.getsockname())
    assert silent(elsewhere)
    # Without that rule the default route takes it out by the WAN.
    world.gateway.delete(family, "filter", "WG0-DST -j DROP")
    opener.sendto(b"for the LAN", elsewhere.getsockname())
    assert elsewhere.recv(100) == b"for the LAN"


@BOTH_FAMILIES
def test_wireguards_own_port_is_open_whatever_the_host_says_and_nothing_else_of_ours(
    world: World, family: Family
) -> None:
    world.load(("ams.lan", "nyc.virbr0", ""))
    # Neighbour discovery is for the host to let in.
    foreign = f"INPUT ! -p { {4: 'icmp', 6: 'ipv6-icmp'}[family] }"
    world.gateway.append(family, "filter", f"{foreign} -j DROP")
    opened, beside = (world.gateway.bound(WAN_GATEWAY[family], port) for port in (51820, 51821))
    server = world.gateway.listening(WAN_GATEWAY[family], 51820)
    neighbour = world.neighbour.bound(NEIGHBOUR[family])
    neighbour.sendto(b"handshake", opened.getsockname())
    assert opened.recv(100) == b"handshake"
    with world.gateway.dropped_by(foreign, family):
        neighbour.sendto(b"anything", beside.getsockname())
    with world.gateway.dropped_by(foreign, family):
        world.neighbour.connecting(NEIGHBOUR[family], WAN_GATEWAY[family], 51820)
    inside = world.gateway.bound(GATEWAY[family], 51820)
    for target in (inside, opened):
        with world.gateway.dropped_by("WG0-IN", family):
            world.peer.bound(ENDPOINT[family]).sendto(b"handshake", target.getsockname())
    assert silent(opened, beside, server, inside)


@BOTH_FAMILIES
def test_a_host_that_forwards_nothing_by_itself_forwards_what_was_granted(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.virbr0", ""), ("nyc.dmz", "ams.lan", ""))
    world.gateway.append(family, "filter", "FORWARD -j DROP")
    assert talks(*world.peer.connected(PEER[family], world.virbr0.listening(VIRBR0[family])))
    assert talks(*world.dmz.connected(DMZ[family], world.peer.listening(PEER[family])))
    with world.gateway.dropped_by("FORWARD", family):
        world.dmz.bound(DMZ[family]).sendto(b"not ours", (VIRBR0[family], 4000))
