"""The stand-ins for AWS's machines: Instance, and getAmi, which finds an image for one."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from lab.clouds.aws_instances import METADATA, USER_DATA, VOLUMES
from lab.plugins.aws_bridged import REGION, TAGS, Block, Ec2, ask, differing
from lab.plugins.aws_validation import between, length, one_of
from lab.plugins.bridged import Input
from lab.plugins.calls import Call, RefusedError
from lab.plugins.values import Properties, plain

# ec2_instance.go, metadata_options and root_block_device: what the schema refuses.
_METADATA = (
    Input("httpEndpoint", validate=one_of("metadata_options.0.http_endpoint", METADATA["HttpEndpoint"])),
    Input("httpProtocolIpv6", validate=one_of("metadata_options.0.http_protocol_ipv6", METADATA["HttpProtocolIpv6"])),
    Input(
        "httpPutResponseHopLimit",
        "number",
        validate=between("metadata_options.0.http_put_response_hop_limit", 1, METADATA["HttpPutResponseHopLimit"][-1]),
    ),
    Input("httpTokens", validate=one_of("metadata_options.0.http_tokens", METADATA["HttpTokens"])),
    Input(
        "instanceMetadataTags",
        validate=one_of("metadata_options.0.instance_metadata_tags", METADATA["InstanceMetadataTags"]),
    ),
)
_ROOT = (
    Input("deleteOnTermination", "boolean", default=True),
    Input("encrypted", "boolean"),
    Input("volumeSize", "number"),
    Input("volumeType", validate=one_of("root_block_device.0.volume_type", VOLUMES)),
    Block("tags"),
)


_OBJECTS = ("metadataOptions", "rootBlockDevice")


def _theirs(options: dict[str, Any]) -> dict[str, Any]:
    """Properties as EC2 names them, in whole numbers; of a volume what is the account's affair."""
    kept = {name: value for name, value in options.items() if name not in ("tags", "deleteOnTermination")}
    return {
        name[0].upper() + name[1:]: int(value) if isinstance(value, float) else value for name, value in kept.items()
    }


def _ours(options: dict[str, Any]) -> dict[str, Any]:
    return {name[0].lower() + name[1:]: value for name, value in options.items()}


def _within(found: dict[str, Any], said: dict[str, Any] | None) -> dict[str, Any]:
    return found if said is None else said | {name: value for name, value in found.items() if name in said}


class Instance(Ec2):
    """`aws:ec2/instance:Instance`: ec2_instance.go, with an interface that is a resource of its own.

    Another instance type, or other user data without `userDataReplaceOnChange`, stops and starts it.
    """

    noun, resource, identity = "EC2 Instance", "instance", "InstanceId"
    creates, deletes = "RunInstances", "TerminateInstances"
    describes, describes_by = "DescribeInstances", "InstanceId"
    pause = 0.5  # the provider waits longer, and meanwhile others of its resources are made
    inputs = (
        Input("ami", computed=True, replaces=True),
        Input("instanceType", computed=True),
        Block(
            "primaryNetworkInterface",
            computed=True,
            replaces=True,
            required=True,
            fields=(Input("networkInterfaceId", required=True), Input("deleteOnTermination", "boolean")),
        ),
        Input("userData", validate=length("user_data", USER_DATA)),
        Input("userDataReplaceOnChange", "boolean", default=False),
        Block("metadataOptions", computed=True, fields=_METADATA),
        Block("rootBlockDevice", computed=True, fields=_ROOT),
        Input("sourceDestCheck", "boolean", default=True),
        Input("disableApiTermination", "boolean", computed=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "instanceState", "primaryNetworkInterfaceId", "privateIp", "publicIp", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {
        "ami": "ImageId",
        "instanceType": "InstanceType",
        "userData": "UserData",
        "disableApiTermination": "DisableApiTermination",
        "instanceState": "State",
        "primaryNetworkInterfaceId": "NetworkInterfaceId",
        "tags": "Tags",
    }
    # hashicorp/terraform-provider-aws #49198 has the pair, and #44768 what the default does all the same.
    conflicts = (("primaryNetworkInterface", "sourceDestCheck"),)
    nested_replaces = frozenset({"rootBlockDevice.encrypted"})

    def replacing(self, changes: Any, new: Properties) -> set[str]:
        """Besides what always does, user data where the program says so."""
        found = super().replacing(changes, new)
        return found | ({"userData"} & {*changes} if plain(new.get("userDataReplaceOnChange")) else set())

    def arguments(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """With what is in objects."""
        interface = inputs["primaryNetworkInterface"]
        return {
            **super().arguments(inputs),
            "NetworkInterfaceId": interface["networkInterfaceId"],
            "DeleteOnTermination": interface.get("deleteOnTermination"),
            "MetadataOptions": _theirs(inputs.get("metadataOptions") or {}),
            "RootVolume": _theirs(inputs.get("rootBlockDevice") or {}),
        }

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """The source/destination check is the primary interface's, as the provider reads it."""
        found = await super().look(call, identity, state)
        if found is None:
            return None
        doing = f"reading {self.noun} ({identity})"
        link = await ask(state["region"], doing, "Describe", ResourceId=found["primaryNetworkInterfaceId"])
        public = {"publicIp": link.get("PublicIp", ""), "privateIp": link["PrivateIpAddress"]}
        found |= {"sourceDestCheck": link["SourceDestCheck"], **public}
        # of an object what the program, or else the state, says of it
        return found | {name: _within(value, state.get(name)) for name, value in found.items() if name in _OBJECTS}

    def told(self, item: dict[str, Any], region: str) -> dict[str, Any]:
        """With what is in objects."""
        objects = {"metadataOptions": item["MetadataOptions"], "rootBlockDevice": item["RootVolume"]}
        return super().told(item, region) | {name: _ours(options) for name, options in objects.items()}

    async def _modify(self, action: str, identity: str, region: str, **arguments: Any) -> None:
        await ask(region, f"updating {self.noun} ({identity})", action, InstanceId=identity, **arguments)

    async def apply(self, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> None:
        """Running, but for what it has to be stopped for."""
        region = inputs["region"]
        if differing(state, inputs, "disableApiTermination"):
            keep = inputs["disableApiTermination"]
            await self._modify("ModifyInstanceAttribute", identity, region, DisableApiTermination=keep)
        if differing(state, inputs, "sourceDestCheck"):
            await ask(
                region,
                f"updating {self.noun} ({identity})",
                "ModifyNetworkInterfaceAttribute",
                NetworkInterfaceId=state["primaryNetworkInterfaceId"],
                SourceDestCheck=inputs["sourceDestCheck"],
            )
        if differing(state, inputs, "metadataOptions"):
            options = _theirs(inputs["metadataOptions"])
            await self._modify("ModifyInstanceMetadataOptions", identity, region, MetadataOptions=options)
        if differing(state, inputs, "rootBlockDevice"):
            await self._modify("ModifyVolume", identity, region, RootVolume=_theirs(inputs["rootBlockDevice"]))
        if stopped := differing(state, inputs, "instanceType", "userData"):
            await self._modify("StopInstances", identity, region)
            for name in stopped:
                value = {name[0].upper() + name[1:]: inputs[name]}
                await self._modify("ModifyInstanceAttribute", identity, region, **value)
            await self._modify("StartInstances", identity, region)


# ec2_instance_type_offerings_data_source.go: the same, without those of zones' ids and of outposts.
_LOCATION_TYPES = ("availability-zone", "region")
_OFFERED = {"filters", "locationType", "region"}


async def get_instance_type_offerings(call: Call, arguments: Properties) -> Properties:
    """`aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings`: types and locations, pair by pair.

    Raises RefusedError.
    """
    given = {name: value for name, value in plain(arguments).items() if value is not None}
    if unknown := sorted({*given} - _OFFERED):
        raise RefusedError(f"the lab's account has no {', '.join(unknown)}")
    location_type = given.get("locationType", "region")
    if location_type not in _LOCATION_TYPES:
        raise RefusedError(f"expected location_type to be one of {_LOCATION_TYPES}, got {location_type}")
    region = given.get("region") or plain(call.config.get("region"))
    filters = {one["name"]: one["values"] for one in given.get("filters") or ()}
    asked = {"Filters": filters, "LocationType": location_type}
    answer = await ask(region, "reading EC2 Instance Type Offerings", "DescribeInstanceTypeOfferings", **asked)
    offered = answer["InstanceTypeOfferings"]
    return {
        **arguments,
        "id": region,
        "instanceTypes": [one["InstanceType"] for one in offered],
        "locations": [one["Location"] for one in offered],
        "locationTypes": [location_type for _ in offered],
        "region": region,
    }


# ec2_ami_data_source.go; of its arguments those that the lab's account can answer for.
_ARGUMENTS = {"filters", "includeDeprecated", "mostRecent", "nameRegex", "owners", "region", "allowUnsafeFilter"}
_OWNERS = {"image-id", "owner-id", "owner-alias"}
NONE = "Your query returned no results. Please change your search criteria and try again."
MANY = (
    "Your query returned more than one result. Please try a more specific search criteria,"
    " or set `most_recent` attribute to true."
)


async def get_ami(call: Call, arguments: Properties) -> Properties:
    """`aws:ec2/getAmi:getAmi`: the only image that fits, or the newest of them. Raises RefusedError."""
    given = {name: value for name, value in plain(arguments).items() if value is not None}
    if unknown := sorted({*given} - _ARGUMENTS):
        raise RefusedError(f"the lab's account has no {', '.join(unknown)}")
    region = given.get("region") or plain(call.config.get("region"))
    filters = {one["name"]: one["values"] for one in given.get("filters") or ()}
    owned = given.get("owners") or _OWNERS & {*filters}
    if given.get("mostRecent") and not owned and not given.get("allowUnsafeFilter"):
        raise RefusedError(
            "most_recent without owners, or a filter by owner or image id: with unsafe filters and `most_recent` set to"
            " `true`, a third party may introduce a new image which will be returned by this data source"
        )
    asked = {"Filters": filters, "Owners": given.get("owners"), "IncludeDeprecated": given.get("includeDeprecated")}
    answer = await ask(region, "reading EC2 AMIs", "DescribeImages", **asked)
    pattern = given.get("nameRegex")
    found = [image for image in answer["Images"] if not pattern or re.search(pattern, image["Name"])]
    if not found:
        raise RefusedError(NONE)
    if len(found) > 1 and not given.get("mostRecent"):
        raise RefusedError(MANY)
    image = max(found, key=lambda one: str(one["CreationDate"]))
    return {
        **arguments,
        "id": image["ImageId"],
        "imageId": image["ImageId"],
        "name": image["Name"],
        "architecture": image["Architecture"],
        "creationDate": image["CreationDate"],
        "ownerId": image["OwnerId"],
        "rootDeviceName": image["RootDeviceName"],
        "rootDeviceType": image["RootDeviceType"],
        "virtualizationType": image["VirtualizationType"],
        "state": image["State"],
        "region": region,
    }
