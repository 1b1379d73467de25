"""One gateway in network namespaces, with all its neighbours, to test the firewall's rules with real packets.

    beyond the tunnel              the gateway under test                  behind it
    10.99.0.2  10.20.0.7           10.99.0.1  192.168.122.1  ---virbr0---  192.168.122.5  fd22::5
    fd99::2    fd20::7   ---wg0--- fd99::1    fd22::1
    (a peer and its LAN)           203.0.113.10  10.5.0.1    ---dmz------  10.5.0.5       fd05::5
                                   2001:db8::10  fd05::1
                                        |wan
                                   203.0.113.66  2001:db8::66
                                   (a neighbour, and the way to all other addresses)

A veth stands in for the tunnel, so that the far side can send what a good peer would not. Like a tunnel it has no
neighbour discovery, which the rules would drop. The gateway forwards everything and drops nothing by itself: what stops
packets are the rules alone.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mesh.firewall import render
from mesh.model import Family, Mesh, SiteName
from mesh.plan import FirewallPlan, plan
from tests.mesh.meshes import mesh, network, site
from tests.mesh.namespaces import Namespace, until

ENDPOINT: dict[Family, str] = {4: "10.99.0.2", 6: "fd99::2"}
PEER: dict[Family, str] = {4: "10.20.0.7", 6: "fd20::7"}
GATEWAY: dict[Family, str] = {4: "10.99.0.1", 6: "fd99::1"}
VIRBR0: dict[Family, str] = {4: "192.168.122.5", 6: "fd22::5"}
VIRBR0_GATEWAY: dict[Family, str] = {4: "192.168.122.1", 6: "fd22::1"}
DMZ: dict[Family, str] = {4: "10.5.0.5", 6: "fd05::5"}
DMZ_GATEWAY: dict[Family, str] = {4: "10.5.0.1", 6: "fd05::1"}
WAN_GATEWAY: dict[Family, str] = {4: "203.0.113.10", 6: "2001:db8::10"}
NEIGHBOUR: dict[Family, str] = {4: "203.0.113.66", 6: "2001:db8::66"}

# The rule that drops what looks like the answer to a flow that nobody may open.
ANSWER = (
    " -p tcp -m conntrack --ctstate NEW -m tcp --sport 0:32767 --dport 32768:65535 ! --tcp-flags FIN,SYN,RST,ACK SYN"
)

_PROGRAMS: dict[Family, str] = {4: "iptables-nft", 6: "ip6tables-nft"}
# Every chain that is jumped to, by its table: where the jump is, in the order in which they are.
_JUMPS = {
    "raw": ["PREROUTING ! -i wg0 -j WG0-RAW"],
    "mangle": ["FORWARD -i wg0 -j WG0-MSS", "FORWARD -o wg0 -j WG0-MSS"],
    "nat": ["PREROUTING -i wg0 -j WG0-PRE", "POSTROUTING -j WG0-POST"],
    "filter": [
        "FORWARD -i wg0 -j WG0-FWD",
        "FORWARD -o wg0 -j WG0-FWD",
        "INPUT -i wg0 -j WG0-IN",
        "INPUT ! -i wg0 -j WG0-PORT",
    ],
}
_NETLINK_NETFILTER = 12  # linux/netlink.h; the socket module has no name for it


def granted(*access: tuple[str, str, str], advertise_as: Sequence[str] = ()) -> Mesh:
    """The mesh of the picture; `advertise_as` is what others know nyc.dmz as."""
    return mesh(
        site(
            "nyc",
            list(GATEWAY.values()),
            network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True),
            network("dmz", "10.5.0.0/24", "fd05::/64", advertise_as=advertise_as),
            endpoint="203.0.113.10",
        ),
        site("ams", list(ENDPOINT.values()), network("lan", "10.20.0.0/24", "fd20::/64"), endpoint="198.51.100.20"),
        tunnel=["10.99.0.0/24", "fd99::/64"],
        access=access,
    )


class Gateway(Namespace):
    """A namespace that forwards between its interfaces, with our jumps in place and no rule behind them yet."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        text = "".join(
            f"*{table}\n"
            + "".join(f":{chain} - [0:0]\n" for chain in dict.fromkeys(jump.split()[-1] for jump in jumps))
            + "".join(f"-A {jump}\n" for jump in jumps)
            + "COMMIT\n"
            for table, jumps in _JUMPS.items()
        )
        for family in _PROGRAMS:
            self.restore(family, text)

    def restore(self, family: Family, text: str) -> None:
        """Loads rules beside those that are there."""
        self.run(f"{_PROGRAMS[family]}-restore", "--noflush", text=text)

    def load(self, firewall: FirewallPlan) -> None:
        """Replaces our chains by those of this plan."""
        for family in _PROGRAMS:
            self.restore(family, render(firewall, family))

    def append(self, family: Family, table: str, rule: str) -> None:
        """Adds a rule of the host's own: `INPUT -p tcp -j ACCEPT`."""
        self.run(_PROGRAMS[family], "-t", table, "-A", *rule.split())

    def delete(self, family: Family, table: str, rule: str) -> None:
        """Takes one rule away, to see what it is there for: `WG0-FWD -j DROP`."""
        self.run(_PROGRAMS[family], "-t", table, "-D", *rule.split())

    def count(self, rule: str, family: Family) -> int:
        """How many packets have met this rule since it was loaded: `WG0-FWD -j DROP`."""
        saved = self.run(f"{_PROGRAMS[family]}-save", "-c")
        (line,) = (line for line in saved.splitlines() if line.endswith(f"-A {rule}"))
        return int(line.removeprefix("[").partition(":")[0])

    @contextmanager
    def dropped_by(self, rule: str, family: Family) -> Iterator[None]:
        """Ends when this rule, given without its `-j DROP`, has dropped a packet that was sent meanwhile."""
        rule = f"{rule} -j DROP"
        before = self.count(rule, family)
        yield
        until(lambda: self.count(rule, family) > before, f"{rule} drops a packet")

    def flows(self) -> list[str]:
        """What conntrack knows, a line for each flow."""
        return Path(f"/proc/{self.pid}/net/nf_conntrack").read_text().splitlines()

    def forget(self) -> None:
        """Empties the conntrack table, as a reboot would (what `conntrack -F` sends)."""
        with self.open(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
            # struct nlmsghdr (subsystem ctnetlink, message delete; request and acknowledge) and struct nfgenmsg.
            netlink.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 0x5, 1, 0, socket.AF_UNSPEC, 0, 0))
            assert struct.unpack_from("=IHHIIi", netlink.recv(4096))[5] == 0


class World:
    """The picture above; it lasts as long as the stack of contexts that it is given."""

    def __init__(self, stack: ExitStack) -> None:
        self.gateway = Gateway(stack)
        self.peer, self.virbr0, self.dmz, self.neighbour = (Namespace(stack) for _ in range(4))
        beyond = ["10.99.0.2/24", "fd99::2/64", "10.20.0.7/24", "fd20::7/64"]
        self.gateway.link("wg0", ["10.99.0.1/24", "fd99::1/64"], self.peer, "eth0", beyond)
        for namespace, interface in ((self.gateway, "wg0"), (self.peer, "eth0")):
            # Without neighbour discovery each end writes its own address on a packet, so both have the same.
            namespace.ip(f"link set {interface} address 02:00:00:00:00:01 arp off")
        self._network("virbr0", self.virbr0, VIRBR0_GATEWAY, VIRBR0)
        self._network("dmz", self.dmz, DMZ_GATEWAY, DMZ)
        self._network("wan", self.neighbour, WAN_GATEWAY, NEIGHBOUR)
        self.gateway.ip("route add 10.20.0.0/24 dev wg0", "route add fd20::/64 dev wg0")
        for namespace, way in ((self.peer, GATEWAY), (self.gateway, NEIGHBOUR)):
            namespace.ip(*(f"route add default via {address}" for address in way.values()))

    def _network(self, interface: str, other: Namespace, near: dict[Family, str], far: dict[Family, str]) -> None:
        lengths = {4: "/24", 6: "/64"}
        self.gateway.link(
            interface,
            [near[family] + lengths[family] for family in near],
            other,
            "eth0",
            [far[family] + lengths[family] for family in far],
        )
        other.ip(*(f"route add default via {address}" for address in near.values()))

    def load(self, *access: tuple[str, str, str], advertise_as: Sequence[str] = ()) -> None:
        """Replaces the gateway's rules by those of the site nyc under these grants."""
        self.gateway.load(plan(granted(*access, advertise_as=advertise_as))[SiteName("nyc")].firewall)
