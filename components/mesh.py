"""The whole mesh: its keys, a machine for each site, and an endpoint on each machine."""

from collections.abc import Container, Mapping
from functools import cache, partial
from typing import Any

import pulumi

from components.endpoint import Endpoint
from components.helper import packed
from components.keys import key_ring, operator_key
from components.site import Ground, Machine, machine
from mesh.bundle import Bundle
from mesh.commands import Commands
from mesh.config.faults import report
from mesh.keyring import KeyRing
from mesh.model import Mesh, SiteName
from mesh.plan import SitePlan
from mesh.rotation import held_up

# How often the engine asks a host again that says "pending", each time by a connection of its own.
_AGAIN = 2


class WireguardMesh(pulumi.ComponentResource):
    """Every site of `mesh`, joined as `plans` says. `helper` is the text of the program that the endpoints run.

    `outputs` are those that only an `up` makes known, by name: of each site in a cloud `SITE.address` and what its kind
    shows besides. A secret is none of them: Pulumi's SDK writes a stack's outputs into the engine's log, secret or not.
    """

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
        ground = Ground(mesh, self, cache(partial(operator_key, mesh, self)))
        # All machines first, since firewalls let in the addresses of others; then the firewalls, and only then a dial.
        # A site's routes come last and so go first, before the site that they lead to.
        machines = {site: machine(plan, ground) for site, plan in plans.items()}
        given = {site.name: machines[site.name].address for site in mesh.sites if site.endpoint.host is None}
        self._within = mesh.confirm_within
        program = packed(helper)
        self.endpoints: dict[SiteName, Endpoint] = {}
        own = frozenset(site.name for site in mesh.sites if site.private_key is not None)
        # What a paused site's host has says which keys may change.
        for site, plan in sorted(plans.items(), key=lambda item: not item[1].site.paused):
            paused = {each: made.config.stdin for each, made in self.endpoints.items() if plans[each].site.paused}
            checked = pulumi.Output.all(keys=keys, paused=pulumi.Output.all(**paused)).apply(
                partial(_unless_held_up, own)
            )
            self.endpoints[site] = self._endpoint(plan, machines, checked, given, program)
        again = pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("confirm-again", _is_pending)])
        for endpoint in self.endpoints.values():
            endpoint.finish([other for other in self.endpoints.values() if other is not endpoint], again)
        reached = {site: endpoint.host for site, endpoint in self.endpoints.items()}
        for its in machines.values():
            its.route(reached)
        self.outputs: dict[str, pulumi.Output[str]] = {
            f"{site}.{what}": shown for site, its in machines.items() for what, shown in its.shows.items()
        }
        self.register_outputs({})

    def _endpoint(
        self,
        plan: SitePlan,
        machines: Mapping[SiteName, Machine],
        keys: pulumi.Output[KeyRing],
        given: Mapping[SiteName, pulumi.Input[str]],
        helper: str,
    ) -> Endpoint:
        site = plan.site.name
        its = machines[site]
        # Its own address is none of its business: where that changes alone, its bundle stays.
        addresses = {peer: address for peer, address in given.items() if peer != site}
        known = pulumi.Output.all(keys=keys, machine=its.machine_id, addresses=pulumi.Output.all(**addresses))
        return Endpoint(
            site,
            machine=its,
            after=its.join(machines),
            commands=Commands(plan.interface, site, self._within, plan.site.adopts),
            helper=helper,
            bundle=known.apply(partial(_bundle, plan)),
            site=plan.site,
            opts=pulumi.ResourceOptions(parent=self),
        )


def _is_pending(failed: pulumi.ErrorHookArgs) -> bool:
    """Whether a host that had gone back is to be asked once more: by now it has applied its generation again.

    Exit status 75 means that; twice in a row is more than it ever takes.
    """
    return "exited with status 75" in failed.errors[0] and len(failed.errors) <= _AGAIN


def _unless_held_up(own: Container[SiteName], known: Mapping[str, Any]) -> KeyRing:
    keys: KeyRing = known["keys"]
    paused = {SiteName(site): text or "" for site, text in dict(known["paused"]).items()}
    if faults := list(held_up(keys, paused, own)):
        raise pulumi.RunError(report(faults))
    return keys


def _bundle(plan: SitePlan, known: Mapping[str, Any]) -> Bundle:
    keys: KeyRing = known["keys"]
    return keys.bundle(plan, known["machine"], known["addresses"])
