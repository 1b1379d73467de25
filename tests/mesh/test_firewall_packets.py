"""The firewall's rules against real packets: what a grant opens passes, and nothing else does, whoever speaks first.

Each test has fresh namespaces; tests/mesh/gateway.py draws them. A packet counts as dropped when the rule that drops
has counted it and it never arrived.
"""

import os
import select
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.mesh.gateway import DMZ, ENDPOINT, GATEWAY, PEER, VIRBR0, VIRBR0_GATEWAY, World

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("iptables-nft") is None or shutil.which("ip") is None,
        reason="needs root, to make network namespaces of its own, and the programs ip and iptables-nft",
    ),
]

FAMILIES = pytest.mark.parametrize("family", [4, 6])

INWARD = ("ams.lan", "nyc.virbr0 nyc.dmz", "")
OUTWARD = ("nyc.virbr0 nyc.dmz", "ams.lan", "")


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack)


def silent(*sockets: socket.socket) -> bool:
    return not select.select(sockets, [], [], 0)[0]


def talks(one: socket.socket, other: socket.socket) -> bool:
    """Whether both ends of a TCP connection hear each other."""
    one.sendall(b"question")
    heard = other.recv(100)
    other.sendall(b"answer")
    return (heard, one.recv(100)) == (b"question", b"answer")


@FAMILIES
def test_a_granted_flow_passes_in_both_directions(world: World, family: int) -> None:
    world.load(INWARD)
    for behind, address in ((world.virbr0, VIRBR0[family]), (world.dmz, DMZ[family])):
        assert talks(*world.connected(world.peer, PEER[family], world.listening(behind, address)))
        assert world.ping(world.peer, PEER[family], address).recv(100).endswith(b"echo")


@FAMILIES
def test_the_reverse_opening_is_dropped(world: World, family: int) -> None:
    world.load(INWARD)
    server = world.listening(world.peer, PEER[family])
    for behind, address in ((world.virbr0, VIRBR0[family]), (world.dmz, DMZ[family])):
        with world.dropped_by("WG0-FWD", family):
            world.connecting(behind, address, PEER[family])
        with world.dropped_by("WG0-FWD", family):
            reply = world.ping(behind, address, PEER[family])
        assert silent(server, reply)
    world.load(INWARD, OUTWARD)
    assert talks(*world.connected(world.dmz, DMZ[family], server))


@FAMILIES
def test_speaking_first_opens_nothing_and_spoils_nothing(world: World, family: int) -> None:
    world.load(INWARD)
    opener, server = world.bound(world.peer, PEER[family], 5000), world.bound(world.dmz, DMZ[family], 4000)
    with world.dropped_by("WG0-FWD", family):
        server.sendto(b"first", opener.getsockname())
    opener.sendto(b"open", server.getsockname())
    assert server.recv(100) == b"open"
    server.sendto(b"reply", opener.getsockname())
    assert opener.recv(100) == b"reply"


@FAMILIES
def test_a_flow_survives_lost_conntrack_state_and_still_only_its_opener_revives_it(world: World, family: int) -> None:
    world.load(INWARD)
    opener, server = world.connected(world.peer, PEER[family], world.listening(world.dmz, DMZ[family]))
    world.forget()
    with world.dropped_by("WG0-FWD", family):
        server.sendall(b"late")
    assert silent(opener)
    opener.sendall(b"more")
    assert server.recv(100) == b"more"
    assert opener.recv(100) == b"late"


@FAMILIES
def test_a_revoked_flow_is_dead_at_once_and_the_granted_one_beside_it_lives(world: World, family: int) -> None:
    world.load(INWARD, OUTWARD)
    revoked = world.connected(world.peer, PEER[family], world.listening(world.dmz, DMZ[family]))
    granted = world.connected(world.dmz, DMZ[family], world.listening(world.peer, PEER[family]))
    assert talks(*revoked)
    world.load(OUTWARD)
    for one in revoked:
        with world.dropped_by("WG0-FWD", family):
            one.sendall(b"still there?")
    assert silent(*revoked)
    assert talks(*granted)


@FAMILIES
def test_only_the_granted_service_passes(world: World, family: int) -> None:
    world.load(("ams.lan", "nyc.dmz", "tcp/7000-7001"))
    for port in (7000, 7001):
        assert talks(*world.connected(world.peer, PEER[family], world.listening(world.dmz, DMZ[family], port)))
    beside = [world.listening(world.dmz, DMZ[family], port) for port in (6999, 7002)]
    for server in beside:
        with world.dropped_by("WG0-FWD", family):
            world.connecting(world.peer, PEER[family], *server.getsockname()[:2])
    datagrams = world.bound(world.dmz, DMZ[family], 7000)
    with world.dropped_by("WG0-FWD", family):
        world.bound(world.peer, PEER[family]).sendto(b"udp", datagrams.getsockname())
    with world.dropped_by("WG0-FWD", family):
        world.ping(world.peer, PEER[family], DMZ[family])
    assert silent(*beside, datagrams)


@FAMILIES
def test_an_error_about_a_granted_flow_reaches_its_opener(world: World, family: int) -> None:
    world.load(("ams.lan", "nyc.virbr0 nyc.dmz", "udp/4000"))
    for address in (VIRBR0[family], DMZ[family]):
        opener = world.bound(world.peer, PEER[family])
        opener.connect((address, 4000))
        opener.send(b"anyone?")
        with pytest.raises(ConnectionRefusedError):
            opener.recv(100)


@FAMILIES
def test_flows_from_the_tunnel_are_masqueraded_where_it_was_asked_for_and_no_others(world: World, family: int) -> None:
    world.load(INWARD)
    exposed, plain = world.bound(world.virbr0, VIRBR0[family], 4000), world.bound(world.dmz, DMZ[family], 4000)
    opener, neighbour = world.bound(world.peer, PEER[family]), world.bound(world.dmz, DMZ[family])
    for sender, receiver, seen in (
        (opener, exposed, VIRBR0_GATEWAY[family]),
        (opener, plain, PEER[family]),
        (neighbour, exposed, DMZ[family]),
    ):
        sender.sendto(b"who?", receiver.getsockname())
        assert receiver.recvfrom(100)[1][0] == seen


@FAMILIES
def test_a_spoofed_source_on_a_lan_is_dropped_before_the_tunnel(world: World, family: int) -> None:
    world.load(("nyc.virbr0", "ams.lan", ""), ("ams.lan", "nyc.virbr0", ""))
    server = world.bound(world.peer, PEER[family], 5000)
    spoofed = {4: "192.168.122.9", 6: "fd22::9"}[family]
    world.dmz.run("ip", "address", "add", spoofed, "dev", "eth0")
    with world.dropped_by("WG0-SRC", family):
        world.bound(world.dmz, spoofed).sendto(b"spoofed", server.getsockname())
    with world.dropped_by("WG0-SRC", family):
        world.bound(world.dmz, DMZ[family]).sendto(b"ungranted", server.getsockname())
    world.bound(world.virbr0, VIRBR0[family]).sendto(b"real", server.getsockname())
    assert server.recv(100) == b"real"
    assert silent(server)


@FAMILIES
def test_a_reply_that_another_lan_forges_is_dropped(world: World, family: int) -> None:
    world.load(INWARD)
    opener, server = world.bound(world.peer, PEER[family], 5000), world.bound(world.dmz, DMZ[family], 4000)
    opener.sendto(b"open", server.getsockname())
    assert server.recv(100) == b"open"
    world.virbr0.run("ip", "address", "add", DMZ[family], "dev", "eth0")
    with world.dropped_by("WG0-SRC", family):
        world.bound(world.virbr0, DMZ[family], 4000).sendto(b"forged", opener.getsockname())
    server.sendto(b"reply", opener.getsockname())
    assert opener.recv(100) == b"reply"


@FAMILIES
def test_a_granted_network_leaves_the_gateway_and_other_networks_closed(world: World, family: int) -> None:
    world.load(("ams.lan", "nyc.virbr0", ""))
    assert world.ping(world.peer, ENDPOINT[family], GATEWAY[family]).recv(100).endswith(b"echo")
    assert world.ping(world.gateway, GATEWAY[family], ENDPOINT[family]).recv(100).endswith(b"echo")
    addresses = (GATEWAY[family], VIRBR0_GATEWAY[family])
    servers = [world.listening(world.gateway, address) for address in addresses]
    for source in (ENDPOINT[family], PEER[family]):
        for address in addresses:
            with world.dropped_by("WG0-IN", family):
                world.connecting(world.peer, source, address)
    with world.dropped_by("WG0-IN", family):
        unanswered = world.ping(world.peer, PEER[family], GATEWAY[family])
    behind = [world.listening(world.dmz, DMZ[family]), world.listening(world.virbr0, VIRBR0[family])]
    for source, destination in ((PEER[family], DMZ[family]), (ENDPOINT[family], VIRBR0[family])):
        with world.dropped_by("WG0-FWD", family):
            world.connecting(world.peer, source, destination)
    assert silent(*servers, unanswered, *behind)


@FAMILIES
def test_a_granted_site_is_its_gateway_in_each_network_and_no_host_behind_it(world: World, family: int) -> None:
    world.load(("ams.lan", "nyc", ""))
    for address in (GATEWAY[family], VIRBR0_GATEWAY[family]):
        assert talks(*world.connected(world.peer, PEER[family], world.listening(world.gateway, address)))
    server = world.listening(world.virbr0, VIRBR0[family])
    with world.dropped_by("WG0-FWD", family):
        world.connecting(world.peer, PEER[family], VIRBR0[family])
    assert silent(server)


@FAMILIES
def test_a_revoked_flow_to_the_gateway_is_dead_at_once(world: World, family: int) -> None:
    world.load(("ams.lan", "nyc", ""))
    opener, server = world.connected(world.peer, PEER[family], world.listening(world.gateway, GATEWAY[family]))
    assert talks(opener, server)
    world.load()
    with world.dropped_by("WG0-IN", family):
        opener.sendall(b"still there?")
    assert silent(server)


@FAMILIES
def test_at_the_source_the_granted_open_and_hear_the_replies_while_the_peer_opens_nothing(
    world: World, family: int
) -> None:
    world.load(("nyc nyc.dmz", "ams.lan", ""))
    server = world.listening(world.peer, PEER[family])
    assert talks(*world.connected(world.dmz, DMZ[family], server))
    assert talks(*world.connected(world.gateway, GATEWAY[family], server))
    with world.dropped_by("WG0-FWD", family):
        world.connecting(world.peer, PEER[family], DMZ[family])
    with world.dropped_by("WG0-IN", family):
        world.connecting(world.peer, PEER[family], GATEWAY[family])
