"""What rows and tests about AWS begin with: resources as the components make them."""

from typing import Any, TypeAlias

from tests.lab.clouds import bench as shared
from tests.lab.clouds.aws_bench import Bench
from tests.lab.clouds.bench import Made

ERRORS = "Amazon EC2 API Reference, Error codes"
QUOTAS = "Amazon VPC User Guide, Amazon VPC quotas"
PROVIDER = "hashicorp/terraform-provider-aws, internal/service/ec2/"
DEBIAN = "136693071363"

Row: TypeAlias = shared.Row[Bench]


def vpc(bench: Bench, cidr: str = "10.10.0.0/16", **inputs: Any) -> Made:
    return bench.make("Vpc", cidrBlock=cidr, **inputs)


def subnet(bench: Bench, within: Made | None = None, cidr: str = "10.10.0.0/24", **inputs: Any) -> Made:
    zone: dict[str, Any] = {"availabilityZone": f"{inputs.get('region', 'us-east-1')}a"}
    return bench.make("Subnet", vpcId=(within or vpc(bench)).id, cidrBlock=cidr, **zone | inputs)


def internet(bench: Bench, within: Made) -> Made:
    return bench.make("InternetGateway", vpcId=within.id)


def table(bench: Bench, within: Made | None = None) -> Made:
    return bench.make("RouteTable", vpcId=(within or vpc(bench)).id)


def group(bench: Bench, within: Made | None = None, **inputs: Any) -> Made:
    usual = {"vpcId": (within or vpc(bench)).id, "description": "A gateway of wireguard-mesh"}
    return bench.make("SecurityGroup", **usual | inputs)


def ingress(bench: Bench, of: Made | None = None, **inputs: Any) -> Made:
    usual: dict[str, Any] = {"ipProtocol": "udp", "fromPort": 51820, "toPort": 51820, "cidrIpv4": "198.51.100.20/32"}
    said = {name: value for name, value in (usual | inputs).items() if value is not None}
    return bench.make("SecurityGroupIngressRule", securityGroupId=(of or group(bench)).id, **said)


def interface(bench: Bench, within: Made | None = None, **inputs: Any) -> Made:
    return bench.make("NetworkInterface", subnetId=(within or subnet(bench)).id, **inputs)


def public_interface(bench: Bench, cidr: str = "10.10.0.0/16") -> Made:
    """An interface in a VPC that has an internet gateway."""
    around = vpc(bench, cidr)
    internet(bench, around)
    return interface(bench, subnet(bench, around, cidr.replace("/16", "/24")))


def address(bench: Bench) -> Made:
    return bench.make("Eip", domain="vpc")


def associated(bench: Bench, what: Made, to: Made, **inputs: Any) -> Made:
    return bench.make("EipAssociation", allocationId=what.id, networkInterfaceId=to.id, **inputs)


def route(bench: Bench, within: Made, to: Made, cidr: str = "10.40.0.0/24", **inputs: Any) -> Made:
    name = {"InternetGateway": "gatewayId"}.get(to.kind, "networkInterfaceId")
    destination = "destinationIpv6CidrBlock" if ":" in cidr else "destinationCidrBlock"
    return bench.make("Route", **{"routeTableId": within.id, destination: cidr, name: to.id} | inputs)


def image(bench: Bench, architecture: str = "arm64", region: str | None = None) -> str:
    """The newest image of Debian."""
    arguments = {"region": region} if region else {}
    found = bench.ask(
        "getAmi",
        mostRecent=True,
        includeDeprecated=True,
        owners=[DEBIAN],
        filters=[{"name": "name", "values": ["debian-12-*"]}, {"name": "architecture", "values": [architecture]}],
        **arguments,
    )
    return str(found["id"])


def instance(bench: Bench, on: Made | None = None, **inputs: Any) -> Made:
    usual = {
        "ami": image(bench),
        "instanceType": "t4g.nano",
        "primaryNetworkInterface": {"networkInterfaceId": (on or interface(bench)).id},
    }
    return bench.make("Instance", **usual | inputs)
