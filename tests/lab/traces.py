"""What a lab has on the machine, and what it could leave there."""

import socket
import time
from collections.abc import Callable
from pathlib import Path


def until(condition: Callable[[], bool], timeout: float = 20) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def namespaces_of(pid: int | str) -> set[str]:
    """The namespaces of a process that are not the machine's own."""
    kinds = ("net", "pid", "mnt", "uts")
    links = {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in kinds}
    return links - {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds}


def holders(namespaces: set[str]) -> list[str]:
    """The processes of the machine that are in one of these namespaces."""
    found = []
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and namespaces_of(directory.name) & namespaces:
                found.append((directory / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def traces() -> set[str]:
    """What a lab could leave behind outside its namespaces: mounts and network interfaces."""
    mounts = {line for line in Path("/proc/self/mounts").read_text().splitlines() if line.startswith("lab ")}
    return mounts | {name for _, name in socket.if_nameindex()}


def marked(identity: str, role: str = "") -> list[int]:
    """The processes of the machine that carry a lab's mark."""
    mark = f"WIREGUARD_MESH_LAB={identity}/{role}".encode()
    found = []
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and mark in (directory / "environ").read_bytes():
                found.append(int(directory.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def everything_in(identity: str) -> set[str]:
    """Every namespace of a lab."""
    return set[str]().union(*map(namespaces_of, marked(identity)))
