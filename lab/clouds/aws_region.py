"""One region of the stand-in for AWS: what is in it, kind by kind, and the refusals that every action of EC2 has.

The codes are those of the Amazon EC2 API Reference, "Error codes"; the texts are those that EC2 gives.
"""

import functools
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypeAlias

from lab.clouds.api import ApiError
from lab.clouds.pool import Pool
from mesh.model import IPNetwork

Item: TypeAlias = dict[str, Any]
Arguments: TypeAlias = Mapping[str, Any]
Action: TypeAlias = "Callable[[Region, Arguments], Item]"

ACCOUNT = "123456789012"
# The zones that a region is taken to have, by the letter at the end. The old one is as us-east-1e is: it has none of
# the types that the lab knows, and a subnet that names no zone may well come to lie there.
ZONES = "abc"
OLD_ZONE = "e"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing: how its ids begin, how its id's parameter and its code are called, and EC2's word for it."""

    prefix: str
    parameter: str
    not_found: str
    malformed: str
    text: str


KINDS: Mapping[str, Kind] = {
    "vpcs": Kind("vpc", "VpcId", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed", "The vpc ID '{}' does not exist"),
    "gateways": Kind(
        "igw",
        "InternetGatewayId",
        "InvalidInternetGatewayID.NotFound",
        "InvalidInternetGatewayId.Malformed",
        "The internetGateway ID '{}' does not exist",
    ),
    "subnets": Kind(
        "subnet",
        "SubnetId",
        "InvalidSubnetID.NotFound",
        "InvalidSubnetID.Malformed",
        "The subnet ID '{}' does not exist",
    ),
    "tables": Kind(
        "rtb",
        "RouteTableId",
        "InvalidRouteTableID.NotFound",
        "InvalidRouteTableId.Malformed",
        "The routeTable ID '{}' does not exist",
    ),
    "table_associations": Kind(
        "rtbassoc",
        "AssociationId",
        "InvalidAssociationID.NotFound",
        "InvalidAssociationID.NotFound",
        "The association ID '{}' does not exist",
    ),
    "groups": Kind(
        "sg", "GroupId", "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "The security group '{}' does not exist"
    ),
    "rules": Kind(
        "sgr",
        "SecurityGroupRuleId",
        "InvalidSecurityGroupRuleId.NotFound",
        "InvalidSecurityGroupRuleId.Malformed",
        "The security group rule ID '{}' does not exist",
    ),
    "interfaces": Kind(
        "eni",
        "NetworkInterfaceId",
        "InvalidNetworkInterfaceID.NotFound",
        "InvalidNetworkInterfaceId.Malformed",
        "The networkInterface ID '{}' does not exist",
    ),
    "addresses": Kind(
        "eipalloc",
        "AllocationId",
        "InvalidAllocationID.NotFound",
        "InvalidAllocationID.NotFound",
        "The allocation ID '{}' does not exist",
    ),
    "instances": Kind(
        "i",
        "InstanceId",
        "InvalidInstanceID.NotFound",
        "InvalidInstanceID.Malformed",
        "The instance ID '{}' does not exist",
    ),
}


class Region:
    """A region's things, by kind and id, in plain JSON.

    `published` are the dates of images that are newer than those there from the beginning, by name. `pool` gives public
    addresses, of which `taken` are gone.
    """

    def __init__(
        self,
        name: str,
        state: Item,
        *,
        published: Mapping[str, list[str]],
        pool: Pool,
        taken: Callable[[], Collection[str]],
    ) -> None:
        self.name, self.state, self.published = name, state, published
        self._pool, self._taken = pool, taken

    def of(self, kind: str) -> dict[str, Item]:
        """All things of a kind, by id."""
        things: dict[str, Item] = self.state.setdefault(kind, {})
        return things

    def where(self, kind: str, **properties: Any) -> Iterator[Item]:
        """The things of a kind that have these properties."""
        for item in self.of(kind).values():
            if all(item.get(name) == value for name, value in properties.items()):
                yield item

    def find(self, kind: str, identity: str) -> Item:
        """The thing of that id. Raises ApiError where there is none, or where it is no id of that kind."""
        if (found := self.of(kind).get(identity)) is not None:
            return found
        known = KINDS[kind]
        if not identity.startswith(f"{known.prefix}-"):
            raise ApiError(known.malformed, f'Invalid id: "{identity}" (expecting "{known.prefix}-...")')
        raise ApiError(known.not_found, known.text.format(identity))

    def add(self, kind: str, item: Item, identity: str | None = None) -> Item:
        """Keeps a new thing under an id of its own, and gives it back with that id."""
        identity = identity or f"{KINDS[kind].prefix}-{_digits()}"
        item[KINDS[kind].parameter] = identity
        item.setdefault("Tags", {})
        self.of(kind)[identity] = item
        return item

    def remove(self, kind: str, identity: str) -> Item:
        """Forgets a thing. Raises ApiError where there is none."""
        self.find(kind, identity)
        return self.of(kind).pop(identity)

    def public_address(self) -> str:
        """A public address that nobody has."""
        return self._pool.allocate(self._taken())

    def zone(self, wanted: str | None) -> str:
        """The availability zone of a subnet, the old one where none is asked for. Raises ApiError where it is none."""
        zones = [self.name + letter for letter in ZONES + OLD_ZONE]
        if wanted and wanted not in zones:
            raise invalid(
                f"Value ({wanted}) for parameter availabilityZone is invalid. Subnets can currently only be created in"
                f" the following availability zones: {', '.join(zones)}."
            )
        return wanted or zones[-1]


def _digits() -> str:
    return f"0{secrets.token_hex(8)}"


def association_id() -> str:
    """The id of an Elastic IP address's association, which is no thing of its own."""
    return f"eipassoc-{_digits()}"


def invalid(text: str) -> ApiError:
    """What EC2 says where a value is not valid, not supported, or cannot be used."""
    return ApiError("InvalidParameterValue", text)


def dependency(text: str) -> ApiError:
    """What EC2 says where something else depends on what is to go."""
    return ApiError("DependencyViolation", text)


def action(*required: str, optional: Collection[str] = ()) -> Callable[[Action], Action]:
    """An action of EC2 that refuses parameters that it does not know, and the absence of those that it needs."""

    def wrap(function: Action) -> Action:
        @functools.wraps(function)
        def checked(region: Region, arguments: Arguments) -> Item:
            for name in arguments:
                if name not in required and name not in optional:
                    raise ApiError("UnknownParameter", f"The parameter {name} is not recognized")
            for name in required:
                if arguments.get(name) in (None, "", []):
                    raise ApiError("MissingParameter", f"The request must contain the parameter {name}")
            return function(region, arguments)

        return checked

    return wrap


def block(text: str, parameter: str, family: type[IPNetwork] = IPv4Network) -> IPNetwork:
    """A CIDR block, made canonical as EC2 does. Raises ApiError where it is none of that family."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        found = None
    if not isinstance(found, family) or "/" not in text:
        raise invalid(f"Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block.")
    return found


def covers(outer: str, inner: IPNetwork) -> bool:
    """Whether one network lies in another, of the same family."""
    network = ip_network(outer)
    if isinstance(network, IPv4Network) and isinstance(inner, IPv4Network):
        return inner.subnet_of(network)
    return isinstance(network, IPv6Network) and isinstance(inner, IPv6Network) and inner.subnet_of(network)


def tagged(arguments: Arguments) -> dict[str, str]:
    """The tags of a new thing. Raises ApiError where they are none that a user may give."""
    return check_tags(dict(arguments.get("Tags") or {}))


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """The tags. Raises ApiError for those that the EC2 User Guide, "Tag restrictions", does not allow."""
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise invalid(f"Tag keys starting with 'aws:' are reserved for internal use: {key}")
        if not key or len(key) > 128 or len(value) > 256:
            raise invalid(f"Tag key or value exceeds the maximum length, or is empty: {key[:140]}")
    if len(tags) > 50:
        raise ApiError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    return tags


@action("ResourceId", "Tags")
def create_tags(region: Region, arguments: Arguments) -> Item:
    """CreateTags: adds tags, or gives them other values."""
    item = _any(region, arguments["ResourceId"])
    item["Tags"] = check_tags({**item["Tags"], **arguments["Tags"]})
    return {}


@action("ResourceId", "Keys")
def delete_tags(region: Region, arguments: Arguments) -> Item:
    """DeleteTags: takes tags away; those that are not there are no error."""
    item = _any(region, arguments["ResourceId"])
    item["Tags"] = {key: value for key, value in item["Tags"].items() if key not in arguments["Keys"]}
    return {}


@action("ResourceId")
def describe(region: Region, arguments: Arguments) -> Item:
    """What there is of one id: the dozen Describe actions of EC2 in one."""
    return _any(region, arguments["ResourceId"])


def _any(region: Region, identity: str) -> Item:
    prefix = identity.rpartition("-")[0]
    for kind, known in KINDS.items():
        if known.prefix == prefix:
            return region.find(kind, identity)
    raise ApiError("InvalidID", f"The ID '{identity}' is not valid")


ACTIONS: Mapping[str, Action] = {"CreateTags": create_tags, "DeleteTags": delete_tags, "Describe": describe}
