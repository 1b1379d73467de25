"""The stand-ins for AWS's networks: Vpc, InternetGateway and Subnet."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lab.plugins.aws_bridged import REGION, TAGS, Ec2, ask, differing
from lab.plugins.aws_validation import cidr
from lab.plugins.bridged import Fault, Input
from lab.plugins.calls import Call


def _vpc_block(place: str, value: Any) -> list[Fault]:
    """vpc_.go: IsCIDRNetwork(16, 28)."""
    if faults := cidr(4)(place, value):
        return faults
    bits = int(value.rpartition("/")[2])
    if 16 <= bits <= 28:
        return []
    text = f'expected "cidr_block" to contain a network Value with between 16 and 28 significant bits, got: {bits}'
    return [(place, text)]


class Vpc(Ec2):
    """`aws:ec2/vpc:Vpc`: vpc_.go."""

    noun, resource, identity, creates, deletes = "EC2 VPC", "vpc", "VpcId", "CreateVpc", "DeleteVpc"
    inputs = (
        Input("cidrBlock", computed=True, replaces=True, validate=_vpc_block),
        Input("enableDnsSupport", "boolean", default=True),
        Input("enableDnsHostnames", "boolean", computed=True),
        Input("instanceTenancy", default="default", replaces=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "mainRouteTableId", "defaultSecurityGroupId", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {
        "cidrBlock": "CidrBlock",
        "enableDnsSupport": "EnableDnsSupport",
        "enableDnsHostnames": "EnableDnsHostnames",
        "instanceTenancy": "InstanceTenancy",
        "mainRouteTableId": "MainRouteTableId",
        "defaultSecurityGroupId": "DefaultGroupId",
        "tags": "Tags",
    }
    later = ("enableDnsSupport", "enableDnsHostnames")

    async def apply(self, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> None:
        """One attribute at a time."""
        for name in differing(state, inputs, *self.later):
            attribute = {self.names[name]: inputs[name]}
            doing = f"updating {self.noun} ({identity}) {self.names[name]}"
            await ask(inputs["region"], doing, "ModifyVpcAttribute", VpcId=identity, **attribute)


class InternetGateway(Ec2):
    """`aws:ec2/internetGateway:InternetGateway`: vpc_internet_gateway.go. Another VPC is an update."""

    noun, resource, identity = "EC2 Internet Gateway", "internet-gateway", "InternetGatewayId"
    creates, deletes = "CreateInternetGateway", "DeleteInternetGateway"
    inputs = (Input("vpcId", computed=True), TAGS, REGION)
    outputs = ("arn", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {"vpcId": "VpcId", "tags": "Tags"}
    later = ("vpcId",)

    async def _attach(self, identity: str, region: str, vpc: str, *, back: bool = False) -> None:
        action, doing = ("DetachInternetGateway", "detaching") if back else ("AttachInternetGateway", "attaching")
        doing += f" {self.noun} ({identity}) {'from' if back else 'to'} VPC ({vpc})"
        await ask(region, doing, action, InternetGatewayId=identity, VpcId=vpc)

    async def apply(self, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> None:
        """From the one VPC to the other."""
        if differing(state, inputs, "vpcId"):
            if state.get("vpcId"):
                await self._attach(identity, inputs["region"], state["vpcId"], back=True)
            await self._attach(identity, inputs["region"], inputs["vpcId"])

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:
        """Detached first."""
        if state.get("vpcId"):
            await self._attach(identity, state["region"], state["vpcId"], back=True)
        await super().remove(call, identity, state)


class Subnet(Ec2):
    """`aws:ec2/subnet:Subnet`: vpc_subnet.go."""

    noun, resource, identity, creates, deletes = "EC2 Subnet", "subnet", "SubnetId", "CreateSubnet", "DeleteSubnet"
    inputs = (
        Input("vpcId", required=True, replaces=True),
        Input("cidrBlock", computed=True, replaces=True, validate=cidr(4)),
        Input("ipv6CidrBlock", computed=True, replaces=True, validate=cidr(6)),
        Input("availabilityZone", computed=True, replaces=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {
        "vpcId": "VpcId",
        "cidrBlock": "CidrBlock",
        "ipv6CidrBlock": "Ipv6CidrBlock",
        "availabilityZone": "AvailabilityZone",
        "tags": "Tags",
    }
