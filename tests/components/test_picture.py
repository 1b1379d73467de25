"""A stack of all three kinds, resource by resource, against a file that was read line by line."""

from difflib import unified_diff
from pathlib import Path

from tests.components.conftest import Recorder
from tests.components.picture import picture
from tests.components.sites import build, three_kinds

CHECKED = Path(__file__).parent / "three_kinds.txt"


def test_the_resources_of_a_stack_of_three_kinds_are_those_that_were_checked(
    recorder: Recorder, tmp_path: Path
) -> None:
    build(three_kinds())
    now = tmp_path / "three_kinds.txt"
    now.write_text(picture(recorder))
    changes = unified_diff(CHECKED.read_text().splitlines(), now.read_text().splitlines(), "checked", "now", "", "", 3)
    assert list(changes) == [], f"to be checked again, and then to take the place of {CHECKED}: {now}"
