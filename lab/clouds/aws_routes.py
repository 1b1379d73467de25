"""Route tables of the stand-in for AWS: their routes, the subnets that follow them, and what EC2 refuses of both."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import NoReturn

from lab.clouds.api import ApiError
from lab.clouds.aws_region import Action, Arguments, Item, Region, action, block, covers, dependency, invalid, tagged
from mesh.model import IPNetwork

# Amazon VPC User Guide, "Amazon VPC quotas": route tables per VPC.
TABLES = 200
# The same, routes per route table, of IPv4 and of IPv6 each: 500 since June 2025, and 50 before.
ROUTES = 500
# Amazon VPC User Guide, "Subnet route tables": "You can't add routes to IPv4 addresses that are an exact match or a
# subset of the following range: 169.254.168.0/22", and likewise fd00:ec2::/32. There the metadata service is.
RESERVED = ("169.254.168.0/22", "fd00:ec2::/32")
DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock")
TARGETS = ("GatewayId", "NetworkInterfaceId")


@action("VpcId", optional=("Tags",))
def create_route_table(region: Region, arguments: Arguments) -> Item:
    """CreateRouteTable: empty but for the VPC's own routes."""
    vpc = region.find("vpcs", arguments["VpcId"])["VpcId"]
    if len(list(region.where("tables", VpcId=vpc))) >= TABLES:
        raise ApiError("RouteTableLimitExceeded", "The maximum number of route tables has been reached.")
    return region.add("tables", {"VpcId": vpc, "Routes": [], "Tags": tagged(arguments)})


@action("RouteTableId")
def delete_route_table(region: Region, arguments: Arguments) -> Item:
    """DeleteRouteTable: neither the main one nor one that a subnet follows."""
    table = region.find("tables", arguments["RouteTableId"])
    identity = table["RouteTableId"]
    if table.get("Main") or any(region.where("table_associations", RouteTableId=identity)):
        raise dependency(f"The routeTable '{identity}' has dependencies and cannot be deleted.")
    region.remove("tables", identity)
    return {}


@action("RouteTableId", "SubnetId")
def associate_route_table(region: Region, arguments: Arguments) -> Item:
    """AssociateRouteTable: one table for a subnet, of the same VPC."""
    table, subnet = region.find("tables", arguments["RouteTableId"]), region.find("subnets", arguments["SubnetId"])
    table_id, subnet_id = table["RouteTableId"], subnet["SubnetId"]
    if table["VpcId"] != subnet["VpcId"]:
        raise invalid(f"Route table {table_id} and subnet {subnet_id} belong to different networks")
    if any(region.where("table_associations", SubnetId=subnet_id)):
        raise ApiError(
            "Resource.AlreadyAssociated",
            f"the specified association for route table {table_id} conflicts with an existing association",
        )
    return region.add("table_associations", {"RouteTableId": table_id, "SubnetId": subnet_id})


@action("AssociationId", "RouteTableId")
def replace_route_table_association(region: Region, arguments: Arguments) -> Item:
    """ReplaceRouteTableAssociation: the subnet follows another table, under another association's id."""
    old = region.find("table_associations", arguments["AssociationId"])
    table, subnet = region.find("tables", arguments["RouteTableId"]), region.find("subnets", old["SubnetId"])
    if table["VpcId"] != subnet["VpcId"]:
        raise invalid(
            f"Route table {table['RouteTableId']} and subnet {subnet['SubnetId']} belong to different networks"
        )
    region.remove("table_associations", old["AssociationId"])
    return region.add("table_associations", {"RouteTableId": table["RouteTableId"], "SubnetId": subnet["SubnetId"]})


@action("AssociationId")
def disassociate_route_table(region: Region, arguments: Arguments) -> Item:
    """DisassociateRouteTable: the subnet follows the main table again."""
    region.remove("table_associations", arguments["AssociationId"])
    return {}


def _destination(arguments: Arguments) -> IPNetwork:
    given = [name for name in DESTINATIONS if arguments.get(name)]
    if not given:
        raise ApiError("MissingParameter", "The request must contain the parameter destinationCidrBlock")
    if len(given) > 1:
        raise ApiError(
            "InvalidParameterCombination", "Only one of destinationCidrBlock and destinationIpv6CidrBlock can be given"
        )
    if given == ["DestinationCidrBlock"]:
        return block(arguments["DestinationCidrBlock"], "destinationCidrBlock")
    return block(arguments["DestinationIpv6CidrBlock"], "destinationIpv6CidrBlock", IPv6Network)


def _target(region: Region, table: Item, arguments: Arguments) -> Item:
    """Where a route is to lead. Raises ApiError where that is nowhere in the table's VPC."""
    given = [name for name in TARGETS if arguments.get(name)]
    if len(given) != 1:
        raise ApiError(
            "MissingParameter" if not given else "InvalidParameterCombination",
            "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId,"
            " vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId or instanceId",
        )
    name, target = given[0], arguments[given[0]]
    if name == "GatewayId":
        # it is the id that is not known here, whatever it is the id of
        if target not in region.of("gateways"):
            raise ApiError("InvalidGatewayID.NotFound", f"The gateway ID '{target}' does not exist")
        there, word = region.find("gateways", target)["VpcId"], "network gateway"
    else:
        there, word = region.find("interfaces", target)["VpcId"], "interface"
    if there != table["VpcId"]:
        raise invalid(f"route table {table['RouteTableId']} and {word} {target} belong to different networks")
    return {name: target}


@action("RouteTableId", optional=(*DESTINATIONS, *TARGETS))
def create_route(region: Region, arguments: Arguments) -> Item:
    """CreateRoute: to one destination, and for each destination one."""
    table = region.find("tables", arguments["RouteTableId"])
    destination = _destination(arguments)
    target = _target(region, table, arguments)
    if any(covers(reserved, destination) for reserved in RESERVED):
        raise invalid(f"The destination {destination} lies in a range that is reserved for services of AWS.")
    local = region.find("vpcs", table["VpcId"])["Cidrs"]
    if _route(table, destination) or str(destination) in local:
        raise ApiError("RouteAlreadyExists", f"The route identified by {destination} already exists.")
    if any(covers(cidr, destination) for cidr in local):
        _refuse_within(region, table["VpcId"], destination, target)
    if sum((":" in route["Destination"]) == (destination.version == 6) for route in table["Routes"]) >= ROUTES:
        raise ApiError("RouteLimitExceeded", "The maximum number of routes has been reached.")
    table["Routes"].append({"Destination": str(destination), **target})
    return {}


def _refuse_within(region: Region, vpc: str, destination: IPNetwork, target: Item) -> NoReturn:
    """Refuses a route that is more specific than the VPC's own.

    Amazon VPC User Guide, "Subnet route tables": "The destination must match the entire IPv4 or IPv6 CIDR block of a
    subnet in your VPC. The target must be a NAT gateway, network interface, or Gateway Load Balancer endpoint."
    """
    name = "CidrBlock" if isinstance(destination, IPv4Network) else "Ipv6CidrBlock"
    if not any(region.where("subnets", VpcId=vpc, **{name: str(destination)})):
        raise invalid("Route destination doesn't match any subnet CIDR blocks.")
    if "GatewayId" in target:
        raise invalid("Route target is not supported. This route only supports interface and instance targets.")
    text = f"AWS would take a route to its own subnet {destination}; the lab's routers know none within a VPC"
    raise ApiError("Unsupported", text)


def _route(table: Item, destination: IPNetwork) -> Item | None:
    return next((route for route in table["Routes"] if route["Destination"] == str(destination)), None)


@action("RouteTableId", optional=(*DESTINATIONS, *TARGETS))
def replace_route(region: Region, arguments: Arguments) -> Item:
    """ReplaceRoute: another target for a destination."""
    table = region.find("tables", arguments["RouteTableId"])
    destination = _destination(arguments)
    target = _target(region, table, arguments)
    if str(destination) in region.find("vpcs", table["VpcId"])["Cidrs"]:
        raise ApiError("Unsupported", f"AWS would replace the VPC's own route {destination}; the lab's routers keep it")
    if (route := _route(table, destination)) is None:
        raise invalid(f"There is no route defined for '{destination}' in the route table. Use CreateRoute instead.")
    route.clear()
    route.update({"Destination": str(destination), **target})
    return {}


@action("RouteTableId", optional=DESTINATIONS)
def delete_route(region: Region, arguments: Arguments) -> Item:
    """DeleteRoute: not of a VPC's own route."""
    table = region.find("tables", arguments["RouteTableId"])
    destination = _destination(arguments)
    if str(destination) in region.find("vpcs", table["VpcId"])["Cidrs"]:
        raise invalid(f"cannot remove local route {destination} in route table {table['RouteTableId']}")
    if (route := _route(table, destination)) is None:
        raise ApiError(
            "InvalidRoute.NotFound",
            f"no route with destination-cidr-block {destination} in route table {table['RouteTableId']}",
        )
    table["Routes"].remove(route)
    return {}


def table_of(region: Region, subnet: Item) -> str:
    """The route table that a subnet follows: its own, or the VPC's main one."""
    for association in region.where("table_associations", SubnetId=subnet["SubnetId"]):
        return str(association["RouteTableId"])
    return str(next(region.where("tables", VpcId=subnet["VpcId"], Main=True))["RouteTableId"])


ACTIONS: Mapping[str, Action] = {
    "CreateRouteTable": create_route_table,
    "DeleteRouteTable": delete_route_table,
    "AssociateRouteTable": associate_route_table,
    "ReplaceRouteTableAssociation": replace_route_table_association,
    "DisassociateRouteTable": disassociate_route_table,
    "CreateRoute": create_route,
    "ReplaceRoute": replace_route,
    "DeleteRoute": delete_route,
}
