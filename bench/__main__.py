"""`python -m bench`, which `make bench` runs: measures, and writes docs/benchmarks.md."""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import peer
from bench.document import document
from bench.machine import this_machine
from bench.measure import Case, measure
from bench.process import RunError
from lab.progress import Screen, elapsed

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
# A process that waited for a processor or a disk in a larger share of its time was measured on a busy machine.
_WAITING = 0.15


def main() -> int:
    """Gives the exit status: 0 where everything was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Plan and render, next to wg-meshconf.")
    parser.add_argument("--quick", action="store_true", help="small meshes, once; the document is printed, not kept")
    quick = parser.parse_args().quick
    screen = Screen(sys.stderr)
    machine = this_machine()
    try:
        program = peer.installed()
        if program is None:
            screen.say(f"installing wg-meshconf {peer.version()} into an environment of its own, once")
            start = time.monotonic()
            program = peer.install()
            screen.say(f"  done after {elapsed(time.monotonic() - start)}")
        results = measure(QUICK if quick else FULL, peer.command(program), on_run=screen.say, on_tick=screen.progress)
    except (peer.PeerError, RunError) as error:
        screen.say(str(error))
        return 1
    written = document(results, machine, datetime.now(UTC).date(), peer.version())
    for case, result in results.items():
        if result.waiting > _WAITING:
            screen.say(f"{case}: waited in {result.waiting:.0%} of a run; is the machine busy?")
    if quick:
        print(written, end="")
    else:
        DOCUMENT.write_text(written)
        screen.say(f"written: docs/{DOCUMENT.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
