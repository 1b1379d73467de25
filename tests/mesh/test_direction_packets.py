"""A grant is a direction: a flow lives and dies with its opener's grant, whoever speaks and whatever was forgotten.

`tests/mesh/gateway.py` draws the world. With an empty list of ports a grant is for everything, so that an answer to a
flow of the one direction could be taken for an opening in the other.
"""

import socket
from collections.abc import Sequence

import pytest

from mesh.model import Family
from tests.mesh.gateway import ANSWER, DMZ, GATEWAY, PEER, VIRBR0, World
from tests.mesh.namespaces import BOTH_FAMILIES, PACKETS, silent, talks, unheard, until

pytestmark = PACKETS

Pair = tuple[socket.socket, socket.socket]

# Of the rule that drops what looks like an answer.
ANY_PORTS = "--sport 0:32767 --dport 32768:65535"
PORTS = "tcp/7000 udp/4000"
BOTH_KINDS = pytest.mark.parametrize("ports", ["", PORTS], ids=["everything", "ports"])


def inward(ports: str = "") -> tuple[str, str, str]:
    return ("ams.lan", "nyc.virbr0 nyc.dmz", ports)


def outward(ports: str = "") -> tuple[str, str, str]:
    return ("nyc.virbr0 nyc.dmz", "ams.lan", ports)


def datagrams(opener: socket.socket, server: socket.socket) -> Pair:
    """Both ends of a UDP flow that has begun, the opener's first."""
    opener.connect(server.getsockname())
    opener.send(b"open")
    heard, source = server.recvfrom(100)
    server.connect(source)
    assert heard == b"open"
    return opener, server


def inward_flows(world: World, family: Family) -> list[Pair]:
    return [
        world.peer.connected(PEER[family], world.dmz.listening(DMZ[family])),
        world.peer.connected(PEER[family], world.virbr0.listening(VIRBR0[family])),
        datagrams(world.peer.bound(PEER[family]), world.dmz.bound(DMZ[family], 4000)),
        datagrams(world.peer.bound(PEER[family]), world.virbr0.bound(VIRBR0[family], 4000)),
    ]


def outward_flows(world: World, family: Family) -> list[Pair]:
    return [
        world.dmz.connected(DMZ[family], world.peer.listening(PEER[family])),
        datagrams(world.dmz.bound(DMZ[family]), world.peer.bound(PEER[family], 4000)),
    ]


def still(world: World, family: Family, rule: str, *speakers: socket.socket) -> None:
    """Each of the ends speaks, and this rule drops it: a packet of its own, not what another end sends again."""
    for speaker in speakers:
        _one_still(world, family, rule, speaker)


def _one_still(world: World, family: Family, rule: str, speaker: socket.socket) -> None:
    gateway = world.gateway
    chain = rule.split(maxsplit=1)[0]
    ports = f"--sport {speaker.getsockname()[1]} --dport {speaker.getpeername()[1]}"
    kind = "tcp" if speaker.type == socket.SOCK_STREAM else "udp"
    # It has no target, so it counts what would meet the next rule, the one that drops.
    counting = rule.replace(ANY_PORTS, ports) if ANY_PORTS in rule else f"{rule} -p {kind} -m {kind} {ports}"
    rules = gateway.run("iptables-nft" if family == 4 else "ip6tables-nft", "-S", chain).splitlines()
    place = rules.index(f"-A {rule} -j DROP")
    gateway.restore(family, f"*filter\n-I {chain} {place} {counting.removeprefix(chain)}\nCOMMIT\n")
    speaker.send(b"still there?")
    until(lambda: gateway.count(counting, family) > 0, f"{rule} drops what came by {ports}")
    gateway.delete(family, "filter", counting)


def picked_up(opener: socket.socket, server: socket.socket) -> bool:
    """Whether the opener's next words bring a flow back, and with it what the server had said meanwhile."""
    opener.sendall(b"more")
    return (server.recv(100), opener.recv(100)) == (b"more", b"still there?")


@BOTH_FAMILIES
def test_speaking_first_opens_nothing_and_spoils_nothing(world: World, family: Family) -> None:
    world.load(inward())
    opener, server = world.peer.bound(PEER[family], 5000), world.dmz.bound(DMZ[family], 4000)
    with world.gateway.dropped_by("WG0-FWD", family):
        server.sendto(b"first", opener.getsockname())
    opener.sendto(b"open", server.getsockname())
    assert server.recv(100) == b"open"
    server.sendto(b"reply", opener.getsockname())
    assert opener.recv(100) == b"reply"


@BOTH_FAMILIES
@BOTH_KINDS
@pytest.mark.parametrize("direction", ["inward", "outward"])
def test_a_revoked_direction_is_dead_at_once_whoever_speaks_first_and_the_other_loses_nothing(
    world: World, family: Family, ports: str, direction: str
) -> None:
    world.load(inward(ports), outward(ports))
    flows = {"inward": inward_flows(world, family), "outward": outward_flows(world, family)}
    grants = {"inward": inward(ports), "outward": outward(ports)}
    revoked = flows.pop(direction)
    del grants[direction]
    world.load(*grants.values())
    for opener, server in revoked:
        still(world, family, "WG0-FWD", server, opener)
    assert silent(*(end for flow in revoked for end in flow))
    assert all(talks(*flow) for each in flows.values() for flow in each)


@BOTH_FAMILIES
@pytest.mark.parametrize("direction", ["inward", "outward"])
def test_a_revoked_direction_stays_dead_when_its_flows_are_forgotten(
    world: World, family: Family, direction: str
) -> None:
    world.load(inward(PORTS), outward(PORTS))
    revoked = {"inward": inward_flows, "outward": outward_flows}[direction](world, family)
    world.load({"inward": outward, "outward": inward}[direction](PORTS))
    for opener, server in revoked:
        world.gateway.forget()
        if opener.getpeername()[0] != VIRBR0[family]:
            # The server of a masqueraded flow answers the gateway itself, which knows of nothing.
            still(world, family, "WG0-FWD", server)
        still(world, family, "WG0-FWD", opener)
    assert silent(*(end for flow in revoked for end in flow))


@BOTH_FAMILIES
@pytest.mark.parametrize("direction", ["inward", "outward"])
def test_an_answer_is_not_taken_for_an_opening_in_the_other_direction(
    world: World, family: Family, direction: str
) -> None:
    world.load(inward(), outward())
    (opener, server), *_ = {"inward": inward_flows, "outward": outward_flows}[direction](world, family)
    world.load({"inward": outward, "outward": inward}[direction]())
    world.gateway.forget()
    still(world, family, "WG0-FWD" + ANSWER, server)
    still(world, family, "WG0-FWD", opener)
    assert silent(opener, server)
    # Without that rule the flow goes on, under the other direction's grant.
    world.gateway.delete(family, "filter", f"WG0-FWD{ANSWER} -j DROP")
    assert opener.recv(100) == b"still there?"
    assert server.recv(100) == b"still there?"


@BOTH_FAMILIES
def test_a_flow_is_its_openers_also_where_both_may_open_everything_and_its_server_spoke_first(
    world: World, family: Family
) -> None:
    world.load(inward(), outward())
    opener, server = world.peer.connected(PEER[family], world.dmz.listening(DMZ[family]))
    world.gateway.forget()
    still(world, family, "WG0-FWD" + ANSWER, server)
    assert picked_up(opener, server)
    world.load(outward())
    still(world, family, "WG0-FWD", server, opener)
    assert silent(opener, server)


@BOTH_FAMILIES
def test_a_server_that_may_send_every_datagram_is_heard_again_when_a_revoked_flow_was_forgotten(
    world: World, family: Family
) -> None:
    """UDP does not tell an answer from an opening: the grant is for everything, and the server's datagram is in it."""
    world.load(inward(), outward())
    opener, server = datagrams(world.peer.bound(PEER[family]), world.dmz.bound(DMZ[family], 4000))
    world.load(outward())
    still(world, family, "WG0-FWD", server, opener)
    world.gateway.forget()
    still(world, family, "WG0-FWD", opener)
    assert silent(opener, server)
    server.send(b"in its own right")
    assert opener.recv(100) == b"in its own right"


@BOTH_FAMILIES
def test_a_flow_survives_lost_conntrack_state_and_still_only_its_opener_revives_it(
    world: World, family: Family
) -> None:
    world.load(inward())
    opener, server = world.peer.connected(PEER[family], world.dmz.listening(DMZ[family]))
    world.gateway.forget()
    still(world, family, "WG0-FWD" + ANSWER, server)
    assert silent(opener)
    assert picked_up(opener, server)


@BOTH_FAMILIES
def test_a_masqueraded_flow_whose_state_was_lost_lives_if_its_opener_speaks_first_and_ends_if_its_server_does(
    world: World, family: Family
) -> None:
    """Its server speaks to the gateway's own address; without the state, the gateway answers with a reset."""
    world.load(inward())
    server = world.virbr0.listening(VIRBR0[family])
    patient, hasty = (world.peer.connected(PEER[family], server) for _ in range(2))
    world.gateway.forget()
    assert talks(*patient)
    hasty[1].sendall(b"late")
    with pytest.raises(ConnectionResetError):
        hasty[1].recv(100)
    assert silent(hasty[0])


@BOTH_FAMILIES
@pytest.mark.parametrize(
    "grants",
    [[inward()], [outward()], [inward(), outward()], [inward(PORTS), outward(PORTS)]],
    ids=["inward", "outward", "both", "ports"],
)
def test_every_live_flow_survives_new_rules_and_lost_state_when_its_opener_speaks(
    world: World, family: Family, grants: Sequence[tuple[str, str, str]]
) -> None:
    """Where the server speaks first instead, its words wait for the opener's next ones, as in the tests above."""
    world.load(*grants)
    flows: list[Pair] = []
    if grants[0][0] == "ams.lan":
        servers = [world.dmz.listening(DMZ[family]), world.virbr0.listening(VIRBR0[family])]
        flows += [world.peer.connected(PEER[family], server) for server in servers for _ in range(15)]
    if grants[-1][1] == "ams.lan":
        server = world.peer.listening(PEER[family])
        flows += [world.dmz.connected(DMZ[family], server) for _ in range(15)]
    world.load(*grants, ("ams.lan", "nyc", "icmp"))
    assert sum(talks(*flow) for flow in flows) == len(flows) >= 15
    until(lambda: not any(unheard(server) for _, server in flows), "the openers have acknowledged what they heard")
    world.gateway.forget()
    assert sum(talks(*flow) for flow in flows) == len(flows)


@BOTH_FAMILIES
def test_a_revoked_flow_to_the_gateway_is_dead_at_once_and_stays_it(world: World, family: Family) -> None:
    world.load(("ams.lan", "nyc", ""), ("nyc", "ams.lan", ""))
    address = GATEWAY[family]
    opener, server = world.peer.connected(PEER[family], world.gateway.listening(address))
    kept = world.gateway.connected(address, world.peer.listening(PEER[family]))
    assert talks(opener, server)
    world.load(("nyc", "ams.lan", ""))
    still(world, family, "WG0-IN", opener)
    world.gateway.forget()
    still(world, family, "WG0-IN", opener)
    assert silent(server)
    assert talks(*kept)
