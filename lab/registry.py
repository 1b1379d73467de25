"""Who owns which lab on this machine, and the end of labs whose owner was killed.

A lab is a directory below one base directory. Whoever builds or uses it holds a flock(2) lock on the directory itself,
so that no lock file can be left over; the kernel drops the lock with its holder, however that ends. A directory that
nobody locks is a dead lab, unless it has the marker `ready`: that of a lab meant to stay, whose processes still run.
One process uses a lab at a time.
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
_USER = "user"


class InUseError(LabError):
    """Another process builds or uses the lab now."""

    def __init__(self, path: Path) -> None:
        try:
            who = f"process {int((path / _USER).read_text())}"
        except (FileNotFoundError, ValueError):
            # The one that has just taken it has not noted itself yet.
            who = "another process"
        super().__init__(f"the lab {path.name} is in use by {who}")


class Claim:
    """A lab's directory, and the lock on it, which is this process's alone. Made by `create` and `join` only."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        (path / _USER).write_text(str(os.getpid()))

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
        """Ends the lab and removes everything of it."""
        if self._descriptor is None:
            return
        with _held(self.path.parent):
            _destroy(self.path)
        self.release()
        _remove_if_empty(self.path.parent)


def create(base: Path, identity: str) -> Claim:
    """Claims a new lab, after ending every dead one.

    Raises LabError where one of this identity runs already, InUseError where another process has that one.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", identity):
        raise LabError(f"{identity!r} is no name for a lab: use lower case letters, digits and dashes")
    path = base / identity
    with _held(base):
        _sweep(base)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if _is_locked(path):
                raise InUseError(path) from None
            raise LabError(f"the lab {identity} is running already") from None
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        _lock(descriptor)
    return Claim(path, descriptor)


def join(base: Path, identity: str) -> Claim | None:
    """Joins a lab that stays, so that nobody else uses or ends it meanwhile; None where there is none that runs.

    Raises InUseError where another process has it.
    """
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
            if not _lock(descriptor):
                os.close(descriptor)
                raise InUseError(path)
            if _stays(path):
                return Claim(path, descriptor)
            # Its owner was killed since the sweep.
            _destroy(path)
            os.close(descriptor)
    _remove_if_empty(base)
    return None


def keeper(path: Path) -> Process:
    """The process under which everything in a lab runs. Raises LabError where the lab has none."""
    processes = _recorded(path)
    if not processes:
        raise LabError(f"the lab {path.name} does not run")
    return processes[0]


def staying(base: Path) -> list[str]:
    """The identities of the labs that stay and run, whether or not somebody uses them."""
    return sorted(path.name for path in base.iterdir() if _stays(path)) if base.is_dir() else []


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
            if _lock(descriptor) and not _stays(path):
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


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


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
            if _lock(descriptor) and _is_still(base, descriptor):
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
