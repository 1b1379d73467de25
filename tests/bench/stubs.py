"""Stand-ins for wg-meshconf, which is not in every checkout: one that does its work, or a part of it, or fails."""

import sys
from pathlib import Path

_GENERATES = """\
import csv, os
from pathlib import Path
names = [row["Name"] for row in csv.DictReader(open("database.csv"))]
Path("texts").mkdir()
for name in names:
    blocks = [f"\\n[Peer]\\n# Name: {other}\\n" for other in names if other != name]
    Path("texts", name + ".conf").write_text("[Interface]\\n" + "".join(blocks[SLICE]))
"""


def generates(folder: Path, peers: str = ":") -> list[str | Path]:
    """A program that reads the database and writes a section for each other node, or only a slice of those."""
    return _program(folder, _GENERATES.replace("SLICE", peers))


def fails(folder: Path) -> list[str | Path]:
    """A program that says why not."""
    return _program(folder, "import sys; sys.exit('no database')")


def _program(folder: Path, text: str) -> list[str | Path]:
    program = folder / "stub.py"
    program.write_text(text)
    return [sys.executable, program]
