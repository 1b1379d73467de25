"""What the provider for AWS refuses by its schema, before it asks anybody, in previews too.

The texts are those of hashicorp/terraform-plugin-sdk v2, helper/validation, and of internal/verify/validate.go of
hashicorp/terraform-provider-aws; a property in a block has a path in them, as in `metadata_options.0.http_tokens`.
"""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from lab.plugins.bridged import Fault, Validate


def cidr(family: int) -> Validate:
    """ValidIPv4CIDRNetworkAddress and ValidIPv6CIDRNetworkAddress."""

    def validate(place: str, value: Any) -> list[Fault]:
        try:
            network = ip_network(value, strict=False)
        except ValueError:
            network = None
        if network is None or network.version != family or "/" not in value:
            return [(place, f'"{value}" is not a valid IPv{family} CIDR block')]
        if str(network) != value:
            return [(place, f'"{value}" is not a valid IPv{family} CIDR block; did you mean "{network}"?')]
        return []

    return validate


def length(path: str, most: int) -> Validate:
    """StringLenBetween(0, most), in bytes as len has it in Go. The text has the value too, which is not repeated."""

    def validate(place: str, value: Any) -> list[Fault]:
        if len(value.encode()) <= most:
            return []
        return [(place, f"expected length of {path} to be in the range (0 - {most})")]

    return validate


def between(path: str, least: int, most: int) -> Validate:
    """IntBetween."""

    def validate(place: str, value: Any) -> list[Fault]:
        if least <= int(value) <= most:
            return []
        return [(place, f"expected {path} to be in the range ({least} - {most}), got {int(value)}")]

    return validate


def one_of(path: str, values: Sequence[str]) -> Validate:
    """StringInSlice."""

    def validate(place: str, value: Any) -> list[Fault]:
        if value in values:
            return []
        listed = " ".join(f'"{one}"' for one in values)
        return [(place, f"expected {path} to be one of [{listed}], got {value}")]

    return validate
