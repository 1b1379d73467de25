"""What inputs may look like: a shape's fields, the faults of a value that does not fit, its defaults and secrets.

The texts are those of pulumi/pulumi v3.224.0, sdk/go/common/util/mapper (mapper_decode.go, errors.go), through which
pulumi/pulumi-go-provider v1.3.0 checks inputs in infer/resource.go (Check) for the shapes that a plugin declares.
"""

from dataclasses import dataclass
from typing import TypeAlias

from lab.plugins.values import UNKNOWN, Asset, Properties, Secret, Value, unknown

Fault: TypeAlias = tuple[str, str]  # the property, and what is wrong with it

# A kind of value by its Go type, which the texts name; `asset` is an asset or an archive.
STRING, NUMBER, INTEGER, BOOLEAN = "string", "float64", "int", "bool"
LIST, STRINGS, ASSET = "[]interface {}", "map[string]string", "asset"


@dataclass(frozen=True)
class Field:
    """One property of a shape."""

    name: str
    kind: "str | Shape"
    required: bool = False
    secret: bool = False
    default: str | float | None = None


@dataclass(frozen=True)
class Shape:
    """An object's properties. `name` is the Go type's, with its package."""

    name: str
    fields: tuple[Field, ...]

    @property
    def names(self) -> frozenset[str]:
        """What the fields are called."""
        return frozenset(field.name for field in self.fields)

    def faults(self, value: Properties) -> list[Fault]:
        """Everything that is wrong: in the order of the fields, unknown properties last."""
        found = []
        for field in self.fields:
            if field.name in value:
                found += self._misfit(field.kind, field.name, value[field.name])
            elif field.required:
                found.append((field.name, f"Missing required field '{field.name}' on '{self.name}'"))
        return found + [(key, f"Unrecognized field '{key}' on '{self.name}'") for key in sorted({*value} - self.names)]

    def _misfit(self, kind: "str | Shape", place: str, value: Value) -> list[Fault]:
        while isinstance(value, Secret):
            value = value.value
        if value is UNKNOWN or kind == ASSET:
            return []
        if isinstance(kind, Shape):
            if not isinstance(value, dict):
                return [(place, self._wrong_type(place, kind.name, value))]
            inner = kind.faults(value)
            return [(place, f"An error occurred decoding '{self._short}.{place}': {listing(inner)}")] if inner else []
        if kind == STRINGS and isinstance(value, dict):
            return [
                fault for key, item in value.items() for fault in self._misfit(STRING, f"{place}[{key}] value", item)
            ]
        if isinstance(value, dict) and kind != STRINGS:
            text = f"Cannot decode Object{{}} to type {kind}; it isn't a struct, and no custom decoder exists"
            return [(place, f"An error occurred decoding '{self._short}.{place}': {text}")]
        fits = _go_type(value) == {INTEGER: NUMBER}.get(kind, STRING if "." in kind else kind)
        return [] if fits else [(place, self._wrong_type(place, kind, value))]

    def _wrong_type(self, place: str, wanted: str, value: Value) -> str:
        return f"Field '{place}' on '{self.name}' must be a '{wanted}'; got '{_go_type(value)}' instead"

    @property
    def _short(self) -> str:
        return self.name.rpartition(".")[2]

    def complete(self, value: Properties, *, defaults: bool = True) -> Properties:
        """The properties with what is secret by its nature marked, and with defaults unless the value has faults.

        applyDefaults and applySecrets in pulumi/pulumi-go-provider v1.3.0, infer/: an unknown secret comes out of the
        latter as a *known* empty secret, so that a preview shows it as a change.
        """
        done: Properties = {}
        for field in self.fields:
            if field.name in value:
                item = _complete(field.kind, value[field.name], defaults=defaults)
                done[field.name] = Secret(item) if field.secret and not isinstance(item, Secret) else item
            elif defaults and field.default is not None:
                done[field.name] = field.default
        return value | done

    def empty(self) -> Properties:
        """The value in which nothing is set but what is required."""
        required = {field.name: _empty(field.kind) for field in self.fields if field.required}
        return self.complete(required)


def _complete(kind: "str | Shape", value: Value, *, defaults: bool) -> Value:
    if isinstance(value, Secret):
        return Secret(_empty(kind) if unknown(value) else _complete(kind, value.value, defaults=defaults))
    if isinstance(kind, Shape) and isinstance(value, dict):
        return kind.complete(value, defaults=defaults)
    if kind == INTEGER and isinstance(value, int | float):
        return int(value)
    return value


def _empty(kind: "str | Shape") -> Value:
    if isinstance(kind, Shape):
        return kind.empty()
    blank: dict[str, Value] = {NUMBER: 0.0, INTEGER: 0.0, BOOLEAN: False, LIST: [], STRINGS: {}, ASSET: {}}
    return blank.get(kind, "")


def _go_type(value: Value) -> str:
    match value:
        case bool():
            return BOOLEAN
        case int() | float():
            return NUMBER
        case str():
            return STRING
        case list():
            return LIST
        case Asset():
            return f"{value.kind}.{value.kind.title()}"
    return "map[string]interface {}"


def listing(faults: list[Fault]) -> str:
    """The faults of one object in one text."""
    return f"{len(faults)} failures decoding:" + "".join(f"\n\t{place}: {reason}" for place, reason in faults)
