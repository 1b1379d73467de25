"""The forms of the config's values: for each its check, its JSON Schema, and whether a list of it may be written."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from mesh.config import credentials, ports, values
from mesh.config.faults import is_sealed
from mesh.model import IPAddress, IPNetwork, Secret, Service

_EMPTY_LIST = "is an empty list; leave the key out, or give it a value"


def as_written(info: ValidationInfo) -> bool:
    """False where the faulty values were taken out: what a mapping or list is without them, nobody wrote."""
    return not (info.context and info.context["remainder"])


def unsealed(value: object, info: ValidationInfo) -> object:
    """The value of a part; that of a part which is encrypted as a whole is a fault."""
    if as_written(info) and is_sealed(value):
        raise ValueError("is encrypted as a whole; encrypt only the values in it that are secret")
    return value


def _listed(value: object) -> object:
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
    return _listed(value)


def items(value: object, info: ValidationInfo) -> object:
    """A list as a tuple."""
    return tuple(value) if isinstance(value, list) else unsealed(value, info)


def _filled(found: tuple[object, ...], info: ValidationInfo) -> object:
    """What is left of a list without its empty places, which kept the numbers of the others right until now."""
    filled = tuple(value for value in found if value is not None)
    if not filled and as_written(info):
        raise ValueError(_EMPTY_LIST)
    return filled


def _or_empty(check: Callable[[object], object]) -> PlainValidator:
    return PlainValidator(lambda value: None if value is None else check(value))


def _secret(check: Any, value: object, info: ValidationInfo) -> Secret:
    found: Secret = check(value, stack_file=bool(info.context and info.context["stack_file"]))
    return found


def _scalar(check: Any, schema: str, **more: object) -> tuple[PlainValidator, WithJsonSchema]:
    return PlainValidator(check), WithJsonSchema({"type": schema, **more})


def _whole(first: int, last: int) -> tuple[PlainValidator, WithJsonSchema]:
    check = partial(values.number, first=first, last=last)
    return PlainValidator(check), WithJsonSchema({"type": "integer", "minimum": first, "maximum": last})


def _choice(*words: str) -> tuple[PlainValidator, WithJsonSchema]:
    return PlainValidator(partial(values.choice, words=words)), WithJsonSchema({"type": "string", "enum": list(words)})


def _many(title: str, **more: object) -> WithJsonSchema:
    return WithJsonSchema({"title": title, **_one_or_more(**more)})


def _one_or_more(**more: object) -> dict[str, object]:
    text = {"type": "string", **more}
    return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}


def _secret_schema(title: str) -> WithJsonSchema:
    sealed = {"type": "object", "properties": {"secure": {"type": "string"}}, "required": ["secure"]}
    return WithJsonSchema({"title": title, "anyOf": [{"type": "string"}, sealed]})


Flag: TypeAlias = Annotated[bool, *_scalar(values.flag, "boolean")]
Port: TypeAlias = Annotated[int, *_whole(1, 65535)]
Mtu: TypeAlias = Annotated[int, *_whole(576, 9000)]
Keepalive: TypeAlias = Annotated[int, *_whole(0, 65535)]
TunnelInterface: TypeAlias = Annotated[
    str, *_scalar(values.tunnel_interface, "string", title="interface name", maxLength=15)
]
Interface: TypeAlias = Annotated[str, *_scalar(values.interface, "string", title="interface name", maxLength=15)]
User: TypeAlias = Annotated[str, *_scalar(values.user, "string", title="user name")]
Host: TypeAlias = Annotated[str, *_scalar(values.host, "string", title="address or DNS name")]
HostKey: TypeAlias = Annotated[str, *_scalar(credentials.host_key, "string", title="public key")]
EndpointText: TypeAlias = Annotated[values.EndpointText, *_scalar(values.endpoint, "string", title="host:port")]
WireGuardKey: TypeAlias = Annotated[
    Secret, PlainValidator(partial(_secret, credentials.wireguard_key)), _secret_schema("secret")
]
SshKey: TypeAlias = Annotated[Secret, PlainValidator(partial(_secret, credentials.ssh_key)), _secret_schema("secret")]
Prefixes: TypeAlias = Annotated[
    tuple[Annotated[IPNetwork, _or_empty(values.prefix)], ...],
    BeforeValidator(_listed),
    AfterValidator(_filled),
    _many("CIDR, or a list"),
]
Addresses: TypeAlias = Annotated[
    tuple[Annotated[IPAddress, _or_empty(values.address)], ...],
    BeforeValidator(_listed),
    AfterValidator(_filled),
    _many("address, or a list"),
]
Resolvers: TypeAlias = Annotated[
    tuple[Annotated[IPAddress, _or_empty(values.resolver)], ...],
    BeforeValidator(_listed),
    AfterValidator(_filled),
    _many("address, or a list"),
]
# Empty places in these two are faults that selectors.py and grants.py report.
Selectors: TypeAlias = Annotated[
    tuple[Annotated[str, PlainValidator(partial(values.text, what="a site or site.network"))] | None, ...],
    BeforeValidator(_listed),
    _many("selector, or a list"),
]
Groups: TypeAlias = Annotated[
    dict[str, Selectors],
    BeforeValidator(unsealed),
    WithJsonSchema({"title": "selectors by name", "type": "object", "additionalProperties": _one_or_more()}),
]
Services: TypeAlias = Annotated[
    tuple[Annotated[Service, PlainValidator(ports.service)] | None, ...],
    BeforeValidator(_listed_services),
    _many("port, or a list", pattern=ports.PATTERN),
]
ReturnRoute: TypeAlias = Annotated[Literal["manual"], *_choice("manual")]
Expectation: TypeAlias = Annotated[Literal["allow", "deny"], *_choice("allow", "deny")]
