"""VPCs, subnets and internet gateways of the stand-in for AWS: what EC2 makes of them, and what it refuses."""

from collections.abc import Mapping
from ipaddress import IPv6Network, ip_network

from lab.clouds.api import ApiError
from lab.clouds.aws_region import (
    Action,
    Arguments,
    Item,
    Region,
    action,
    block,
    covers,
    dependency,
    invalid,
    tagged,
)

# Amazon VPC User Guide, "Amazon VPC quotas": the defaults, for each region.
VPCS = 5
GATEWAYS = 5


@action("CidrBlock", optional=("InstanceTenancy", "Tags"))
def create_vpc(region: Region, arguments: Arguments) -> Item:
    """CreateVpc, with the main route table and the default group that come with it."""
    cidr = block(arguments["CidrBlock"], "cidrBlock")
    if not 16 <= cidr.prefixlen <= 28:
        raise ApiError("InvalidVpc.Range", f"The CIDR '{cidr}' is invalid.")
    if (tenancy := arguments.get("InstanceTenancy", "default")) not in ("default", "dedicated"):
        raise ApiError("UnsupportedTenancy", f"The tenancy value {tenancy} is not supported.")
    if len(region.of("vpcs")) >= VPCS:
        raise ApiError("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
    return add_vpc(region, [str(cidr)], {"Tags": tagged(arguments), "InstanceTenancy": tenancy})


def add_vpc(region: Region, cidrs: list[str], more: Item, identity: str | None = None) -> Item:
    """A VPC without any further question; more than one block as in a VPC that has grown."""
    properties = {"CidrBlock": cidrs[0], "Cidrs": cidrs, "EnableDnsSupport": True, "EnableDnsHostnames": False, **more}
    found = region.add("vpcs", properties, identity)
    identity = found["VpcId"]
    table = region.add("tables", {"VpcId": identity, "Main": True, "Routes": []})
    group = region.add(
        "groups", {"VpcId": identity, "GroupName": "default", "GroupDescription": "default VPC security group"}
    )
    group_id = group["GroupId"]
    region.add("rules", {"GroupId": group_id, "IsEgress": False, "IpProtocol": "-1", "ReferencedGroupId": group_id})
    region.add("rules", {"GroupId": group_id, "IsEgress": True, "IpProtocol": "-1", "CidrIpv4": "0.0.0.0/0"})
    found.update({"MainRouteTableId": table["RouteTableId"], "DefaultGroupId": group_id})
    return found


@action("VpcId", optional=("EnableDnsSupport", "EnableDnsHostnames"))
def modify_vpc_attribute(region: Region, arguments: Arguments) -> Item:
    """ModifyVpcAttribute: "To modify more than one attribute, use separate requests"."""
    vpc = region.find("vpcs", arguments["VpcId"])
    if len(arguments) != 2:
        raise ApiError("InvalidParameterCombination", "Exactly one attribute can be modified in a request")
    new = {**vpc, **arguments}
    if new["EnableDnsHostnames"] and not new["EnableDnsSupport"]:
        raise invalid("DNS hostnames cannot be enabled where DNS support is not")
    vpc.update(arguments)
    return {}


@action("VpcId")
def delete_vpc(region: Region, arguments: Arguments) -> Item:
    """DeleteVpc: "You must detach or delete all gateways and resources that are associated with the VPC"."""
    identity = region.find("vpcs", arguments["VpcId"])["VpcId"]
    left = [*region.where("subnets", VpcId=identity), *region.where("gateways", VpcId=identity)]
    left += [table for table in region.where("tables", VpcId=identity) if not table.get("Main")]
    left += [group for group in region.where("groups", VpcId=identity) if group["GroupName"] != "default"]
    if left:
        raise dependency(f"The vpc '{identity}' has dependencies and cannot be deleted.")
    for table in list(region.where("tables", VpcId=identity)):
        region.remove("tables", table["RouteTableId"])
    for group in list(region.where("groups", VpcId=identity)):
        for rule in list(region.where("rules", GroupId=group["GroupId"])):
            region.remove("rules", rule["SecurityGroupRuleId"])
        region.remove("groups", group["GroupId"])
    region.remove("vpcs", identity)
    return {}


@action("VpcId", "CidrBlock", optional=("AvailabilityZone", "Ipv6CidrBlock", "Tags"))
def create_subnet(region: Region, arguments: Arguments) -> Item:
    """CreateSubnet: "A subnet CIDR block must not overlap the CIDR block of an existing subnet in the VPC"."""
    vpc = region.find("vpcs", arguments["VpcId"])
    blocks = {"CidrBlock": block(arguments["CidrBlock"], "cidrBlock")}
    if not 16 <= blocks["CidrBlock"].prefixlen <= 28:
        raise ApiError("InvalidSubnet.Range", f"The CIDR '{blocks['CidrBlock']}' is invalid.")
    if arguments.get("Ipv6CidrBlock"):
        blocks["Ipv6CidrBlock"] = block(arguments["Ipv6CidrBlock"], "ipv6CidrBlock", IPv6Network)
    for name, cidr in blocks.items():
        if not any(covers(outer, cidr) for outer in vpc["Cidrs"]):
            raise ApiError("InvalidSubnet.Range", f"The CIDR '{cidr}' is invalid.")
        for other in region.where("subnets", VpcId=vpc["VpcId"]):
            if other.get(name) and ip_network(other[name]).overlaps(cidr):
                raise ApiError("InvalidSubnet.Conflict", f"The CIDR '{cidr}' conflicts with another subnet")
    zone = region.zone(arguments.get("AvailabilityZone"))
    return region.add(
        "subnets",
        {
            "VpcId": vpc["VpcId"],
            **{name: str(cidr) for name, cidr in blocks.items()},
            "AvailabilityZone": zone,
            "MapPublicIpOnLaunch": False,
            "Tags": tagged(arguments),
        },
    )


@action("SubnetId")
def delete_subnet(region: Region, arguments: Arguments) -> Item:
    """DeleteSubnet: not while there are network interfaces in it."""
    identity = region.find("subnets", arguments["SubnetId"])["SubnetId"]
    if any(region.where("interfaces", SubnetId=identity)):
        raise dependency(f"The subnet '{identity}' has dependencies and cannot be deleted.")
    for association in list(region.where("table_associations", SubnetId=identity)):
        region.remove("table_associations", association["AssociationId"])
    region.remove("subnets", identity)
    return {}


@action(optional=("Tags",))
def create_internet_gateway(region: Region, arguments: Arguments) -> Item:
    """CreateInternetGateway: attached to no VPC."""
    if len(region.of("gateways")) >= GATEWAYS:
        raise ApiError("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")
    return region.add("gateways", {"VpcId": None, "Tags": tagged(arguments)})


@action("InternetGatewayId", "VpcId")
def attach_internet_gateway(region: Region, arguments: Arguments) -> Item:
    """AttachInternetGateway: "You also cannot attach an internet gateway to more than one VPC at a time"."""
    gateway, vpc = region.find("gateways", arguments["InternetGatewayId"]), region.find("vpcs", arguments["VpcId"])
    identity = gateway["InternetGatewayId"]
    if gateway["VpcId"]:
        raise ApiError(
            "Resource.AlreadyAssociated", f"resource {identity} is already attached to network {gateway['VpcId']}"
        )
    if attached_gateway(region, vpc["VpcId"]):
        raise invalid(f"Network {vpc['VpcId']} already has an internet gateway attached")
    gateway["VpcId"] = vpc["VpcId"]
    return {}


def attached_gateway(region: Region, vpc: str) -> Item | None:
    """The internet gateway of a VPC, where it has one."""
    return next(region.where("gateways", VpcId=vpc), None)


@action("InternetGatewayId", "VpcId")
def detach_internet_gateway(region: Region, arguments: Arguments) -> Item:
    """DetachInternetGateway: not while Elastic IP addresses stand for interfaces in the VPC."""
    gateway, vpc = region.find("gateways", arguments["InternetGatewayId"]), arguments["VpcId"]
    if gateway["VpcId"] != vpc:
        raise ApiError(
            "Gateway.NotAttached", f"resource {gateway['InternetGatewayId']} is not attached to network {vpc}"
        )
    of_vpc = {item["NetworkInterfaceId"] for item in region.where("interfaces", VpcId=vpc)}
    if any(address.get("NetworkInterfaceId") in of_vpc for address in region.of("addresses").values()):
        raise dependency(
            f"Network {vpc} has some mapped public address(es)."
            " Please unmap those public address(es) before detaching the gateway."
        )
    gateway["VpcId"] = None
    return {}


@action("InternetGatewayId")
def delete_internet_gateway(region: Region, arguments: Arguments) -> Item:
    """DeleteInternetGateway: "You must detach the internet gateway from the VPC before you can delete it"."""
    gateway = region.find("gateways", arguments["InternetGatewayId"])
    if gateway["VpcId"]:
        raise dependency(
            f"The internetGateway '{gateway['InternetGatewayId']}' has dependencies and cannot be deleted."
        )
    region.remove("gateways", gateway["InternetGatewayId"])
    return {}


ACTIONS: Mapping[str, Action] = {
    "CreateVpc": create_vpc,
    "ModifyVpcAttribute": modify_vpc_attribute,
    "DeleteVpc": delete_vpc,
    "CreateSubnet": create_subnet,
    "DeleteSubnet": delete_subnet,
    "CreateInternetGateway": create_internet_gateway,
    "AttachInternetGateway": attach_internet_gateway,
    "DetachInternetGateway": detach_internet_gateway,
    "DeleteInternetGateway": delete_internet_gateway,
}
