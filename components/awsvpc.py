"""Where a gateway stands on AWS: a VPC that is there, or one that is made, and the route tables that lead to it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network

import pulumi
from pulumi_aws.ec2._inputs import GetInstanceTypeOfferingsFilterArgs
from pulumi_aws.ec2.get_instance_type_offerings import GetInstanceTypeOfferingsResult
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc

from components.lookups import Asker
from mesh.model import Aws, ExistingVpc

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


def aws_network(site: str, aws: Aws, tags: Mapping[str, str], asker: Asker, opts: pulumi.ResourceOptions) -> AwsNetwork:
    """The network of a site's gateway; a new VPC gets a way to the internet, and one subnet that has it.

    The subnet is in a zone that has the instance type: left to choose, AWS may take one that has not, for good.
    """
    vpc = aws.vpc
    if isinstance(vpc, ExistingVpc):
        return AwsNetwork(vpc.id, vpc.subnet, tuple((f"-{table}", table) for table in vpc.route_tables))
    made = Vpc(f"{site}-vpc", cidr_block=str(vpc.cidr), tags=tags, opts=opts)
    internet = InternetGateway(
        f"{site}-internet",
        vpc_id=made.id,
        tags=tags,
        # AWS would move it to another VPC, but not while this one has a public address in use.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(replace_on_changes=["vpc_id"])),
    )
    subnet = Subnet(
        f"{site}-subnet",
        vpc_id=made.id,
        cidr_block=str(_first_subnet(vpc.cidr)),
        availability_zone=_zone(site, aws, asker),
        tags=tags,
        # Another zone would be another subnet, and with it another interface, address and machine.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["availability_zone"])),
    )
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


def _zone(site: str, aws: Aws, asker: Asker) -> pulumi.Output[str]:
    function = "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings"
    arguments = {
        "locationType": "availability-zone",
        "filters": [GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=[aws.instance_type])],
    }
    offered = asker.ask(function, arguments, GetInstanceTypeOfferingsResult)
    return offered.apply(partial(_first_zone, site, aws))


def _first_zone(site: str, aws: Aws, offered: GetInstanceTypeOfferingsResult) -> str:
    """The first of the region's own zones: local ones (us-east-1-bos-1a) have other addresses, and are asked for."""
    zones = sorted(zone for zone in offered.locations if re.fullmatch(f"{aws.region}[a-z]", zone))
    if not zones:
        place = f"wireguard-mesh:sites.{site}.aws.instance_type: {aws.instance_type}"
        raise pulumi.RunError(f"{place}: no zone of {aws.region} has this type; take one that the region offers")
    return zones[0]


def _first_subnet(cidr: IPv4Network) -> IPv4Network:
    return next(cidr.subnets(new_prefix=max(cidr.prefixlen, _SUBNET_PREFIX)))
