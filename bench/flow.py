"""A flow of pings, up to one every millisecond, that notices each one that nobody answers."""

import subprocess
import threading
from types import TracebackType
from typing import IO, Self, cast

from bench import counting
from bench.process import RunError
from lab.namespaces import PATH
from lab.world import World

# Longer than any tunnel takes to come back that comes back at all.
_PATIENCE = 60.0
# A ping counts as lost only when so many later ones were answered.
LATER = 100


class Flow:
    """Pings from a host in one network of a lab to one in another, from when the context is entered until it is left.

    Entering waits until they are answered.
    """

    def __init__(self, world: World, source: str, destination: str, *, milliseconds: int = 1) -> None:
        """The networks are told by their full names, `site.network`; a ping is sent every so many milliseconds."""
        namespace = world.lan(source)
        (address,) = (str(host.addresses[0].ip) for host in world.topology.hosts if host.network == destination)
        # In the network alone: in its process namespace it would be the child of one that can be killed without it.
        command = ["nsenter", f"--target={namespace.pid}", "--net", "--", "ping", "-n"]
        self._what = f"ping from {source} to {destination}"
        self._process = subprocess.Popen(
            [*command, "-i", str(milliseconds / 1000), address],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": PATH},
        )
        self._heard = threading.Condition()
        self._answered: set[int] = set()
        self._newest = self._first = 0
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        try:
            self._first = self.wait(LATER)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def wait(self, pings: int) -> int:
        """Returns when so many more pings were sent and one after them was answered; gives that one's number.

        Raises RunError where none is any more.
        """
        with self._heard:
            wanted = self._newest + pings
            if not self._heard.wait_for(lambda: self._newest >= wanted or self._process.poll() is not None, _PATIENCE):
                raise RunError(f"{self._what}: no answer for {_PATIENCE:g} s")
            if self._newest < wanted:
                raise RunError(f"{self._what}: ended with status {self._process.returncode}")
            return self._newest

    def lost(self) -> tuple[int, int]:
        """How many pings were sent since the context was entered, and how many of them were lost.

        Only those count after which LATER ones were answered. Raises RunError where none is answered any more.
        """
        last = self.wait(2 * LATER) - LATER
        with self._heard:
            return last - self._first + 1, len(counting.lost(self._answered, self._first, last))

    def _read(self) -> None:
        for line in cast("IO[str]", self._process.stdout):
            number = counting.answered(line, self._newest)
            if number is not None:
                with self._heard:
                    self._answered.add(number)
                    self._newest = max(self._newest, number)
                    self._heard.notify_all()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
