"""What the stand-in for AWS has declared, in the fabric's words: VPCs with their machines, filters and routes."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from typing import cast

from lab.clouds.aws_images import MAKERS
from lab.clouds.aws_region import Item, Region
from lab.clouds.aws_routes import table_of
from lab.clouds.model import INTERNET, CloudMachine, Link, Protocol, Rule, Vpc
from lab.topology import IPInterface
from mesh.model import IPNetwork

# The tag that says whose gateway an instance is.
SITE = "wireguard-mesh:site"
# What Debian's and Ubuntu's images call the interface of device index 0.
INTERFACE = "ens5"


def networks(region: Region) -> Iterator[Vpc]:
    """The VPCs of a region."""
    for vpc in region.of("vpcs").values():
        identity = vpc["VpcId"]
        subnets = list(region.where("subnets", VpcId=identity))
        yield Vpc(
            identity,
            "aws",
            tuple(ip_network(cidr) for cidr in vpc["Cidrs"]),
            tuple(_machines(region, identity)),
            {table["RouteTableId"]: tuple(_routes(region, table)) for table in region.where("tables", VpcId=identity)},
            tuple(
                (ip_network(subnet[name]), table_of(region, subnet))
                for subnet in subnets
                for name in ("CidrBlock", "Ipv6CidrBlock")
                if subnet.get(name)
            ),
        )


def _machines(region: Region, vpc: str) -> Iterator[CloudMachine]:
    """The instances in a VPC. One that is stopped keeps its disk, and so its place; nothing gets in or out."""
    for instance in region.of("instances").values():
        interface = region.find("interfaces", instance["NetworkInterfaceId"])
        if interface["VpcId"] == vpc:
            yield CloudMachine(
                instance["InstanceId"],
                instance["Tags"].get(SITE),
                instance["Tags"].get("Name") or f"ip-{interface['PrivateIpAddress'].replace('.', '-')}",
                (MAKERS[instance["Image"]].user,),
                # without the metadata service cloud-init has nobody to ask
                instance["UserData"] if instance["MetadataOptions"]["HttpEndpoint"] == "enabled" else "",
                (_link(region, interface, on=instance["State"] != "stopped"),),
            )


def _link(region: Region, interface: Item, *, on: bool) -> Link:
    subnet = region.find("subnets", interface["SubnetId"])
    private = interface["PrivateIpAddress"]
    length = ip_network(subnet["CidrBlock"]).prefixlen
    addresses: list[IPInterface] = [ip_interface(f"{private}/{length}")]
    # DHCPv6 gives one address alone; the way to all others is the router's advertisement
    addresses += [ip_interface(f"{address}/128") for address in interface["Ipv6Addresses"]]
    public = [
        ip_address(address["PublicIp"])
        for address in region.where("addresses", NetworkInterfaceId=interface["NetworkInterfaceId"])
    ]
    return Link(
        INTERFACE,
        tuple(addresses),
        internet=True,
        nat=tuple((address, ip_address(private)) for address in public),
        sends_as=public[0] if public else None,
        checked=interface["SourceDestCheck"],
        table=table_of(region, subnet),
        ingress=tuple(_rules(region, interface, egress=False)),
        egress=tuple(_rules(region, interface, egress=True)),
        up=on,
    )


def _rules(region: Region, interface: Item, *, egress: bool) -> Iterator[Rule]:
    """What the interface's groups let pass, all of them together."""
    found: dict[Rule, None] = {}
    for group in interface["Groups"]:
        for rule in region.where("rules", GroupId=group, IsEgress=egress):
            protocol = None if rule["IpProtocol"] == "-1" else cast(Protocol, rule["IpProtocol"])
            ports = protocol in ("tcp", "udp")
            first, last = (rule["FromPort"], rule["ToPort"]) if ports else (0, 65535)
            found |= dict.fromkeys(Rule(protocol, first, last, prefix) for prefix in _prefixes(region, rule))
    yield from found


def _prefixes(region: Region, rule: Item) -> Iterator[IPNetwork]:
    """The networks that a rule is about; of a group it is the private addresses of those who have it."""
    for name in ("CidrIpv4", "CidrIpv6"):
        if name in rule:
            yield ip_network(rule[name])
    for interface in region.of("interfaces").values() if "ReferencedGroupId" in rule else ():
        if rule["ReferencedGroupId"] in interface["Groups"]:
            yield from (ip_network(address) for address in (interface["PrivateIpAddress"], *interface["Ipv6Addresses"]))


def _routes(region: Region, table: Item) -> Iterator[tuple[IPNetwork, str]]:
    """A table's routes but for the VPC's own. One to an interface that no machine has leads nowhere: it is left out."""
    for route in table["Routes"]:
        destination = ip_network(route["Destination"])
        if gateway := route.get("GatewayId"):
            if region.of("gateways").get(gateway, {}).get("VpcId") == table["VpcId"]:
                yield destination, INTERNET
        elif interface := region.of("interfaces").get(route["NetworkInterfaceId"]):
            attachment = interface["Attachment"]
            if attachment and region.find("instances", attachment["InstanceId"])["State"] != "stopped":
                yield destination, attachment["InstanceId"]
