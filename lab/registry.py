"""Who owns which lab on this machine, and the end of labs whose owner was killed.

A lab is a directory below one base directory. Whoever builds or uses it holds a flock(2) lock on the directory itself,
so that no lock file can be left over; the kernel drops the lock with its holder, however that ends. A directory that
nobody locks is a dead lab, unless it has the marker `ready`: that of a lab meant to stay, whose processes still run.
"""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.namespaces import LabError, Process

BASE = Path("/run/wireguard-mesh-lab")
_PROCESSES = "processes.json"
_READY = "ready"


class Claim:
    """A lab's directory, and the lock on it. Made by `create` and `join` only."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    def record(self, processes: Sequence[Process]) -> None:
        """Notes the processes whose end is the lab's end."""
        text = json.dumps([[process.pid, process.started] for process in processes])
        (self.path / _PROCESSES).write_text(text)

    def keep(self) -> None:
        """Marks the lab as one that stays when nobody holds it."""
        (self.path / _READY).touch()

    def release(self) -> None:
        """Lets go of the lab without ending it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def end(self) -> None:
        """Ends the lab and removes everything of it. Raises LabError where somebody else uses it too."""
        if self._descriptor is None:
            return
        with _held(self.path.parent):
            if not _lock(self._descriptor, fcntl.LOCK_EX):
                raise LabError(f"the lab {self.path.name} is in use by another process; end that first")
            _destroy(self.path)
        self.release()
        _remove_if_empty(self.path.parent)


def create(base: Path, identity: str) -> Claim:
    """Claims a new lab, after ending every dead one. Raises LabError where one of this identity runs already."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", identity):
        raise LabError(f"{identity!r} is no name for a lab: use lower case letters, digits and dashes")
    path = base / identity
    with _held(base):
        _sweep(base)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            raise LabError(f"the lab {identity} is running already, or just being started") from None
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        _lock(descriptor, fcntl.LOCK_EX)
    return Claim(path, descriptor)


def join(base: Path, identity: str) -> Claim | None:
    """Joins a lab that stays, so that nobody ends it meanwhile; None where there is none that runs."""
    path = base / identity
    if not path.is_dir():
        return None
    with _held(base):
        _sweep(base)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            descriptor = -1
        if descriptor >= 0:
            if not _lock(descriptor, fcntl.LOCK_SH) or not _stays(path):
                os.close(descriptor)
                raise LabError(f"the lab {identity} belongs to another process, which is still running")
            return Claim(path, descriptor)
    _remove_if_empty(base)
    return None


def sweep(base: Path) -> list[str]:
    """Ends every lab whose owner is gone; gives their identities."""
    if not base.is_dir():
        return []
    with _held(base):
        ended = _sweep(base)
    _remove_if_empty(base)
    return ended


def _sweep(base: Path) -> list[str]:
    """The caller holds the base, so that no lab is between its directory and its lock."""
    ended = []
    for path in sorted(base.iterdir()):
        if not path.is_dir():
            continue
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _lock(descriptor, fcntl.LOCK_EX) and not _stays(path):
                _destroy(path)
                ended.append(path.name)
        finally:
            os.close(descriptor)
    return ended


def _stays(path: Path) -> bool:
    processes = _recorded(path)
    return (path / _READY).exists() and bool(processes) and processes[0].alive


def _destroy(path: Path) -> None:
    for process in _recorded(path):
        process.kill()
    shutil.rmtree(path)


def _recorded(path: Path) -> list[Process]:
    try:
        return [Process(pid, started) for pid, started in json.loads((path / _PROCESSES).read_text())]
    except (FileNotFoundError, ValueError):
        # Killed before it was noted, or while: such a lab's keeper has ended with the one that started it.
        return []


def _lock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _held(base: Path, timeout: float = 60) -> Iterator[None]:
    """Keeps others from making, joining or ending labs meanwhile. The base is made where it is missing."""
    deadline = time.monotonic() + timeout
    while True:
        base.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            if _lock(descriptor, fcntl.LOCK_EX) and _is_still(base, descriptor):
                yield
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise LabError(f"another process has held {base} for {timeout:g} s")
        time.sleep(0.02)


def _is_still(path: Path, descriptor: int) -> bool:
    """False where another process has removed the directory since it was opened: then its lock keeps nobody away."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_if_empty(base: Path) -> None:
    try:
        base.rmdir()
    except OSError:
        # Another lab is there, or another process removed it first.
        return
