"""What of a fabric is in place: the namespaces of its routers and machines, and what was put into each.

It is written before the kernel is told anything, as what may be there from now on, and after it, as what is.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.namespaces import Namespace, Process


@dataclass(slots=True)
class Place:
    """A namespace of the fabric; `started` tells its process from a later one with the same id."""

    role: str
    pid: int
    started: int
    private: bool

    @property
    def namespace(self) -> Namespace:
        """To run things in."""
        return Namespace(self.role, Process(self.pid, self.started), self.private)

    @property
    def alive(self) -> bool:
        """False where it has ended, whoever did it."""
        return Process(self.pid, self.started).alive

    def end(self) -> None:
        """Ends it, and everything in it."""
        Process(self.pid, self.started).kill()


def place(namespace: Namespace) -> Place:
    """Notes a namespace that was just made."""
    return Place(namespace.name, namespace.holder.pid, namespace.holder.started, namespace.private)


@dataclass(slots=True)
class Router:
    """The router of a VPC. `uplink` is the internet's end of its link, `linked` when that is there.

    `ports` has for each link its name and form, the form empty as long as the link may not be whole; `old` are the
    names of links that may still be there. `numbers` are those of its routing tables.
    """

    place: Place
    uplink: str
    linked: bool = False
    ports: dict[str, tuple[str, str]] = field(default_factory=dict)
    old: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    routes: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    nat: list[tuple[str, str]] = field(default_factory=list)
    public: list[str] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Machine:
    """A machine's namespace.

    `installed` when its first boot is over, well or not, so that its files are those of a machine; `booted` when the
    last one is; `on` until it is stopped.
    """

    place: Place
    installed: bool = False
    booted: bool = False
    on: bool = True


@dataclass(slots=True)
class State:
    """Everything in place. `count` numbers the links, so that no name ever comes again. `vpcs`: of which site.

    `unsure` while the kernel is told something: then what is noted of a router may be there, or not.
    """

    count: int = 0
    routers: dict[str, Router] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    vpcs: dict[str, str] = field(default_factory=dict)
    unsure: bool = False

    def number(self) -> int:
        """One that was not given before."""
        self.count += 1
        return self.count

    def save(self, path: Path) -> None:
        """Writes it whole, or not at all."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.rename(path)


def load(path: Path) -> State:
    """What `save` wrote; the empty state where there is none."""
    if not path.exists():
        return State()
    told = json.loads(path.read_text())
    parts = {
        "routers": {name: _router(router) for name, router in told["routers"].items()},
        "machines": {
            name: Machine(**{**one, "place": Place(**one["place"])}) for name, one in told["machines"].items()
        },
    }
    return State(**{**told, **parts})


def _router(told: dict[str, Any]) -> Router:
    pairs = {
        "place": Place(**told["place"]),
        "ports": {key: (name, form) for key, (name, form) in told["ports"].items()},
        "nat": [(outer, inner) for outer, inner in told["nat"]],
    }
    return Router(**{**told, **pairs})
