"""For the workflows: takes over the stack files of a checkout, as data, and names those to preview.

Usage: .venv/bin/python tools/take_stack_files.py DIRECTORY. Copies the files that differ over those here, and prints
two lines: `stacks=[...]`, those that are here and changed, and `new=[...]`, those that are not here yet. Of a new one
nobody has agreed how its secrets are decrypted, so it is only checked. With this directory itself nothing is copied,
and every stack is in `stacks`. The sample is copied, and never named.

The files come from a pull request, and previews decrypt values and print others. So what is refused, by exit status 1:
what is no plain file, a name that GitHub's environments would take for another's, a change of the settings that say how
secrets are decrypted, an encrypted value at another place than on the base, where it may be printed, and a new key for
another program, such as a provider's address. All that only a commit on the base branch may make.
"""

import base64
import binascii
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from mesh.config.faults import place
from mesh.config.stackfile import PROJECT, namespaced

SAMPLE = "dev"
NAME = re.compile(r"Pulumi\.([A-Za-z0-9_][A-Za-z0-9_-]{0,63})\.yaml")
LARGEST = 1_000_000
MOST_VALUES = 200_000  # aliases of aliases grow beyond any memory
DEEPEST = 50

Place = tuple[str | int, ...]
# An encrypted value, see `ciphertext`, and where it stands.
Sealed = tuple[tuple[bytes, ...], Place]


class RefusedError(Exception):
    """A file that is not taken over; the text names it and says why."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{ascii(file)[1:-1]}: refused: {why}")


def main() -> int:
    """Gives the exit status: 0, or 1 where a file is refused."""
    head, here = Path(sys.argv[1]), Path()
    try:
        stacks, new = take(head, here) if head.resolve() != here.resolve() else (names(here, {}), [])
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 1
    for key, value in (("stacks", stacks), ("new", new)):
        print(f"{key}={json.dumps([name for name in value if name != SAMPLE])}")
    return 0


def take(head: Path, here: Path) -> tuple[list[str], list[str]]:
    """Copies what differs; gives the stacks that changed and those that are new. Raises RefusedError."""
    base = {name: (here / file_of(name)).read_bytes() for name in names(here, {})}
    # Of all stacks together: two of them may share a key.
    sealed = {found for name, text in base.items() for found in ciphertexts(file_of(name), text)}
    stacks: list[str] = []
    new: list[str] = []
    for name in names(head, {name.casefold(): name for name in base}):
        file = file_of(name)
        text = (head / file).read_bytes()
        if text == base.get(name):
            continue
        if name in base:
            refuse_other_settings(file, base[name], text)
        refuse_moved_ciphertexts(file, text, sealed)
        (here / file).write_bytes(text)
        (stacks if name in base else new).append(name)
    return stacks, new


def file_of(stack: str) -> str:
    """The name of a stack's file."""
    return f"Pulumi.{stack}.yaml"


def names(directory: Path, known: dict[str, str]) -> list[str]:
    """The stacks of a directory's files. `known` has other stacks' names by their case-folded forms."""
    folded = dict(known)
    found = []
    for file in sorted(directory.glob("Pulumi.*.yaml")):
        match = NAME.fullmatch(file.name)
        if match is None or file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            raise RefusedError(file.name, "not a plain stack file")
        other = folded.setdefault(match[1].casefold(), match[1])
        if other != match[1]:
            raise RefusedError(file.name, f"GitHub's environments ignore case, and {file_of(other)} is there")
        found.append(match[1])
    return found


def refuse_other_settings(file: str, old: bytes, new: bytes) -> None:
    """Holds a changed file to the base's settings, and to its keys outside this project."""
    before, after = content(file, old), content(file, new)
    # Which key service or salt, and which environments are imported: everything but the config.
    if {**before, "config": None} != {**after, "config": None}:
        raise RefusedError(file, "it changes how secrets are decrypted")
    foreign = {key for key, _ in config(after)} - {key for key, _ in config(before)}
    for key in sorted(foreign):
        if not key.startswith(f"{PROJECT}:"):
            raise RefusedError(file, f"it adds {place((key,))}, a key for another program; add it on the base branch")


def refuse_moved_ciphertexts(file: str, text: bytes, sealed: set[Sealed]) -> None:
    """Refuses an encrypted value of the base wherever the base does not have it."""
    known = {value for value, _ in sealed}
    for path, written in texts(file, text):
        value = ciphertext(written)
        if value in known and (value, path) not in sealed:
            where = place(path[:-1] if path[-1] == "secure" else path)
            raise RefusedError(file, f"{where} is an encrypted value from another place; encrypt it anew for this one")


def ciphertexts(file: str, text: bytes) -> Iterator[Sealed]:
    """The encrypted values of a stack file, and where they stand."""
    for path, written in texts(file, text):
        if path[-1] == "secure":
            yield ciphertext(written), path


def ciphertext(text: str) -> tuple[bytes, ...]:
    """What the engine decodes, alike for all ways to write it: Go's base64 skips line ends and odd bits at the end."""
    parts = []
    for part in text.split(":"):
        raw = part.encode(errors="replace")
        try:
            parts.append(base64.b64decode(raw + b"=="))
        except binascii.Error:
            parts.append(raw)
    return tuple(parts)


def texts(file: str, text: bytes) -> Iterator[tuple[Place, str]]:
    """Every text in the config and where it stands, aliases and merges followed."""
    waiting: list[tuple[Place, object]] = [((key,), value) for key, value in config(content(file, text))]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        path, value = waiting.pop()
        if len(path) > DEEPEST:
            break
        if isinstance(value, dict):
            waiting += [((*path, str(key)), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), item) for index, item in enumerate(value)]
        elif isinstance(value, str | bytes):
            yield path, value if isinstance(value, str) else value.decode("latin-1")
    if waiting:
        raise RefusedError(file, "it has too many values, or is nested too deeply")


def config(stack_file: dict[object, object]) -> list[tuple[str, object]]:
    """The entries of the config, by the keys that the engine takes them for; one may be there twice."""
    entries = stack_file.get("config")
    return [(namespaced(str(key)), value) for key, value in entries.items()] if isinstance(entries, dict) else []


def content(file: str, text: bytes) -> dict[object, object]:
    """What a stack file has at its top."""
    try:
        top = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RefusedError(file, "no valid YAML; 'meshctl check' says where") from None
    if not isinstance(top, dict | None):
        raise RefusedError(file, "not a plain stack file")
    return top or {}


if __name__ == "__main__":
    sys.exit(main())
