"""Flows in a lab's world that go on while something is done to it, and what became of every packet of theirs."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from lab.namespaces import PATH
from lab.world import World
from mesh.model import Family
from tests.lab.traces import until

# struct nlmsghdr (subsystem ctnetlink, message delete; request and acknowledge) and struct nfgenmsg: empties the table.
_FORGET = """
import socket, struct
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
    netlink.send(struct.pack("=IHHII", 20, 1 << 8 | 2, 1 | 4, 1, 0) + bytes(4))
    (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
assert error == 0, error
"""
# How many numbers are enough to say that none passes, or that they do.
_ENOUGH = 20

Speaker = Literal["client", "server", "both"]


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow between the hosts of two networks, by its name."""

    name: str
    client: str
    server: str
    speaker: Speaker


class Talkers:
    """A program (tests/lab/talk.py) in the host of each network; flows are opened between any two of them."""

    def __init__(self, world: World, processes: dict[str, "subprocess.Popen[str]"]) -> None:
        self._world, self._processes = world, processes
        self._listening: set[tuple[str, str, str, int]] = set()
        self._count = 0

    def open(self, client: str, server: str, service: str, speaker: Speaker = "both", *, family: Family = 4) -> Flow:
        """Begins a flow to `tcp/443`, for example; `up` tells whether it got there."""
        protocol, _, port = service.partition("/")
        self._count += 1
        flow = Flow(f"{self._count}:{client}>{server}:{service}", client, server, speaker)
        addresses = self._world.topology.lan_host(server).addresses
        own = str(next(address.ip for address in addresses if address.version == family))
        place = (server, protocol, own, int(port))
        if place not in self._listening:
            self._listening.add(place)
            self._order(server, listen=[protocol, own, int(port)])
        self._order(client, open=[flow.name, protocol, own, int(port), speaker])
        return flow

    def up(self, flows: Iterable[Flow], timeout: float = 20) -> list[str]:
        """Waits until all of them are; gives the names of those that are not."""
        wanted = list(flows)

        def missing() -> list[str]:
            reports = self._reports()
            return [flow.name for flow in wanted if not reports[flow.client][flow.name]["up"]]

        until(lambda: not missing(), timeout)
        return missing()

    def dead(self, flows: Iterable[Flow], timeout: float = 60) -> list[str]:
        """Waits until each speaking end has gone on, TCP by repeating itself; gives what arrived of it meanwhile."""
        lines = [line for flow in flows for line in self._lines(flow)]
        before = self._reports()

        def tried(reports: dict[str, Any]) -> bool:
            return all(
                reports[speaker][name]["tried"] - before[speaker][name]["tried"] >= (1 if "tcp" in name else _ENOUGH)
                for name, speaker, _ in lines
            )

        assert until(lambda: tried(self._reports()), timeout), f"it does not go on: {self._reports()}"
        after = self._reports()
        return [
            f"{name}: {listener} got {numbers} more of {speaker}"
            for name, speaker, listener in lines
            if (numbers := after[listener].get(name, {"got": 0})["got"] - before[listener].get(name, {"got": 0})["got"])
        ]

    def stuck(self, flows: Iterable[Flow], timeout: float = 20) -> list[str]:
        """Waits until new numbers have arrived of each speaking end; gives those of which none did."""
        lines = [line for flow in flows for line in self._lines(flow)]
        before = self._reports()

        def missing() -> list[str]:
            after = self._reports()
            return [
                f"{name}: {listener} gets nothing of {speaker}"
                for name, speaker, listener in lines
                if after[listener][name]["got"] - before[listener][name]["got"] < _ENOUGH
            ]

        until(lambda: not missing(), timeout)
        return missing()

    def losses(self, flows: Iterable[Flow], timeout: float = 20, *, most: int = 0) -> list[str]:
        """Has all of them pause, waits for what is on its way, and gives what did not arrive; then they go on.

        TCP repeats what is lost: there, segments are counted as well. Up to `most` packets of each end may be missing.
        """
        lines = [line for flow in flows for line in self._lines(flow)]
        for name, speaker, _ in lines:
            self._order(speaker, hush=[name])

        def lost() -> list[str]:
            reports = self._reports()
            found = []
            for name, speaker, listener in lines:
                here, there = reports[speaker][name], reports[listener][name]
                tcp = "tcp" in name
                whole = not tcp or (here["sent"] == there["got"] and not there["missing"])
                fewer = here["tried"] - there["came"]
                if not whole or not 0 <= fewer <= most or here["error"] or here["sent"] < _ENOUGH:
                    found.append(f"{name} by {speaker}: {here}, but {listener}: {there}")
            return found

        until(lambda: not lost(), timeout)
        result = lost()
        for name, speaker, _ in lines:
            self._order(speaker, speak=[name])
        return result

    def _lines(self, flow: Flow) -> Iterator[tuple[str, str, str]]:
        """Who speaks to whom."""
        if flow.speaker in ("client", "both"):
            yield flow.name, flow.client, flow.server
        if flow.speaker in ("server", "both"):
            yield flow.name, flow.server, flow.client

    def _reports(self) -> dict[str, Any]:
        return {network: self._order(network, report=[]) for network in self._processes}

    def _order(self, network: str, **order: Any) -> Any:
        process = self._processes[network]
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"{network}: {cast('IO[str]', process.stderr).read()}"
        return json.loads(line)


@contextmanager
def talkers(world: World, *networks: str) -> Iterator[Talkers]:
    """The programs, which end with the block."""
    program = str(Path(__file__).with_name("talk.py"))
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        processes = {}
        for network in networks:
            argv = world.lan(network).python_command([program], sys.executable)
            process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={"PATH": PATH})
            processes[network] = stack.enter_context(process)  # closes its stdin, which ends it
        yield Talkers(world, processes)


def forget_flows(world: World, site: str) -> None:
    """Empties a gateway's conntrack table, as a reboot would (what `conntrack -F` sends)."""
    world.host(site).python(["-c", _FORGET], sys.executable)
