"""Measuring: cases take turns, counts come from the texts that were made, and too little work is no result."""

from pathlib import Path

import pytest

from bench.measure import Case, Result, Sample, measure
from bench.process import Run, RunError
from tests.bench import stubs


def ignore(_: str) -> None:
    pass


def sample(seconds: float, *, processor: float = 1.0, peak: int = 0, **stages: float) -> Sample:
    return Sample(Run(seconds, processor, peak, ""), stages, {"links": 6})


def test_tiny_meshes_are_measured_in_turns_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    cases = {Case("texts", 2): 2, Case("wg-meshconf", 3): 1, Case("texts", 3, "few"): 2, Case("preview", 2, "few"): 1}
    told: list[str] = []
    results = measure(cases, stubs.generates(tmp_path), on_run=told.append, on_tick=ignore)
    assert [line.rpartition(":")[0] for line in told] == [
        "[1/6] texts of 2 sites",
        "[2/6] wg-meshconf of 3 sites",
        "[3/6] texts of 3 sites, a few grants",
        "[4/6] preview of 2 sites, a few grants",
        "[5/6] texts of 2 sites",
        "[6/6] texts of 3 sites, a few grants",
    ]
    assert {case: len(result.samples) for case, result in results.items()} == cases
    assert [results[case].count("links") for case in list(cases)[:3]] == [2, 6, 6]
    assert results[Case("texts", 3, "few")].count("rules") > results[Case("texts", 2)].count("rules") > 0
    # Both networks may open flows to the other, and a line before them tells of the echoes.
    assert results[Case("preview", 2, "few")].count("lines") == 3
    for case, result in results.items():
        stages = {
            "texts": {"config", "plan", "keys", "render", "write"},
            "preview": {"config", "plan", "texts", "reachability"},
            "wg-meshconf": set[str](),
        }[case.work]
        assert all(set(each.stages) == stages for each in result.samples)
        assert all(sum(each.stages.values()) < each.process.seconds for each in result.samples)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("peers", [":-1", ":0"])
def test_texts_that_lack_a_peer_are_no_result(tmp_path: Path, peers: str) -> None:
    with pytest.raises(RunError, match=r"^wg-meshconf of 3 sites: a text has [01] peers and not 2$"):
        measure({Case("wg-meshconf", 3): 1}, stubs.generates(tmp_path, peers), on_run=ignore, on_tick=ignore)


def test_a_program_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no database"):
        measure({Case("wg-meshconf", 3): 1}, stubs.fails(tmp_path), on_run=ignore, on_tick=ignore)


def test_a_figure_is_the_median_of_the_runs() -> None:
    result = Result(
        [
            sample(4.0, processor=3.0, peak=50, plan=1.0, render=2.0),
            sample(9.0, processor=8.5, peak=70, plan=3.0, render=0.5),
            sample(5.0, processor=5.0, peak=60, plan=1.0, render=3.0),
        ]
    )
    assert result.seconds == 5.0
    assert result.processor_seconds == 5.0
    assert result.peak_bytes == 60
    assert result.stages("plan") == 1.0
    assert result.stages("plan", "render") == 3.5
    assert result.start == 1.0
    assert result.count("links") == 6
    assert result.waiting == 0.25


def test_runs_that_count_differently_give_no_count() -> None:
    other = Sample(Run(1.0, 1.0, 1, ""), {}, {"links": 7})
    with pytest.raises(ValueError, match="too many values"):
        Result([sample(1.0), other]).count("links")
