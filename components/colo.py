"""A site on a machine that exists already."""

from collections.abc import Mapping, Sequence

import pulumi

from components.connection import connection
from components.site import Ground, Machine
from mesh.hostkey import fingerprint
from mesh.model import Colo, SiteName
from mesh.plan import SitePlan


class ColoSite:
    """A machine that is only configured. It makes no resource: each would cost time at every `up`."""

    def __init__(self, plan: SitePlan, ground: Ground) -> None:  # noqa: ARG002 every kind takes both
        colo, host = plan.site.kind, plan.site.endpoint.host
        if not isinstance(colo, Colo) or host is None:
            raise TypeError(f"{plan.site} is no colo with an endpoint of its own")
        self.connection = connection(colo.ssh)
        self.first_connection = self.connection
        self.machine_id: pulumi.Input[str] = fingerprint(colo.ssh.host_key)
        self.boot = self.machine_id
        self.address: pulumi.Input[str] = host
        self.sends_from: Sequence[pulumi.Input[str]] = tuple(str(address) for address in colo.sends_from)
        self.gone_with: pulumi.Resource | None = None
        self.shows: Mapping[str, pulumi.Output[str]] = {}

    def join(self, others: Mapping[SiteName, Machine]) -> Sequence[pulumi.Resource]:  # noqa: ARG002 nothing to open
        """Nothing: its firewall is its owner's."""
        return ()

    def route(self, reached: Mapping[SiteName, pulumi.Resource]) -> None:
        """Nothing: its routers are its owner's."""
