"""The directory in which the tests of `meshctl explain` run."""

from pathlib import Path

import pytest

from tests.cli.prod import FILE, STACK


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory but for one stack file, and the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / FILE).write_text(STACK)
    return tmp_path
