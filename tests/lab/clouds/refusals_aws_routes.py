"""What the stand-in of AWS refuses of route tables and routes."""

from typing import Any

from lab.clouds.aws_routes import ROUTES
from tests.lab.clouds.aws_bench import Bench
from tests.lab.clouds.aws_things import (
    ERRORS,
    PROVIDER,
    QUOTAS,
    Row,
    interface,
    internet,
    route,
    subnet,
    table,
    vpc,
)


def _associate(bench: Bench, *, twice: bool = False, elsewhere: bool = False) -> None:
    around = vpc(bench)
    inner = subnet(bench, around)
    tables = [table(bench, vpc(bench, "10.20.0.0/16") if elsewhere else around) for _ in range(2 if twice else 1)]
    for one in tables:
        bench.make("RouteTableAssociation", subnetId=inner.id, routeTableId=one.id)


def _delete_table(bench: Bench, *, freed: bool) -> None:
    around = vpc(bench)
    one = table(bench, around)
    followed = bench.make("RouteTableAssociation", subnetId=subnet(bench, around).id, routeTableId=one.id)
    if freed:
        bench.remove(followed)
    bench.remove(one)


def _route(bench: Bench, cidr: str = "10.40.0.0/24", *, table_id: str | None = None, times: int = 1) -> None:
    around = vpc(bench)
    inner = interface(bench, subnet(bench, around))
    one = table(bench, around)
    for _ in range(times):
        route(bench, one, inner, cidr, **({"routeTableId": table_id} if table_id else {}))


def _route_to_gateway(bench: Bench, *, attached_here: bool) -> None:
    around, other = vpc(bench), vpc(bench, "10.20.0.0/16")
    route(bench, table(bench, around), internet(bench, around if attached_here else other), "0.0.0.0/0")


def _route_elsewhere(bench: Bench, *, here: bool) -> None:
    around = vpc(bench)
    one = interface(
        bench, subnet(bench, around if here else vpc(bench, "10.20.0.0/16"), "10.10.0.0/24" if here else "10.20.0.0/24")
    )
    route(bench, table(bench, around), one)


def _route_to(bench: Bench, **targets: Any) -> None:
    around = vpc(bench)
    one = targets or {"networkInterfaceId": interface(bench, subnet(bench, around)).id}
    bench.make("Route", routeTableId=table(bench, around).id, destinationCidrBlock="10.40.0.0/24", **one)


def _routes(bench: Bench, ipv4: int, ipv6: int = 0) -> None:
    """So many routes in one table."""
    around = vpc(bench)
    where = {"RouteTableId": table(bench, around).id, "GatewayId": internet(bench, around).id}
    for number in range(ipv4):
        bench.ec2("CreateRoute", DestinationCidrBlock=f"100.64.{number >> 8}.{number % 256}/32", **where)
    for number in range(ipv6):
        bench.ec2("CreateRoute", DestinationIpv6CidrBlock=f"2001:db8::{number:x}/128", **where)


def _route_within(bench: Bench, cidr: str) -> None:
    """A route to the internet in the VPC 10.10.0.0/16, which has the subnet 10.10.0.0/24."""
    around = vpc(bench)
    subnet(bench, around)
    route(bench, table(bench, around), internet(bench, around), cidr)


SUBNET_ROUTES = "Amazon VPC User Guide, Subnet route tables"

ROWS = (
    Row(
        "second table for a subnet",
        "associating a subnet with a second route table",
        "Resource.AlreadyAssociated",
        f"{ERRORS}: the specified resource is already in use",
        lambda bench: _associate(bench, twice=True),
        _associate,
    ),
    Row(
        "table of another VPC",
        "associating a subnet with a route table of another VPC",
        "belong to different networks",
        "Amazon EC2 API Reference, AssociateRouteTable: a route table in your VPC",
        lambda bench: _associate(bench, elsewhere=True),
        _associate,
    ),
    Row(
        "route table in use",
        "deleting a route table that a subnet follows",
        "DependencyViolation: The routeTable 'rtb-",
        "Amazon EC2 API Reference, DeleteRouteTable",
        lambda bench: _delete_table(bench, freed=False),
        lambda bench: _delete_table(bench, freed=True),
    ),
    Row(
        "route to no table",
        "a route in a route table that does not exist",
        "InvalidRouteTableID.NotFound: The routeTable ID 'rtb-0123456789abcdef0' does not exist",
        ERRORS,
        lambda bench: _route(bench, table_id="rtb-0123456789abcdef0"),
        _route,
    ),
    Row(
        "route of no prefix",
        "a route to 192.168.300.0/24",
        '"192.168.300.0/24" is not a valid IPv4 CIDR block',
        f"{PROVIDER}vpc_route.go, destination_cidr_block: ValidIPv4CIDRNetworkAddress",
        lambda bench: _route(bench, "192.168.300.0/24"),
        lambda bench: _route(bench, "192.168.30.0/24"),
    ),
    Row(
        "route of no prefix, at EC2",
        "CreateRoute to 192.168.300.0/24",
        "InvalidParameterValue: Value (192.168.300.0/24) for parameter destinationCidrBlock is invalid.",
        "ansible-collections/amazon.aws #477",
        lambda bench: bench.ec2(
            "CreateRoute", RouteTableId=table(bench).id, DestinationCidrBlock="192.168.300.0/24", GatewayId="igw-1"
        ),
        _route,
    ),
    Row(
        "route with host bits",
        "a route to 10.40.0.1/24",
        'did you mean "10.40.0.0/24"?',
        f"{PROVIDER}vpc_route.go, destination_cidr_block: ValidIPv4CIDRNetworkAddress",
        lambda bench: _route(bench, "10.40.0.1/24"),
        _route,
    ),
    Row(
        "same route twice",
        "a second route to one destination in one table",
        "RouteAlreadyExists: The route identified by 10.40.0.0/24 already exists.",
        ERRORS,
        lambda bench: _route(bench, times=2),
        _route,
    ),
    Row(
        "route instead of the VPC's own",
        "a route to the VPC's own block",
        "RouteAlreadyExists",
        f"{ERRORS}; Amazon VPC User Guide, Route tables: the local route",
        lambda bench: _route(bench, "10.10.0.0/16"),
        lambda bench: _route(bench, "10.0.0.0/8"),
    ),
    Row(
        "route within the VPC",
        "a route to a part of the VPC that is no subnet",
        "Route destination doesn't match any subnet CIDR blocks.",
        f"{SUBNET_ROUTES}: the destination must match the entire IPv4 or IPv6 CIDR block of a subnet",
        lambda bench: _route(bench, "10.10.7.0/24"),
        lambda bench: _route(bench, "10.11.7.0/24"),
    ),
    Row(
        "route from a subnet to the internet",
        "a route to a subnet of the VPC by way of its internet gateway",
        "Route target is not supported. This route only supports interface and instance targets.",
        f"{SUBNET_ROUTES}: the target must be a NAT gateway, network interface, or Gateway Load Balancer endpoint;"
        " hashicorp/terraform #26018",
        lambda bench: _route_within(bench, "10.10.0.0/24"),
        lambda bench: _route_within(bench, "10.11.0.0/24"),
    ),
    Row(
        "route to the metadata service",
        "a route to 169.254.169.254/32",
        "InvalidParameterValue: The destination 169.254.169.254/32 lies in a range that is reserved",
        f"{SUBNET_ROUTES}: no routes that are an exact match or a subset of 169.254.168.0/22",
        lambda bench: _route(bench, "169.254.169.254/32"),
        lambda bench: _route(bench, "169.254.0.0/16"),
    ),
    Row(
        "route to the metadata service, IPv6",
        "a route to fd00:ec2::/32",
        "InvalidParameterValue: The destination fd00:ec2::/32 lies in a range that is reserved",
        f"{SUBNET_ROUTES}: no routes that are an exact match or a subset of fd00:ec2::/32",
        lambda bench: _route(bench, "fd00:ec2::/32"),
        lambda bench: _route(bench, "fd00:ec3::/32"),
    ),
    Row(
        "routes enough",
        f"one route more than {ROUTES} in a route table",
        "RouteLimitExceeded: The maximum number of routes has been reached.",
        f"{QUOTAS}: routes per route table 500, of IPv4 and IPv6 each (50 until June 2025)",
        lambda bench: _routes(bench, ROUTES + 1),
        lambda bench: _routes(bench, ROUTES, 1),
    ),
    Row(
        "route to another VPC's gateway",
        "a route to an internet gateway of another VPC",
        "belong to different networks",
        "smoketurner/serverless-vpc-plugin #147",
        lambda bench: _route_to_gateway(bench, attached_here=False),
        lambda bench: _route_to_gateway(bench, attached_here=True),
    ),
    Row(
        "route to another VPC's interface",
        "a route to a network interface in another VPC",
        "belong to different networks",
        "Amazon VPC User Guide, Route tables; text as for gateways, smoketurner/serverless-vpc-plugin #147",
        lambda bench: _route_elsewhere(bench, here=False),
        lambda bench: _route_elsewhere(bench, here=True),
    ),
    Row(
        "route to an interface as gateway",
        "a route whose gateway is a network interface's id",
        "InvalidGatewayID.NotFound: The gateway ID 'eni-0123456789abcdef0' does not exist",
        "hashicorp/terraform #4987",
        lambda bench: _route_to(bench, gatewayId="eni-0123456789abcdef0"),
        _route_to,
    ),
    Row(
        "route to two targets",
        "a route with both a gateway and a network interface",
        "only one of `gateway_id,network_interface_id` can be specified",
        f"{PROVIDER}vpc_route.go: ExactlyOneOf routeValidTargets",
        lambda bench: _route_to(bench, gatewayId="igw-1", networkInterfaceId="eni-1"),
        _route_to,
    ),
    Row(
        "route table required",
        "a route without its route table",
        'The argument "route_table_id" is required',
        f"{PROVIDER}vpc_route.go, route_table_id: Required",
        lambda bench: bench.make("Route", destinationCidrBlock="10.40.0.0/24", networkInterfaceId="eni-1"),
        _route,
    ),
)
