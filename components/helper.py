"""The program that the endpoints run: one text, kept in parts that are read in the order of their names."""

import base64
from pathlib import Path

from mesh.deflate import gzipped


def helper_text(folder: Path) -> str:
    """The parts in `folder` (host/*.sh), one after the other. Raises FileNotFoundError where there is none."""
    parts = sorted(folder.glob("*.sh"))
    if not parts:
        raise FileNotFoundError(f"there is no part of the endpoints' program, *.sh, in {folder}")
    return "".join(part.read_text() for part in parts)


def packed(text: str) -> str:
    """The text as `install` takes it (mesh/commands.py): one line of base64 of a gzip file, half as long.

    Every site has it twice in the state.
    """
    return base64.b64encode(gzipped(text.encode())).decode() + "\n"
