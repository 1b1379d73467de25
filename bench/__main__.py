"""`python -m bench`, which `make bench` runs: measures, and writes docs/benchmarks.md, or renews parts of it."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from bench import document_loss, document_texts, document_ups, loss, peer, ups
from bench.document import PARTS, Part, renewed
from bench.machine import this_machine
from bench.measure import Case, measure
from bench.process import RunError
from lab import toolchain
from lab.namespaces import LabError
from lab.progress import Screen

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
# How often each case is run: small ones vary more, and cost less.
FULL = {
    Case("texts", 100): 5,
    Case("wg-meshconf", 100): 5,
    Case("texts", 300): 3,
    Case("wg-meshconf", 300): 3,
    Case("texts", 1000): 3,
    Case("wg-meshconf", 1000): 1,
    Case("texts", 100, "few"): 5,
    Case("texts", 300, "few"): 3,
    Case("texts", 1000, "few"): 3,
    Case("texts", 30, "all"): 3,
    Case("texts", 100, "all"): 3,
    Case("preview", 30, "few"): 3,
    Case("preview", 100, "few"): 3,
    Case("preview", 30, "all"): 1,
}
QUICK = {
    Case("texts", 30): 1,
    Case("wg-meshconf", 30): 1,
    Case("texts", 100): 1,
    Case("wg-meshconf", 100): 1,
    Case("texts", 30, "few"): 1,
    Case("texts", 10, "all"): 1,
    Case("preview", 10, "few"): 1,
}
# How many sites the meshes have that are brought up, and how often packets are counted during each change.
SITES, QUICK_SITES = (10, 50, 100), (3,)
REPETITIONS, QUICK_REPETITIONS = 100, 2
# A process that waited for a processor or a disk in a larger share of its time was measured on a busy machine.
_WAITING = 0.15


def main() -> int:
    """Gives the exit status: 0 where everything was measured. A part is written as soon as it is."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures, and writes docs/benchmarks.md.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them where none is named")
    parser.add_argument("--quick", action="store_true", help="small meshes, once; the document is printed, not kept")
    arguments = parser.parse_args()
    for name in arguments.parts:
        if name not in PARTS:
            parser.error(f"no part of the document: {name}; there are {', '.join(PARTS)}")
    screen = Screen(sys.stderr)
    made: dict[Part, str] = {}
    try:
        for part in PARTS:
            if arguments.parts and part not in arguments.parts:
                continue
            made[part] = _MEASURED[part](screen, arguments.quick)
            if not arguments.quick:
                before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
                DOCUMENT.write_text(renewed(before, {part: made[part]}))
                screen.say(f"written: {part} in docs/{DOCUMENT.name}")
    except (peer.PeerError, RunError, LabError, toolchain.ToolchainError) as error:
        screen.say(str(error))
        return 1
    except KeyboardInterrupt:
        screen.say("interrupted; what was measured whole is kept")
        return 1
    if arguments.quick:
        print(renewed("", made), end="")
    return 0


def _texts(screen: Screen, quick: bool) -> str:
    machine = this_machine()
    program = peer.installed()
    if program is None:
        screen.say(f"installing wg-meshconf {peer.version()} into an environment of its own, once")
        program = peer.install()
    results = measure(QUICK if quick else FULL, peer.command(program), on_run=screen.say, on_tick=screen.progress)
    for case, result in results.items():
        if result.waiting > _WAITING:
            screen.say(f"{case}: waited in {result.waiting:.0%} of a run; is the machine busy?")
    return document_texts.part(results, machine, _today(), peer.version())


def _loss(screen: Screen, quick: bool) -> str:
    machine = this_machine()
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS
    measured = loss.measure(repetitions, on_run=screen.say, on_tick=screen.progress)
    return document_loss.part(measured, machine, _today())


def _ups(screen: Screen, quick: bool) -> str:
    machine = this_machine()
    engine = toolchain.engine(screen)
    with tempfile.TemporaryDirectory(prefix="wireguard-mesh-bench-") as folder:
        sizes = QUICK_SITES if quick else SITES
        measured = ups.measure(sizes, engine, Path(folder), on_run=screen.say, on_tick=screen.progress)
    return document_ups.part(measured, machine, _today())


_MEASURED: Mapping[Part, Callable[[Screen, bool], str]] = {"texts": _texts, "loss": _loss, "up": _ups}


def _today() -> date:
    return datetime.now(UTC).date()


if __name__ == "__main__":
    sys.exit(main())
