"""What every kind of site offers to its endpoint and to other sites, and the kinds there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import pulumi
from pulumi_command import remote

from mesh.model import Aws, Colo, DigitalOcean, Kind, Mesh, SiteName
from mesh.plan import SitePlan

# Names, and no imports: a cloud's SDK is loaded only where a site is in that cloud. A third cloud is one line more.
KINDS: Mapping[type[Kind], str] = {
    Colo: "components.colo.ColoSite",
    Aws: "components.aws.AwsSite",
    DigitalOcean: "components.digitalocean.DigitalOceanSite",
}


class Machine(Protocol):
    """A site's gateway as everything else sees it, whatever made it.

    `first_connection` waits for a machine that may still boot. `machine_id` changes when another machine takes its
    place: the endpoint's commands hold it, so that the new one is configured even where address and host key stayed the
    same. `boot` changes whenever the program makes a machine boot, a new one or the same once more. `address` is the
    endpoint's, that peers send to; `sends_from` are the ones that its own packets come from, where they are known once
    it is made. `gone_with` is the machine itself where it goes with the site: nothing is dialled then to clean it.
    `shows` are outputs of the stack, by name.
    """

    connection: remote.ConnectionArgs
    first_connection: remote.ConnectionArgs
    machine_id: pulumi.Input[str]
    boot: pulumi.Input[str]
    address: pulumi.Input[str]
    sends_from: Sequence[pulumi.Input[str]]
    gone_with: pulumi.Resource | None
    shows: Mapping[str, pulumi.Output[str]]

    def join(self, others: Mapping[SiteName, "Machine"]) -> Sequence[pulumi.Resource]:
        """Opens the cloud's firewall, to the other machines too; gives all that has to be there before the first dial.

        Called once every machine is made.
        """
        ...

    def route(self, reached: Mapping[SiteName, pulumi.Resource]) -> None:
        """Sends other sites' prefixes to this gateway, in the cloud's route tables.

        A route comes after the resource of the site that it leads to, and so it also goes before it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What machines are made on: the mesh, the component that they belong to, and the SSH key that is to open them."""

    mesh: Mesh
    parent: pulumi.Resource
    operator_key: Callable[[], pulumi.Output[str]]


def machine(plan: SitePlan, ground: Ground) -> Machine:
    """The machine of a site, by its kind."""
    module, _, name = KINDS[type(plan.site.kind)].rpartition(".")
    return cast("Callable[[SitePlan, Ground], Machine]", getattr(import_module(module), name))(plan, ground)
