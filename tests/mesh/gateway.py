"""One gateway in network namespaces, with a peer before it and two LANs behind it, to test rules with real packets.

    beyond the tunnel              the gateway under test                 behind it
    10.99.0.2  10.20.0.7           10.99.0.1  192.168.122.1  ---virbr0--- 192.168.122.5  fd22::5
    fd99::2    fd20::7   ---wg0--- fd99::1    fd22::1
    (a peer and its LAN)                      10.5.0.1  fd05::1  ---dmz-- 10.5.0.5       fd05::5

A veth stands in for the tunnel, so that the far side can send what a good peer would not. Like a tunnel it has no
neighbour discovery, which the rules would drop. Source checks are the rules' alone: the kernel's are switched off.
"""

import ctypes
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

from mesh.firewall import render
from mesh.model import Mesh, SiteName
from mesh.plan import plan
from tests.mesh.meshes import mesh, network, site

ENDPOINT = {4: "10.99.0.2", 6: "fd99::2"}
PEER = {4: "10.20.0.7", 6: "fd20::7"}
GATEWAY = {4: "10.99.0.1", 6: "fd99::1"}
VIRBR0 = {4: "192.168.122.5", 6: "fd22::5"}
VIRBR0_GATEWAY = {4: "192.168.122.1", 6: "fd22::1"}
DMZ = {4: "10.5.0.5", 6: "fd05::5"}

_DEADLINE = 5.0
_NETLINK_NETFILTER = 12  # linux/netlink.h; the socket module has no name for it
_LIBC = ctypes.CDLL(None, use_errno=True)


def granted(*access: tuple[str, str, str]) -> Mesh:
    return mesh(
        site(
            "nyc",
            list(GATEWAY.values()),
            network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True),
            network("dmz", "10.5.0.0/24", "fd05::/64"),
            endpoint="203.0.113.10",
        ),
        site("ams", list(ENDPOINT.values()), network("lan", "10.20.0.0/24", "fd20::/64"), endpoint="198.51.100.20"),
        tunnel=["10.99.0.0/24", "fd99::/64"],
        access=access,
    )


class Namespace:
    """A network namespace that lives as long as this test process: its holder ends when our end of the pipe closes."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"\n"
        self.pid = self._holder.pid

    def close(self) -> None:
        self._holder.communicate()

    def run(self, *command: str, text: str = "") -> str:
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def socket(self, family: int, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        """A socket that stays in this namespace, while the thread goes back to its own."""
        with Path("/proc/thread-self/ns/net").open() as home, Path(f"/proc/{self.pid}/ns/net").open() as here:
            assert _LIBC.setns(here.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            try:
                made = socket.socket(family, kind, protocol)
            finally:
                assert _LIBC.setns(home.fileno(), 0) == 0
        made.settimeout(_DEADLINE)
        return made


def inet(address: str) -> int:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


class World:
    """The picture above; it lasts as long as the stack of contexts that it is given."""

    def __init__(self, stack: ExitStack) -> None:
        self.peer, self.gateway, self.virbr0, self.dmz = (self._namespace(stack) for _ in range(4))
        self._stack = stack
        beyond = ["10.99.0.2/24", "fd99::2/64", "10.20.0.7/24", "fd20::7/64"]
        self._join(self.peer, "wg0", ["10.99.0.1/24", "fd99::1/64"], beyond)
        for namespace, interface in ((self.gateway, "wg0"), (self.peer, "eth0")):
            # Without neighbour discovery each end writes its own address on a packet, so both have the same.
            namespace.run("ip", "link", "set", interface, "address", "02:00:00:00:00:01", "arp", "off")
        self._join(self.virbr0, "virbr0", ["192.168.122.1/24", "fd22::1/64"], ["192.168.122.5/24", "fd22::5/64"])
        self._join(self.dmz, "dmz", ["10.5.0.1/24", "fd05::1/64"], ["10.5.0.5/24", "fd05::5/64"])
        self.gateway.run("ip", "route", "add", "10.20.0.0/24", "dev", "wg0")
        self.gateway.run("ip", "route", "add", "fd20::/64", "dev", "wg0")
        self.gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for program in ("iptables-nft", "ip6tables-nft"):
            self._jumps(program)

    def _namespace(self, stack: ExitStack) -> Namespace:
        made = Namespace()
        stack.callback(made.close)
        made.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        made.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 0", "net.ipv6.conf.default.accept_dad=0")
        made.run("ip", "link", "set", "lo", "up")
        return made

    def _join(self, other: Namespace, name: str, near: Sequence[str], far: Sequence[str]) -> None:
        self.gateway.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(other.pid))
        for namespace, interface, addresses in ((self.gateway, name, near), (other, "eth0", far)):
            namespace.run("ip", "link", "set", interface, "up")
            for address in addresses:
                namespace.run("ip", "address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))
        for address in near:
            gateway = address.partition("/")[0]
            other.run("ip", "route", "add", "default", "via", gateway, "dev", "eth0")

    def _jumps(self, program: str) -> None:
        chains = ":WG0-FWD - [0:0]\n:WG0-IN - [0:0]\n"
        jumps = "-I FORWARD -i wg0 -j WG0-FWD\n-I FORWARD -o wg0 -j WG0-FWD\n-I INPUT -i wg0 -j WG0-IN\n"
        nat = ":WG0-PRE - [0:0]\n:WG0-POST - [0:0]\n-I PREROUTING -i wg0 -j WG0-PRE\n-I POSTROUTING -j WG0-POST\n"
        text = f"*filter\n{chains}{jumps}COMMIT\n*nat\n{nat}COMMIT\n"
        self.gateway.run(f"{program}-restore", "--noflush", text=text)

    def load(self, *access: tuple[str, str, str]) -> None:
        """Replaces the gateway's rules by those of the site nyc under these grants."""
        firewall = plan(granted(*access))[SiteName("nyc")].firewall
        self.gateway.run("iptables-nft-restore", "--noflush", text=render(firewall, 4))
        self.gateway.run("ip6tables-nft-restore", "--noflush", text=render(firewall, 6))

    def drops(self, chain: str, family: int) -> int:
        """How many packets the last rule of the chain has dropped since its rules were loaded."""
        saved = self.gateway.run({4: "iptables-nft-save", 6: "ip6tables-nft-save"}[family], "-c", "-t", "filter")
        (line,) = (line for line in saved.splitlines() if line.endswith(f"-A {chain} -j DROP"))
        return int(line.removeprefix("[").partition(":")[0])

    @contextmanager
    def dropped_by(self, chain: str, family: int) -> Iterator[None]:
        """Ends when the chain's last rule has dropped a packet that was sent meanwhile."""
        before = self.drops(chain, family)
        yield
        until(lambda: self.drops(chain, family) > before, f"{chain} drops a packet")

    def forget(self) -> None:
        """Empties the gateway's conntrack table, as a reboot would (what `conntrack -F` sends)."""
        with self.gateway.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
            # struct nlmsghdr (subsystem ctnetlink, message delete; request and acknowledge) and struct nfgenmsg.
            netlink.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 0x5, 1, 0, socket.AF_UNSPEC, 0, 0))
            assert struct.unpack_from("=IHHIIi", netlink.recv(4096))[5] == 0

    def bound(self, namespace: Namespace, address: str, port: int = 0) -> socket.socket:
        """A UDP socket of that address."""
        made = self._stack.enter_context(namespace.socket(inet(address), socket.SOCK_DGRAM))
        made.bind((address, port))
        return made

    def listening(self, namespace: Namespace, address: str, port: int = 7000) -> socket.socket:
        """A TCP server's socket."""
        made = self._stack.enter_context(namespace.socket(inet(address), socket.SOCK_STREAM))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen()
        return made

    def connecting(self, namespace: Namespace, source: str, to: str, port: int = 7000) -> socket.socket:
        """A TCP socket that has sent its SYN and waits for no answer."""
        made = self._stack.enter_context(namespace.socket(inet(to), socket.SOCK_STREAM))
        made.bind((source, 0))
        made.setblocking(False)
        assert made.connect_ex((to, port)) != 0
        return made

    def connected(
        self, namespace: Namespace, source: str, server: socket.socket
    ) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new TCP connection, the opener's first."""
        client = self.connecting(namespace, source, server.getsockname()[0], server.getsockname()[1])
        accepted, _ = server.accept()
        self._stack.enter_context(accepted)
        for one in (client, accepted):
            one.settimeout(_DEADLINE)
        return client, accepted

    def ping(self, namespace: Namespace, source: str, to: str) -> socket.socket:
        """Sends an echo request; the socket gets the reply and nothing else."""
        protocol, kind = (socket.IPPROTO_ICMP, 8) if inet(to) == socket.AF_INET else (socket.IPPROTO_ICMPV6, 128)
        made = self._stack.enter_context(namespace.socket(inet(to), socket.SOCK_DGRAM, protocol))
        made.bind((source, 0))
        made.sendto(struct.pack("!BBHHH", kind, 0, 0, 0, 1) + b"echo", (to, 0))
        return made
