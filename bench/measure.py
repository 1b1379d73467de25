"""What is run, how often and in which order, and what was measured."""

import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from bench import meshes, peer
from bench.meshes import Grants
from bench.process import Run, RunError, run

ROOT = Path(__file__).parents[1]
Work: TypeAlias = Literal["texts", "preview", "wg-meshconf"]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of work on a mesh of some size. `texts` and `preview` are ours (bench/work.py)."""

    work: Work
    sites: int
    grants: Grants = "none"

    def __str__(self) -> str:
        granted = {"none": "", "few": ", a few grants", "all": ", everybody to everybody"}[self.grants]
        return f"{self.work} of {self.sites} sites{granted}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a case: its process, the seconds of its stages where it is ours, and counts of what it made.

    The counts are `links` (peers, in all texts), `rules` and `bytes`; for a preview `lines`.
    """

    process: Run
    stages: Mapping[str, float]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of a case. Each figure is the median of them."""

    samples: Sequence[Sample]

    @property
    def seconds(self) -> float:
        """Of the whole process, from its start to its end."""
        return statistics.median(sample.process.seconds for sample in self.samples)

    @property
    def processor_seconds(self) -> float:
        """What of it the process computed, on any core, or had the kernel do."""
        return statistics.median(sample.process.processor_seconds for sample in self.samples)

    @property
    def peak_bytes(self) -> float:
        """The most memory that the process had at once."""
        return statistics.median(sample.process.peak_bytes for sample in self.samples)

    def stages(self, *names: str) -> float:
        """Seconds of these stages together."""
        return statistics.median(sum(sample.stages[name] for name in names) for sample in self.samples)

    @property
    def start(self) -> float:
        """Seconds of the process outside of all stages: Python's start, the imports, the end."""
        return statistics.median(sample.process.seconds - sum(sample.stages.values()) for sample in self.samples)

    def count(self, name: str) -> int:
        """A count, which is the same in every run."""
        (only,) = {sample.counts[name] for sample in self.samples}
        return only

    @property
    def waiting(self) -> float:
        """The largest share of a run's time in which it had no processor, or waited for a disk."""
        return max(1 - sample.process.processor_seconds / sample.process.seconds for sample in self.samples)


def measure(
    cases: Mapping[Case, int],
    program: Sequence[str | Path],
    *,
    on_run: Callable[[str], None],
    on_tick: Callable[[str], None],
) -> dict[Case, Result]:
    """Runs each case as often as `cases` says, in turns, so that a slow minute of the machine slows no case alone.

    `program` is wg-meshconf, for cases that run it. `on_run` gets a line for each run, `on_tick` one now and then while
    one lasts. Raises RunError for a process that fails, or whose texts are not those of a full mesh.
    """
    turns = [case for turn in range(max(cases.values())) for case, runs in cases.items() if turn < runs]
    samples: dict[Case, list[Sample]] = {case: [] for case in cases}
    for number, case in enumerate(turns, 1):
        label = f"[{number}/{len(turns)}] {case}"
        sample = _sample(case, program, partial(_tell, on_tick, label))
        samples[case].append(sample)
        on_run(f"{label}: {sample.process.seconds:.2f} s, {sample.process.peak_bytes / 1e6:.0f} MB")
    return {case: Result(found) for case, found in samples.items()}


def _tell(on_tick: Callable[[str], None], label: str, elapsed: float) -> None:
    on_tick(f"{label}: {elapsed:.0f} s so far")


def _sample(case: Case, program: Sequence[str | Path], on_tick: Callable[[float], None]) -> Sample:
    folder = Path(tempfile.mkdtemp(prefix="wireguard-mesh-bench-"))
    try:
        if case.work == "wg-meshconf":
            peer.write(folder, case.sites)
            process = run(program, directory=folder, on_tick=on_tick)
            stages: Mapping[str, float] = {}
        else:
            meshes.write(folder, case.sites, case.grants)
            process = run([sys.executable, "-m", "bench.work", case.work, folder], directory=ROOT, on_tick=on_tick)
            stages = meshes.report(folder)
        return Sample(process, stages, _counts(case, folder / meshes.TEXTS))
    finally:
        shutil.rmtree(folder)


def _counts(case: Case, made: Path) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for file in made.iterdir():
        text = file.read_text()
        if case.work == "preview":
            counts["lines"] = text.count("\n")
            continue
        peers = text.count("\n[Peer]\n")
        if peers != case.sites - 1:
            raise RunError(f"{case}: a text has {peers} peers and not {case.sites - 1}")
        counts.update(links=peers, rules=text.count("\n-A "), bytes=len(text), files=1)
    if case.work != "preview" and counts["files"] != case.sites:
        raise RunError(f"{case}: there are texts for {counts['files']} sites only")
    return dict(counts)
