"""Progress on a terminal is one line in place; in a log it is a line now and then, and no control character."""

from io import StringIO

import pytest

from lab.progress import Screen, elapsed


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_whole_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("lab.progress.time.monotonic", lambda: float(next(clock)))
    stream = StringIO()
    screen = Screen(stream, seconds_between_lines=10)
    for second in range(1, 31):
        screen.progress(f"{second} s")
    screen.say("done")
    assert stream.getvalue() == "10 s\n20 s\n30 s\ndone\n"


def test_a_terminal_keeps_one_line_that_the_next_said_line_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("lab.progress.time.monotonic", lambda: float(next(clock)))
    stream = Terminal()
    screen = Screen(stream)
    screen.progress("1 of 2")
    screen.progress("2 of 2")
    screen.say("done")
    screen.say("more")
    assert stream.getvalue() == "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[Kdone\nmore\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 00 s"),
        (187, "3 min 07 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (7560, "2 h 06 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text
