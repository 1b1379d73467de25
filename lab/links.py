"""The ip(8) commands that make a topology: one list for each machine, as data. Pure."""

from collections.abc import Iterator, Mapping

from lab.topology import ROUTER, IPInterface, LanHost, Machine, Topology
from mesh.model import IPAddress


def internet(topology: Topology, pids: Mapping[str, int]) -> Iterator[str]:
    """For the isolated internet: a point-to-point link to every machine and the operator, and a route to each address.

    `pids` gives for each role the process that holds its network namespace. No link leads anywhere else.
    """
    yield "link set lo up"
    ends = [(machine.role, machine.uplink, (*machine.addresses, *machine.inside)) for machine in topology.machines]
    for number, (role, uplink, addresses) in enumerate([*ends, ("operator", "eth0", topology.operator)]):
        port = f"port{number}"
        yield f"link add name {port} type veth peer name {uplink} netns {pids[role]}"
        yield from (_own(router, port) for router in ROUTER)
        yield f"link set {port} up"
        yield from (f"route add {_prefix(address)} dev {port}" for address in addresses)


def uplink(interface: str, addresses: tuple[IPAddress, ...]) -> Iterator[str]:
    """For a machine or the operator: its own addresses on the link to the internet, and the default routes over it."""
    yield "link set lo up"
    yield from (_own(address, interface) for address in addresses)
    yield f"link set {interface} up"
    for router in ROUTER:
        if any(address.version == router.version for address in addresses):
            yield f"route add default via {router} dev {interface} onlink"


def bridges(machine: Machine, hosts: tuple[LanHost, ...], pids: Mapping[str, int]) -> Iterator[str]:
    """For a gateway: its bridges, and a link from each to the hosts behind it. `hosts` are this gateway's."""
    for bridge in machine.bridges:
        yield f"link add name {bridge.name} type bridge stp_state 0 mcast_snooping 0"
        yield from (f"addr add {address} dev {bridge.name}{_nodad(address)}" for address in bridge.addresses)
        yield f"link set {bridge.name} up"
    for host in hosts:
        yield f"link add name {host.port} type veth peer name eth0 netns {pids[host.role]}"
        yield f"link set {host.port} master {host.bridge} up"
        for address in host.addresses:
            if address.network.num_addresses == 1:
                yield f"route add {address} dev {host.bridge}"


def lan_host(host: LanHost) -> Iterator[str]:
    """For a host behind a gateway: its addresses, and default routes by way of the gateway."""
    yield "link set lo up"
    yield from (f"addr add {address} dev eth0{_nodad(address)}" for address in host.addresses)
    yield "link set eth0 up"
    yield from (f"route add default via {router} dev eth0 onlink" for router in host.routers)


def _own(address: IPAddress, interface: str) -> str:
    return f"addr add {_prefix(address)} dev {interface}{_nodad(address)}"


def _prefix(address: IPAddress) -> str:
    return f"{address}/{address.max_prefixlen}"


def _nodad(address: IPAddress | IPInterface) -> str:
    """Duplicate address detection would keep an IPv6 address unusable for a second."""
    return " nodad" if address.version == 6 else ""
