"""Network interfaces and Elastic IP addresses of the stand-in for AWS: what EC2 makes of them, and what it refuses."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from lab.clouds.api import ApiError
from lab.clouds.aws_region import Action, Arguments, Item, Region, action, association_id, invalid, tagged
from lab.clouds.aws_vpc import attached_gateway

# Amazon VPC User Guide, "Amazon VPC quotas": Elastic IP addresses per region, groups per network interface.
ADDRESSES = 5
GROUPS = 5
# Subnet CIDR blocks, Amazon VPC User Guide: "The first four IP addresses and the last IP address are not available".
RESERVED = 4
# The lab's own host of a network has this address of it, and nobody else may.
HOST = 10


@action("SubnetId", optional=("Groups", "PrivateIpAddresses", "Description", "Ipv6AddressCount", "Tags"))
def create_network_interface(region: Region, arguments: Arguments) -> Item:
    """CreateNetworkInterface: in a subnet, with groups of the same VPC and an address that is free."""
    subnet = region.find("subnets", arguments["SubnetId"])
    vpc = region.find("vpcs", subnet["VpcId"])
    groups = check_groups(region, vpc["VpcId"], arguments.get("Groups") or [vpc["DefaultGroupId"]])
    private = _private_address(region, subnet, arguments.get("PrivateIpAddresses") or [None])
    ipv6 = _ipv6_addresses(region, subnet, int(arguments.get("Ipv6AddressCount") or 0))
    return region.add(
        "interfaces",
        {
            "SubnetId": subnet["SubnetId"],
            "VpcId": vpc["VpcId"],
            "Groups": groups,
            "PrivateIpAddress": private,
            "PrivateIpAddresses": [private],
            "Ipv6Addresses": ipv6,
            "Ipv6AddressCount": len(ipv6),
            "Description": arguments.get("Description") or "",
            "SourceDestCheck": True,
            "MacAddress": ":".join(f"{octet:02x}" for octet in (0x0A, 0x00, *IPv4Address(private).packed)),
            "Attachment": None,
            "Tags": tagged(arguments),
        },
    )


def check_groups(region: Region, vpc: str, groups: Iterable[str]) -> list[str]:
    """The groups of an interface, each once. Raises ApiError where they are too many, none, or of another VPC."""
    wanted = list(dict.fromkeys(groups))
    if len(wanted) > GROUPS:
        raise ApiError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    for identity in wanted:
        if identity not in region.of("groups"):
            raise ApiError("InvalidSecurityGroupID.NotFound", f"The securityGroup ID '{identity}' does not exist")
        if region.find("groups", identity)["VpcId"] != vpc:
            raise ApiError("InvalidParameter", "You have specified two resources that belong to different networks.")
    return wanted


def _private_address(region: Region, subnet: Item, all_wanted: Sequence[str | None]) -> str:
    if len(all_wanted) > 1:
        raise ApiError("PrivateIpAddressLimitExceeded", "The lab's network interfaces have one private address.")
    wanted = all_wanted[0]
    network = IPv4Network(subnet["CidrBlock"])
    used = {item["PrivateIpAddress"] for item in region.where("interfaces", SubnetId=subnet["SubnetId"])}
    used |= {str(network[HOST]), *region.find("vpcs", subnet["VpcId"]).get("Reserved", [])}
    outer = {str(network[index]) for index in (*range(RESERVED), -1)}
    if wanted:
        try:
            address = IPv4Address(wanted)
        except ValueError:
            raise invalid(f"invalid value for parameter address: {wanted}") from None
        if address not in network:
            raise invalid("Address does not fall within the subnet's address range")
        if wanted in outer:
            raise invalid("Address is in subnet's reserved address range")
        if wanted in used:
            raise ApiError("InvalidIPAddress.InUse", "The specified address is already in use.")
        return wanted
    for address in network.hosts():
        if str(address) not in used | outer:
            return str(address)
    raise ApiError(
        "InsufficientFreeAddressesInSubnet",
        f"The specified subnet '{subnet['SubnetId']}' does not have enough free addresses to satisfy the request.",
    )


def _ipv6_addresses(region: Region, subnet: Item, count: int) -> list[str]:
    if not count:
        return []
    if not subnet.get("Ipv6CidrBlock"):
        raise invalid(f"The subnet '{subnet['SubnetId']}' does not have an IPv6 CIDR block")
    network = IPv6Network(subnet["Ipv6CidrBlock"])
    used = {each for item in region.where("interfaces", SubnetId=subnet["SubnetId"]) for each in item["Ipv6Addresses"]}
    used |= {str(network[HOST]), *region.find("vpcs", subnet["VpcId"]).get("Reserved", [])}
    free = (str(network[index]) for index in range(RESERVED, RESERVED + count + len(used) + 1))
    return [address for address in free if address not in used][:count]


def _with_ipv6(interface: Item, addresses: list[str]) -> Item:
    interface.update({"Ipv6Addresses": addresses, "Ipv6AddressCount": len(addresses)})
    return interface


@action("NetworkInterfaceId", "Ipv6AddressCount")
def assign_ipv6_addresses(region: Region, arguments: Arguments) -> Item:
    """AssignIpv6Addresses: so many more."""
    interface = region.find("interfaces", arguments["NetworkInterfaceId"])
    more = _ipv6_addresses(region, region.find("subnets", interface["SubnetId"]), int(arguments["Ipv6AddressCount"]))
    return _with_ipv6(interface, interface["Ipv6Addresses"] + more)


@action("NetworkInterfaceId", "Ipv6Addresses")
def unassign_ipv6_addresses(region: Region, arguments: Arguments) -> Item:
    """UnassignIpv6Addresses: only those that are there."""
    interface = region.find("interfaces", arguments["NetworkInterfaceId"])
    for address in arguments["Ipv6Addresses"]:
        if address not in interface["Ipv6Addresses"]:
            raise invalid(f"Some of {address} are not assigned to interface {interface['NetworkInterfaceId']}")
    return _with_ipv6(interface, [a for a in interface["Ipv6Addresses"] if a not in arguments["Ipv6Addresses"]])


@action("NetworkInterfaceId", optional=("Groups", "SourceDestCheck", "Description"))
def modify_network_interface_attribute(region: Region, arguments: Arguments) -> Item:
    """ModifyNetworkInterfaceAttribute: "You can specify only one attribute at a time"."""
    interface = region.find("interfaces", arguments["NetworkInterfaceId"])
    if len(arguments) != 2:
        raise ApiError("InvalidParameterCombination", "Exactly one attribute can be modified in a request")
    if "Groups" in arguments:
        interface["Groups"] = check_groups(region, interface["VpcId"], arguments["Groups"])
    else:
        interface.update(arguments)
    return {}


@action("NetworkInterfaceId")
def delete_network_interface(region: Region, arguments: Arguments) -> Item:
    """DeleteNetworkInterface: "You must detach the network interface before you can delete it"."""
    interface = region.find("interfaces", arguments["NetworkInterfaceId"])
    identity = interface["NetworkInterfaceId"]
    if interface["Attachment"]:
        raise invalid(f"Network interface '{identity}' is currently in use.")
    drop_interface(region, identity)
    return {}


def drop_interface(region: Region, identity: str) -> None:
    """Forgets an interface: its Elastic IP addresses stand for nothing then."""
    for address in region.where("addresses", NetworkInterfaceId=identity):
        _disassociate(region, address)
    region.remove("interfaces", identity)


@action(optional=("Domain", "Tags"))
def allocate_address(region: Region, arguments: Arguments) -> Item:
    """AllocateAddress: five in a region."""
    if (domain := arguments.get("Domain", "vpc")) != "vpc":
        raise invalid(f"Value ({domain}) for parameter domain is invalid.")
    if len(region.of("addresses")) >= ADDRESSES:
        raise ApiError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    tags = tagged(arguments)
    return region.add("addresses", {"PublicIp": region.public_address(), "Domain": "vpc", "Tags": tags})


@action("AllocationId", "NetworkInterfaceId", optional=("PrivateIpAddress", "AllowReassociation"))
def associate_address(region: Region, arguments: Arguments) -> Item:
    """AssociateAddress: with an interface, whose VPC has to have an internet gateway."""
    address = region.find("addresses", arguments["AllocationId"])
    interface = region.find("interfaces", arguments["NetworkInterfaceId"])
    allocation, identity = address["AllocationId"], interface["NetworkInterfaceId"]
    private = arguments.get("PrivateIpAddress") or interface["PrivateIpAddress"]
    if private != interface["PrivateIpAddress"]:
        raise invalid(f"The address {private} is not assigned to the network interface {identity}.")
    if attached_gateway(region, interface["VpcId"]) is None:
        raise ApiError("Gateway.NotAttached", f"Network {interface['VpcId']} is not attached to any internet gateway")
    attachment = interface["Attachment"]
    if attachment and region.find("instances", attachment["InstanceId"])["State"] == "pending":
        raise ApiError(
            "IncorrectInstanceState",
            f"The pending-instance-creation instance to which '{identity}' is attached is not in a valid state for this"
            " operation",
        )
    now = {"NetworkInterfaceId": identity, "PrivateIpAddress": private}
    if now.items() <= address.items():
        return address  # "This is an idempotent operation"
    here = list(region.where("addresses", **now))
    if not arguments.get("AllowReassociation"):
        if address.get("AssociationId"):
            raise ApiError(
                "Resource.AlreadyAssociated",
                f"resource {allocation} is already associated with associate-id {address['AssociationId']}",
            )
        if here:
            raise ApiError(
                "Resource.AlreadyAssociated",
                f"resource {identity} is already associated with address {here[0]['PublicIp']}",
            )
    for other in here:
        _disassociate(region, other)
    _disassociate(region, address)
    address.update(now, AssociationId=association_id())
    interface["PublicIp"] = address["PublicIp"]
    return address


def _disassociate(region: Region, address: Item) -> None:
    region.of("interfaces").get(address.get("NetworkInterfaceId", ""), {}).pop("PublicIp", None)
    for name in ("AssociationId", "NetworkInterfaceId", "PrivateIpAddress"):
        address.pop(name, None)


@action("AssociationId")
def disassociate_address(region: Region, arguments: Arguments) -> Item:
    """DisassociateAddress: the address stays the account's."""
    _disassociate(region, find_association(region, arguments["AssociationId"]))
    return {}


def find_association(region: Region, identity: str) -> Item:
    """The address of an association. Raises ApiError where there is none."""
    for address in region.where("addresses", AssociationId=identity):
        return address
    raise ApiError("InvalidAssociationID.NotFound", f"The association ID '{identity}' does not exist")


@action("AssociationId")
def describe_association(region: Region, arguments: Arguments) -> Item:
    """DescribeAddresses, by an association's id."""
    return find_association(region, arguments["AssociationId"])


@action("AllocationId")
def release_address(region: Region, arguments: Arguments) -> Item:
    """ReleaseAddress: "You must disassociate the Elastic IP address before you can release it"."""
    address = region.find("addresses", arguments["AllocationId"])
    if address.get("AssociationId"):
        raise ApiError("InvalidIPAddress.InUse", f"Address {address['PublicIp']} is in use.")
    region.remove("addresses", address["AllocationId"])
    return {}


ACTIONS: Mapping[str, Action] = {
    "CreateNetworkInterface": create_network_interface,
    "AssignIpv6Addresses": assign_ipv6_addresses,
    "UnassignIpv6Addresses": unassign_ipv6_addresses,
    "ModifyNetworkInterfaceAttribute": modify_network_interface_attribute,
    "DeleteNetworkInterface": delete_network_interface,
    "AllocateAddress": allocate_address,
    "AssociateAddress": associate_address,
    "DisassociateAddress": disassociate_address,
    "DescribeAssociation": describe_association,
    "ReleaseAddress": release_address,
}
