"""The user's cache folder: a thing in it was made once, is whole or absent, and others wait while it is being made."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Make = Callable[[Path], None]


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the tools are kept: `wireguard-mesh` in `$XDG_CACHE_HOME` or `~/.cache`.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification says.
    """
    configured = Path(environment.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path(environment.get("HOME") or Path.home()) / ".cache"
    return base / "wireguard-mesh"


def made_once(
    place: Path,
    make: Make,
    whole: Callable[[Path], bool],
    on_wait: Callable[[float], None] | None = None,
) -> None:
    """Makes sure that the folder `place` exists and is `whole`; `make` is called with an empty folder if it is not.

    `place` appears by a rename, so a killed `make` leaves only a `.partial` folder, which the next start removes. Two
    starts exclude each other by a lock on the parent folder; the kernel drops it with its holder, so it is never stale.
    `on_wait` gets the seconds waited so far while another start holds it. What root makes in a home is its user's.
    """
    if place.exists() and whole(place):
        return
    new = _first_missing(place.parent)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(place.parent, on_wait):
        if place.exists():
            # Another start may have finished it while we waited.
            if whole(place):
                return
            shutil.rmtree(place)
        partial = place.with_name(f"{place.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            make(partial)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            _hand_over(new)


@contextmanager
def _exclusive(folder: Path, on_wait: Callable[[float], None] | None) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        start = time.monotonic()
        while not _locked(descriptor):
            if on_wait is not None:
                on_wait(time.monotonic() - start)
            time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _first_missing(folder: Path) -> Path:
    """The topmost folder that has to be made for `folder` to exist, or `folder` itself."""
    missing = [candidate for candidate in (folder, *folder.parents) if not candidate.exists()]
    return missing[-1] if missing else folder


def _hand_over(folder: Path) -> None:
    """Gives what root made to whom the folder around it belongs."""
    owner = folder.parent.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for directory, _, files in os.walk(folder):
        for path in (Path(directory), *(Path(directory) / file for file in files)):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
