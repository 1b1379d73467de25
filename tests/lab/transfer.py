"""A stand-alone program that shows what a path carries: serve|fetch ADDRESS PORT, or push ADDRESS PORT SIZE.

`serve` echoes datagrams, and exchanges much with each TCP client, which is a `fetch`. Both print {"mss": what the other
end's SYN said here, "whole": whether all bytes came as they were sent}. `push` sends a datagram of SIZE bytes, headers
included, that must not be fragmented, until it is echoed or refused, and prints {"echoed": bool, "mtu": the path's, as
this machine knows it, "by": who refused it}.
"""

import json
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

MUCH = bytes(range(251)) * 8000  # 2 MB
DEADLINE = 20.0
# linux/if_packet.h, linux/in.h, linux/in6.h
PACKET_OUTGOING, ETH_P_ALL = 4, 3
IP_MTU, IP_RECVERR, IPV6_MTU, IPV6_RECVERR = 14, 11, 24, 25
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, DO = 10, 23, 2


def segment_size(sniffer: socket.socket, port: int) -> int:
    """The MSS option (RFC 9293) of the last SYN with that port that came in."""
    size = 0
    while select.select([sniffer], [], [], 0)[0]:
        packet, where = sniffer.recvfrom(200)
        for header in tcp_header(packet) if where[2] != PACKET_OUTGOING else ():
            ports = struct.unpack_from("!2H", header)
            if port in ports and header[13] & 2 and header[20:22] == b"\x02\x04":
                (size,) = struct.unpack_from("!H", header, 22)
    return size


def tcp_header(packet: bytes) -> Iterator[bytes]:
    """That of a packet of either IP version, if it is TCP."""
    if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP:
        yield packet[(packet[0] & 15) * 4 :]
    elif packet[0] >> 4 == 6 and packet[6] == socket.IPPROTO_TCP:
        yield packet[40:]


def sniff() -> socket.socket:
    """Everything that comes by the host's only interface, without its link header."""
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    sniffer.bind(("eth0", ETH_P_ALL))
    return sniffer


def exchange(connection: socket.socket) -> bool:
    """Sends and gets much at once; whether all of it came as it was sent."""
    connection.settimeout(DEADLINE)
    sending = threading.Thread(target=connection.sendall, args=(MUCH,))
    sending.start()
    got = b""
    while len(got) < len(MUCH) and (data := connection.recv(1 << 16)):
        got += data
    sending.join()
    return got == MUCH


def serve(address: str, port: int) -> None:
    """Until stdin ends."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with sniff() as sniffer, socket.socket(family, socket.SOCK_STREAM) as server:
        echo = socket.socket(family, socket.SOCK_DGRAM)
        echo.bind((address, port))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        print("ready", flush=True)
        while True:
            ready = select.select([server, echo, sys.stdin], [], [])[0]
            if sys.stdin in ready:
                return
            if echo in ready:
                data, peer = echo.recvfrom(1 << 16)
                echo.sendto(data[:1], peer)
            if server in ready:
                connection, _ = server.accept()
                with connection:
                    print(json.dumps({"whole": exchange(connection), "mss": segment_size(sniffer, port)}), flush=True)


def fetch(address: str, port: int) -> None:
    """The other end of `serve`."""
    with sniff() as sniffer, socket.create_connection((address, port), DEADLINE) as connection:
        print(json.dumps({"whole": exchange(connection), "mss": segment_size(sniffer, port)}))


def push(address: str, port: int, size: int) -> None:
    """As the program's text says."""
    six = ":" in address
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(level, IPV6_MTU_DISCOVER if six else IP_MTU_DISCOVER, DO)
        sender.setsockopt(level, IPV6_RECVERR if six else IP_RECVERR, 1)
        sender.connect((address, port))
        sender.settimeout(0.2)
        echoed, by = False, ""
        end = time.monotonic() + DEADLINE
        while not echoed and not by and time.monotonic() < end:
            try:
                sender.send(bytes(size - (48 if six else 28)))
                echoed = sender.recv(10) == b"\0"
            except TimeoutError:
                pass
            except OSError:
                by = refused_by(sender)
        mtu = sender.getsockopt(level, IPV6_MTU if six else IP_MTU)
        print(json.dumps({"echoed": echoed, "mtu": mtu, "by": by}))


def refused_by(sender: socket.socket) -> str:
    """Who sent the ICMP error (ip(7), IP_RECVERR): the address after struct sock_extended_err."""
    _, found, _, _ = sender.recvmsg(1, 200, socket.MSG_ERRQUEUE)
    for _, _, data in found:
        (family,) = struct.unpack_from("=H", data, 16)
        if family == socket.AF_INET:
            return socket.inet_ntop(family, data[20:24])
        if family == socket.AF_INET6:
            return socket.inet_ntop(family, data[24:40])
    return "this machine itself"


if __name__ == "__main__":
    what, where, *numbers = sys.argv[1:]
    {"serve": serve, "fetch": fetch, "push": push}[what](where, *map(int, numbers))  # type: ignore[operator]
