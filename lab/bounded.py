"""Child processes that end: in time, together with their children, and when the process that started them is killed."""

import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

# Lines kept for the message of a failure.
_TAIL = 8


class TooLongError(Exception):
    """A child process was stopped, because it took too long or was silent for too long."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a child process ended, and the last lines that it wrote."""

    status: int
    tail: tuple[str, ...]

    @property
    def last_line(self) -> str:
        """The last line that says something, for one-line reasons."""
        return next((line.strip() for line in reversed(self.tail) if line.strip()), f"exit status {self.status}")


def run(
    command: Sequence[str | Path],
    *,
    seconds: float,
    silent_seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[float], None] | None = None,
) -> Done:
    """Runs a command to its end and tells each line of its output as it comes.

    `on_tick` gets the elapsed seconds about twice a second, also while the command is silent. After `seconds` in all,
    or `silent_seconds` without a line, the command and its children are killed and `TooLongError` is raised. They are
    killed as well when this call is left by any exception, and the command itself when this process is killed.
    """
    child = subprocess.Popen(
        # The kernel ends the command with us (prctl(2), PR_SET_PDEATHSIG), even if we get SIGKILL.
        ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=directory,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        tail = _follow(cast("IO[str]", child.stdout), seconds, silent_seconds or seconds, on_line, on_tick)
        return Done(child.wait(), tail)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _follow(
    output: IO[str],
    seconds: float,
    silent_seconds: float,
    on_line: Callable[[str], None] | None,
    on_tick: Callable[[float], None] | None,
) -> tuple[str, ...]:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(output, lines), daemon=True).start()
    tail: deque[str] = deque(maxlen=_TAIL)
    start = heard = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=0.5)
        except queue.Empty:
            pass
        else:
            if line is None:
                return tuple(tail)
            heard = time.monotonic()
            tail.append(line)
            if on_line is not None:
                on_line(line)
        now = time.monotonic()
        if now - start > seconds:
            raise TooLongError(f"not done after {seconds:g} s")
        if now - heard > silent_seconds:
            raise TooLongError(f"nothing heard for {silent_seconds:g} s")
        if on_tick is not None:
            on_tick(now - start)


def _read(output: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with output as stream:
        for line in stream:
            lines.put(line.rstrip("\n"))
    lines.put(None)
