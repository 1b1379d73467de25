"""The stand-ins for AWS's addresses: Eip, EipAssociation and NetworkInterface."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lab.plugins.aws_bridged import REGION, TAGS, Ec2, ask, differing
from lab.plugins.aws_validation import one_of
from lab.plugins.bridged import Input
from lab.plugins.calls import Call


class Eip(Ec2):
    """`aws:ec2/eip:Eip`: ec2_eip.go; what it stands for is said by an EipAssociation here."""

    noun, resource, identity = "EC2 EIP", "elastic-ip", "AllocationId"
    creates, deletes = "AllocateAddress", "ReleaseAddress"
    inputs = (
        Input("domain", computed=True, replaces=True, validate=one_of("domain", ("vpc", "standard"))),
        TAGS,
        REGION,
    )
    outputs = ("allocationId", "arn", "associationId", "networkInterface", "privateIp", "publicIp", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {
        "domain": "Domain",
        "allocationId": "AllocationId",
        "associationId": "AssociationId",
        "networkInterface": "NetworkInterfaceId",
        "privateIp": "PrivateIpAddress",
        "publicIp": "PublicIp",
        "tags": "Tags",
    }

    def told(self, item: dict[str, Any], region: str) -> dict[str, Any]:
        """What an address that stands for nothing has not is empty."""
        return dict.fromkeys(("associationId", "networkInterface", "privateIp"), "") | super().told(item, region)

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:
        """Disassociates first what the *state* says: an association made since is in the way."""
        if association := state.get("associationId"):
            await self.gone(identity, state["region"], "DisassociateAddress", AssociationId=association)
        await super().remove(call, identity, state)


class EipAssociation(Ec2):
    """`aws:ec2/eipAssociation:EipAssociation`: ec2_eip_association.go. There is nothing to update."""

    noun, identity = "EC2 EIP Association", "AssociationId"
    creates, deletes = "AssociateAddress", "DisassociateAddress"
    describes, describes_by = "DescribeAssociation", "AssociationId"
    inputs = (
        Input("allocationId", required=True, replaces=True),
        Input("networkInterfaceId", required=True, replaces=True),
        Input("privateIpAddress", computed=True, replaces=True),
        Input("allowReassociation", "boolean", replaces=True),
        REGION,
    )
    outputs = ("publicIp",)
    names: ClassVar[Mapping[str, str]] = {
        "allocationId": "AllocationId",
        "networkInterfaceId": "NetworkInterfaceId",
        "privateIpAddress": "PrivateIpAddress",
        "allowReassociation": "AllowReassociation",
        "publicIp": "PublicIp",
    }


class NetworkInterface(Ec2):
    """`aws:ec2/networkInterface:NetworkInterface`: vpc_network_interface.go; an instance takes it, it takes none."""

    noun, resource, identity = "EC2 Network Interface", "network-interface", "NetworkInterfaceId"
    creates, deletes = "CreateNetworkInterface", "DeleteNetworkInterface"
    inputs = (
        Input("subnetId", required=True, replaces=True),
        Input("securityGroups", "strings", computed=True),
        Input("sourceDestCheck", "boolean", default=True),
        Input("privateIps", "strings", computed=True, replaces=True),
        Input("ipv6AddressCount", "number", computed=True),
        Input("description"),
        TAGS,
        REGION,
    )
    outputs = ("arn", "ipv6Addresses", "macAddress", "privateIp", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {
        "subnetId": "SubnetId",
        "securityGroups": "Groups",
        "sourceDestCheck": "SourceDestCheck",
        "privateIps": "PrivateIpAddresses",
        "ipv6AddressCount": "Ipv6AddressCount",
        "ipv6Addresses": "Ipv6Addresses",
        "description": "Description",
        "macAddress": "MacAddress",
        "privateIp": "PrivateIpAddress",
        "tags": "Tags",
    }
    later = ("sourceDestCheck",)

    async def apply(self, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> None:
        """One attribute at a time."""
        doing = f"modifying {self.noun} ({identity})"
        for name in differing(state, inputs, "sourceDestCheck", "description", "securityGroups"):
            attribute = {"NetworkInterfaceId": identity, self.names[name]: inputs[name]}
            await ask(inputs["region"], doing, "ModifyNetworkInterfaceAttribute", **attribute)
        if differing(state, inputs, "ipv6AddressCount"):
            had, wanted = state.get("ipv6Addresses") or [], int(inputs["ipv6AddressCount"])
            interface = {"NetworkInterfaceId": identity}
            if wanted > len(had):
                more = interface | {"Ipv6AddressCount": wanted - len(had)}
                await ask(inputs["region"], doing, "AssignIpv6Addresses", **more)
            else:
                less = interface | {"Ipv6Addresses": had[wanted:]}
                await ask(inputs["region"], doing, "UnassignIpv6Addresses", **less)
