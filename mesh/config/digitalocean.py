"""A site at DigitalOcean in the config: its keys, what each may say, and what they mean together."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from mesh.config.credentials import secret_text
from mesh.config.faults import Found, shown
from mesh.config.forms import (
    Flag,
    Generation,
    ImageName,
    VpcRange,
    filled,
    listed,
    many,
    or_empty,
    scalar,
    secret,
    secret_schema,
)
from mesh.config.parts import CloudPart, Written, required
from mesh.config.values import text
from mesh.model import DigitalOcean, NewVpc, Secret

_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))  # RFC 1918
# docs.digitalocean.com/products/networking/vpc/concepts/plan-your-network, and the release note of 10.229.0.0/16.
_INTERNAL = tuple(map(IPv4Network, ("10.229.0.0/16", "10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24")))
_OWN_TAGS = "wireguard-mesh:"  # how the tags begin by which the program's firewalls find their droplets
_LONGEST_TAG = 255


def region(value: object) -> str:
    """The slug of a region; whether it is one of today's, DigitalOcean says."""
    name = text(value, "a region of DigitalOcean, for example fra1")
    if not re.fullmatch(r"[a-z]{3}[1-9][0-9]?", name):
        raise ValueError(f"{shown(name)} is no region of DigitalOcean; write its slug, like fra1")
    return name


def vpc(value: object) -> str:
    """The UUID of a VPC."""
    written = text(value, "the UUID of a VPC")
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", written.lower()):
        raise ValueError(f"{shown(written)} is no UUID; `doctl vpcs list` shows the one of each VPC")
    return written.lower()


def size(value: object) -> str:
    """The slug of a droplet's size."""
    name = text(value, "a size of droplets, for example s-1vcpu-1gb")
    if not re.fullmatch(r"[a-z0-9_]+(-[a-z0-9_]+)+", name):
        raise ValueError(f"{shown(name)} is no size of droplets; write its slug, like s-1vcpu-1gb")
    return name


def token(value: object, *, stack_file: bool) -> Secret:
    """A token of the API."""
    written = secret_text(value, "a token of DigitalOcean", stack_file=stack_file, renewed="token")
    if written is None:
        return Secret(None)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", written.strip()):
        raise ValueError("is no token of DigitalOcean: letters, digits and _ without spaces, as it is shown once")
    return Secret(written.strip())


def tag(value: object) -> str:
    """A tag. Source: "Create a New Tag" in the API reference."""
    written = text(value, "a tag")
    if len(written) > _LONGEST_TAG:
        raise ValueError(f"has {len(written)} characters; a tag has at most {_LONGEST_TAG}")
    if not re.fullmatch(r"[A-Za-z0-9:_-]+", written):
        raise ValueError(f"{shown(written)} is no tag; it may hold letters, digits and : - _")
    if written.lower().startswith(_OWN_TAGS):
        raise ValueError(f"{shown(written)} begins with '{_OWN_TAGS}', which the program keeps for itself")
    return written


Region: TypeAlias = Annotated[str, *scalar(region, "string", title="region")]
VpcUuid: TypeAlias = Annotated[str, *scalar(vpc, "string", title="UUID of a VPC")]
Size: TypeAlias = Annotated[str, *scalar(size, "string", title="size")]
Token: TypeAlias = Annotated[Secret, secret(token), secret_schema("secret")]
Tags: TypeAlias = Annotated[
    tuple[Annotated[str, or_empty(tag)], ...],
    BeforeValidator(listed),
    AfterValidator(filled),
    many("tag, or a list"),
]


class DigitalOceanPart(CloudPart):
    """A droplet at DigitalOcean, which is made, with its firewall."""

    kind: ClassVar[str] = "digitalocean"
    cloud: ClassVar[str] = "DigitalOcean"
    interface: ClassVar[str] = "eth1"
    masquerades: ClassVar[bool] = True
    tables: ClassVar[str | None] = None
    way_back: ClassVar[str] = (
        "leave 'masquerade' out, which is true then, or give it 'return_route: manual' where the other droplets have"
        " the routes of the output '{site}.cloud_init'"
    )

    region: Region | None = required("The slug of the region, for example `fra1`.")
    vpc_cidr: VpcRange | None = Field(
        default=None, description="The range of a new VPC, private and from /16 to /28. Either this or `vpc`."
    )
    vpc: VpcUuid | None = Field(default=None, description="A VPC that exists, in that region.")
    size: Size = Field(default="s-1vcpu-512mb-10gb", description="The slug of the droplet's size.")
    image: ImageName = Field(
        default="debian-12", description="What it runs. A newer image of that name replaces no droplet."
    )
    generation: Generation = Field(
        default=1, description="Raise it to replace the droplet by a new one, with the present image and user data."
    )
    reserved_address: Flag = Field(
        default=False,
        description="Give it a reserved address, which outlives the droplet: the one that other sites send to. It"
        " still sends from its own.",
    )
    token: Token | None = Field(
        default=None,
        description="The API's token. Default: the environment's, `DIGITALOCEAN_TOKEN`. Set it by `pulumi config set"
        " --path --secret 'wireguard-mesh:sites.NAME.digitalocean.token'`.",
    )
    tags: Tags | None = Field(default=None, description="Tags for the droplet, beside the program's own.")

    @property
    def without_ipv6(self) -> str | None:
        """No VPC of DigitalOcean has IPv6."""
        return "a VPC of DigitalOcean has IPv4 only; leave it out"

    def check(self, written: Written) -> Iterator[Found]:
        """Yields the faults that take more than one of its values to see."""
        if written.misses("region"):
            yield ("region",), "is missing; give the slug of the region, for example fra1"
        if not written.misses("vpc") and not written.misses("vpc_cidr"):
            yield (), "has 'vpc', a VPC that exists, and 'vpc_cidr', a new one; leave one of them out"
        elif written.misses("vpc") and written.misses("vpc_cidr"):
            yield (), "has no VPC; give it 'vpc_cidr', the range of a new one, or 'vpc', the UUID of one that exists"
        # Source: "Create a New VPC" in the API reference.
        if self.vpc_cidr and not any(self.vpc_cidr.subnet_of(private) for private in _PRIVATE):
            yield (
                ("vpc_cidr",),
                f"{self.vpc_cidr} is not private; DigitalOcean takes 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16",
            )
        for internal in _INTERNAL:
            if self.vpc_cidr and self.vpc_cidr.overlaps(internal):
                message = (
                    f"{self.vpc_cidr} overlaps {internal}, which DigitalOcean keeps for itself; take another range"
                )
                yield ("vpc_cidr",), message
        lowered = [each.lower() for each in self.tags or ()]
        for index, each in enumerate(self.tags or ()):
            if each.lower() in lowered[:index]:
                yield ("tags",), f"{shown(each)} is named twice; DigitalOcean does not tell capitals apart"

    def build(self) -> DigitalOcean:
        """The droplet that it describes."""
        if self.region is None or (vpc := NewVpc(self.vpc_cidr) if self.vpc_cidr else self.vpc) is None:
            raise AssertionError("the checks let a droplet without a region or a VPC pass")
        return DigitalOcean(
            region=self.region,
            vpc=vpc,
            size=self.size,
            image=self.image,
            generation=self.generation,
            reserved_address=self.reserved_address,
            token=self.token,
            tags=self.tags or (),
        )
