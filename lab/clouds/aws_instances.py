"""Instances of the stand-in for AWS: what EC2 makes of them, and what it refuses."""

from collections.abc import Mapping
from typing import Any

from lab.clouds.api import ApiError
from lab.clouds.aws_addresses import drop_interface
from lab.clouds.aws_images import SIZE, images
from lab.clouds.aws_region import ZONES, Action, Arguments, Item, Region, action, invalid, tagged
from lab.clouds.aws_types import architecture, is_type

# Instance metadata options, RunInstances: what each may be.
METADATA: Mapping[str, tuple[Any, ...]] = {
    "HttpEndpoint": ("enabled", "disabled"),
    "HttpTokens": ("optional", "required"),
    "HttpPutResponseHopLimit": tuple(range(1, 65)),
    "HttpProtocolIpv6": ("enabled", "disabled"),
    "InstanceMetadataTags": ("enabled", "disabled"),
}
DEFAULTS: Mapping[str, Any] = {
    "HttpEndpoint": "enabled",
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}
# RunInstances, UserData: "User data is limited to 16 KB", before it is encoded.
USER_DATA = 16384
VOLUMES = ("standard", "io1", "io2", "gp2", "sc1", "st1", "gp3")
OF_INSTANCE = ("ImageId", "InstanceType", "NetworkInterfaceId")
MORE = ("UserData", "MetadataOptions", "RootVolume", "DeleteOnTermination", "DisableApiTermination", "Tags")


def _fits(instance_type: str, image: Item) -> None:
    wanted = architecture(instance_type)
    if wanted != image["Architecture"]:
        raise invalid(
            f"The architecture '{wanted}' of the specified instance type does not match the architecture"
            f" '{image['Architecture']}' of the specified AMI. Specify an instance type and an AMI that have matching"
            " architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the"
            " architecture of the instance type or AMI."
        )


def _zones(instance_type: str) -> str:
    """The letters of the zones that have a type: not every one is in all (EC2 User Guide, "Regions and Zones")."""
    return ZONES[-1:] if instance_type.startswith("c8g.") else ZONES


def _is_offered(region: Region, instance_type: str, interface: str) -> None:
    """Raises ApiError where the zone of an interface does not have an instance type."""
    zone = region.find("subnets", region.find("interfaces", interface)["SubnetId"])["AvailabilityZone"]
    offering = [region.name + letter for letter in _zones(instance_type)]
    if zone not in offering:
        raise ApiError(
            "Unsupported",
            f"Your requested instance type ({instance_type}) is not supported in your requested Availability Zone"
            f" ({zone}). Please retry your request by not specifying an Availability Zone or choosing"
            f" {', '.join(offering)}.",
        )


@action("LocationType", optional=("Filters",))
def describe_instance_type_offerings(region: Region, arguments: Arguments) -> Item:
    """DescribeInstanceTypeOfferings, of types that are asked for by name; with a local zone, as some regions have."""
    filters = arguments.get("Filters") or {}
    if arguments["LocationType"] != "availability-zone" or set(filters) != {"instance-type"}:
        raise invalid("the lab's account knows offerings by zone only, and the filter instance-type")
    offered = []
    for name in filters["instance-type"]:
        if is_type(name):
            offered += [(name, region.name + place) for place in ("-lab-1a", *_zones(name)[::-1])]
    return {"InstanceTypeOfferings": [{"InstanceType": name, "Location": place} for name, place in offered]}


def _metadata(options: Arguments) -> Item:
    for name, value in options.items():
        if name not in METADATA:
            raise ApiError("UnknownParameter", f"The parameter {name} is not recognized")
        if value not in METADATA[name]:
            raise invalid(f"Value ({value}) for parameter {name} is invalid.")
    return {**DEFAULTS, **options}


def _root_volume(volume: Arguments) -> Item:
    found = {"Encrypted": False, "VolumeType": "gp3", "VolumeSize": SIZE, **volume}
    if found["VolumeType"] not in VOLUMES:
        raise ApiError("UnknownVolumeType", f"Unsupported volume type '{found['VolumeType']}' for volume creation.")
    if found["VolumeSize"] < SIZE:
        raise ApiError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {found['VolumeSize']}GB is smaller than the image's snapshot, expect size >= {SIZE}GB",
        )
    return found


def _user_data(text: str) -> str:
    if len(text.encode()) > USER_DATA:
        raise invalid(f"User data is limited to {USER_DATA} bytes")
    return text


def image_of(region: Region, identity: str) -> Item:
    """The image of that id. Raises ApiError where the region has none."""
    if not identity.startswith("ami-"):
        raise ApiError("InvalidAMIID.Malformed", f'Invalid id: "{identity}" (expecting "ami-...")')
    for image in images(region):
        if image["ImageId"] == identity:
            return image
    raise ApiError("InvalidAMIID.NotFound", f"The image id '[{identity}]' does not exist")


@action(*OF_INSTANCE, optional=MORE)
def run_instances(region: Region, arguments: Arguments) -> Item:
    """RunInstances, of one, with an interface that exists: not one that another instance has."""
    image = image_of(region, arguments["ImageId"])
    _fits(arguments["InstanceType"], image)
    interface = region.find("interfaces", arguments["NetworkInterfaceId"])
    metadata, root = _metadata(arguments.get("MetadataOptions") or {}), _root_volume(arguments.get("RootVolume") or {})
    user_data, tags = _user_data(arguments.get("UserData") or ""), tagged(arguments)
    _is_offered(region, arguments["InstanceType"], interface["NetworkInterfaceId"])
    if interface["Attachment"]:
        raise ApiError("InvalidNetworkInterface.InUse", f"Interface: [{interface['NetworkInterfaceId']}] in use.")
    instance = region.add(
        "instances",
        {
            "ImageId": image["ImageId"],
            "Image": image["Image"],
            "InstanceType": arguments["InstanceType"],
            "NetworkInterfaceId": interface["NetworkInterfaceId"],
            "UserData": user_data,
            "MetadataOptions": metadata,
            "RootVolume": root,
            "DisableApiTermination": bool(arguments.get("DisableApiTermination")),
            "State": "pending",
            "Tags": tags,
        },
    )
    interface["Attachment"] = {
        "InstanceId": instance["InstanceId"],
        "DeviceIndex": 0,
        "DeleteOnTermination": bool(arguments.get("DeleteOnTermination")),
    }
    return instance


@action("InstanceId")
def describe_instances(region: Region, arguments: Arguments) -> Item:
    """DescribeInstances, of one: it is running by the time that somebody asks."""
    instance = region.find("instances", arguments["InstanceId"])
    if instance["State"] == "pending":
        instance["State"] = "running"
    return instance


@action("InstanceId")
def stop_instances(region: Region, arguments: Arguments) -> Item:
    """StopInstances: done at once."""
    region.find("instances", arguments["InstanceId"])["State"] = "stopped"
    return {}


@action("InstanceId")
def start_instances(region: Region, arguments: Arguments) -> Item:
    """StartInstances: done at once."""
    instance = region.find("instances", arguments["InstanceId"])
    _is_offered(region, instance["InstanceType"], instance["NetworkInterfaceId"])
    instance["State"] = "running"
    return {}


@action("InstanceId", optional=("InstanceType", "UserData", "DisableApiTermination"))
def modify_instance_attribute(region: Region, arguments: Arguments) -> Item:
    """ModifyInstanceAttribute: "You can specify only one attribute at a time", and of some only when it is stopped."""
    instance = region.find("instances", arguments["InstanceId"])
    if len(arguments) != 2:
        raise ApiError("InvalidParameterCombination", "Exactly one attribute can be modified in a request")
    if "DisableApiTermination" not in arguments and instance["State"] != "stopped":
        raise ApiError(
            "IncorrectInstanceState", f"The instance '{instance['InstanceId']}' is not in the 'stopped' state."
        )
    if "InstanceType" in arguments:
        _fits(arguments["InstanceType"], image_of(region, instance["ImageId"]))
    if "UserData" in arguments:
        _user_data(arguments["UserData"])
    instance.update(arguments)
    return {}


@action("InstanceId", "MetadataOptions")
def modify_instance_metadata_options(region: Region, arguments: Arguments) -> Item:
    """ModifyInstanceMetadataOptions: of a running one too."""
    instance = region.find("instances", arguments["InstanceId"])
    instance["MetadataOptions"] = _metadata({**instance["MetadataOptions"], **arguments["MetadataOptions"]})
    return {}


@action("InstanceId", "RootVolume")
def modify_volume(region: Region, arguments: Arguments) -> Item:
    """ModifyVolume, of an instance's root: larger or of another type, never smaller."""
    instance = region.find("instances", arguments["InstanceId"])
    new = _root_volume({**instance["RootVolume"], **arguments["RootVolume"]})
    if new["VolumeSize"] < instance["RootVolume"]["VolumeSize"]:
        raise invalid("New size cannot be smaller than existing size")
    instance["RootVolume"] = new
    return {}


@action("InstanceId")
def terminate_instances(region: Region, arguments: Arguments) -> Item:
    """TerminateInstances: done at once. Its interface stays, unless it was to go with it."""
    instance = region.find("instances", arguments["InstanceId"])
    identity = instance["InstanceId"]
    if instance["DisableApiTermination"]:
        raise ApiError(
            "OperationNotPermitted",
            f"The instance '{identity}' may not be terminated."
            " Modify its 'disableApiTermination' instance attribute and try again.",
        )
    interface = region.find("interfaces", instance["NetworkInterfaceId"])
    goes_too = interface["Attachment"]["DeleteOnTermination"]
    interface["Attachment"] = None
    if goes_too:
        drop_interface(region, interface["NetworkInterfaceId"])
    region.remove("instances", identity)
    return {}


ACTIONS: Mapping[str, Action] = {
    "DescribeInstanceTypeOfferings": describe_instance_type_offerings,
    "RunInstances": run_instances,
    "DescribeInstances": describe_instances,
    "StopInstances": stop_instances,
    "StartInstances": start_instances,
    "ModifyInstanceAttribute": modify_instance_attribute,
    "ModifyInstanceMetadataOptions": modify_instance_metadata_options,
    "ModifyVolume": modify_volume,
    "TerminateInstances": terminate_instances,
}
