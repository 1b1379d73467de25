"""What the stand-in of AWS refuses of VPCs, subnets, internet gateways and regions."""

from lab.clouds.aws_vpc import VPCS
from tests.lab.clouds.aws_bench import Bench
from tests.lab.clouds.aws_things import (
    ERRORS,
    PROVIDER,
    QUOTAS,
    Row,
    interface,
    internet,
    subnet,
    vpc,
)


def _vpcs(bench: Bench, count: int) -> None:
    for number in range(count):
        vpc(bench, f"10.{number}.0.0/16")


def _two_subnets(bench: Bench, second: str) -> None:
    around = vpc(bench)
    subnet(bench, around)
    subnet(bench, around, second)


def _delete_vpc(bench: Bench, *, emptied: bool) -> None:
    around = vpc(bench)
    inner = subnet(bench, around)
    if emptied:
        bench.remove(inner)
    bench.remove(around)


def _delete_subnet(bench: Bench, *, emptied: bool) -> None:
    around = subnet(bench)
    inner = interface(bench, around)
    if emptied:
        bench.remove(inner)
    bench.remove(around)


def _gateways(bench: Bench, *, count: int) -> None:
    around = vpc(bench)
    for _ in range(count):
        internet(bench, around)


def _delete_gateway(bench: Bench, *, address_first: bool) -> None:
    around = vpc(bench)
    gateway = internet(bench, around)
    inner = interface(bench, subnet(bench, around))
    allocated = bench.make("Eip")
    stands = bench.make("EipAssociation", allocationId=allocated.id, networkInterfaceId=inner.id)
    if address_first:
        bench.remove(stands)
    bench.remove(gateway)


ROWS = (
    Row(
        "VPC too large",
        "a VPC of 10.0.0.0/8",
        "InvalidVpc.Range",
        f"{ERRORS}: the block range must be between a /28 netmask and /16 netmask",
        lambda bench: bench.ec2("CreateVpc", CidrBlock="10.0.0.0/8"),
        lambda bench: bench.ec2("CreateVpc", CidrBlock="10.0.0.0/16"),
    ),
    Row(
        "VPC that is none",
        "a VPC of 10.300.0.0/16",
        '"10.300.0.0/16" is not a valid IPv4 CIDR block',
        f"{PROVIDER}vpc_.go, cidr_block: IsCIDRNetwork",
        lambda bench: vpc(bench, "10.300.0.0/16"),
        lambda bench: vpc(bench, "10.30.0.0/16"),
    ),
    Row(
        "VPCs enough",
        f"one VPC more than {VPCS} in a region",
        "VpcLimitExceeded",
        f"{QUOTAS}: VPCs per Region 5",
        lambda bench: _vpcs(bench, VPCS + 1),
        lambda bench: _vpcs(bench, VPCS),
    ),
    Row(
        "VPC in use",
        "deleting a VPC that has a subnet",
        "DependencyViolation: The vpc 'vpc-",
        "Amazon EC2 API Reference, DeleteVpc",
        lambda bench: _delete_vpc(bench, emptied=False),
        lambda bench: _delete_vpc(bench, emptied=True),
    ),
    Row(
        "subnet outside",
        "a subnet that does not lie in its VPC",
        "InvalidSubnet.Range",
        ERRORS,
        lambda bench: subnet(bench, cidr="10.11.0.0/24"),
        lambda bench: subnet(bench, cidr="10.10.255.0/24"),
    ),
    Row(
        "subnet on another",
        "a subnet that overlaps another one",
        "InvalidSubnet.Conflict",
        f"{ERRORS}; Amazon EC2 API Reference, CreateSubnet",
        lambda bench: _two_subnets(bench, "10.10.0.128/25"),
        lambda bench: _two_subnets(bench, "10.10.1.0/24"),
    ),
    Row(
        "subnet of another region",
        "a subnet in a zone that is not of its region",
        "InvalidParameterValue: Value (us-west-2a) for parameter availabilityZone is invalid",
        f"{ERRORS}: a value specified in a parameter is not valid",
        lambda bench: subnet(bench, availabilityZone="us-west-2a"),
        lambda bench: subnet(bench, availabilityZone="us-east-1b"),
    ),
    Row(
        "subnet in use",
        "deleting a subnet that has a network interface",
        "DependencyViolation: The subnet 'subnet-",
        ERRORS,
        lambda bench: _delete_subnet(bench, emptied=False),
        lambda bench: _delete_subnet(bench, emptied=True),
    ),
    Row(
        "second internet gateway",
        "a second internet gateway for one VPC",
        "already has an internet gateway attached",
        "binlab/terraform-aws-vault-ha-raft #54",
        lambda bench: _gateways(bench, count=2),
        lambda bench: _gateways(bench, count=1),
    ),
    Row(
        "internet gateway in use",
        "deleting an internet gateway while an Elastic IP address leads into its VPC",
        "has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        "hashicorp/terraform #497; Amazon EC2 API Reference, DetachInternetGateway",
        lambda bench: _delete_gateway(bench, address_first=False),
        lambda bench: _delete_gateway(bench, address_first=True),
    ),
    Row(
        "no such region",
        "a provider for a region that does not exist",
        "retrieving caller identity from STS: operation error STS: GetCallerIdentity, https response error StatusCode:"
        ' 0, RequestID: , request send failed, Post "https://sts.us-esat-1.amazonaws.com/": dial tcp: lookup'
        " sts.us-esat-1.amazonaws.com: no such host",
        "pulumi/pulumi-aws, provider/config.go, validateCredentials; crossplane-contrib/provider-upjet-aws #459",
        lambda bench: bench.configured(region="us-esat-1"),
        lambda bench: bench.configured(region="us-east-2"),
    ),
    Row(
        "no such region in the list",
        "a provider for a region that does not exist, with skip_region_validation off",
        "Invalid AWS Region: us-esat-1",
        "hashicorp/aws-sdk-go-base, validation/region.go; pulumi/pulumi-aws, provider/provider.go: it is on by default",
        lambda bench: bench.configured(region="us-esat-1", skipRegionValidation="false"),
        lambda bench: bench.configured(region="us-east-2", skipRegionValidation="false"),
    ),
    Row(
        "resource in no such region",
        "a VPC in a region that does not exist",
        "operation error EC2: CreateVpc, https response error StatusCode: 0, RequestID: , request send failed, Post"
        ' "https://ec2.us-esat-1.amazonaws.com/": dial tcp: lookup ec2.us-esat-1.amazonaws.com: no such host',
        "crossplane-contrib/provider-upjet-aws #459",
        lambda bench: vpc(bench, region="us-esat-1"),
        lambda bench: vpc(bench, region="us-east-2"),
    ),
    Row(
        "other region",
        "a subnet in a VPC that another region has",
        "InvalidVpcID.NotFound",
        f"{ERRORS}: ensure that you have indicated the AWS Region in which the VPC is located",
        lambda bench: subnet(bench, vpc(bench), region="eu-west-1"),
        lambda bench: subnet(bench, vpc(bench, region="eu-west-1"), region="eu-west-1"),
    ),
)
