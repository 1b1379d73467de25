"""What a person sees while the lab gets its tools: plain lines, and one line in place for what takes long."""

import sys
import time
from typing import TextIO


class Screen:
    """Writes to a stream. `progress` rewrites one line on a terminal; elsewhere, as in CI, it writes one now and then.

    The lab may pass a screen of its own with the same two methods.
    """

    def __init__(self, stream: TextIO | None = None, *, seconds_between_lines: float = 20.0) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._in_place = self._stream.isatty()
        self._interval = 0.2 if self._in_place else seconds_between_lines
        self._last = time.monotonic()
        self._open = False

    def say(self, line: str) -> None:
        """Writes a line that stays."""
        self._stream.write(("\r\x1b[K" if self._open else "") + line + "\n")
        self._stream.flush()
        self._open = False

    def progress(self, line: str) -> None:
        """Tells how far something is; may be called as often as one likes."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        if self._in_place:
            self._stream.write("\r\x1b[K" + line)
            self._stream.flush()
            self._open = True
        else:
            self.say(line)


def elapsed(seconds: float) -> str:
    """A duration as people say it: `48 s`, `3 min 07 s`, `2 h 05 min`."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
