"""Results of probes without packets: as the policy asks for, and changed on purpose."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from lab.matrix import Cell, Matrix
from lab.policy import Judge, judge
from lab.probing import Probe, Result, probes
from lab.topology import lay_out
from mesh.model import Mesh


def probes_of(built: Mesh, judged: Judge | None = None, *, everywhere: bool = False) -> list[Probe]:
    """The probes of a mesh; the judge is the grants' plain reading unless told otherwise."""
    return probes(built, lay_out(built), judged or judge(built), everywhere=everywhere)


def as_expected(probe: Probe) -> Result:
    """The result that the judge asks for."""
    if not probe.granted:
        return Result(probe, "silent", tries=1)
    seen = str(probe.arrives_as) if probe.arrives_as else None
    return Result(probe, "answered", seen, 0.001, 1)


def results_for(
    built: Mesh, change: Callable[[Result], Result] = lambda result: result, judged: Judge | None = None
) -> list[Result]:
    return [change(as_expected(probe)) for probe in probes_of(built, judged)]


def matrix_for(built: Mesh, change: Callable[[Result], Result] = lambda result: result) -> Matrix:
    return Matrix.of(results_for(built, change), [network for site in built.sites for network in site.networks])


def cell(results: Sequence[Result], source: str, destination: str) -> Cell:
    (found,) = (
        each
        for each in Matrix.of(results).cells.values()
        if (str(each.source), str(each.destination)) == (source, destination)
    )
    return found


def between(source: str, destination: str, **changes: object) -> Callable[[Result], Result]:
    """Changes the results from one point to another where the probe is as the key words of its own say."""
    outcome = {key: value for key, value in changes.items() if key in ("state", "seen", "arrived")}
    only = {key: value for key, value in changes.items() if key not in outcome}

    def change(result: Result) -> Result:
        pair = (str(result.probe.source), str(result.probe.destination))
        fits = all(getattr(result.probe, key) == value for key, value in only.items())
        return replace(result, **outcome) if pair == (source, destination) and fits else result  # type: ignore[arg-type]

    return change
