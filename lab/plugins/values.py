"""Property values as plugins get and give them: secrets, unknowns, assets, to and from the wire, and differences."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from google.protobuf import json_format, struct_pb2

# pulumi/pulumi v3.224.0, sdk/go/common/resource/sig/sig.go: the key that marks a special object, and its values
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker of the protocol
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
# sdk/go/common/resource/plugin/rpc.go: a string of one of these stands for a value that is not known yet
UNKNOWN_STRINGS: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


class Unknown(Enum):
    """The only unknown value."""

    UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A secret value. It cannot be printed."""

    value: "Value"

    def __repr__(self) -> str:
        return "Secret(<secret>)"


@dataclass(frozen=True, eq=False)
class Asset:
    """An asset or an archive. Two are equal if their hashes are (sdk/go/common/resource/asset/asset.go, Equals)."""

    kind: Literal["asset", "archive"]
    hash: str
    path: str
    uri: str
    text: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asset) and (self.kind, self.hash) == (other.kind, other.hash)

    def __hash__(self) -> int:
        return hash((self.kind, self.hash))

    def __repr__(self) -> str:
        return f"Asset({self.kind}, {self.hash})"


Value: TypeAlias = (
    "bool | float | str | list[Value] | dict[str, Value] | Secret | Asset | Literal[Unknown.UNKNOWN] | None"
)
Properties: TypeAlias = dict[str, Value]


def decode(message: struct_pb2.Struct) -> Properties:
    """The properties in a message, nulls left out (pulumi/pulumi-go-provider v1.3.0, provider.go, getMap)."""
    return _decode_object(json_format.MessageToDict(message))


def _decode_object(wire: Mapping[str, Any]) -> Properties:
    return {key: _decode(value) for key, value in wire.items() if value is not None}


def _decode(wire: Any) -> Value:  # noqa: PLR0911 - one answer for each kind
    if isinstance(wire, str):
        return UNKNOWN if wire in UNKNOWN_STRINGS else wire
    if isinstance(wire, list):
        return [_decode(value) for value in wire]
    if not isinstance(wire, dict):
        return wire  # type: ignore[no-any-return] # null, a boolean or a number
    mark = wire.get(SIGNATURE)
    if mark == SECRET:
        return Secret(_decode(wire.get("value")))
    if mark == OUTPUT:
        value = _decode(wire["value"]) if "value" in wire else UNKNOWN
        return Secret(value) if wire.get("secret") else value
    if mark in (ASSET, ARCHIVE):
        texts = {key: str(wire.get(key) or "") for key in ("hash", "path", "uri", "text")}
        return Asset("asset" if mark == ASSET else "archive", **texts)
    return _decode_object(wire)


def encode(properties: Properties) -> struct_pb2.Struct:
    """The message that carries these properties."""
    return json_format.ParseDict(_encode(properties), struct_pb2.Struct())


def _encode(value: Value) -> Any:  # noqa: PLR0911 - one answer for each kind
    match value:
        case Unknown():
            return value.value
        case Secret(value=Unknown()):
            return {SIGNATURE: OUTPUT, "secret": True}
        case Secret():
            return {SIGNATURE: SECRET, "value": _encode(value.value)}
        case Asset(kind="asset"):
            texts = {"hash": value.hash, "path": value.path, "uri": value.uri, "text": value.text}
            return {SIGNATURE: ASSET, **texts}
        case Asset():
            return {SIGNATURE: ARCHIVE, "assets": {}, "hash": value.hash, "path": value.path, "uri": value.uri}
        case list():
            return [_encode(item) for item in value]
        case dict():
            return {key: _encode(item) for key, item in value.items() if item is not None}
    return value


def plain(value: Value) -> Any:
    """The value with every secret unwrapped."""
    match value:
        case Secret():
            return plain(value.value)
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def unknown(value: Value) -> bool:
    """True where the value itself is unknown, secret or not."""
    return value is UNKNOWN or (isinstance(value, Secret) and unknown(value.value))


Change = Literal["add", "delete", "update"]


def differences(old: Value, new: Value, path: str = "") -> dict[str, Change]:
    """What changed, by property path; a secret is compared as a whole.

    As pulumi/pulumi v3.224.0 does in sdk/go/common/resource/properties_diff.go (diff) and
    sdk/go/common/resource/plugin/provider.go (NewDetailedDiffFromObjectDiff).
    """
    found: dict[str, Change] = {}
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            place = _member(path, key)
            if isinstance(new.get(key), Secret) and unknown(new[key]):
                continue  # "for output properties, ignore differences": an unknown secret counts as the same
            if key not in old:
                found[place] = "add"
            elif key not in new:
                found[place] = "delete"
            else:
                found |= differences(old[key], new[key], place)
        return found
    if isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            place = f"{path}[{index}]"
            if index >= len(old):
                found[place] = "add"
            elif index >= len(new):
                found[place] = "delete"
            else:
                found |= differences(old[index], new[index], place)
        return found
    return {} if type(old) is type(new) and old == new else {path: "update"}


def _member(path: str, key: str) -> str:
    """The path of a property in an object, in quotes where its name is not a plain word."""
    if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", key):
        return f"{path}.{key}" if path else key
    quoted = key.replace('"', '\\"')
    return f'{path}["{quoted}"]'
