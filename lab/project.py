"""The lab's copy of the project: the engine writes into the stack file, and real keys have no place in a lab."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

NAMESPACE = "wireguard-mesh"
PROGRAM = ("Pulumi.yaml", "__main__.py", "mesh", "components", "host")
# What ties a stack file to one passphrase or key service.
ENCRYPTION = ("encryptionsalt", "encryptedkey", "secretsprovider")


def copy_project(source: Path, target: Path, stack: str, host_keys: Mapping[str, str]) -> None:
    """Copies the program and one stack's file to `target`, which may hold an earlier copy.

    In the stack file the host key beside each `host` becomes that of the lab's machine, and every secret is taken out:
    the lab makes its own. An earlier copy's salt is kept, since the state is encrypted with it.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in PROGRAM:
        _replace(source / name, target / name)
    stack_file = target / f"Pulumi.{stack}.yaml"
    earlier = yaml.safe_load(stack_file.read_text()) if stack_file.exists() else {}
    salt = {key: earlier[key] for key in ENCRYPTION if key in earlier}
    given = yaml.safe_load((source / stack_file.name).read_text())
    stack_file.write_text(yaml.safe_dump({**salt, **for_lab(given, host_keys)}, sort_keys=False))


def for_lab(stack: Mapping[str, Any], host_keys: Mapping[str, str]) -> dict[str, Any]:
    """The content of a stack file with the lab's host keys and without secrets. Raises KeyError for an unknown host."""
    return {key: _rewritten(value, host_keys) for key, value in stack.items() if key not in ENCRYPTION}


def _rewritten(node: Any, host_keys: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_rewritten(item, host_keys) for item in node]
    if not isinstance(node, dict):
        return node
    done = {key: _rewritten(value, host_keys) for key, value in node.items() if not _is_secret(key, value)}
    if "host_key" in done:
        done["host_key"] = host_keys[done["host"]]
    return done


def _is_secret(key: str, value: object) -> bool:
    return key == "private_key" or (isinstance(value, dict) and "secure" in value)


def _replace(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        # What is compiled comes along, and holds, since a file's time does too. `x.pyc.123` is just being written.
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.pyc.*"))
    else:
        shutil.copyfile(source, target)
