"""A lab's secrets in its stack file: the engine encrypts them once, and again only where something is otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.encrypted import SecretError, put
from tests.lab.fakes import program

PATH = "wireguard-mesh:sites.nyc.private_key"
# In place of `pulumi config set`: writes the only secret that there is, and which time this is.
ENGINE = """echo "$@" >>"$0.log"
[ ! -e "$0.refuse" ] || { echo "error: no such key" >&2; exit 1; }
cat >>"$0.stdin"
printf 'encryptionsalt: v1:salt\nconfig: {"wireguard-mesh:sites": {nyc: {private_key: {secure: "%s"}}}}\n' \
    "v1:$(wc -l <"$0.log")" >Pulumi.test.yaml"""


class Lab:
    """A stack file, as it comes from the project, and an engine."""

    def __init__(self, folder: Path) -> None:
        self.engine = program(folder / "pulumi", ENGINE)
        self.file = folder / "Pulumi.test.yaml"
        self.kept = folder / "Pulumi.test.encrypted.json"

    def put(self, value: str = "key", salt: str = "v1:salt") -> Any:
        """What is in the file after the secrets are put into a new copy."""
        self.file.write_text(yaml.safe_dump({"encryptionsalt": salt, "config": {"wireguard-mesh:mesh": {"mtu": 1420}}}))
        put(self.file, {PATH: value}, [str(self.engine)], str(self.file.parent))
        return yaml.safe_load(self.file.read_text())["config"]["wireguard-mesh:sites"]["nyc"]["private_key"]["secure"]

    @property
    def asked(self) -> list[str]:
        """How the engine was called."""
        log = self.engine.with_suffix(".log")
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_the_engine_gets_a_value_on_stdin_and_is_asked_once_while_nothing_changes(lab: Lab) -> None:
    assert lab.put("secret") == "v1:1"
    assert lab.asked == [f"config set --secret --path {PATH} --stack test"]
    assert lab.engine.with_suffix(".stdin").read_text() == "secret"
    assert lab.put("secret") == "v1:1"
    assert "mtu" in lab.file.read_text(), "the rest of the file stays"
    assert len(lab.asked) == 1
    assert "secret" not in lab.kept.read_text()


@pytest.mark.parametrize("other", [{"value": "another"}, {"salt": "v1:another"}])
def test_another_value_or_salt_is_encrypted_anew(lab: Lab, other: dict[str, str]) -> None:
    lab.put()
    assert lab.put(**other) == "v1:2"


@pytest.mark.parametrize("size", [0, 40])
def test_what_is_kept_and_cannot_be_read_is_made_anew(lab: Lab, size: int) -> None:
    lab.put()
    whole = lab.kept.read_text()
    lab.kept.write_text(whole[:size])
    assert lab.put() == "v1:2"
    assert lab.put() == "v1:2"
    assert json.loads(lab.kept.read_text()).keys() == json.loads(whole).keys()


def test_what_is_kept_is_whole_also_where_the_writing_breaks_off(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.put()
    before = lab.kept.read_text()
    write = Path.write_text

    def full(path: Path, text: str, *args: Any) -> int:
        if path == lab.file:
            return write(path, text, *args)
        write(path, text[:10])
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            lab.put("another")
    assert lab.kept.read_text() == before
    assert lab.put("another") == "v1:3"


def test_an_engine_that_refuses_is_told_with_its_words_and_nothing_is_kept(lab: Lab) -> None:
    lab.engine.with_suffix(".refuse").touch()
    with pytest.raises(SecretError, match=f"{PATH} is not set: error: no such key"):
        lab.put()
    assert not lab.kept.exists()
