"""What the stand-in of AWS refuses and replaces, each with its source and with a neighbour that it takes."""

from typing import Any

from tests.lab.clouds import (
    refusals_aws_addresses,
    refusals_aws_groups,
    refusals_aws_instances,
    refusals_aws_routes,
    refusals_aws_vpc,
)
from tests.lab.clouds.aws_bench import Bench
from tests.lab.clouds.aws_things import (
    PROVIDER,
    Row,
    address,
    associated,
    group,
    image,
    ingress,
    instance,
    interface,
    public_interface,
    route,
    subnet,
    table,
    vpc,
)
from tests.lab.clouds.bench import Made


def _done(bench: Bench, made: Made, **said: Any) -> str:
    """What a change is, in words."""
    differing, replacing = bench.diff(made, **said)
    return f"replaces for {', '.join(replacing)}" if replacing else f"updates {', '.join(differing)}"


def _source_of_rule(bench: Bench, **inputs: Any) -> str:
    return _done(bench, ingress(bench), without=("cidrIpv4",), **inputs)


def _route_moved(bench: Bench, **inputs: Any) -> str:
    around = vpc(bench)
    inner = interface(bench, subnet(bench, around))
    return _done(bench, route(bench, table(bench, around), inner), **inputs)


def _user_data(bench: Bench, *, replace: bool) -> str:
    made = instance(bench, userData="#cloud-config\n", userDataReplaceOnChange=replace)
    return _done(bench, made, userData="#cloud-config\na: 1\n")


REFUSALS = (
    *refusals_aws_vpc.ROWS,
    *refusals_aws_routes.ROWS,
    *refusals_aws_groups.ROWS,
    *refusals_aws_addresses.ROWS,
    *refusals_aws_instances.ROWS,
)

REPLACEMENTS = (
    Row(
        "image",
        "another image for an instance",
        "replaces for ami",
        f"{PROVIDER}ec2_instance.go, ami: ForceNew",
        lambda bench: _done(bench, instance(bench), ami=image(bench, "x86_64")),
        lambda bench: _done(bench, instance(bench), instanceType="t4g.micro"),
    ),
    Row(
        "user data",
        "other user data, where user_data_replace_on_change is set",
        "replaces for userData",
        "pulumi_aws.ec2.Instance, user_data: stop/start by default",
        lambda bench: _user_data(bench, replace=True),
        lambda bench: _user_data(bench, replace=False),
    ),
    Row(
        "encryption of the root volume",
        "encrypting a root volume that is not",
        "replaces for rootBlockDevice",
        f"{PROVIDER}ec2_instance.go, root_block_device.encrypted: ForceNew",
        lambda bench: _done(
            bench, instance(bench, rootBlockDevice={"volumeType": "gp3"}), rootBlockDevice={"encrypted": True}
        ),
        lambda bench: _done(
            bench, instance(bench, rootBlockDevice={"volumeSize": 8}), rootBlockDevice={"volumeSize": 16}
        ),
    ),
    Row(
        "interface of an instance",
        "another primary network interface for an instance",
        "replaces for primaryNetworkInterface",
        f"{PROVIDER}ec2_instance.go, primary_network_interface.network_interface_id: ForceNew",
        lambda bench: _done(bench, instance(bench), primaryNetworkInterface={"networkInterfaceId": "eni-1"}),
        lambda bench: _done(bench, instance(bench), metadataOptions={"httpTokens": "required"}),
    ),
    Row(
        "subnet of an interface",
        "another subnet for a network interface",
        "replaces for subnetId",
        f"{PROVIDER}vpc_network_interface.go, subnet_id: ForceNew",
        lambda bench: _done(bench, interface(bench), subnetId="subnet-1"),
        lambda bench: _done(bench, interface(bench), sourceDestCheck=False),
    ),
    Row(
        "description of a group",
        "another description for a security group",
        "replaces for description",
        f"{PROVIDER}vpc_security_group.go, description: ForceNew",
        lambda bench: _done(bench, group(bench), description="other"),
        lambda bench: _done(bench, group(bench), tags={"a": "b"}),
    ),
    Row(
        "kind of a rule's source",
        "an IPv6 source instead of an IPv4 one",
        "replaces for cidrIpv4, cidrIpv6",
        f"{PROVIDER}vpc_security_group_ingress_rule.go, ModifyPlan: you cannot change the rule's source type",
        lambda bench: _source_of_rule(bench, cidrIpv6="2001:db8::/32"),
        lambda bench: _done(bench, ingress(bench), cidrIpv4="198.51.100.21/32"),
    ),
    Row(
        "destination of a route",
        "another destination for a route",
        "replaces for destinationCidrBlock",
        f"{PROVIDER}vpc_route.go, destination_cidr_block: ForceNew",
        lambda bench: _route_moved(bench, destinationCidrBlock="10.41.0.0/24"),
        lambda bench: _route_moved(bench, networkInterfaceId="eni-0123456789abcdef0"),
    ),
    Row(
        "block of a VPC",
        "another block for a VPC",
        "replaces for cidrBlock",
        f"{PROVIDER}vpc_.go, cidr_block: ForceNew",
        lambda bench: _done(bench, vpc(bench), cidrBlock="10.11.0.0/16"),
        lambda bench: _done(bench, vpc(bench), enableDnsHostnames=True),
    ),
    Row(
        "what an address stands for",
        "another network interface for an Elastic IP address's association",
        "replaces for networkInterfaceId",
        f"{PROVIDER}ec2_eip_association.go, network_interface_id: ForceNew",
        lambda bench: _done(
            bench, associated(bench, address(bench), public_interface(bench)), networkInterfaceId="eni-1"
        ),
        lambda bench: _done(bench, address(bench), tags={"a": "b"}),
    ),
    Row(
        "region",
        "another region",
        "replaces for region",
        "hashicorp/terraform-provider-aws, website/docs/guides/enhanced-region-support",
        lambda bench: _done(bench, vpc(bench), region="eu-west-1"),
        lambda bench: _done(bench, vpc(bench), tags={"a": "b"}),
    ),
)
