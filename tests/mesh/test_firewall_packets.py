"""The firewall's rules against real packets: what a grant opens passes, and nothing beside it does.

Each test has fresh namespaces; `tests/mesh/gateway.py` draws them. A packet counts as dropped when the rule that drops
has counted it and it never arrived.
"""

import pytest

from mesh.model import Family
from tests.mesh.gateway import DMZ, DMZ_GATEWAY, ENDPOINT, GATEWAY, PEER, VIRBR0, VIRBR0_GATEWAY, World
from tests.mesh.namespaces import BOTH_FAMILIES, PACKETS, silent, talks

pytestmark = PACKETS

INWARD = ("ams.lan", "nyc.virbr0 nyc.dmz", "")
OUTWARD = ("nyc.virbr0 nyc.dmz", "ams.lan", "")


@BOTH_FAMILIES
def test_a_granted_flow_passes_in_both_directions(world: World, family: Family) -> None:
    world.load(INWARD)
    for behind, address in ((world.virbr0, VIRBR0[family]), (world.dmz, DMZ[family])):
        assert talks(*world.peer.connected(PEER[family], behind.listening(address)))
        assert world.peer.ping(PEER[family], address).recv(100).endswith(b"echo")


@BOTH_FAMILIES
def test_the_reverse_opening_is_dropped(world: World, family: Family) -> None:
    world.load(INWARD)
    server = world.peer.listening(PEER[family])
    for behind, address in ((world.virbr0, VIRBR0[family]), (world.dmz, DMZ[family])):
        with world.gateway.dropped_by("WG0-FWD", family):
            behind.connecting(address, PEER[family])
        with world.gateway.dropped_by("WG0-FWD", family):
            reply = behind.ping(address, PEER[family])
        assert silent(server, reply)
    world.load(INWARD, OUTWARD)
    assert talks(*world.dmz.connected(DMZ[family], server))


@BOTH_FAMILIES
def test_only_the_granted_service_passes(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.dmz", "tcp/7000-7001"))
    for port in (7000, 7001):
        assert talks(*world.peer.connected(PEER[family], world.dmz.listening(DMZ[family], port)))
    beside = [world.dmz.listening(DMZ[family], port) for port in (6999, 7002)]
    for server in beside:
        with world.gateway.dropped_by("WG0-FWD", family):
            world.peer.connecting(PEER[family], *server.getsockname()[:2])
    datagrams = world.dmz.bound(DMZ[family], 7000)
    with world.gateway.dropped_by("WG0-FWD", family):
        world.peer.bound(PEER[family]).sendto(b"udp", datagrams.getsockname())
    with world.gateway.dropped_by("WG0-FWD", family):
        world.peer.ping(PEER[family], DMZ[family])
    assert silent(*beside, datagrams)


@BOTH_FAMILIES
def test_an_error_about_a_granted_flow_reaches_its_opener(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.virbr0 nyc.dmz", "udp/4000"))
    for address in (VIRBR0[family], DMZ[family]):
        opener = world.peer.bound(PEER[family])
        opener.connect((address, 4000))
        opener.send(b"anyone?")
        with pytest.raises(ConnectionRefusedError):
            opener.recv(100)


@BOTH_FAMILIES
def test_a_routers_error_about_a_granted_flow_reaches_its_opener_from_whatever_address_it_has(
    world: World, family: Family
) -> None:
    world.load(("ams.lan", "nyc.dmz", "udp/4000"))
    behind, router = {4: ("10.5.0.200", "192.0.2.80"), 6: ("fd05::200", "2001:db8:80::80")}[family]
    world.gateway.ip(f"route add {behind} via {DMZ[family]}")
    world.dmz.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    world.dmz.own("lo", router)
    world.dmz.ip(f"route replace default via {DMZ_GATEWAY[family]} src {router}", f"route add prohibit {behind}")
    opener = world.peer.bound(PEER[family])
    opener.connect((behind, 4000))
    opener.send(b"anyone?")
    with pytest.raises(OSError, match=r"No route to host|Permission denied"):
        opener.recv(100)
    # What is no error has to come from the LAN.
    with world.gateway.dropped_by("WG0-SRC", family):
        world.dmz.bound(router, 4000).sendto(b"anyone?", opener.getsockname())
    assert silent(opener)


@BOTH_FAMILIES
def test_a_granted_network_leaves_the_gateway_and_other_networks_closed(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc.virbr0", ""))
    assert world.peer.ping(ENDPOINT[family], GATEWAY[family]).recv(100).endswith(b"echo")
    assert world.gateway.ping(GATEWAY[family], ENDPOINT[family]).recv(100).endswith(b"echo")
    addresses = (GATEWAY[family], VIRBR0_GATEWAY[family])
    servers = [world.gateway.listening(address) for address in addresses]
    for source in (ENDPOINT[family], PEER[family]):
        for address in addresses:
            with world.gateway.dropped_by("WG0-IN", family):
                world.peer.connecting(source, address)
    with world.gateway.dropped_by("WG0-IN", family):
        unanswered = world.peer.ping(PEER[family], GATEWAY[family])
    behind = [world.dmz.listening(DMZ[family]), world.virbr0.listening(VIRBR0[family])]
    for source, destination, rule in (
        (PEER[family], DMZ[family], "WG0-DST"),
        (ENDPOINT[family], VIRBR0[family], "WG0-FWD"),
    ):
        with world.gateway.dropped_by(rule, family):
            world.peer.connecting(source, destination)
    assert silent(*servers, unanswered, *behind)


@BOTH_FAMILIES
def test_a_granted_site_is_its_gateway_in_each_network_and_no_host_behind_it(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc", ""))
    for address in (GATEWAY[family], VIRBR0_GATEWAY[family]):
        assert talks(*world.peer.connected(PEER[family], world.gateway.listening(address)))
    server = world.virbr0.listening(VIRBR0[family])
    with world.gateway.dropped_by("WG0-DST", family):
        world.peer.connecting(PEER[family], VIRBR0[family])
    world.load(("ams.lan", "nyc", ""), ("ams.lan", "nyc.virbr0", "tcp/7001"))
    with world.gateway.dropped_by("WG0-FWD", family):
        world.peer.connecting(PEER[family], VIRBR0[family])
    assert silent(server)


@BOTH_FAMILIES
def test_at_the_source_the_granted_open_and_hear_the_replies_while_the_peer_opens_nothing(
    world: World, family: Family
) -> None:
    world.load(("nyc nyc.dmz", "ams.lan", ""))
    server = world.peer.listening(PEER[family])
    assert talks(*world.dmz.connected(DMZ[family], server))
    assert talks(*world.gateway.connected(GATEWAY[family], server))
    with world.gateway.dropped_by("WG0-FWD", family):
        world.peer.connecting(PEER[family], DMZ[family])
    with world.gateway.dropped_by("WG0-IN", family):
        world.peer.connecting(PEER[family], GATEWAY[family])
