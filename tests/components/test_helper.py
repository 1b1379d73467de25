"""The endpoints' program: all of its parts, in order, and never an empty one."""

from pathlib import Path

import pytest

from components.helper import helper_text


def test_the_program_is_its_parts_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "2-rest.sh").write_text("exit 0\n")
    (tmp_path / "1-base.sh").write_text("#!/bin/sh\n")
    (tmp_path / "notes.txt").write_text("no part\n")
    assert helper_text(tmp_path) == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("exists", [True, False], ids=["empty", "missing"])
def test_a_folder_without_parts_is_an_error_that_names_it(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "host"
    if exists:
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match=str(folder)):
        helper_text(folder)
