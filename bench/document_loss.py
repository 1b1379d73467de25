"""The document's part about lost packets: what each change lost, in our way and by hand."""

import statistics
from collections.abc import Mapping
from datetime import date

from bench.changes import KINDS, Kind
from bench.document import facts, seconds, table
from bench.flow import LATER
from bench.loss import Loss, Measured
from bench.machine import Machine
from bench.ways import WAYS, Way

_KINDS: Mapping[Kind, str] = {
    "nothing": "nothing",
    "added": "a third site added",
    "changed": "its port and prefix changed",
    "rules": "rules replaced",
    "third key": "the third site's key changed",
    "key": "the first site's own key changed",
    "preshared keys": "all preshared keys changed",
    "removed": "the third site removed",
}

_INTRODUCTION = """
Pings every millisecond from a host behind one site to a host behind another, while a third site is added, changed and
removed, while the services that the one may use at the other are changed, and while keys change.

"""

_READING = """
### How to read this

- A ping counts as lost when {later} later ones were answered and it was not. "At worst" is in one repetition, "missed"
  how many repetitions lost any at all, "takes" the median time of the change at all sites together. Where nothing
  changes, nothing is run for as long.
- Each repetition makes the changes one after the other, at all sites at once: `apply` everywhere, then `confirm`, as
  the commands of an `up` do, by the same program on hosts of the lab; a site whose keys change confirms last. The
  engine is left out, since it is not what touches packets and would make a hundred repetitions take hours; real `up`s
  are counted below.
- "wg syncconf" is `wg syncconf wg0 <(wg-quick strip wg0)` with the same peers and keys, "wg-quick down, up" a restart.
  Neither changes rules, undoes itself or asks whether anybody was cut off, so that both are done sooner; `syncconf`
  leaves routes as they were. The ways take turns, ten repetitions each, on the same hosts.
"""


def part(measured: Measured, machine: Machine, day: date) -> str:
    """The part in Markdown, without its title."""
    return "".join(
        (
            facts(machine, day, [("WireGuard", measured.backend)]),
            _INTRODUCTION,
            table(
                ("meanwhile", "way", "repetitions", "pings", "lost", "at worst", "missed", "takes"),
                [_row(kind, way, measured.losses[way, kind]) for kind, way in _order(measured)],
            ),
            _READING.format(later=LATER),
        )
    )


def _order(measured: Measured) -> list[tuple[Kind, Way]]:
    return [(kind, way) for kind in KINDS for way in WAYS if (way, kind) in measured.losses]


def _row(kind: Kind, way: Way, loss: Loss) -> tuple[str, ...]:
    repetitions = len(loss.counted)
    counts = (f"{loss.sent:,}", f"{loss.lost:,}", str(loss.worst), f"{loss.spoiled} of {repetitions}")
    takes = "" if kind == "nothing" else seconds(statistics.median(each.seconds for each in loss.counted))
    return _KINDS[kind], way, str(repetitions), *counts, takes
