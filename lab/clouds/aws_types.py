"""The instance types that the stand-in for AWS knows: their processors, and the sizes of each family."""

from collections.abc import Mapping

from lab.clouds.api import ApiError
from lab.clouds.aws_region import invalid
from mesh.model import Architecture

_XLARGES = ("large", "xlarge", "2xlarge", "4xlarge")
_BURSTING = ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge")
_GRAVITON = ("medium", *_XLARGES, "8xlarge", "12xlarge", "16xlarge")
_GRAVITON4 = (*_GRAVITON, "24xlarge", "48xlarge", "metal-24xl", "metal-48xl")
_SKYLAKE = (*_XLARGES, "8xlarge", "12xlarge", "16xlarge", "24xlarge", "metal")
_ICE_LAKE = (*_SKYLAKE, "32xlarge")
_SAPPHIRE = (*_SKYLAKE[:-1], "48xlarge", "metal-24xl", "metal-48xl")

# Amazon EC2 Instance Types, "Instance type specifications"; a test holds them against the list in pulumi_aws.
ARM64: Mapping[str, tuple[str, ...]] = {
    "t4g": _BURSTING,
    "c6gn": _GRAVITON,
    **dict.fromkeys(("m6g", "m7g", "c6g", "c7g", "c7gn", "r6g", "r7g"), (*_GRAVITON, "metal")),
    **dict.fromkeys(("m8g", "c8g", "r8g"), _GRAVITON4),
}
X86_64: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("t3", "t3a"), _BURSTING),
    **dict.fromkeys(("m5", "r5"), _SKYLAKE),
    "c5": (*_XLARGES, "9xlarge", "12xlarge", "18xlarge", "24xlarge", "metal"),
    "c5n": (*_XLARGES, "9xlarge", "18xlarge", "metal"),
    **dict.fromkeys(("m6i", "c6i", "c6in", "r6i"), _ICE_LAKE),
    **dict.fromkeys(("m7i", "c7i"), _SAPPHIRE),
}


def is_type(name: str) -> bool:
    """Whether there is such an instance type. Raises ApiError where the lab cannot tell."""
    family, _, size = name.partition(".")
    sizes = {**ARM64, **X86_64}
    if family not in sizes:
        text = f"the lab's account has no family '{family}' of instance types: it has {', '.join(sorted(sizes))}"
        raise ApiError("Unsupported", text)
    return size in sizes[family]


def architecture(instance_type: str) -> Architecture:
    """The processors of an instance type. Raises ApiError where there is no such type."""
    if not is_type(instance_type):
        raise invalid(f"Invalid value '{instance_type}' for InstanceType.")
    return "arm64" if instance_type.partition(".")[0] in ARM64 else "x86_64"
