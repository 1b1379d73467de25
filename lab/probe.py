"""A stand-alone program that sends probes (lab/answer.py answers them); needs nothing but Python's standard library.

It reads a request as JSON from stdin, and writes the results as JSON to stdout. A request: {"within": seconds, "wait":
seconds, "probes": [{"protocol": "tcp" | "udp" | "icmp", "source": address or null, "target": address, "port": number,
"token": text, "source_port": number}, ...]}. The token, which datagrams and echo requests carry, and the source port
of TCP tell the destination which probe arrives; both may be left out, and a source port needs a source. All probes go
out at once. Each is tried until it is answered or `within` is over; one try takes at most `wait`, and there is at least
one. The results, in the order of the probes: {"state": state, "seen": the source address that the target saw, or null
(always for ICMP), "seconds": of the answered try, "tries": how many}.
States: "answered"; "open" (a program other than lab/answer.py is there, and does not say what it saw); "refused"
(something there said no); "unreachable" (an error came back); "silent" (nothing did); "no source" (this machine does
not have the source address).
"""

import errno
import json
import os
import resource
import selectors
import socket
import struct
import sys
import time
from ipaddress import ip_address
from typing import Any, TypeAlias

Probe: TypeAlias = dict[str, Any]
Answer: TypeAlias = tuple[str, str | None]

# In seconds: between two packets of one try (where the kernel repeats none), two tries, and two looks at what is due.
AGAIN = 0.25
PAUSE = 0.1
STEP = 0.02
STATES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",
    errno.EADDRNOTAVAIL: "no source",
    errno.ETIMEDOUT: "silent",
}


class Socket:
    """Tries of one probe, over a socket of its own. `token` tells what answers it from what answers others."""

    kind = socket.SOCK_STREAM
    errors = STATES

    def __init__(self, selector: selectors.BaseSelector, probe: Probe, token: bytes, number: int) -> None:
        self.selector, self.probe, self.token, self.number = selector, probe, token, number
        self.family = socket.AF_INET6 if ":" in probe["target"] else socket.AF_INET
        self.socket: socket.socket | None = None

    def start(self) -> str | None:
        """Begins a try; a state where it is over at once."""
        self.stop()
        protocol = 0
        if self.kind == socket.SOCK_RAW:
            protocol = socket.IPPROTO_ICMP if self.family == socket.AF_INET else socket.IPPROTO_ICMPV6
        self.socket = socket.socket(self.family, self.kind, protocol)
        self.socket.setblocking(False)
        try:
            if self.probe.get("source"):
                # Probes to several targets may have one source port.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(self.kind == socket.SOCK_STREAM))
                self.socket.bind((self.probe["source"], self.probe.get("source_port", 0)))
            self.socket.connect((self.probe["target"], self.probe["port"]))
        except BlockingIOError:
            pass
        except OSError as error:
            return self.errors.get(error.errno or 0, "unreachable")
        self.selector.register(self.socket, selectors.EVENT_READ, self)
        return self.tick()

    def tick(self) -> str | None:
        """Repeats what the kernel does not; a state where that ends the try."""
        return None

    def ready(self) -> Answer | None:
        """The socket can be read: a state and the address seen, where that ends the try."""
        try:
            return self.understood(self.socket.recv(2048)) if self.socket else None
        except BlockingIOError:
            return None
        except OSError as error:
            return self.errors.get(error.errno or 0, "unreachable"), None

    def understood(self, data: bytes) -> Answer | None:
        """What came, as `ready` gives it."""
        raise NotImplementedError

    def late(self) -> str:
        """The state of a try that had all its time."""
        return "silent"

    def stop(self) -> None:
        """Ends the try."""
        if self.socket is not None:
            if self.socket.fileno() in self.selector.get_map():
                self.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None


class Tcp(Socket):
    """Connects, then reads the address that the other side saw. The kernel sends SYN again."""

    text = b""

    def start(self) -> str | None:
        """Begins a try; a state where it is over at once."""
        self.text = b""
        return super().start()

    def understood(self, data: bytes) -> Answer | None:
        """A line with an address, or what another program said."""
        self.text += data
        return None if data and b"\n" not in self.text else outcome(self.text)

    def late(self) -> str:
        """Some programs wait for the other side to begin."""
        try:
            if self.socket and self.socket.getpeername():
                return "open"
        except OSError:
            pass  # not connected
        return "silent"


class Udp(Socket):
    """Sends the token, and reads it back with the address that the other side saw."""

    kind = socket.SOCK_DGRAM
    last = 0.0

    def start(self) -> str | None:
        """Begins a try; a state where it is over at once."""
        self.last = 0.0
        return super().start()

    def tick(self) -> str | None:
        """Sends another when it is time: one lost packet shall not decide."""
        if self.socket is None or time.monotonic() - self.last < AGAIN:
            return None
        self.last = time.monotonic()
        try:
            self.socket.send(self.packet())
        except BlockingIOError:
            return None
        except OSError as error:
            return self.errors.get(error.errno or 0, "unreachable")
        return None

    def packet(self) -> bytes:
        """What is sent."""
        return self.token

    def understood(self, data: bytes) -> Answer | None:
        """The token and an address, or what another program said."""
        token, _, address = data.partition(b" ")
        return outcome(address) if token == self.token else ("open", None)


class Icmp(Udp):
    """Sends echo requests over a raw socket that gets nothing but what comes from the target itself."""

    kind = socket.SOCK_RAW
    # Only a firewall refuses an echo: no port can be closed.
    errors = STATES | {errno.ECONNREFUSED: "unreachable"}

    def packet(self) -> bytes:
        """An echo request (RFC 792, RFC 4443); the kernel fills in ICMPv6's checksum."""
        kind = 8 if self.family == socket.AF_INET else 128
        body = self.token + bytes(len(self.token) % 2)
        packet = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, self.number & 0xFFFF) + body
        return packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]

    def understood(self, data: bytes) -> Answer | None:
        """An echo reply with the token; everything else that comes is not for this one."""
        reply = 129
        if self.family == socket.AF_INET:
            data, reply = data[(data[0] & 15) * 4 :], 0
        return ("answered", None) if data[:1] == bytes([reply]) and data[8:].rstrip(b"\0") == self.token else None


def outcome(text: bytes) -> Answer:
    """The state and the address seen, by what the other side said of it."""
    try:
        return "answered", str(ip_address(text.decode().strip()))
    except ValueError:
        return "open", None


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071) of a packet of even length."""
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


KINDS: dict[str, type[Socket]] = {"tcp": Tcp, "udp": Udp, "icmp": Icmp}


class Run:
    """All probes of one request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.wait, self.deadline = request["wait"], time.monotonic() + request["within"]
        self.selector = selectors.DefaultSelector()
        self.results: list[Any] = [None] * len(request["probes"])
        self.tries = [0] * len(request["probes"])
        self.running: dict[int, float] = {}  # when the try started
        self.resting = dict.fromkeys(range(len(request["probes"])), 0.0)  # when to try again
        run = os.urandom(8).hex()
        self.senders = [
            KINDS[probe["protocol"]](self.selector, probe, probe.get("token", f"{run}:{number}").encode(), number)
            for number, probe in enumerate(request["probes"])
        ]

    def finish(self, number: int, state: str, seen: str | None = None) -> None:
        """One try is over: the result, or a rest before the next try."""
        started = self.running.pop(number, time.monotonic())
        self.senders[number].stop()
        now = time.monotonic()
        if state not in ("answered", "open") and now < self.deadline:
            self.resting[number] = now + PAUSE
            return
        answered = state == "answered"
        seconds = round(now - started, 4) if answered else None
        self.results[number] = {"state": state, "seen": seen, "seconds": seconds, "tries": self.tries[number]}

    def step(self) -> None:
        """Starts, repeats and gives up what is due."""
        now = time.monotonic()
        for number in [number for number, due in self.resting.items() if due <= now]:
            del self.resting[number]
            self.tries[number] += 1
            self.running[number] = time.monotonic()
            state = self.senders[number].start()
            if state:
                self.finish(number, state)
        for number, started in list(self.running.items()):
            sender = self.senders[number]
            state = sender.late() if now - started >= self.wait else sender.tick()
            if state:
                self.finish(number, state)

    def go(self) -> list[dict[str, Any]]:
        """Runs all to their results."""
        looked = 0.0
        while self.resting or self.running:
            if time.monotonic() - looked >= STEP:
                looked = time.monotonic()
                self.step()
            for key, _ in self.selector.select(STEP):
                ended = key.data.ready()
                if ended:
                    self.finish(key.data.number, *ended)
        self.selector.close()
        return self.results


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    json.dump(Run(json.load(sys.stdin)).go(), sys.stdout)
