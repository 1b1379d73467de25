"""A lab's secrets in its stack file, encrypted by the engine: once for as long as they are the same ones.

The engine takes a third of a second for each, since a passphrase is stretched by a million rounds.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

SALT = "encryptionsalt"


class SecretError(Exception):
    """The engine does not encrypt a value; the message says what it said."""


def put(file: Path, secrets: Mapping[str, str], engine: Sequence[str], pulumi_home: str) -> None:
    """Sets the secrets, values by config path, in a stack file. Raises SecretError.

    Beside the file lies what they came to last, encrypted, to be used again while they and the salt are the same.
    """
    kept = file.with_suffix(".encrypted.json")
    digest = hashlib.sha256(json.dumps(dict(secrets), sort_keys=True).encode()).hexdigest()
    earlier = _earlier(kept)
    content = yaml.safe_load(file.read_text())
    if earlier.get("digest") == digest and earlier["salt"] == content.get(SALT):
        for path, value in earlier["values"].items():
            *sections, last = path.split(".")
            section = content["config"]
            for name in sections:
                section = section.setdefault(name, {})
            section[last] = value
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return
    for path, value in secrets.items():
        # Not by the Automation API, which passes values as arguments, for everyone to see.
        command = [*engine, "config", "set", "--secret", "--path", path, "--stack", file.name.split(".")[1]]
        done = subprocess.run(
            command,
            input=value,
            capture_output=True,
            text=True,
            cwd=file.parent,
            env={**os.environ, "PULUMI_HOME": pulumi_home},
            check=False,
        )
        if done.returncode:
            raise SecretError(f"{path} is not set: {done.stderr.strip()}")
    content = yaml.safe_load(file.read_text())
    values = {path: _at(content["config"], path) for path in secrets}
    fresh = kept.with_suffix(".new")
    fresh.write_text(json.dumps({"digest": digest, "salt": content.get(SALT), "values": values}))
    fresh.rename(kept)  # whole or not at all, also where this is killed


def _earlier(kept: Path) -> Any:
    """What was kept. One that cannot be read, as after a full disk, counts for none: it is made anew."""
    try:
        return json.loads(kept.read_text())
    except (OSError, ValueError):
        return {}


def _at(config: Any, path: str) -> Any:
    for key in path.split("."):
        config = config[key]
    return config
