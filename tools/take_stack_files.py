"""For the workflows: copies the stack files of a checkout over this one's, and prints which differ, as `stacks=[...]`.

Usage: .venv/bin/python tools/take_stack_files.py DIRECTORY. With this directory itself, it names every stack but the
sample, which is left out everywhere.

The files come from a pull request and are data: a symbolic link, an odd name or a large file is refused, and so is a
change of the settings that say where secrets are decrypted, which only a commit on the base branch may make.
"""

import json
import re
import sys
from pathlib import Path

import yaml

SAMPLE = "dev"
NAME = re.compile(r"Pulumi\.([A-Za-z0-9_-]{1,64})\.yaml")
LARGEST = 1_000_000


def main() -> int:
    """Gives the exit status: 0, or 1 where a file is refused."""
    head, here = Path(sys.argv[1]), Path()
    stacks = []
    for file in sorted(head.glob("Pulumi.*.yaml")):
        match = NAME.fullmatch(file.name)
        if match is None or file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            print(f"{file.name}: refused: not a plain stack file", file=sys.stderr)
            return 1
        if match[1] == SAMPLE:
            continue
        new, target = file.read_bytes(), here / file.name
        if head.resolve() != here.resolve():
            old = target.read_bytes() if target.exists() else b""
            if old == new:
                continue
            if old and settings(old) != settings(new):
                print(f"{file.name}: refused: it changes how secrets are decrypted", file=sys.stderr)
                return 1
            target.write_bytes(new)
        stacks.append(match[1])
    print(f"stacks={json.dumps(stacks)}")
    return 0


def settings(text: bytes) -> object:
    """Everything in a stack file but its config: which key service or salt, and which environments are imported."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        return f"no YAML: {error}"
    return {key: value for key, value in content.items() if key != "config"} if isinstance(content, dict) else content


if __name__ == "__main__":
    sys.exit(main())
