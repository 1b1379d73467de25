"""What a workflow takes of a pull request: plain stack files, and no change of how secrets are decrypted."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "tools" / "take_stack_files.py"
BASE = "encryptionsalt: v1:one\nconfig:\n  a: 1\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "head").mkdir()
    for name in ("Pulumi.prod.yaml", "Pulumi.dev.yaml", "head/Pulumi.prod.yaml", "head/Pulumi.dev.yaml"):
        (tmp_path / name).write_text(BASE)
    (tmp_path / "Pulumi.yaml").write_text("name: base\n")
    return tmp_path


def take(here: Path, head: str = "head") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, PROGRAM, head], cwd=here, capture_output=True, text=True, check=False)


def test_a_changed_stack_file_is_taken_over_and_named_and_an_unchanged_one_is_not(here: Path) -> None:
    assert take(here).stdout == "stacks=[]\n"
    (here / "head/Pulumi.prod.yaml").write_text(BASE + "  b: 2\n")
    assert take(here).stdout == 'stacks=["prod"]\n'
    assert (here / "Pulumi.prod.yaml").read_text() == BASE + "  b: 2\n"


def test_a_new_stack_file_is_taken_over(here: Path) -> None:
    (here / "head/Pulumi.stage.yaml").write_text("config: {}\n")
    assert take(here).stdout == 'stacks=["stage"]\n'


def test_the_sample_and_the_project_file_are_left_as_they_are(here: Path) -> None:
    (here / "head/Pulumi.dev.yaml").write_text("config: {}\n")
    (here / "head/Pulumi.yaml").write_text("name: evil\nruntime: nodejs\n")
    assert take(here).stdout == "stacks=[]\n"
    assert (here / "Pulumi.dev.yaml").read_text() == BASE
    assert (here / "Pulumi.yaml").read_text() == "name: base\n"


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("one", "other"),
        BASE + "secretsprovider: hashivault://elsewhere\n",
        BASE + '"encryptedkey": abc\n',
        BASE + "environment: [other]\n",
        '{"encryptionsalt": "v1:one", "config": {"a": 1}, "secretsprovider": "awskms://elsewhere"}\n',
        "no: [yaml",
    ],
)
def test_a_change_of_how_secrets_are_decrypted_is_refused(here: Path, text: str) -> None:
    (here / "head/Pulumi.prod.yaml").write_text(text)
    done = take(here)
    assert done.returncode == 1
    assert done.stderr == "Pulumi.prod.yaml: refused: it changes how secrets are decrypted\n"
    assert (here / "Pulumi.prod.yaml").read_text() == BASE


def test_a_link_and_an_odd_name_are_refused(here: Path) -> None:
    (here / "head/Pulumi.prod.yaml").unlink()
    (here / "head/Pulumi.prod.yaml").symlink_to("/etc/hostname")
    assert take(here).stderr == "Pulumi.prod.yaml: refused: not a plain stack file\n"
    (here / "head/Pulumi.prod.yaml").unlink()
    (here / "head/Pulumi.$(id).yaml").write_text("config: {}\n")
    assert take(here).stderr == "Pulumi.$(id).yaml: refused: not a plain stack file\n"


def test_all_stacks_but_the_sample_are_named_for_this_directory_itself(here: Path) -> None:
    (here / "Pulumi.stage.yaml").write_text("config: {}\n")
    assert take(here, ".").stdout == 'stacks=["prod", "stage"]\n'
