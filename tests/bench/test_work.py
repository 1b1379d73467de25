"""What a measured process of ours does, for tiny meshes: complete texts, and a report of every stage."""

import re
from pathlib import Path

import pytest

from bench import meshes, work
from bench.meshes import GRANTS, Grants


def made(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted((folder / meshes.TEXTS).iterdir())}


@pytest.mark.parametrize("grants", GRANTS)
@pytest.mark.parametrize("sites", [2, 3])
def test_the_texts_are_whole_bundles_with_keys_and_rules_of_both_families(
    tmp_path: Path, sites: int, grants: Grants
) -> None:
    meshes.write(tmp_path, sites, grants)
    work.main("texts", tmp_path)
    texts = made(tmp_path)
    assert list(texts) == meshes.site_names(sites)
    for text in texts.values():
        assert text.startswith("wireguard-mesh 1 ")
        assert text.endswith("@end\n")
        assert text.count("\n*filter\n") == 2
        assert len(re.findall(r"^PresharedKey = \S{43}=$", text, re.MULTILINE)) == sites - 1
        assert ('--comment "' in text) == (grants != "none")
    assert list(meshes.report(tmp_path)) == ["config", "plan", "keys", "render", "write"]


def test_a_preview_writes_who_reaches_whom(tmp_path: Path) -> None:
    meshes.write(tmp_path, 3, "few")
    work.main("preview", tmp_path)
    lines = made(tmp_path)["reachability"].splitlines()
    assert "site-0002.lan -> site-0001.lan (icmp, tcp/443, tcp/8000-8100)" in lines
    assert not [line for line in lines if line.startswith("site-0001.lan -> site-0001")]
    assert list(meshes.report(tmp_path)) == ["config", "plan", "texts", "reachability"]


def test_a_stage_takes_the_time_that_passes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.5, 20.0, 20.25])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    stages = work.Stages()
    with stages.stage("plan"):
        pass
    with stages.stage("render"):
        pass
    assert stages.seconds == {"plan": 2.5, "render": 0.25}
