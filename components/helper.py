"""The program that the endpoints run: one text, kept in parts that are read in the order of their names."""

from pathlib import Path


def helper_text(folder: Path) -> str:
    """The parts in `folder` (host/*.sh), one after the other."""
    return "".join(part.read_text() for part in sorted(folder.glob("*.sh")))
