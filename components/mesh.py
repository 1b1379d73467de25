"""The whole mesh: its keys, and an endpoint for each site."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import pulumi

from components.endpoint import Endpoint
from components.keys import key_ring
from components.site import machine
from mesh.bundle import Bundle
from mesh.commands import Commands
from mesh.keyring import KeyRing
from mesh.model import Mesh, Site, SiteName
from mesh.plan import SitePlan


class WireguardMesh(pulumi.ComponentResource):
    """Every site of `mesh`, joined as `plans` says. `helper` is the text of the program that the endpoints run."""

    def __init__(
        self,
        name: str,
        *,
        mesh: Mesh,
        plans: Mapping[SiteName, SitePlan],
        helper: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("wireguard-mesh:index:WireguardMesh", name, None, opts)
        keys = key_ring(mesh, parent=self)
        self.endpoints = {site.name: self._endpoint(site, plans[site.name], keys, helper) for site in mesh.sites}
        self.register_outputs({})

    def _endpoint(self, site: Site, plan: SitePlan, keys: pulumi.Output[KeyRing], helper: str) -> Endpoint:
        its = machine(site)
        return Endpoint(
            site.name,
            machine=its,
            commands=Commands(plan.interface, site.name),
            helper=helper,
            bundle=pulumi.Output.all(keys, its.machine_id).apply(partial(_bundle, plan)),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _bundle(plan: SitePlan, values: Sequence[Any]) -> Bundle:
    keys, machine_id = cast("tuple[KeyRing, str]", values)
    return keys.bundle(plan, machine_id)
