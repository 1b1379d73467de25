"""A stand-alone program that answers probes (lab/probe.py); needs nothing but Python's standard library.

It reads one line of JSON from stdin, [[protocol, address, port], ...], the protocol "tcp" or "udp", says "ready" when
all of them are open, and ends when stdin does. To TCP it answers with a line that holds the source address that it saw;
to UDP with what it got, a space and that address. A port that another program has is left to it, and an address that
this machine does not have is left out.

At its end it writes as JSON what arrived at this machine, whether or not the answer got back, as a list of texts: the
content of UDP datagrams and ICMP echo requests that begins with "probe:", and "tcp4 SOURCE-PORT PORT" (tcp6) for TCP's
SYNs. It reads them from raw sockets (raw(7)), which get what is for this machine itself and passed its INPUT rules.
"""

import errno
import json
import resource
import selectors
import socket
import struct
import sys
from typing import TextIO

# socket(7); the module socket does not have it. A probe that does not fit into the buffer would count as blocked.
SO_RCVBUFFORCE = 33
BUFFER = 16 << 20
RAW = (
    (socket.AF_INET, socket.IPPROTO_TCP),
    (socket.AF_INET, socket.IPPROTO_UDP),
    (socket.AF_INET, socket.IPPROTO_ICMP),
    (socket.AF_INET6, socket.IPPROTO_TCP),
    (socket.AF_INET6, socket.IPPROTO_UDP),
    (socket.AF_INET6, socket.IPPROTO_ICMPV6),
)
ECHO_REQUEST = {socket.IPPROTO_ICMP: 8, socket.IPPROTO_ICMPV6: 128}
MARK = b"probe:"
NOT_OURS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)


def opened(protocol: str, address: str, port: int) -> socket.socket:
    """A socket that gets what is sent to there. Raises OSError where it cannot be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    tcp = protocol == "tcp"
    found = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    try:
        found.setblocking(False)
        if tcp:
            # Connections of an earlier run may still be on their way out.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address, port))
        if tcp:
            found.listen(1024)
    except BaseException:
        found.close()
        raise
    return found


def answer(server: socket.socket) -> None:
    """Answers the next one who asks."""
    try:
        if server.type == socket.SOCK_DGRAM:
            question, peer = server.recvfrom(200)
            server.sendto(question + b" " + peer[0].encode(), peer)
            return
        client, peer = server.accept()
        with client:
            client.settimeout(1)
            client.sendall(f"{peer[0]}\n".encode())
    except OSError:
        pass  # whoever asked is gone


def witness(family: int, protocol: int) -> socket.socket:
    """A socket that gets a copy of every packet of that protocol that arrives. Only root may have it."""
    found = socket.socket(family, socket.SOCK_RAW, protocol)
    found.setblocking(False)
    found.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    return found


def note(raw: socket.socket, arrived: set[str]) -> None:
    """Adds what has come to such a socket."""
    while True:
        try:
            packet = raw.recv(2048)
        except BlockingIOError:
            return
        if raw.family == socket.AF_INET:
            packet = packet[(packet[0] & 15) * 4 :]
        text = marked(packet, raw.proto)
        if text:
            arrived.add(f"tcp{4 if raw.family == socket.AF_INET else 6} {text}" if raw.proto == 6 else text)


def marked(packet: bytes, protocol: int) -> str | None:
    """What tells a probe from others, from the transport header on: the two ports of a SYN, otherwise the content."""
    if len(packet) < (14 if protocol == socket.IPPROTO_TCP else 8):
        return None  # raw sockets get what is malformed, too
    if protocol == socket.IPPROTO_TCP:
        source, port = struct.unpack("!HH", packet[:4])
        return f"{source} {port}" if packet[13] & 0x12 == 0x02 else None  # SYN, not ACK
    if packet[0] != ECHO_REQUEST.get(protocol, packet[0]) or not packet[8:].startswith(MARK):
        return None
    return packet[8:].rstrip(b"\0").decode(errors="replace")


def serve(wanted: list[tuple[str, str, int]], end: TextIO) -> set[str]:
    """Answers at all places until `end` can be read, and gives what arrived (see above)."""
    arrived: set[str] = set()
    witnesses = [witness(*each) for each in RAW]
    with selectors.DefaultSelector() as selector:
        selector.register(end, selectors.EVENT_READ)
        for raw in witnesses:
            selector.register(raw, selectors.EVENT_READ)
        for protocol, address, port in wanted:
            try:
                selector.register(opened(protocol, address, port), selectors.EVENT_READ)
            except OSError as error:
                if error.errno not in NOT_OURS:
                    raise
        print("ready", flush=True)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            for found in ready:
                if found in witnesses:
                    note(found, arrived)
                elif isinstance(found, socket.socket):
                    answer(found)
            if end in ready:
                return arrived


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    json.dump(sorted(serve(json.loads(sys.stdin.readline()), sys.stdin)), sys.stdout)
