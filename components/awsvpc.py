"""Where a gateway stands on AWS: a VPC that is there, or one that is made, and the route tables that lead to it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from operator import itemgetter
from typing import Any

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
    resource's name. Without `uplink` no packet passes between the internet and the subnet. `instance_type` is the
    config's, once the subnet's zone is known to have it.
    """

    vpc: pulumi.Input[str]
    subnet: pulumi.Input[str]
    tables: Sequence[tuple[str, pulumi.Input[str]]]
    instance_type: pulumi.Input[str]
    uplink: Sequence[pulumi.Resource] = ()


def aws_network(site: str, aws: Aws, tags: Mapping[str, str], asker: Asker, opts: pulumi.ResourceOptions) -> AwsNetwork:
    """The network of a site's gateway; a new VPC gets a way to the internet, and one subnet that has it.

    The subnet is in a zone that has the instance type: left to choose, AWS may take one that has not, for good.
    """
    vpc = aws.vpc
    if isinstance(vpc, ExistingVpc):
        tables = tuple((f"-{table}", table) for table in vpc.route_tables)
        return AwsNetwork(vpc.id, vpc.subnet, tables, aws.instance_type)
    made = Vpc(f"{site}-vpc", cidr_block=str(vpc.cidr), tags=tags, opts=opts)
    internet = InternetGateway(
        f"{site}-internet",
        vpc_id=made.id,
        tags=tags,
        # AWS would move it to another VPC, but not while this one has a public address in use.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(replace_on_changes=["vpc_id"])),
    )
    zones = _zones(site, aws, asker)
    subnet = Subnet(
        f"{site}-subnet",
        vpc_id=made.id,
        cidr_block=str(_first_subnet(vpc.cidr)),
        availability_zone=zones.apply(itemgetter(0)),
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
    instance_type = pulumi.Output.all(subnet.availability_zone, zones).apply(partial(_in_its_zone, site, aws))
    return AwsNetwork(made.id, subnet.id, (("", table.id),), instance_type, (internet, way_out, used))


def _zones(site: str, aws: Aws, asker: Asker) -> pulumi.Output[list[str]]:
    function = "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings"
    arguments = {
        "locationType": "availability-zone",
        "filters": [GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=[aws.instance_type])],
    }
    offered = asker.ask(function, arguments, GetInstanceTypeOfferingsResult)
    return offered.apply(partial(_own_zones, site, aws))


def _own_zones(site: str, aws: Aws, offered: GetInstanceTypeOfferingsResult) -> list[str]:
    """The region's own zones: local ones (us-east-1-bos-1a) have other addresses, and are asked for."""
    zones = sorted(zone for zone in offered.locations if re.fullmatch(f"{aws.region}[a-z]", zone))
    if not zones:
        raise pulumi.RunError(f"{_type(site, aws)}: no zone of {aws.region} has this type; take one that it offers")
    return zones


def _in_its_zone(site: str, aws: Aws, known: Sequence[Any]) -> str:
    """The instance type: an instance that is stopped to get one which its zone lacks cannot be started again."""
    zone, zones = known
    if zone not in zones:
        raise pulumi.RunError(
            f"{_type(site, aws)}: {zone}, where the gateway's subnet is, does not have this type, but"
            f" {', '.join(zones)} do{'es' * (len(zones) == 1)}; take another type, or the site out and in again"
        )
    return aws.instance_type


def _type(site: str, aws: Aws) -> str:
    return f"wireguard-mesh:sites.{site}.aws.instance_type: {aws.instance_type}"


def _first_subnet(cidr: IPv4Network) -> IPv4Network:
    return next(cidr.subnets(new_prefix=max(cidr.prefixlen, _SUBNET_PREFIX)))
