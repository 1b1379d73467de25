"""A site on AWS in the config: its keys, what each may say, and what they mean together."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from mesh.config.faults import Found, shown
from mesh.config.forms import (
    ArchitectureName,
    Generation,
    ImageName,
    VpcRange,
    filled,
    listed,
    many,
    or_empty,
    scalar,
    unsealed,
)
from mesh.config.parts import CloudPart, Written, required
from mesh.config.values import text
from mesh.model import Architecture, Aws, ExistingVpc, NewVpc

# The forms of the partitions in botocore's partitions.json, as in us-east-1, us-gov-west-1 and eusc-de-east-1; and
# that of the commercial one, of which China's is told by its name alone.
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[1-9][0-9]?")
_COMMERCIAL = re.compile(r"(?!cn-)[a-z]{2}-[a-z]+-[0-9]+")
# Source: "Amazon EC2 instance type naming conventions": family, generation, options, and the size after the period.
_INSTANCE_TYPE = re.compile(r"(?P<family>[a-z]+|u-[0-9]+tb)(?P<generation>[0-9]+)(?P<options>[a-z]*)(-[a-z0-9]+)?")
_SIZE = re.compile(r"[a-z0-9-]+")
# Source: "Tag your Amazon EC2 resources", tag restrictions.
_TAG_MARKS = re.compile(r"[\w +=.:/@-]*")
_LONGEST_TAG_KEY, _LONGEST_TAG_VALUE, _MOST_TAGS = 128, 256, 50
# What the program tags with by itself: the machine's name, the site, the stack, and what the machine was made of.
_OWN_TAGS = ("Name", "wireguard-mesh:site", "wireguard-mesh:stack", "wireguard-mesh:image")


def region(value: object) -> str:
    """The name of a region; whether it is one of today's, AWS says.

    In other partitions than the commercial one, images have other publishers (components/aws.py).
    """
    name = text(value, "a region of AWS, for example us-east-1")
    if re.fullmatch(rf"{_REGION.pattern}[a-z]", name):
        raise ValueError(f"{shown(name)} is an availability zone; its region is {name[:-1]}")
    if not _REGION.fullmatch(name):
        raise ValueError(f"{shown(name)} is no region of AWS; write it like us-east-1")
    if not _COMMERCIAL.fullmatch(name):
        raise ValueError(
            f"{shown(name)} is of another partition of AWS (GovCloud, China, a sovereign or a secret one), where the"
            " publishers of images are others than those known here; take a region of the commercial one, like"
            " us-east-1"
        )
    return name


def instance_type(value: object) -> str:
    """The name of an instance type, for example t4g.nano."""
    name = text(value, "an instance type, for example t4g.nano")
    series, dot, size = name.partition(".")
    if not dot or not _INSTANCE_TYPE.fullmatch(series) or not _SIZE.fullmatch(size):
        raise ValueError(f"{shown(name)} is no instance type; write it like t4g.nano")
    if series.startswith("mac"):
        raise ValueError(f"{shown(name)} is a Mac, which runs none of the images; take a type like t4g.nano")
    return name


def architecture_of(name: str) -> Architecture:
    """The architecture of an instance type's processors.

    Source: "Amazon EC2 instance type naming conventions": of the options after the generation, `g` is AWS Graviton.
    It comes first, as in t4g, c7gn and im4gn; g4dn is a family. The first type with Graviton, A1, is without it.
    """
    series = _INSTANCE_TYPE.fullmatch(name.partition(".")[0])
    options = series["options"] if series else ""
    return "arm64" if options.startswith("g") or name.startswith("a1.") else "x86_64"


def identifier(value: object, kind: str, what: str) -> str:
    """The id of a resource, for example vpc-0a1b2c3d.

    Source: "Resource IDs" in the Amazon EC2 user guide: 8 hexadecimal digits, or 17 in those made since 2016.
    """
    written = text(value, f"the id of {what}, {kind}-...")
    if not re.fullmatch(rf"{kind}-([0-9a-f]{{8}}|[0-9a-f]{{17}})", written):
        raise ValueError(
            f"{shown(written)} is no id of {what}: that is '{kind}-' and 8 or 17 hexadecimal digits in lower case"
        )
    return written


def profile(value: object) -> str:
    """The name of a profile in AWS's shared config files."""
    return text(value, "the name of a profile")


def role(value: object) -> str:
    """The ARN of a role. Source: "IAM identifiers" in the IAM user guide."""
    written = text(value, "the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME")
    if not re.fullmatch(r"arn:aws:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]{1,64}", written):
        raise ValueError(f"{shown(written)} is no ARN of a role; write it like arn:aws:iam::123456789012:role/NAME")
    return written


def tag(value: object) -> str:
    """The value of a tag, which may be empty and may have spaces."""
    if value == "":
        return ""
    if not isinstance(value, str):
        return text(value, "the value of a tag")
    if len(value) > _LONGEST_TAG_VALUE:
        raise ValueError(f"has {len(value)} characters; the value of a tag has at most {_LONGEST_TAG_VALUE}")
    if not _TAG_MARKS.fullmatch(value):
        raise ValueError(
            f"{shown(value)} has a mark that is not for tags; it may hold letters, digits, spaces and + - = . _ : / @"
        )
    return value


_VPC = partial(identifier, kind="vpc", what="a VPC")
_SUBNET = partial(identifier, kind="subnet", what="a subnet")
_ROUTE_TABLE = partial(identifier, kind="rtb", what="a route table")

Region: TypeAlias = Annotated[str, *scalar(region, "string", title="region")]
InstanceType: TypeAlias = Annotated[str, *scalar(instance_type, "string", title="instance type")]
VpcId: TypeAlias = Annotated[str, *scalar(_VPC, "string", title="id of a VPC")]
SubnetId: TypeAlias = Annotated[str, *scalar(_SUBNET, "string", title="id of a subnet")]
RouteTables: TypeAlias = Annotated[
    tuple[Annotated[str, or_empty(_ROUTE_TABLE)], ...],
    BeforeValidator(listed),
    AfterValidator(filled),
    many("id of a route table, or a list"),
]
Profile: TypeAlias = Annotated[str, *scalar(profile, "string", title="name")]
Role: TypeAlias = Annotated[str, *scalar(role, "string", title="ARN")]
Tags: TypeAlias = Annotated[
    dict[str, Annotated[str, PlainValidator(tag)]],
    BeforeValidator(unsealed),
    WithJsonSchema({"title": "texts by name", "type": "object", "additionalProperties": {"type": "string"}}),
]


class AwsPart(CloudPart):
    """An instance on AWS, which is made, with its firewall, its Elastic IP and the routes to it."""

    kind: ClassVar[str] = "aws"
    cloud: ClassVar[str] = "AWS"
    interface: ClassVar[str] = "ens5"
    masquerades: ClassVar[bool] = False
    tables: ClassVar[str | None] = "route_tables"
    way_back: ClassVar[str] = "list the VPC's 'route_tables', or give it 'masquerade: true'"

    region: Region | None = required("The region, for example `us-east-1`; one of the commercial partition.")
    vpc_cidr: VpcRange | None = Field(
        default=None,
        description="The range of a new VPC with one subnet, from /16 to /28. Either this or `vpc`.",
    )
    vpc: VpcId | None = Field(default=None, description="A VPC that exists. It takes a `subnet`.")
    subnet: SubnetId | None = Field(
        default=None,
        description="The subnet of `vpc` that the gateway lies in. Its route table has to lead to an internet gateway.",
    )
    route_tables: RouteTables | None = Field(
        default=None,
        description="The route tables of `vpc` that get the routes to other sites: those of the subnets that the"
        " site's networks are. One belongs to one site. A new VPC has one of its own.",
    )
    instance_type: InstanceType = Field(default="t4g.nano", description="The size of the instance.")
    architecture: ArchitectureName = Field(
        default="arm64", description="Its processors' architecture, which its type has to fit."
    )
    image: ImageName = Field(
        default="debian-12", description="What it runs: the newest when it is made. A newer image replaces no instance."
    )
    generation: Generation = Field(
        default=1, description="Raise it to replace the instance by a new one, with the present image and user data."
    )
    profile: Profile | None = Field(
        default=None, description="The profile of AWS's config files to use. Default: the environment's credentials."
    )
    role: Role | None = Field(default=None, description="A role to assume. Default: none.")
    tags: Tags = Field(default={}, description="Tags for everything that is made.")

    @property
    def without_ipv6(self) -> str | None:
        """A VPC that is made has IPv4 only; one that exists may have both."""
        return "a VPC that is made has IPv4 only; leave it out, or name a VPC that has both" if self.vpc_cidr else None

    def check(self, written: Written) -> Iterator[Found]:
        """Yields the faults that take more than one of its values to see."""
        if written.misses("region"):
            yield ("region",), "is missing; name the region, for example us-east-1"
        yield from self._check_vpc(written)
        fits = architecture_of(self.instance_type) == self.architecture
        if not fits and not written.spoilt("instance_type") and not written.spoilt("architecture"):
            where = "architecture" if written.misses("instance_type") else "instance_type"
            other, example = ("x86_64", "t4g.nano") if self.architecture == "arm64" else ("arm64", "t3.nano")
            yield (
                (where,),
                f"{self.instance_type} is {other}, and 'architecture' is {self.architecture}"
                f"{', as it is by default' if written.misses('architecture') else ''}; write"
                f" 'architecture: {other}', or take a type like {example}",
            )
        yield from self._check_tags(written)

    def _check_vpc(self, written: Written) -> Iterator[Found]:
        parts = [key for key in ("subnet", "route_tables") if not written.misses(key)]
        if not written.misses("vpc") and not written.misses("vpc_cidr"):
            yield (), "has 'vpc', a VPC that exists, and 'vpc_cidr', a new one; leave one of them out"
        elif not written.misses("vpc_cidr"):
            for key in parts:
                yield (
                    (key,),
                    "belongs to a VPC that exists, and 'vpc_cidr' makes a new one; leave it out, or write 'vpc' in"
                    " place of 'vpc_cidr'",
                )
        elif not written.misses("vpc"):
            if written.misses("subnet"):
                yield ("subnet",), "is missing; give the subnet of the VPC that the gateway is to lie in, a public one"
        elif parts:
            yield ("vpc",), f"is missing; name the VPC in which {' and '.join(parts)} lie{'s' * (len(parts) == 1)}"
        else:
            yield (), "has no VPC; give it 'vpc_cidr', the range of a new one, or 'vpc' and 'subnet' of one that exists"
        tables = self.route_tables or ()
        for index, table in enumerate(tables):
            if table in tables[:index]:
                yield ("route_tables",), f"{shown(table)} is named twice"

    def _check_tags(self, written: Written) -> Iterator[Found]:
        names = written.names("tags")
        for name in names:
            if name.lower().startswith("aws:"):
                yield ("tags", name), "begins with 'aws:', which AWS keeps for itself; take another name"
            elif name in _OWN_TAGS:
                yield ("tags", name), "is set by the program; take another name"
            elif not name or len(name) > _LONGEST_TAG_KEY or not _TAG_MARKS.fullmatch(name):
                yield (
                    ("tags", name),
                    f"is no name of a tag: 1 to {_LONGEST_TAG_KEY} letters, digits, spaces and + - = . _ : / @",
                )
        most = _MOST_TAGS - len(_OWN_TAGS)
        if len(names) > most:
            yield ("tags",), f"there are {len(names)}; beside the program's own, AWS takes {most}"

    def build(self) -> Aws:
        """The instance that it describes."""
        if self.region is None:
            raise AssertionError("the checks let an instance without a region pass")
        return Aws(
            region=self.region,
            vpc=self._vpc(),
            instance_type=self.instance_type,
            architecture=self.architecture,
            image=self.image,
            generation=self.generation,
            profile=self.profile,
            role=self.role,
            tags=tuple(sorted(self.tags.items())),
        )

    def _vpc(self) -> ExistingVpc | NewVpc:
        if self.vpc_cidr:
            return NewVpc(self.vpc_cidr)
        if self.vpc is None or self.subnet is None:
            raise AssertionError("the checks let an instance without a VPC pass")
        return ExistingVpc(self.vpc, self.subnet, self.route_tables or ())
