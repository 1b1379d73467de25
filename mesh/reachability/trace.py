"""What had a say about a packet on its way, for explanations."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from mesh.model import SiteName

Kind: TypeAlias = Literal["route", "allowed IPs", "handshake", "source", "NAT", "rule"]


class Said(NamedTuple):
    """What decided at one place: a rule, a prefix, or in words what is missing.

    `services` are the bits that it decided about, `passes` how; `back` is True on the way of the answer.
    """

    site: SiteName
    kind: Kind
    text: str
    services: int
    passes: bool
    back: bool


@dataclass(slots=True)
class Trace:
    """Takes the steps of a packet in their order. `back` is set when the answer sets out."""

    steps: list[Said] = field(default_factory=list)
    back: bool = False

    def step(self, site: SiteName, kind: Kind, text: str, services: int, passes: bool = True) -> None:
        """Adds one."""
        self.steps.append(Said(site, kind, text, services, passes, self.back))
