"""The boots of machines: each in a thread of its own, which can be called off, and waited for."""

import threading
import time
from collections.abc import Callable, Iterable

from lab.clouds.model import CloudMachine

# A machine in a cloud takes a while until it is on its network at all.
BOOT_SECONDS = 0.5


class Boot:
    """One machine's boot. `step` says what it is at, for people; `off` is set once nobody wants it any more."""

    def __init__(self, machine: CloudMachine, carry_out: Callable[["Boot"], None]) -> None:
        """Begins. `carry_out` is called after a moment, unless it was called off by then."""
        self.machine = machine
        self.step = "power on"
        self.off = threading.Event()
        self._carry_out = carry_out
        self._thread = threading.Thread(target=self._run, name=machine.id, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        if not self.off.wait(BOOT_SECONDS):
            self._carry_out(self)

    @property
    def runs(self) -> bool:
        """True until it has ended, well or not."""
        return self._thread.is_alive()

    def join(self, until: float | None = None) -> bool:
        """Waits for its end, until a time of time.monotonic() at most; gives whether it has ended."""
        self._thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not self.runs


def call_off(boots: Iterable[Boot]) -> None:
    """Ends these: when it returns none of them does anything any more."""
    boots = list(boots)
    for boot in boots:
        boot.off.set()
    for boot in boots:
        boot.join()
