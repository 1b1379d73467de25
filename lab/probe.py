"""A stand-alone program that sends probes, or answers them; needs nothing but Python's standard library.

    probe.py listen PORT...     answers TCP on each port with the address that it saw, from the background
    probe.py send               reads a request as JSON from stdin, writes the results as JSON to stdout

A request: {"within": seconds, "wait": seconds, "probes": [{"protocol": "tcp" | "icmp", "source": address or null,
"target": address, "port": number}, ...]}. All probes go out at once. Each is tried until it is answered or `within`
is over; one try takes at most `wait`, and there is at least one. The results, in the order of the probes:
{"state": state, "seen": the source address that the target saw (TCP) or null, "seconds": of the answered try,
"tries": how many}.
States: "answered"; "refused" (something there said no); "unreachable" (an error came back); "silent" (nothing did);
"no source" (this machine does not have the source address).
"""

import errno
import json
import os
import selectors
import socket
import struct
import sys
import time
from typing import Any, TypeAlias

Probe: TypeAlias = dict[str, Any]

ECHO_EVERY = 0.25
PAUSE = 0.1
STATES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",
    errno.EADDRNOTAVAIL: "no source",
    errno.ETIMEDOUT: "silent",
}


def family_of(address: str) -> socket.AddressFamily:
    """The socket family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Tcp:
    """Tries of one TCP probe: connect, then read the address that the other side saw."""

    def __init__(self, selector: selectors.BaseSelector, probe: Probe, number: int) -> None:
        self.selector, self.probe, self.number = selector, probe, number
        self.socket: socket.socket | None = None
        self.text = b""

    def start(self) -> str | None:
        """Begins a try; a state where it is over at once."""
        self.text = b""
        self.socket = socket.socket(family_of(self.probe["target"]), socket.SOCK_STREAM)
        self.socket.setblocking(False)
        try:
            if self.probe.get("source"):
                self.socket.bind((self.probe["source"], 0))
            self.socket.connect((self.probe["target"], self.probe["port"]))
        except BlockingIOError:
            pass
        except OSError as error:
            self.stop()
            return STATES.get(error.errno or 0, "unreachable")
        self.selector.register(self.socket, selectors.EVENT_READ, self)
        return None

    def ready(self) -> tuple[str, str | None] | None:
        """The socket can be read: a state and the address seen, where that ends the try."""
        try:
            data = self.socket.recv(200) if self.socket else b""
        except BlockingIOError:
            return None
        except OSError as error:
            return STATES.get(error.errno or 0, "unreachable"), None
        self.text += data
        if b"\n" in self.text:
            return "answered", self.text.decode().strip()
        return None if data else ("refused", None)

    def tick(self) -> str | None:
        """Nothing to repeat: the kernel sends SYN again."""
        return None

    def stop(self) -> None:
        """Ends the try."""
        if self.socket is not None:
            if self.socket.fileno() in self.selector.get_map():
                self.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None


class Icmp:
    """Tries of one ICMP echo probe. Its number tells its answers from those to others."""

    def __init__(self, sockets: "IcmpSockets", probe: Probe, number: int) -> None:
        self.sockets, self.probe, self.number = sockets, probe, number
        self.last = 0.0

    def start(self) -> str | None:
        """Sends the first echo request of a try; a state where it is over at once."""
        self.last = 0.0
        return self.tick()

    def tick(self) -> str | None:
        """Sends another when it is time: one lost packet shall not decide."""
        if time.monotonic() - self.last < ECHO_EVERY:
            return None
        self.last = time.monotonic()
        try:
            self.sockets.send(self.probe, self.number)
        except BlockingIOError:
            return None
        except OSError as error:
            return STATES.get(error.errno or 0, "unreachable")
        return None

    def stop(self) -> None:
        """Nothing to let go of: the sockets are everybody's."""


class IcmpSockets:
    """One raw socket for each source address."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.selector = selector
        self.sockets: dict[tuple[int, str | None], socket.socket] = {}
        self.identity = os.getpid() & 0xFFFF
        self.token = os.urandom(8)
        self.waiting: dict[int, Probe] = {}

    def send(self, probe: Probe, number: int) -> None:
        """Sends one echo request. Raises OSError as the kernel does."""
        target, source = probe["target"], probe.get("source")
        family = family_of(target)
        if (family, source) not in self.sockets:
            protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
            raw = socket.socket(family, socket.SOCK_RAW, protocol)
            try:
                raw.setblocking(False)
                if source:
                    raw.bind((source, 0))
            except OSError:
                raw.close()
                raise
            self.sockets[family, source] = raw
            self.selector.register(raw, selectors.EVENT_READ, self)
        kind = 8 if family == socket.AF_INET else 128
        packet = struct.pack("!BBHHH", kind, 0, 0, self.identity, number) + self.token
        if family == socket.AF_INET:
            packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
        self.sockets[family, source].sendto(packet, (target, 0))

    def receive(self, raw: Any) -> int | None:
        """The number of the probe that a packet answers, or None. The answer has to come from the target itself."""
        packet, sender = raw.recvfrom(2048)
        reply = 129
        if raw.family == socket.AF_INET:
            packet, reply = packet[(packet[0] & 15) * 4 :], 0
        if len(packet) < 16 or packet[0] != reply or packet[8:16] != self.token:
            return None
        identity, number = struct.unpack("!HH", packet[4:8])
        probe = self.waiting.get(number)
        return number if identity == self.identity and probe and probe["target"] == sender[0] else None

    def close(self) -> None:
        """Closes all."""
        for raw in self.sockets.values():
            raw.close()


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071) of a packet of even length."""
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Run:
    """All probes of one request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.wait, self.deadline = request["wait"], time.monotonic() + request["within"]
        self.selector = selectors.DefaultSelector()
        self.icmp = IcmpSockets(self.selector)
        self.results: list[Any] = [None] * len(request["probes"])
        self.tries = [0] * len(request["probes"])
        self.running: dict[int, float] = {}  # when the try started
        self.resting: dict[int, float] = {}  # when to try again
        self.senders: list[Tcp | Icmp] = []
        for number, probe in enumerate(request["probes"]):
            tcp = probe["protocol"] == "tcp"
            self.senders.append(Tcp(self.selector, probe, number) if tcp else Icmp(self.icmp, probe, number))
            self.icmp.waiting[number] = probe
            self.resting[number] = 0.0

    def finish(self, number: int, state: str, seen: str | None = None) -> None:
        """One try is over: the result, or a rest before the next try."""
        started = self.running.pop(number, time.monotonic())
        self.senders[number].stop()
        now = time.monotonic()
        if state != "answered" and now < self.deadline:
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
            state = "silent" if now - started >= self.wait else self.senders[number].tick()
            if state:
                self.finish(number, state)

    def go(self) -> list[dict[str, Any]]:
        """Runs all to their results."""
        while self.resting or self.running:
            self.step()
            if not self.resting and not self.running:
                break
            for key, _ in self.selector.select(0.02):
                if isinstance(key.data, Tcp):
                    ended = key.data.ready()
                    if ended:
                        self.finish(key.data.number, *ended)
                else:
                    number = self.icmp.receive(key.fileobj)
                    if number in self.running:
                        self.finish(number, "answered")
        self.icmp.close()
        self.selector.close()
        return self.results


def listen(ports: list[int]) -> None:
    """Answers on TCP ports, from a process in the background; returns, in the foreground, when all listen."""
    selector = selectors.DefaultSelector()
    for port in ports:
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
        server.setblocking(False)
        selector.register(server, selectors.EVENT_READ, server)
    sys.stdout.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    while True:
        for key, _ in selector.select():
            try:
                client, peer = key.data.accept()
                with client:
                    client.settimeout(1)
                    client.sendall(f"{peer[0].removeprefix('::ffff:')}\n".encode())
            except OSError:
                continue  # whoever asked is gone


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen([int(port) for port in sys.argv[2:]])
    else:
        json.dump(Run(json.load(sys.stdin)).go(), sys.stdout)
