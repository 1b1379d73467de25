"""What one measured process of ours does: `python -m bench.work texts FOLDER` or `preview FOLDER`.

The folder holds the input, as bench/meshes.py writes it, and gets the report of what was measured.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.meshes import KEYS, REPORT, STACK, TEXTS
from mesh.config import engine_sections, parse
from mesh.hostkey import fingerprint
from mesh.keyring import KeyRing
from mesh.model import Colo, Mesh, Site
from mesh.outputs import reachability_text, site_texts
from mesh.plan import plan


class Stages:
    """The seconds that each stage of a run took, by its name, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures what is done within it."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def texts(folder: Path) -> dict[str, float]:
    """Makes every site's bundle, holds all of them as an `up` does, and writes each to a file of its own.

    Gives the seconds of the stages config, plan, keys, render and write.
    """
    stages = Stages()
    with stages.stage("config"):
        mesh = _mesh(folder)
    with stages.stage("plan"):
        plans = plan(mesh)
    kept = json.loads((folder / KEYS).read_text())
    with stages.stage("keys"):
        ring = KeyRing.of(kept["private"], kept["root"])
    with stages.stage("render"):
        bundles = {str(site): ring.bundle(plans[site.name], _machine(site), {}).text for site in mesh.sites}
    with stages.stage("write"):
        _write(folder, bundles)
    return stages.seconds


def _machine(site: Site) -> str:
    if not isinstance(site.kind, Colo):
        raise TypeError(f"{site}: what is measured are colos, whose addresses are known before an up")
    return fingerprint(site.kind.ssh.host_key)


def preview(folder: Path) -> dict[str, float]:
    """Makes what every preview shows: each site's texts without keys and, read from those, who reaches whom.

    Gives the seconds of the stages config, plan, texts and reachability; writes who reaches whom to a file.
    """
    stages = Stages()
    with stages.stage("config"):
        mesh = _mesh(folder)
    with stages.stage("plan"):
        plans = plan(mesh)
    with stages.stage("texts"):
        shown = site_texts(plans)
    with stages.stage("reachability"):
        reached = reachability_text(mesh, shown)
    _write(folder, {"reachability": reached})
    return stages.seconds


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    (folder / TEXTS).mkdir()
    for name, text in texts.items():
        (folder / TEXTS / name).write_text(text)


def _mesh(folder: Path) -> Mesh:
    return parse(engine_sections(json.loads((folder / STACK).read_text())))


def main(kind: str, folder: Path) -> None:
    """Does one kind of work on the input in a folder, and leaves its report there."""
    work = {"texts": texts, "preview": preview}[kind]
    (folder / REPORT).write_text(json.dumps(work(folder)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
