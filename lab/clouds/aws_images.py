"""The images that the stand-in for AWS has: Debian 12 and Ubuntu 24.04, in each region under other ids."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lab.clouds.aws_region import Action, Arguments, Item, Region, action, invalid
from mesh.model import Architecture, Image


@dataclass(frozen=True, slots=True)
class Maker:
    """Who publishes an image: the account, the name with its date, the user it lets in, and the root volume."""

    owner: str
    name: str
    user: str
    root: str


# wiki.debian.org/Cloud/AmazonEC2Image/Bookworm and documentation.ubuntu.com/aws: accounts, names and users.
MAKERS: Mapping[Image, Maker] = {
    "debian-12": Maker("136693071363", "debian-12-{}-{}-2053", "admin", "/dev/xvda"),
    "ubuntu-24.04": Maker(
        "099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{}-server-{}", "ubuntu", "/dev/sda1"
    ),
}
IN_NAMES: Mapping[Architecture, str] = {"arm64": "arm64", "x86_64": "amd64"}
# What is there from the beginning, all of it deprecated, as public images are two years after they were made (EC2 User
# Guide, Deprecate an AMI). A test publishes newer ones, which are not.
DATES = ("20230612", "20240211")
SIZE = 8  # gibibytes of an image's snapshot


def images(region: Region) -> Iterator[Item]:
    """Every image of a region."""
    for name, maker in MAKERS.items():
        for date in (*DATES, *region.published.get(name, [])):
            for architecture, word in IN_NAMES.items():
                title = maker.name.format(word, date)
                digits = hashlib.sha256(f"{region.name} {title}".encode()).hexdigest()[:16]
                yield {
                    "ImageId": f"ami-0{digits}",
                    "Name": title,
                    "OwnerId": maker.owner,
                    "Architecture": architecture,
                    "CreationDate": f"{date[:4]}-{date[4:6]}-{date[6:]}T20:53:00.000Z",
                    "RootDeviceName": maker.root,
                    "RootDeviceType": "ebs",
                    "VirtualizationType": "hvm",
                    "State": "available",
                    "Deprecated": date in DATES,
                    "Image": name,
                }


# DescribeImages, Filter.N: those of the filters that the lab has values for.
FILTERS: Mapping[str, str] = {
    "name": "Name",
    "image-id": "ImageId",
    "owner-id": "OwnerId",
    "architecture": "Architecture",
    "virtualization-type": "VirtualizationType",
    "root-device-type": "RootDeviceType",
    "state": "State",
}


@action(optional=("Owners", "Filters", "ImageIds", "IncludeDeprecated"))
def describe_images(region: Region, arguments: Arguments) -> Item:
    """DescribeImages: those of the owners that pass every filter, whose values may have `*` and `?`.

    "Default: No deprecated AMIs are included in the response", of which the owner alone sees all.
    """
    found = []
    filters = arguments.get("Filters") or {}
    for name in filters:
        if name not in FILTERS:
            raise invalid(f"The filter '{name}' is invalid")
    for owner in arguments.get("Owners") or ():
        if not re.fullmatch(r"\d{12}|self|amazon|aws-marketplace|aws-backup-vault", owner):
            raise invalid(f"Invalid owner: {owner}")
    for image in images(region):
        if image["Deprecated"] and not arguments.get("IncludeDeprecated"):
            continue
        if arguments.get("Owners") and image["OwnerId"] not in arguments["Owners"]:
            continue
        if arguments.get("ImageIds") and image["ImageId"] not in arguments["ImageIds"]:
            continue
        if all(any(fnmatchcase(image[FILTERS[name]], value) for value in values) for name, values in filters.items()):
            found.append(image)
    return {"Images": found}


ACTIONS: Mapping[str, Action] = {"DescribeImages": describe_images}
