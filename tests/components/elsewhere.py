"""A kind of site that the program does not know: machines somewhere else, with two addresses each."""

from collections.abc import Mapping, Sequence

import pulumi

from components.connection import USUAL, machine_connection
from components.site import Ground, Machine
from mesh.model import SiteName
from mesh.plan import SitePlan
from tests.mesh.meshes import HOST_KEY


class Elsewhere:
    """What `components.site.Machine` asks for, and nothing more."""

    def __init__(self, plan: SitePlan, ground: Ground) -> None:
        self.address: pulumi.Input[str] = "198.51.100.201"
        self.sends_from: Sequence[pulumi.Input[str]] = ("198.51.100.201", "198.51.100.202")
        self.machine_id: pulumi.Input[str] = "elsewhere-1"
        self.boot = self.machine_id
        self.connection = machine_connection(self.address, "root", HOST_KEY, ground.operator_key(), USUAL)
        self.first_connection = self.connection
        self.gone_with: pulumi.Resource | None = None
        self.shows: Mapping[str, pulumi.Output[str]] = {}

    def join(self, others: Mapping[SiteName, Machine]) -> Sequence[pulumi.Resource]:
        return ()

    def route(self, reached: Mapping[SiteName, pulumi.Resource]) -> None:
        pass
