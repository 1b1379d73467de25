"""The forms of the config's values: for each its check, its JSON Schema, and whether a list of it may be written."""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from mesh.config import credentials, ports, values
from mesh.config.faults import is_sealed
from mesh.model import Architecture, Image, IPAddress, IPNetwork, Secret, Service

_EMPTY_LIST = "is an empty list; leave the key out, or give it a value"


def as_written(info: ValidationInfo) -> bool:
    """False where the faulty values were taken out: what a mapping or list is without them, nobody wrote."""
    return not (info.context and info.context["remainder"])


def unsealed(value: object, info: ValidationInfo) -> object:
    """The value of a part; that of a part which is encrypted as a whole is a fault."""
    if as_written(info) and is_sealed(value):
        raise ValueError("is encrypted as a whole; encrypt only the values in it that are secret")
    return value


def listed(value: object) -> object:
    """One value or a list of them, as a tuple."""
    if not isinstance(value, list):
        return (value,)
    if not value:
        raise ValueError(_EMPTY_LIST)
    return tuple(value)


def _listed_services(value: object) -> object:
    # To leave the key out would grant everything: that is not the way out of a list that was emptied.
    if value == []:
        raise ValueError("is an empty list; name what may pass, or leave the key out for everything")
    return listed(value)


def items(value: object, info: ValidationInfo) -> object:
    """A list as a tuple."""
    return tuple(value) if isinstance(value, list) else unsealed(value, info)


def filled(found: tuple[object, ...], info: ValidationInfo) -> object:
    """What is left of a list without its empty places, which kept the numbers of the others right until now."""
    filled = tuple(value for value in found if value is not None)
    if not filled and as_written(info):
        raise ValueError(_EMPTY_LIST)
    return filled


def or_empty(check: Callable[[object], object]) -> PlainValidator:
    """One value of a list, or the empty place that it left."""
    return PlainValidator(lambda value: None if value is None else check(value))


def secret(check: Any) -> PlainValidator:
    """A value that is encrypted in a stack file, and checked by `check` where it is known."""
    return PlainValidator(partial(_secret, check))


def _secret(check: Any, value: object, info: ValidationInfo) -> Secret:
    found: Secret = check(value, stack_file=bool(info.context and info.context["stack_file"]))
    return found


def scalar(check: Any, schema: str, **more: object) -> tuple[PlainValidator, WithJsonSchema]:
    """A value by itself; `schema` is its type in JSON."""
    return PlainValidator(check), WithJsonSchema({"type": schema, **more})


def whole(first: int, last: int) -> tuple[PlainValidator, WithJsonSchema]:
    """A whole number in the range, both ends included."""
    check = partial(values.number, first=first, last=last)
    return PlainValidator(check), WithJsonSchema({"type": "integer", "minimum": first, "maximum": last})


def choice(*words: str) -> tuple[PlainValidator, WithJsonSchema]:
    """One of a few words."""
    return PlainValidator(partial(values.choice, words=words)), WithJsonSchema({"type": "string", "enum": list(words)})


def many(title: str, **more: object) -> WithJsonSchema:
    """The schema of one text or a list of them."""
    return WithJsonSchema({"title": title, **_one_or_more(**more)})


def _one_or_more(**more: object) -> dict[str, object]:
    text = {"type": "string", **more}
    return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}


def secret_schema(title: str) -> WithJsonSchema:
    """The schema of a secret: its text, or `{secure: ...}`."""
    sealed = {"type": "object", "properties": {"secure": {"type": "string"}}, "required": ["secure"]}
    return WithJsonSchema({"title": title, "anyOf": [{"type": "string"}, sealed]})


Flag: TypeAlias = Annotated[bool, *scalar(values.flag, "boolean")]
Port: TypeAlias = Annotated[int, *whole(1, 65535)]
Mtu: TypeAlias = Annotated[int, *whole(576, 9000)]
Keepalive: TypeAlias = Annotated[int, *whole(0, 65535)]
Within: TypeAlias = Annotated[int, *whole(30, 3600)]
TunnelInterface: TypeAlias = Annotated[
    str, *scalar(values.tunnel_interface, "string", title="interface name", maxLength=15)
]
Interface: TypeAlias = Annotated[str, *scalar(values.interface, "string", title="interface name", maxLength=15)]
User: TypeAlias = Annotated[str, *scalar(values.user, "string", title="user name")]
Host: TypeAlias = Annotated[str, *scalar(values.host, "string", title="address or DNS name")]
HostKey: TypeAlias = Annotated[str, *scalar(credentials.host_key, "string", title="public key")]
EndpointText: TypeAlias = Annotated[values.EndpointText, *scalar(values.endpoint, "string", title="host:port")]
WireGuardKey: TypeAlias = Annotated[Secret, secret(credentials.wireguard_key), secret_schema("secret")]
SshKey: TypeAlias = Annotated[Secret, secret(credentials.ssh_key), secret_schema("secret")]
Prefixes: TypeAlias = Annotated[
    tuple[Annotated[IPNetwork, or_empty(values.prefix)], ...],
    BeforeValidator(listed),
    AfterValidator(filled),
    many("CIDR, or a list"),
]
Operators: TypeAlias = Annotated[
    tuple[Annotated[IPNetwork, or_empty(values.any_prefix)], ...],
    BeforeValidator(listed),
    AfterValidator(filled),
    many("CIDR, or a list"),
]
VpcRange: TypeAlias = Annotated[IPv4Network, *scalar(values.vpc_range, "string", title="CIDR")]
Generation: TypeAlias = Annotated[int, *whole(1, 999_999)]
Reapply: TypeAlias = Annotated[int, *whole(0, 999_999)]
# The images that a machine in a cloud can have, and its processors' architectures.
ImageName: TypeAlias = Annotated[Image, *choice(*get_args(Image))]
ArchitectureName: TypeAlias = Annotated[Architecture, *choice(*get_args(Architecture))]
Addresses: TypeAlias = Annotated[
    tuple[Annotated[IPAddress, or_empty(values.address)], ...],
    BeforeValidator(listed),
    AfterValidator(filled),
    many("address, or a list"),
]
Resolvers: TypeAlias = Annotated[
    tuple[Annotated[IPAddress, or_empty(values.resolver)], ...],
    BeforeValidator(listed),
    AfterValidator(filled),
    many("address, or a list"),
]
# Empty places in these two are faults that selectors.py and grants.py report.
Selectors: TypeAlias = Annotated[
    tuple[Annotated[str, PlainValidator(partial(values.text, what="a site or site.network"))] | None, ...],
    BeforeValidator(listed),
    many("selector, or a list"),
]
Groups: TypeAlias = Annotated[
    dict[str, Selectors],
    BeforeValidator(unsealed),
    WithJsonSchema({"title": "selectors by name", "type": "object", "additionalProperties": _one_or_more()}),
]
Services: TypeAlias = Annotated[
    tuple[Annotated[Service, PlainValidator(ports.service)] | None, ...],
    BeforeValidator(_listed_services),
    many("port, or a list", pattern=ports.PATTERN),
]
ReturnRoute: TypeAlias = Annotated[Literal["manual"], *choice("manual")]
SiteReference: TypeAlias = Annotated[
    str, *scalar(partial(values.text, what="the name of a site"), "string", title="site")
]
Address: TypeAlias = Annotated[IPAddress, *scalar(values.address, "string", title="address")]
ProbedService: TypeAlias = Annotated[Service, *scalar(ports.probed, "string", title="port", pattern=ports.PROBED)]
Expectation: TypeAlias = Annotated[Literal["allow", "deny"], *choice("allow", "deny")]
