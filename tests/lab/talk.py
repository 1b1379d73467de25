"""A stand-alone program that keeps flows going: both ends number what they send, and know what they miss.

It takes orders from stdin, each one line of JSON, answers each by one line of JSON, and ends when stdin does:

    {"listen": [protocol, address, port]}
    {"open": [name, protocol, address, port, speaker]}      who speaks: "client", "server" or "both"
    {"hush": [name, ...]} and {"speak": [name, ...]}        this end of the flow
    {"report": []}      for each flow: "up" (whether the other end was heard), "sent" and "got" (how many numbers),
                        "missing" (how many of those before the last that came), "tried" and "came" (how many packets
                        with data the kernel sent and got, repetitions included), "error" (null, or what went wrong)

A flow's first message, number 0, is the client's; the server answers with another. From then on, they speak.
"""

import contextlib
import fcntl
import json
import selectors
import socket
import struct
import sys
import termios
import time
from typing import Any

# Seconds between two numbers.
PACE = 0.03
# Two late fields of struct tcp_info (linux/tcp.h): how many segments with data came, and how many were sent.
SEGMENTS = struct.Struct("=152x2I")
# Also from there: how long TCP waits at most before it repeats, in ms. Before Linux 6.15, it waits longer and longer.
RTO_MAX_MS, SHORTEST_RTO_MAX = 44, 1000
# How long TCP repeats without an answer before it gives up, in ms: as long as any test.
PATIENCE = 600_000
# How many bytes may wait for an answer before a TCP end falls silent; much less than a socket takes.
MOST_UNANSWERED = 8192


class End:
    """One end of a flow. `peer` is where a UDP server sends to."""

    def __init__(self, name: str, speaker: str, channel: socket.socket, *, client: bool) -> None:
        self.name, self.speaker, self.channel, self.client = name, speaker, channel, client
        self.tcp = channel.type == socket.SOCK_STREAM
        self.speaking = speaker in ("both", "client" if client else "server")
        self.peer: Any = None
        self.up = not client
        self.error: str | None = None
        self.sent = self.highest = 0
        self.got: set[int] = set()

    def say(self, number: int) -> None:
        """Sends one message; a TCP socket always takes all of it."""
        message = f"{self.name} {self.speaker} {number}\n".encode()
        try:
            if self.peer is None:
                self.channel.sendall(message)
            else:
                self.channel.sendto(message, self.peer)
            self.sent = max(self.sent, number)
        except OSError as error:
            self.error = str(error)

    def tick(self) -> None:
        """Says what is to be said now."""
        if self.up and self.speaking:
            if not self.tcp or self.unanswered() < MOST_UNANSWERED:
                self.say(self.sent + 1)
        elif not self.up and not self.tcp:
            self.say(0)  # again and again, since the kernel does not

    def unanswered(self) -> int:
        """How many bytes TCP keeps because the other end has not confirmed them (tcp(7), SIOCOUTQ)."""
        (waiting,) = struct.unpack("i", fcntl.ioctl(self.channel, termios.TIOCOUTQ, bytes(4)))
        return int(waiting)

    def heard(self, number: int) -> None:
        """Takes a message of the other end in."""
        self.up = True
        if number:
            self.got.add(number)
            self.highest = max(self.highest, number)
        elif not self.client:
            self.say(0)

    def report(self) -> dict[str, Any]:
        """As the program's text says."""
        came, tried = len(self.got), self.sent
        if self.tcp:
            came, tried = SEGMENTS.unpack(self.channel.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SEGMENTS.size))
        return {
            "up": self.up,
            "sent": self.sent,
            "got": len(self.got),
            "missing": self.highest - len(self.got),
            "tried": tried,
            "came": came,
            "error": self.error,
        }


class Talk:
    """All flows that begin or end here."""

    def __init__(self) -> None:
        self.ends: dict[str, End] = {}
        self.selector = selectors.DefaultSelector()

    def listen(self, protocol: str, address: str, port: int) -> None:
        """Answers whoever begins a flow to there."""
        server = opened(protocol, address)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if protocol == "tcp":
            server.listen(100)
            self.follow(server, self.accept)
        else:
            self.follow(server, self.take)

    def open(self, name: str, protocol: str, address: str, port: int, speaker: str) -> None:
        """Begins a flow."""
        channel = opened(protocol, address)
        channel.connect_ex((address, port))
        self.ends[name] = End(name, speaker, channel, client=True)
        if protocol == "tcp":
            self.selector.register(channel, selectors.EVENT_WRITE, lambda _: self.connected(name))
        else:
            self.follow(channel, self.take)

    def follow(self, channel: socket.socket, do: Any) -> None:
        """Does that whenever there is something to read."""
        self.selector.register(channel, selectors.EVENT_READ, do)

    def connected(self, name: str) -> None:
        """A TCP client's connection is there, or will never be."""
        end = self.ends[name]
        self.selector.unregister(end.channel)
        failed = end.channel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            end.error = f"no connection, errno {failed}"
            return
        self.follow(end.channel, Lines(self))
        end.say(0)

    def accept(self, server: socket.socket) -> None:
        """A TCP client's connection, whose first line will say what it is."""
        channel, _ = server.accept()
        channel.setblocking(False)
        self.follow(channel, Lines(self))

    def take(self, channel: socket.socket) -> None:
        """A datagram."""
        try:
            message, peer = channel.recvfrom(200)
        except OSError:
            return  # an ICMP error for what was sent before; the numbers tell
        end = self.end(message, channel)
        if not end.client:
            end.peer = peer
        end.heard(int(message.split()[2]))

    def end(self, message: bytes, channel: socket.socket) -> End:
        """The end that a message is for: a new one, where a client says it for the first time."""
        name, speaker, _ = message.decode().split()
        if name not in self.ends:
            self.ends[name] = End(name, speaker, channel, client=False)
        return self.ends[name]

    def obey(self, order: dict[str, Any]) -> Any:
        """Carries out one order; gives the answer."""
        for verb, words in order.items():
            if verb == "listen":
                self.listen(*words)
            elif verb == "open":
                self.open(*words)
            elif verb == "report":
                return {name: end.report() for name, end in self.ends.items()}
            else:
                for name in words:
                    self.ends[name].speaking = verb == "speak"
        return {}

    def go(self) -> None:
        """Talks until the orders end."""
        self.follow(sys.stdin, None)  # type: ignore[arg-type]
        due = time.monotonic()
        while True:
            for key, _ in self.selector.select(max(0.0, due - time.monotonic())):
                if key.data is not None:
                    key.data(key.fileobj)
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                print(json.dumps(self.obey(json.loads(line))), flush=True)
            if time.monotonic() >= due:
                due = time.monotonic() + PACE
                for end in self.ends.values():
                    end.tick()


class Lines:
    """Reads a TCP connection line by line."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.rest = talk, b""

    def __call__(self, channel: socket.socket) -> None:
        try:
            data = channel.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.talk.selector.unregister(channel)  # closed or reset; the numbers tell
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.talk.end(line, channel).heard(int(line.split()[2]))


def opened(protocol: str, address: str) -> socket.socket:
    """A socket for that, which waits for nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    made.setblocking(False)
    if protocol == "tcp":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PATIENCE)
        with contextlib.suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, RTO_MAX_MS, SHORTEST_RTO_MAX)
    return made


if __name__ == "__main__":
    Talk().go()
