"""One measured run: a program in a process of its own, its time from start to end, and its peak memory."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Longer than anything that is measured takes on a slow machine.
_LONGEST = 900.0
_TICK = 0.5
# Linux counts ru_maxrss in KiB, macOS in bytes (getrusage(2)).
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


class RunError(Exception):
    """A measured program failed, or took too long; the text says which, and its last words."""


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds from start to end, seconds of processor time, the most bytes in memory at once, and what it printed.

    The peak of a program that needs less memory than the process that started it is that process's own: Linux counts
    on across fork and exec. So that process imports little.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str | Path], *, directory: Path, on_tick: Callable[[float], None] = lambda _: None) -> Run:
    """Runs a command in a folder to its end. `on_tick` gets the elapsed seconds about twice a second.

    Raises RunError where its exit status is not 0 or it takes more than a quarter of an hour.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        ended = _Ended(child.pid)
        try:
            while ended.is_alive():
                ended.join(_TICK)
                elapsed = time.perf_counter() - start
                on_tick(elapsed)
                if elapsed > _LONGEST:
                    raise RunError(f"{_name(command)} was not done after {_LONGEST:g} s")
        finally:
            if ended.is_alive():
                child.kill()
                ended.join()
            child.returncode = os.waitstatus_to_exitcode(ended.status)
        output.seek(0)
        text = output.read()
    if child.returncode:
        last = "".join(text.splitlines(keepends=True)[-8:]).rstrip()
        raise RunError(f"{_name(command)} ended with status {child.returncode}:\n{last}")
    usage = ended.usage
    return Run(ended.at - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _PEAK_UNIT, text)


class _Ended(threading.Thread):
    """Waits for one child, since wait4(2) alone gives its usage, and cannot be bounded in time."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.start()

    def run(self) -> None:
        _, self.status, self.usage = os.wait4(self._pid, 0)
        self.at = time.perf_counter()


def _name(command: Sequence[str | Path]) -> str:
    return " ".join([Path(command[0]).name, *(str(word) for word in command[1:] if "/" not in str(word))])
