"""A site on AWS: an instance with an address and an interface that outlive it, its security group, and its routes."""

from collections.abc import Mapping, Sequence
from functools import partial

import pulumi
from pulumi_aws._inputs import ProviderAssumeRoleArgs
from pulumi_aws.ec2._inputs import (
    GetAmiFilterArgs,
    InstanceMetadataOptionsArgs,
    InstancePrimaryNetworkInterfaceArgs,
    InstanceRootBlockDeviceArgs,
)
from pulumi_aws.ec2.eip import Eip
from pulumi_aws.ec2.eip_association import EipAssociation
from pulumi_aws.ec2.get_ami import GetAmiResult
from pulumi_aws.ec2.instance import Instance
from pulumi_aws.ec2.network_interface import NetworkInterface
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.provider import Provider
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from components.awsvpc import aws_network
from components.firstcontact import FirstContact
from components.lookups import Asker
from components.site import Ground, Machine
from mesh import cloud
from mesh.model import Architecture, Aws, Image, IPNetwork, SiteName
from mesh.plan import SitePlan

# Who publishes an image, how it is called, and the user that it lets in.
_IMAGES: Mapping[Image, tuple[str, str, str]] = {
    "debian-12": ("136693071363", "debian-12-{}-*", "admin"),
    "ubuntu-24.04": ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{}-server-*", "ubuntu"),
}
# Tells what an instance was made of, and so who logs in: the config may name the image of the next generation already.
_IMAGE_TAG = "wireguard-mesh:image"
_IN_NAMES: Mapping[Architecture, str] = {"arm64": "arm64", "x86_64": "amd64"}


class AwsSite(pulumi.ComponentResource):
    """The machine of a site on AWS (`components.site.Machine`).

    A replaced instance takes over address, interface and host key, and with the interface its private address too: no
    route, rule or peer has to learn of it.
    """

    def __init__(self, plan: SitePlan, ground: Ground) -> None:
        site, aws = plan.site, plan.site.kind
        if not isinstance(aws, Aws):
            raise TypeError(f"{site} is not on AWS")
        super().__init__("wireguard-mesh:index:AwsSite", site.name, None, pulumi.ResourceOptions(parent=ground.parent))
        self._name, self._mesh, self._plan = site.name, ground.mesh, plan
        self._tags = {
            "Name": f"{pulumi.get_stack()}-{site}",
            **dict(aws.tags),
            "wireguard-mesh:stack": pulumi.get_stack(),
            "wireguard-mesh:site": site.name,
        }
        provider = _provider(site.name, aws, self)
        self._options = partial(pulumi.ResourceOptions, parent=self, provider=provider)
        asker = Asker(site.name, aws.region, provider)
        network = aws_network(site.name, aws, self._tags, asker, self._options())
        self._tables = network.tables
        after_uplink = self._options(depends_on=list(network.uplink))

        address = Eip(f"{site}-address", domain="vpc", tags=self._tags, opts=after_uplink)
        # AWS has no way to change a description: it says nothing that ever could.
        self._group = SecurityGroup(
            f"{site}-group",
            description="A gateway of wireguard-mesh",
            vpc_id=network.vpc,
            tags=self._tags,
            opts=self._options(),
        )
        self._interface = NetworkInterface(
            f"{site}-interface",
            subnet_id=network.subnet,
            security_groups=[self._group.id],
            source_dest_check=False,
            ipv6_address_count=1 if _has_ipv6(plan) else None,
            tags=self._tags,
            opts=self._options(),
        )
        reached = EipAssociation(
            f"{site}-address-of-interface",
            allocation_id=address.id,
            network_interface_id=self._interface.id,
            # An address stands for one interface at a time.
            opts=self._options(depends_on=list(network.uplink), delete_before_replace=True),
        )
        first = FirstContact(site.name, ground.operator_key(), self)
        instance = self._instance(aws, asker, first, network.instance_type, reached)

        self.connection, self.first_connection = first.connections(
            address.public_ip, instance.tags.apply(partial(_user, aws.image))
        )
        self.machine_id: pulumi.Input[str] = instance.id
        # Another type stops the instance, and starts it again.
        self.boot: pulumi.Input[str] = pulumi.Output.concat(instance.id, " ", instance.instance_type)
        self.address: pulumi.Input[str] = address.public_ip
        self.sends_from: Sequence[pulumi.Input[str]] = (address.public_ip,)
        self.gone_with: pulumi.Resource | None = instance
        self.shows: Mapping[str, pulumi.Output[str]] = {
            "address": address.public_ip,
            "host_key": first.shown_host_key,
        }
        self._needed = [reached, *network.uplink]
        self.register_outputs({})

    def join(self, others: Mapping[SiteName, Machine]) -> Sequence[pulumi.Resource]:
        """A rule of the security group for each opening, one that sends anything out, and nothing else."""
        rules: list[pulumi.Resource] = [
            SecurityGroupEgressRule(
                f"{self._name}-out-{family}",
                security_group_id=self._group.id,
                ip_protocol="-1",
                cidr_ipv4="0.0.0.0/0" if family == "v4" else None,
                cidr_ipv6="::/0" if family == "v6" else None,
                tags=self._tags,
                opts=self._options(),
            )
            for family in ("v4", "v6")
        ]
        for opening in cloud.openings(self._mesh, self._plan):
            if isinstance(opening.source, str):
                sources = others[opening.source].sends_from
                # No site has a dot in its name: these are no other site's.
                names = [opening.name, *(f"{opening.name}.{number}" for number in range(2, len(sources) + 1))]
                for name, source in zip(names, sources, strict=True):
                    rules.append(self._ingress(name, opening, pulumi.Output.concat(source, "/32"), 4))
            else:
                rules.append(self._ingress(opening.name, opening, str(opening.source), opening.source.version))
        return [*self._needed, *rules]

    def route(self, reached: Mapping[SiteName, pulumi.Resource]) -> None:
        """A route in each table for each prefix of another site that hosts in the VPC send to the gateway."""
        for route in cloud.routes(self._plan):
            for suffix, table in self._tables:
                ipv4 = route.prefix.version == 4
                Route(
                    f"{self._name}-route-{_in_name(route.prefix)}{suffix}",
                    route_table_id=table,
                    destination_cidr_block=str(route.prefix) if ipv4 else None,
                    destination_ipv6_cidr_block=None if ipv4 else str(route.prefix),
                    network_interface_id=self._interface.id,
                    opts=self._options(depends_on=[reached[route.site]]),
                )

    def _instance(
        self, aws: Aws, asker: Asker, first: FirstContact, instance_type: pulumi.Input[str], reached: EipAssociation
    ) -> Instance:
        return Instance(
            f"{self._name}-gateway",
            ami=_image(aws, asker),
            instance_type=instance_type,
            primary_network_interface=InstancePrimaryNetworkInterfaceArgs(network_interface_id=self._interface.id),
            metadata_options=InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=InstanceRootBlockDeviceArgs(encrypted=True, volume_type="gp3", tags=self._tags),
            user_data=first.user_data,
            tags={**self._tags, _IMAGE_TAG: aws.image},
            opts=self._options(
                # An interface takes no address while its instance is pending (terraform-provider-aws #6189).
                depends_on=[reached],
                # An interface is the primary one of one instance at a time.
                delete_before_replace=True,
                replacement_trigger=_replacing(aws),
                # The provider reads the check from the interface, and would set it to its default (terraform-provider-
                # aws #44768): the interface's own resource has it off.
                ignore_changes=["ami", f'tags["{_IMAGE_TAG}"]', "user_data", "source_dest_check"],
                additional_secret_outputs=["user_data", "user_data_base64"],
                hooks=first.waiting,
            ),
        )

    def _ingress(
        self, name: str, opening: cloud.Opening, source: pulumi.Input[str], version: int
    ) -> SecurityGroupIngressRule:
        # Ports of every protocol are none at all, and of ICMP they are types and codes, of which -1 are all.
        ports = {"tcp": (opening.first, opening.last), "udp": (opening.first, opening.last), None: (None, None)}
        first, last = ports.get(opening.protocol, (-1, -1))
        return SecurityGroupIngressRule(
            f"{self._name}-in-{name}",
            security_group_id=self._group.id,
            ip_protocol=opening.protocol or "-1",
            from_port=first,
            to_port=last,
            cidr_ipv4=source if version == 4 else None,
            cidr_ipv6=source if version == 6 else None,
            tags=self._tags,
            opts=self._options(),
        )


def _provider(site: SiteName, aws: Aws, parent: pulumi.Resource) -> Provider:
    return Provider(
        f"{site}-aws",
        region=aws.region,
        profile=aws.profile,
        assume_roles=None if aws.role is None else [ProviderAssumeRoleArgs(role_arn=aws.role)],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _image(aws: Aws, asker: Asker) -> pulumi.Output[str]:
    """The newest image. AWS hides those of its publisher's that are two years old unless it is asked for them too."""
    owner, name, _ = _IMAGES[aws.image]
    arguments = {
        "mostRecent": True,
        "includeDeprecated": True,
        "owners": [owner],
        "filters": [
            GetAmiFilterArgs(name="name", values=[name.format(_IN_NAMES[aws.architecture])]),
            GetAmiFilterArgs(name="architecture", values=[aws.architecture]),
            GetAmiFilterArgs(name="virtualization-type", values=["hvm"]),
            GetAmiFilterArgs(name="root-device-type", values=["ebs"]),
        ],
    }
    found = asker.ask("aws:ec2/getAmi:getAmi", arguments, GetAmiResult)
    return found.apply(lambda image: image.id)


def _replacing(aws: Aws) -> str:
    """What replaces the instance when it changes. No instance can be given another architecture."""
    return f"{aws.generation} {aws.architecture}"


def _user(image: Image, tags: Mapping[str, str] | None) -> str:
    """Who logs in to an instance with these tags; `image` is the config's, for one that lost its own."""
    made_of = (tags or {}).get(_IMAGE_TAG, image)
    return next((user for name, (_, _, user) in _IMAGES.items() if name == made_of), _IMAGES[image][2])


def _has_ipv6(plan: SitePlan) -> bool:
    return any(cidr.version == 6 for network in plan.site.networks for cidr in network.cidrs)


def _in_name(prefix: IPNetwork) -> str:
    return str(prefix).replace("/", "-").replace(":", "_")
