"""A mesh of all three kinds of site, and changes to it, for the tests of what becomes of it."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, ip_network
from typing import Any

import pulumi

from components.mesh import WireguardMesh
from mesh.model import Aws, Colo, DigitalOcean, ExistingVpc, Mesh, NewVpc, Secret, Site
from mesh.plan import plan
from tests.mesh.meshes import mesh, network, site

HELPER = "#!/bin/sh\nexit 0\n"
AWS = Aws("us-east-1", NewVpc(IPv4Network("10.10.0.0/16")))
OCEAN = DigitalOcean("fra1", NewVpc(IPv4Network("10.40.0.0/24")))

NYC = site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24", masquerade=True), endpoint="203.0.113.10")
AMS = site("ams", "10.99.0.2", network("lan", "10.20.0.0/24", "fd20::/64"), endpoint="203.0.113.20")

# Who opens flows to whom, in every mesh that has both.
GRANTS = (
    ("use1.vpc", "nyc.virbr0", "tcp/443 icmp"),
    ("ams.lan", "use1.vpc", ""),
    ("ams.lan", "usw2.vpc", "tcp/22"),
    ("fra.vpc", "use1.vpc", "tcp/5432"),
    ("use1.vpc", "fra.vpc", "udp/53"),
    ("fra.vpc", "nyc.virbr0", ""),
)


def use1(*cidrs: str, **kind: Any) -> Site:
    """A site on AWS; in a VPC of its own unless told otherwise."""
    behind = network("vpc", *(cidrs or ("10.10.0.0/16",)), interface="ens5", return_route=None)
    return site("use1", "10.99.0.3", behind, endpoint=None, kind=replace(AWS, **kind))


def usw2() -> Site:
    """Another one, in a VPC that is there, with IPv6 and two route tables."""
    vpc = ExistingVpc("vpc-0a1b2c3d", "subnet-0a1b2c3d", ("rtb-0a1b2c3d", "rtb-1a1b2c3d"))
    behind = network("vpc", "10.50.0.0/16", "fd50::/56", interface="ens5", return_route=None)
    return site("usw2", "10.99.0.5", behind, endpoint=None, kind=Aws("us-west-2", vpc))


def fra(**kind: Any) -> Site:
    """A site on DigitalOcean."""
    behind = network("vpc", "10.40.0.0/24", interface="eth1", masquerade=True, return_route=None)
    return site("fra", "10.99.0.4", behind, endpoint=None, kind=replace(OCEAN, **kind))


def sgp() -> Site:
    """Another one, without any grant."""
    behind = network("vpc", "10.70.0.0/24", interface="eth1", masquerade=True, return_route=None)
    vpc = "0a1b2c3d-0a1b-4c3d-8e5f-0a1b2c3d4e5f"
    return site("sgp", "10.99.0.6", behind, endpoint=None, kind=DigitalOcean("sgp1", vpc))


def roaming(colo: Site) -> Site:
    """The same colo, whose packets come from nobody knows where."""
    if not isinstance(colo.kind, Colo):
        raise TypeError(f"{colo} is no colo")
    return replace(colo, kind=replace(colo.kind, sends_from=()))


def joined(*sites: Site, grants: Iterable[tuple[str, str, str]] = GRANTS, operator_key: str | None = None) -> Mesh:
    """These sites in one mesh, with those of the grants that are between two of them."""
    names = {site.name for site in sites}
    between = [grant for grant in grants if {side.partition(".")[0] for side in grant[:2]} <= names]
    of = mesh(*sorted(sites, key=lambda site: site.name), access=between)
    return replace(
        of,
        operators=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/48")),
        operator_key=None if operator_key is None else Secret(operator_key),
    )


def three_kinds() -> Mesh:
    """Two colos, AWS and DigitalOcean, and grants between all kinds."""
    return joined(NYC, AMS, use1(), fra())


def build(of: Mesh) -> dict[str, Any]:
    """Runs the component on a mesh, as the program does; gives its outputs, resolved."""
    found: dict[str, Any] = {}

    @pulumi.runtime.test
    def program() -> pulumi.Output[None]:
        made = WireguardMesh("mesh", mesh=of, plans=plan(of), helper=HELPER)
        return pulumi.Output.all(**made.outputs).apply(found.update)

    program()
    return found
