"""Where a gateway stands on AWS: a VPC that is there, or one that is made, and the route tables that lead to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc

from mesh.model import ExistingVpc, NewVpc

# A made VPC's only subnet, if the VPC is not smaller: the rest of it is its owner's to divide.
_SUBNET_PREFIX = 24


@dataclass(frozen=True, slots=True)
class AwsNetwork:
    """A VPC and the gateway's subnet in it.

    `tables` are the route tables that get the routes to other sites, each with what tells it from the others in a
    resource's name. Without `uplink` no packet passes between the internet and the subnet.
    """

    vpc: pulumi.Input[str]
    subnet: pulumi.Input[str]
    tables: Sequence[tuple[str, pulumi.Input[str]]]
    uplink: Sequence[pulumi.Resource] = ()


def aws_network(
    site: str, vpc: ExistingVpc | NewVpc, tags: Mapping[str, str], opts: pulumi.ResourceOptions
) -> AwsNetwork:
    """The network of a site's gateway; a new VPC gets a way to the internet, and one subnet that has it."""
    if isinstance(vpc, ExistingVpc):
        return AwsNetwork(vpc.id, vpc.subnet, tuple((f"-{table}", table) for table in vpc.route_tables))
    made = Vpc(f"{site}-vpc", cidr_block=str(vpc.cidr), tags=tags, opts=opts)
    internet = InternetGateway(f"{site}-internet", vpc_id=made.id, tags=tags, opts=opts)
    subnet = Subnet(f"{site}-subnet", vpc_id=made.id, cidr_block=str(_first_subnet(vpc.cidr)), tags=tags, opts=opts)
    table = RouteTable(f"{site}-routes", vpc_id=made.id, tags=tags, opts=opts)
    way_out = Route(
        f"{site}-internet-route",
        route_table_id=table.id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=internet.id,
        opts=opts,
    )
    used = RouteTableAssociation(f"{site}-routes-subnet", route_table_id=table.id, subnet_id=subnet.id, opts=opts)
    return AwsNetwork(made.id, subnet.id, (("", table.id),), (internet, way_out, used))


def _first_subnet(cidr: IPv4Network) -> IPv4Network:
    return next(cidr.subnets(new_prefix=max(cidr.prefixlen, _SUBNET_PREFIX)))
