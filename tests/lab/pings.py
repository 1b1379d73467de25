"""Pings between hosts of a lab that go on while something is done to it, and how many of them were lost."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.environment import Environment
from tests.lab.traces import until

# Seconds from one to the next.
INTERVAL = 0.01
# So many later ones answered say that an earlier one is lost, and not on its way.
_LATER = 25


class Pings:
    """A flow of pings from one site's host to an address, whose answers go to a file there."""

    def __init__(self, environment: Environment, site: str, address: str) -> None:
        self._environment, self._site = environment, site
        self._file = f"/run/pings-{address}"
        command = f"ping -n -i {INTERVAL} -w 600 {address} >{self._file} 2>&1 </dev/null & echo $!"
        self._pid = int(environment.on(site, command))
        assert until(lambda: len(self._answered()) > 5), f"{site} gets no answer from {address}"

    def lost(self) -> int:
        """How many of all that were sent up to now. Raises AssertionError where answers have ended."""
        newest = max(self._answered())
        assert until(lambda: max(self._answered()) > newest + _LATER + 5), f"no more answers at {self._site}"
        answered = self._answered()
        return len([number for number in range(min(answered), max(answered) - _LATER) if number not in answered])

    def end(self) -> None:
        """Stops it."""
        self._environment.on(self._site, f"kill {self._pid}; rm {self._file}")

    def _answered(self) -> set[int]:
        text = self._environment.on(self._site, f"cat {self._file}")
        return {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", text)}


@contextmanager
def pings(environment: Environment, *flows: tuple[str, str]) -> Iterator[dict[tuple[str, str], Pings]]:
    """One for each site and the address of another site's host; they end with the block."""
    started: dict[tuple[str, str], Pings] = {}
    try:
        for site, address in flows:
            started[site, address] = Pings(environment, site, address)
        yield started
    finally:
        for each in started.values():
            each.end()
