"""The program that the endpoints run: one text, kept in parts that are read in the order of their names."""

from pathlib import Path


def helper_text(folder: Path) -> str:
    """The parts in `folder` (host/*.sh), one after the other. Raises FileNotFoundError where there is none."""
    parts = sorted(folder.glob("*.sh"))
    if not parts:
        raise FileNotFoundError(f"there is no part of the endpoints' program, *.sh, in {folder}")
    return "".join(part.read_text() for part in parts)
