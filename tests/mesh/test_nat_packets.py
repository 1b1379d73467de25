"""Addresses that change at a gateway: masquerade, and networks that others know by another prefix (NETMAP).

`tests/mesh/gateway.py` draws one gateway. Two gateways whose networks have the same prefixes are here:

    192.168.122.9  ---lan0--- a ---wg0--- b ---lan0---  192.168.122.9
    fd22::9                                             fd22::9
    (10.201.0.9, fd01:201::9)                           (10.202.0.9, fd01:202::9), masqueraded
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mesh.model import Family, Mesh, SiteName
from mesh.plan import plan
from tests.mesh.gateway import DMZ, DMZ_GATEWAY, GATEWAY, PEER, VIRBR0, VIRBR0_GATEWAY, Gateway, World
from tests.mesh.meshes import mesh, network, site
from tests.mesh.namespaces import BOTH_FAMILIES, PACKETS, Namespace, discovering, path_mtu, silent, talks, until

pytestmark = PACKETS

# What others know nyc.dmz as, and its host and its gateway's address there.
ADVERTISED = ("10.205.0.0/24", "fd01:205::/64")
SHOWN: dict[Family, str] = {4: "10.205.0.5", 6: "fd01:205::5"}
SHOWN_GATEWAY: dict[Family, str] = {4: "10.205.0.1", 6: "fd01:205::1"}

LAN = ("192.168.122.0/24", "fd22::/64")
# The same host of both LANs, and what the other site knows it as.
HOST: dict[Family, str] = {4: "192.168.122.9", 6: "fd22::9"}
SECOND: dict[Family, str] = {4: "192.168.122.77", 6: "fd22::77"}
LAN_GATEWAY: dict[Family, str] = {4: "192.168.122.1", 6: "fd22::1"}
A: dict[Family, str] = {4: "10.201.0.9", 6: "fd01:201::9"}
A_SECOND: dict[Family, str] = {4: "10.201.0.77", 6: "fd01:201::77"}
B: dict[Family, str] = {4: "10.202.0.9", 6: "fd01:202::9"}
B_SECOND: dict[Family, str] = {4: "10.202.0.77", 6: "fd01:202::77"}

THERE = ("a.lan", "b.lan", "")
BACK = ("b.lan", "a.lan", "")


def twins(*access: tuple[str, str, str]) -> Mesh:
    return mesh(
        site(
            "a",
            ["10.99.0.1", "fd99::1"],
            network("lan", *LAN, interface="lan0", advertise_as=["10.201.0.0/24", "fd01:201::/64"]),
            endpoint="203.0.113.1",
        ),
        site(
            "b",
            ["10.99.0.2", "fd99::2"],
            network("lan", *LAN, interface="lan0", advertise_as=["10.202.0.0/24", "fd01:202::/64"], masquerade=True),
            endpoint="203.0.113.2",
        ),
        tunnel=["10.99.0.0/24", "fd99::/64"],
        access=access,
    )


class Twins:
    """The two gateways and a host behind each; a cable stands in for the tunnel."""

    def __init__(self, stack: ExitStack) -> None:
        self.a, self.b = Gateway(stack), Gateway(stack)
        self.behind_a, self.behind_b = Namespace(stack), Namespace(stack)
        self.a.link("wg0", ["10.99.0.1/24", "fd99::1/64"], self.b, "wg0", ["10.99.0.2/24", "fd99::2/64"])
        for gateway, host in ((self.a, self.behind_a), (self.b, self.behind_b)):
            # Without neighbour discovery each end writes its own address on a packet, so both have the same.
            gateway.ip("link set wg0 address 02:00:00:00:00:01 arp off")
            hosts = ["192.168.122.9/24", "fd22::9/64", "192.168.122.77/24", "fd22::77/64"]
            gateway.link("lan0", ["192.168.122.1/24", "fd22::1/64"], host, "eth0", hosts)
            host.ip("route add default via 192.168.122.1", "route add default via fd22::1")
        self.a.ip("route add 10.202.0.0/24 dev wg0", "route add fd01:202::/64 dev wg0")
        self.b.ip("route add 10.201.0.0/24 dev wg0", "route add fd01:201::/64 dev wg0")

    def load(self, *access: tuple[str, str, str]) -> None:
        plans = plan(twins(*access))
        self.a.load(plans[SiteName("a")].firewall)
        self.b.load(plans[SiteName("b")].firewall)


@pytest.fixture
def pair() -> Iterator[Twins]:
    with ExitStack() as stack:
        yield Twins(stack)


def refused(namespace: Namespace, source: str, to: str) -> bool:
    """Whether a datagram for a port where nobody is comes back as an ICMP error."""
    opener = namespace.bound(source)
    opener.connect((to, 4999))
    opener.send(b"anyone?")
    try:
        opener.recv(100)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


@BOTH_FAMILIES
def test_flows_from_the_tunnel_are_masqueraded_where_it_was_asked_for_and_no_others(
    world: World, family: Family
) -> None:
    world.load(("ams.lan", "nyc.virbr0 nyc.dmz", ""))
    exposed, plain = world.virbr0.bound(VIRBR0[family], 4000), world.dmz.bound(DMZ[family], 4000)
    opener, neighbour = world.peer.bound(PEER[family]), world.dmz.bound(DMZ[family])
    for sender, receiver, seen in (
        (opener, exposed, VIRBR0_GATEWAY[family]),
        (opener, plain, PEER[family]),
        (neighbour, exposed, DMZ[family]),
    ):
        sender.sendto(b"who?", receiver.getsockname())
        assert receiver.recvfrom(100)[1][0] == seen


@BOTH_FAMILIES
@pytest.mark.parametrize("advertise_as", [(), ADVERTISED], ids=["as it is", "advertised"])
def test_the_hosts_own_masquerade_does_not_touch_what_enters_the_tunnel(
    world: World, family: Family, advertise_as: tuple[str, ...]
) -> None:
    world.load(("nyc.dmz", "ams.lan", ""), advertise_as=advertise_as)
    lan = {4: "10.5.0.0/24", 6: "fd05::/64"}[family]
    # As libvirt has it for its networks.
    world.gateway.append(family, "nat", f"POSTROUTING -s {lan} ! -d {lan} -j MASQUERADE")
    opener, server = world.dmz.bound(DMZ[family]), world.peer.bound(PEER[family], 4000)
    opener.sendto(b"who?", server.getsockname())
    assert server.recvfrom(100)[1][0] == (SHOWN if advertise_as else DMZ)[family]
    opener.sendto(b"who?", (VIRBR0[family], 4000))
    if advertise_as:
        world.gateway.delete(family, "nat", f"WG0-POST -s {lan} -o wg0 -j NETMAP --to {ADVERTISED[family == 6]}")
    world.gateway.delete(family, "nat", "WG0-POST -o wg0 -j ACCEPT")
    world.dmz.bound(DMZ[family]).sendto(b"who?", server.getsockname())
    assert server.recvfrom(100)[1][0] == GATEWAY[family]


@BOTH_FAMILIES
def test_a_network_is_reached_by_the_prefix_that_it_is_advertised_as_and_not_by_its_own(
    world: World, family: Family
) -> None:
    world.load(("ams.lan", "nyc.dmz", ""), advertise_as=ADVERTISED)
    server = world.dmz.listening(DMZ[family])
    assert talks(*world.peer.connected(PEER[family], server, to=SHOWN[family]))
    assert world.peer.ping(PEER[family], SHOWN[family]).recv(100).endswith(b"echo")
    assert refused(world.peer, PEER[family], SHOWN[family])
    with world.gateway.dropped_by("WG0-FWD", family):
        world.peer.connecting(PEER[family], DMZ[family])
    with world.gateway.dropped_by("WG0-FWD", family):
        world.dmz.connecting(DMZ[family], PEER[family])
    for address in (SHOWN_GATEWAY[family], DMZ_GATEWAY[family]):
        with world.gateway.dropped_by("WG0-IN", family):
            world.peer.connecting(PEER[family], address)
    assert silent(server)


@BOTH_FAMILIES
def test_a_site_is_reached_at_its_lan_address_as_that_is_advertised(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc", ""), advertise_as=ADVERTISED)
    server = world.gateway.listening(DMZ_GATEWAY[family])
    assert talks(*world.peer.connected(PEER[family], server, to=SHOWN_GATEWAY[family]))
    assert world.peer.ping(PEER[family], SHOWN_GATEWAY[family]).recv(100).endswith(b"echo")
    assert refused(world.peer, PEER[family], SHOWN_GATEWAY[family])
    behind = world.dmz.listening(DMZ[family])
    with world.gateway.dropped_by("WG0-IN", family):
        world.peer.connecting(PEER[family], DMZ_GATEWAY[family])
    with world.gateway.dropped_by("WG0-DST", family):
        world.peer.connecting(PEER[family], SHOWN[family])
    assert silent(server, behind)


@BOTH_FAMILIES
def test_two_sites_with_the_same_lan_reach_each_others_hosts_one_to_one(pair: Twins, family: Family) -> None:
    pair.load(THERE, BACK)
    for near, far in ((pair.behind_a, pair.behind_b), (pair.behind_b, pair.behind_a)):
        from_a = near is pair.behind_a
        for host, there, seen in (
            (HOST[family], (B if from_a else A)[family], B[family]),
            (SECOND[family], (B_SECOND if from_a else A_SECOND)[family], B_SECOND[family]),
        ):
            server = far.listening(host)
            opener, accepted = near.connected(host, server, to=there)
            assert opener.getpeername()[0] == there
            # b masquerades what comes to it; what goes out of it has its own host's place in the prefix.
            assert accepted.getpeername()[0] == (LAN_GATEWAY[family] if from_a else seen)
            assert talks(opener, accepted)
            assert near.ping(host, there).recv(100).endswith(b"echo")
            assert refused(near, host, there)


@BOTH_FAMILIES
def test_two_sites_with_the_same_lan_have_directions_too(pair: Twins, family: Family) -> None:
    pair.load(THERE, BACK)
    there = pair.behind_a.connected(HOST[family], pair.behind_b.listening(HOST[family]), to=B[family])
    back = pair.behind_b.connected(HOST[family], pair.behind_a.listening(HOST[family]), to=A[family])
    assert talks(*there)
    pair.load(THERE)
    for gateway, end in ((pair.b, back[0]), (pair.a, back[1])):
        with gateway.dropped_by("WG0-FWD", family):
            end.sendall(b"still there?")
    with pair.b.dropped_by("WG0-FWD", family):
        pair.behind_b.connecting(HOST[family], A[family])
    assert silent(*back)
    assert talks(*there)


@BOTH_FAMILIES
def test_a_flow_between_the_same_lans_survives_lost_state_at_both_gateways(pair: Twins, family: Family) -> None:
    pair.load(THERE, BACK)
    there = pair.behind_a.connected(HOST[family], pair.behind_b.listening(HOST[family]), to=B[family])
    back = pair.behind_b.connected(HOST[family], pair.behind_a.listening(HOST[family]), to=A[family])
    for gateway in (pair.a, pair.b):
        gateway.forget()
    assert talks(*there)
    assert talks(*back)


@BOTH_FAMILIES
def test_a_router_behind_the_other_gateway_can_say_that_a_datagram_is_too_large(pair: Twins, family: Family) -> None:
    pair.load(THERE)
    pair.b.ip("link set lan0 mtu 1300")
    opener = discovering(pair.behind_a.bound(HOST[family]), B[family], 4000)
    opener.send(bytes(1400))
    until(lambda: path_mtu(opener) == 1300, "the opener learns what b's LAN carries")
