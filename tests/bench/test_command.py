"""The command: it measures the parts that were asked for, and keeps the others as they were."""

from pathlib import Path

import pytest

from bench import __main__ as command
from bench import loss, peer
from bench.document import TITLES, renewed
from bench.measure import Case
from bench.process import RunError
from tests.bench import stubs
from tests.bench.written import paths, rows


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command with tiny meshes and a stand-in for wg-meshconf; gives where it writes the document."""
    tiny = {
        Case("texts", 2): 1,
        Case("wg-meshconf", 2): 1,
        Case("texts", 3, "few"): 1,
        Case("preview", 2, "few"): 1,
    }
    monkeypatch.setattr(command, "FULL", tiny)
    monkeypatch.setattr(command, "QUICK", tiny)
    monkeypatch.setattr(command, "DOCUMENT", tmp_path / "benchmarks.md")
    monkeypatch.setattr(peer, "installed", lambda: tmp_path / "wg-meshconf")
    monkeypatch.setattr(peer, "command", lambda _: stubs.generates(tmp_path))
    return tmp_path / "benchmarks.md"


def test_the_command_writes_the_document(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "texts"])
    assert command.main() == 0
    text = small.read_text()
    assert ["2", "2", "wireguard-mesh"] in [row[:3] for row in rows(text)]
    assert paths(text) == []
    told = capsys.readouterr()
    assert told.out == ""
    assert "[4/4] preview of 2 sites" in told.err


def test_a_quick_run_prints_the_document_and_keeps_the_one_that_is_there(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write_text("of a whole run\n")
    monkeypatch.setattr("sys.argv", ["bench", "--quick", "texts"])
    assert command.main() == 0
    assert small.read_text() == "of a whole run\n"
    assert capsys.readouterr().out.startswith("# Benchmarks\n")


def test_a_failed_run_leaves_the_document_as_it_is(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write_text("of a whole run\n")
    monkeypatch.setattr(peer, "command", lambda _: stubs.fails(tmp_path))
    monkeypatch.setattr("sys.argv", ["bench", "texts"])
    assert command.main() == 1
    assert small.read_text() == "of a whole run\n"
    assert "no database" in capsys.readouterr().err


def test_parts_that_nobody_asked_for_are_kept(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write_text(renewed("", {"texts": "old texts\n", "loss": "| measured | 2030-01-01 |\n"}))
    monkeypatch.setattr("sys.argv", ["bench", "texts"])
    assert command.main() == 0
    assert "old texts" not in small.read_text()
    assert "| measured | 2030-01-01 |" in small.read_text()


def test_what_was_measured_before_a_part_failed_is_written(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RunError("the lab burns")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for failing, told in ((fails, "the lab burns"), (interrupted, "interrupted")):
        small.unlink(missing_ok=True)
        monkeypatch.setattr(loss, "measure", failing)
        monkeypatch.setattr("sys.argv", ["bench"])
        assert command.main() == 1
        assert f"## {TITLES['texts']}\n" in small.read_text()
        assert f"## {TITLES['loss']}\n" not in small.read_text()
        assert told in capsys.readouterr().err


def test_a_part_that_there_is_not_is_refused_with_those_that_there_are(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "ups"])
    with pytest.raises(SystemExit):
        command.main()
    assert "no part of the document: ups; there are texts, loss, up" in capsys.readouterr().err
    assert not small.exists()


def test_every_size_of_ours_without_grants_has_one_of_wg_meshconf_beside_it() -> None:
    for cases in (command.FULL, command.QUICK):
        alone = [case for case in cases if case.work == "texts" and case.grants == "none"]
        assert alone
        assert all(Case("wg-meshconf", case.sites) in cases for case in alone)
