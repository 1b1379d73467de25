"""Network namespaces for tests of packets: one each, the commands and sockets inside, and links between two."""

import ctypes
import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest

PACKETS = [
    pytest.mark.lab,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("iptables-nft") is None or shutil.which("ip") is None,
        reason="needs root, to make network namespaces of its own, and the programs ip and iptables-nft",
    ),
]
BOTH_FAMILIES = pytest.mark.parametrize("family", [4, 6])

_DEADLINE = 5.0
# linux/in.h and linux/in6.h; the socket module has no names for them.
_IP_MTU_DISCOVER, _IP_MTU, _IPV6_MTU_DISCOVER, _IPV6_MTU, _DISCOVER = 10, 14, 23, 24, 2
_LIBC = ctypes.CDLL(None, use_errno=True)
# Source checks are left to the rules under test, anyone may ping, and new addresses work at once.
_START = """
echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter
echo '0 0' >/proc/sys/net/ipv4/ping_group_range
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
echo
exec cat
"""


def inet(address: str) -> socket.AddressFamily:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def silent(*sockets: socket.socket) -> bool:
    return not select.select(sockets, [], [], 0)[0]


def talks(one: socket.socket, other: socket.socket) -> bool:
    """Whether both ends of a TCP connection hear each other."""
    one.sendall(b"question")
    heard = other.recv(100)
    other.sendall(b"answer")
    return (heard, one.recv(100)) == (b"question", b"answer")


def unheard(connected: socket.socket) -> int:
    """How many bytes the other end of a TCP connection has not acknowledged yet; they may be sent again (tcp(7))."""
    return int.from_bytes(fcntl.ioctl(connected, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def discovering(made: socket.socket, to: str, port: int) -> socket.socket:
    """The UDP socket, connected, and with nothing that it sends cut into fragments."""
    level, name = {
        socket.AF_INET: (socket.IPPROTO_IP, _IP_MTU_DISCOVER),
        socket.AF_INET6: (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER),
    }[inet(to)]
    made.setsockopt(level, name, _DISCOVER)
    made.connect((to, port))
    return made


def path_mtu(connected: socket.socket) -> int:
    """What a connected socket's host knows of the way to the other end, in bytes."""
    if connected.family == socket.AF_INET:
        return connected.getsockopt(socket.IPPROTO_IP, _IP_MTU)
    return connected.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)


class Namespace:
    """A network namespace with its sockets, which lasts as long as the stack of contexts that it is given.

    Its holder ends when our end of the pipe closes, so it does not outlive this test process either.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-ec", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.callback(self._holder.communicate)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"\n"
        self.pid = self._holder.pid
        self._stack = stack

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

    def ip(self, *commands: str) -> None:
        """Runs commands of the program `ip`, each without that word."""
        self.run("ip", "-batch", "-", text="\n".join(commands) + "\n")

    def sysctl(self, *settings: str) -> None:
        self.run("sysctl", "-qw", *settings)

    def link(
        self,
        interface: str,
        addresses: Sequence[str],
        other: "Namespace",
        other_interface: str,
        other_addresses: Sequence[str],
    ) -> None:
        """Joins two namespaces by a cable between these interfaces, with these addresses."""
        self.ip(f"link add {interface} type veth peer name {other_interface} netns {other.pid}")
        for namespace, name, mine in ((self, interface, addresses), (other, other_interface, other_addresses)):
            namespace.ip(f"link set {name} up")
            namespace.own(name, *mine)

    def own(self, interface: str, *addresses: str) -> None:
        """Gives an interface more addresses, which work at once."""
        nodad = {socket.AF_INET: "", socket.AF_INET6: "nodad"}
        self.ip(*(f"address add {each} dev {interface} {nodad[inet(each.partition('/')[0])]}" for each in addresses))

    def open(self, family: int, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        """A socket that stays in this namespace, while the thread goes back to its own."""
        with Path("/proc/thread-self/ns/net").open() as home, Path(f"/proc/{self.pid}/ns/net").open() as here:
            assert _LIBC.setns(here.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            try:
                made = socket.socket(family, kind, protocol)
            finally:
                assert _LIBC.setns(home.fileno(), 0) == 0
        made.settimeout(_DEADLINE)
        return self._stack.enter_context(made)

    def bound(self, address: str, port: int = 0) -> socket.socket:
        """A UDP socket of that address."""
        made = self.open(inet(address), socket.SOCK_DGRAM)
        made.bind((address, port))
        return made

    def listening(self, address: str, port: int = 7000) -> socket.socket:
        """A TCP server's socket."""
        made = self.open(inet(address), socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(100)
        return made

    def connecting(self, source: str, to: str, port: int = 7000, source_port: int = 0) -> socket.socket:
        """A TCP socket that has sent its SYN and waits for no answer."""
        made = self.open(inet(to), socket.SOCK_STREAM)
        made.bind((source, source_port))
        made.setblocking(False)
        assert made.connect_ex((to, port)) != 0
        return made

    def connected(
        self, source: str, server: socket.socket, to: str | None = None, source_port: int = 0
    ) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new TCP connection, the opener's first; `to` is what the opener knows the server as."""
        address, port = server.getsockname()[:2]
        client = self.connecting(source, to or address, port, source_port)
        accepted, _ = server.accept()
        self._stack.enter_context(accepted)
        for one in (client, accepted):
            one.settimeout(_DEADLINE)
        return client, accepted

    def ping(self, source: str, to: str) -> socket.socket:
        """Sends an echo request; the socket gets the reply and nothing else."""
        protocol, kind = (socket.IPPROTO_ICMP, 8) if inet(to) == socket.AF_INET else (socket.IPPROTO_ICMPV6, 128)
        made = self.open(inet(to), socket.SOCK_DGRAM, protocol)
        made.bind((source, 0))
        made.sendto(struct.pack("!BBHHH", kind, 0, 0, 0, 1) + b"echo", (to, 0))
        return made
