"""What the stand-in of AWS refuses of network interfaces and Elastic IP addresses."""

from typing import Any

from lab.clouds.aws_addresses import ADDRESSES, GROUPS
from tests.lab.clouds.aws_bench import Bench
from tests.lab.clouds.aws_things import (
    ERRORS,
    QUOTAS,
    Row,
    address,
    associated,
    group,
    image,
    instance,
    interface,
    public_interface,
    subnet,
    vpc,
)


def _interface_of_groups(bench: Bench, count: int) -> None:
    around = vpc(bench)
    interface(bench, subnet(bench, around), securityGroups=[group(bench, around).id for _ in range(count)])


def _foreign_group(bench: Bench, *, foreign: bool) -> None:
    around, other = vpc(bench), vpc(bench, "10.20.0.0/16")
    interface(bench, subnet(bench, around), securityGroups=[group(bench, other if foreign else around).id])


def _two_addresses(bench: Bench, first: str, second: str) -> None:
    around = subnet(bench)
    for private in (first, second):
        interface(bench, around, privateIps=[private])


def _delete_interface(bench: Bench, *, freed: bool) -> None:
    one = interface(bench)
    machine = instance(bench, one)
    if freed:
        bench.remove(machine)
    bench.remove(one)


def _release(bench: Bench, *, freed: bool) -> None:
    one = address(bench)
    stands = associated(bench, one, public_interface(bench))
    if freed:
        bench.remove(stands)
    bench.remove(one)


def _associate(bench: Bench, *, internet: bool = True, allocation: str | None = None) -> None:
    inner = public_interface(bench) if internet else interface(bench)
    allocated = allocation or address(bench).id
    bench.make("EipAssociation", allocationId=allocated, networkInterfaceId=inner.id)


def _associate_late(bench: Bench, *, running: bool) -> None:
    one, inner = address(bench), public_interface(bench)
    made = bench.ec2("RunInstances", ImageId=image(bench), InstanceType="t4g.nano", NetworkInterfaceId=inner.id)
    if running:
        bench.ec2("DescribeInstances", InstanceId=made["InstanceId"])
    bench.make("EipAssociation", allocationId=one.id, networkInterfaceId=inner.id)


def _associate_twice(bench: Bench, **more: Any) -> None:
    one = address(bench)
    associated(bench, one, public_interface(bench), **more)
    associated(bench, one, public_interface(bench, "10.20.0.0/16"), **more)


def _addresses(bench: Bench, count: int) -> None:
    for _ in range(count):
        address(bench)


ROWS = (
    Row(
        "interface with many groups",
        f"a network interface with {GROUPS + 1} security groups",
        "SecurityGroupsPerInterfaceLimitExceeded",
        f"{QUOTAS}: security groups per network interface 5",
        lambda bench: _interface_of_groups(bench, GROUPS + 1),
        lambda bench: _interface_of_groups(bench, GROUPS),
    ),
    Row(
        "interface with another VPC's group",
        "a network interface with a security group of another VPC",
        "InvalidParameter: You have specified two resources that belong to different networks.",
        f"{ERRORS}: you can't specify a security group and subnet that are in different VPCs",
        lambda bench: _foreign_group(bench, foreign=True),
        lambda bench: _foreign_group(bench, foreign=False),
    ),
    Row(
        "private address taken",
        "a second network interface with one private address",
        "InvalidIPAddress.InUse: The specified address is already in use.",
        "pulumi/pulumi-aws #2169",
        lambda bench: _two_addresses(bench, "10.10.0.20", "10.10.0.20"),
        lambda bench: _two_addresses(bench, "10.10.0.20", "10.10.0.21"),
    ),
    Row(
        "private address reserved",
        "a network interface with one of a subnet's first four addresses",
        "Address is in subnet's reserved address range",
        "Amazon VPC User Guide, Subnet CIDR blocks: the first four IP addresses and the last IP address",
        lambda bench: interface(bench, privateIps=["10.10.0.3"]),
        lambda bench: interface(bench, privateIps=["10.10.0.4"]),
    ),
    Row(
        "interface in use",
        "deleting a network interface that an instance has",
        "is currently in use.",
        f"{ERRORS}: InvalidNetworkInterface.InUse, or InvalidParameterValue",
        lambda bench: _delete_interface(bench, freed=False),
        lambda bench: _delete_interface(bench, freed=True),
    ),
    Row(
        "address in use",
        "releasing an Elastic IP address that stands for a network interface",
        "InvalidIPAddress.InUse",
        "Amazon EC2 API Reference, ReleaseAddress",
        lambda bench: _release(bench, freed=False),
        lambda bench: _release(bench, freed=True),
    ),
    Row(
        "address without internet",
        "an Elastic IP address for a network interface whose VPC has no internet gateway",
        "Gateway.NotAttached",
        f"{ERRORS}: ensure that an internet gateway is attached to the relevant VPC; aws-samples/cfn101-workshop #165",
        lambda bench: _associate(bench, internet=False),
        _associate,
    ),
    Row(
        "address of a pending instance",
        "an Elastic IP address for an interface whose instance is pending",
        "IncorrectInstanceState",
        "hashicorp/terraform-provider-aws #6189, #19699",
        lambda bench: _associate_late(bench, running=False),
        lambda bench: _associate_late(bench, running=True),
    ),
    Row(
        "no such address",
        "associating an Elastic IP address that does not exist",
        "InvalidAllocationID.NotFound",
        ERRORS,
        lambda bench: _associate(bench, allocation="eipalloc-0123456789abcdef0"),
        _associate,
    ),
    Row(
        "address for two",
        "associating an Elastic IP address with a second network interface",
        "Resource.AlreadyAssociated",
        ERRORS,
        _associate_twice,
        lambda bench: _associate_twice(bench, allowReassociation=True),
    ),
    Row(
        "addresses enough",
        f"one Elastic IP address more than {ADDRESSES} in a region",
        "AddressLimitExceeded",
        f"{QUOTAS}: Elastic IP addresses per Region 5",
        lambda bench: _addresses(bench, ADDRESSES + 1),
        lambda bench: _addresses(bench, ADDRESSES),
    ),
)
