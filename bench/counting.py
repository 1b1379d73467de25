"""What was counted while something ran: connections that hosts took, and pings that nobody answered."""

import re
from collections.abc import Collection

_ANSWER = re.compile(r"icmp_seq=(\d+) .*time=")
# The number of an ICMP echo request has 16 bits (RFC 792).
_NUMBERS = 1 << 16


def taken_connections(snmp: str) -> int:
    """How many TCP connections others have opened to a machine so far, from its /proc/net/snmp (RFC 4022).

    Raises ValueError where it does not tell.
    """
    lines = [line.split() for line in snmp.splitlines() if line.startswith("Tcp: ")]
    if len(lines) != 2 or "PassiveOpens" not in lines[0]:
        raise ValueError("the kernel does not tell how many connections it took")
    return int(lines[1][lines[0].index("PassiveOpens")])


def answered(line: str, newest: int) -> int | None:
    """The number of the ping that a line of ping(8) says was answered; None where it says something else.

    `newest` is the highest number so far, from which it follows how often the 16 bits have run over.
    """
    found = _ANSWER.search(line)
    if found is None:
        return None
    return newest + (int(found[1]) - newest + _NUMBERS // 2) % _NUMBERS - _NUMBERS // 2


def lost(numbers: Collection[int], first: int, last: int) -> list[int]:
    """Those pings from `first` to `last` that were not answered."""
    return [number for number in range(first, last + 1) if number not in numbers]
