"""The endpoints' program: all of its parts, in order, never an empty one; and packed, which is undone on the host."""

import subprocess
from pathlib import Path

import pytest

from components.helper import helper_text, packed


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


@pytest.mark.parametrize("box", [(), ("busybox",)], ids=["gnu", "busybox"])
def test_packed_it_is_one_line_that_a_host_unpacks_to_the_same_text(box: tuple[str, ...]) -> None:
    text = helper_text(Path(__file__).parents[2] / "host")
    line = packed(text)
    assert line.index("\n") == len(line) - 1
    decoded = subprocess.run([*box, "base64", "-d"], input=line.encode(), capture_output=True, check=True).stdout
    unpacked = subprocess.run([*box, "gzip", "-dc"], input=decoded, capture_output=True, check=True).stdout
    assert unpacked.decode() == text


def test_packed_it_is_little_more_than_half_as_long() -> None:
    text = helper_text(Path(__file__).parents[2] / "host")
    assert len(packed(text)) < 0.6 * len(text)
