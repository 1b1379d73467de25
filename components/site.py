"""What every kind of site offers to its endpoint, and the kinds there are."""

from typing import Protocol

import pulumi
from pulumi_command import remote

from components.connection import connection
from mesh.hostkey import fingerprint
from mesh.model import Colo, Site, Ssh


class Machine(Protocol):
    """A site's gateway as its endpoint sees it, whatever made it.

    `machine_id` changes when another machine takes its place: it is part of the bundle, so that the new one is
    configured even where address and host key stayed the same.
    """

    ssh: Ssh
    connection: remote.ConnectionArgs
    machine_id: pulumi.Input[str]


class ColoSite:
    """A machine that exists already. It makes no resource: nothing is to be made, and each costs time at every `up`."""

    def __init__(self, colo: Colo) -> None:
        self.ssh = colo.ssh
        self.connection = connection(colo.ssh)
        self.machine_id: pulumi.Input[str] = fingerprint(colo.ssh.host_key)


def machine(site: Site) -> Machine:
    """The machine of a site, by its kind."""
    return ColoSite(site.kind)
