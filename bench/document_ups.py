"""The document's part about what an `up` costs: connections, seconds next to the floors, and the state's size."""

from collections.abc import Mapping
from datetime import date

from bench.document import facts, megabytes, seconds, table
from bench.machine import Machine
from bench.ssh import AT_ONCE
from bench.ups import Change, Measured, Up

_CHANGES: Mapping[Change, str] = {"first": "first", "nothing": "nothing changed", "added": "one site added"}

_INTRODUCTION = """
A real `up` in the lab: the engine, the program and SSH to every host, with all hosts on this one machine. Every site is
a colo and a peer of every other, with a network that five others may use.

"""

_READING = """
### How to read this

- "Without SSH" is the engine with the same program and resources, and a command plugin that answers at once. "Bare ssh"
  is OpenSSH's client making as many connections to the same hosts, {at_once} at a time as the engine does, for `true`;
  "the same by ssh" has it run the same commands with the same stdin, so that it includes what the hosts do: on this
  machine they share its processors, elsewhere each has its own.
- "Times the floor" is the `up`'s time by that of the larger of the first two. In this lab an `up` cannot come near it:
  the engine, SSH and all the hosts want the same processors, so that their times add up. "Times both" is the `up`'s
  time by the sum of "without SSH" and "the same by ssh", which is what they want together. All are of the same run, in
  turns.
- Connections are those that the hosts' kernels took: one a command, and one more where a host that had gone back before
  it was asked to confirm is asked again. "Lost" is of pings every 10 ms between two of the other sites, all the time.
- The state is on a file backend, which writes the whole of it twice for each resource that changes.
"""


def part(measured: Measured, machine: Machine, day: date) -> str:
    """The part in Markdown, without its title."""
    more = [("engine", measured.engine), ("command plugin", measured.plugin), ("WireGuard", measured.backend)]
    head = (
        "sites",
        "up",
        "commands",
        "connections",
        "seconds",
        "without SSH",
        "bare ssh",
        "the same by ssh",
        "times the floor",
        "times both",
    )
    return "".join(
        (
            facts(machine, day, more),
            _INTRODUCTION,
            table((*head, "lost", "resources", "state"), [_row(up) for up in measured.ups]),
            _READING.format(at_once=AT_ONCE),
        )
    )


def _row(up: Up) -> tuple[str, ...]:
    lost = f"{up.lost} of {up.pings:,}" if up.pings else ""
    times = (seconds(up.seconds), seconds(up.silent), seconds(up.trivial), seconds(up.same))
    ratios = (f"{up.seconds / up.floor:.2f}", f"{up.seconds / up.both:.2f}")
    size = (f"{up.resources:,}", megabytes(up.state_bytes))
    return str(up.sites), _CHANGES[up.change], str(up.commands), str(up.connections), *times, *ratios, lost, *size
