"""What the stand-ins for clouds' resources have in common: checks, differences, previews.

The released plugins are Terraform providers behind pulumi/pulumi-terraform-bridge. Of both come these habits: lists of
the provider's sets have no order, what the cloud fills in is no difference when the program does not say it, a default
that would conflict with what the program says is not written into the inputs and still wanted (pkg/tfbridge/schema.go,
applyDefaults), a property that is replaced on is in `willReplaceOnChanges` of the plugin's schema.json, and differences
are those from the state, so that drift is undone. Stricter than the released ones: a property that the lab's account
does not know is refused, and a name is required where a type of resource makes none itself (pkg/tfbridge/names.go).
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from lab.plugins import values
from lab.plugins.base import Resource
from lab.plugins.calls import Call
from lab.plugins.values import UNKNOWN, Properties, Secret, Value, plain

Fault: TypeAlias = tuple[str, str]
Kind: TypeAlias = Literal["string", "number", "boolean", "strings", "numbers", "objects"]
# What a value that is not secret, at a place like `inboundRules[0].portRange`, is refused for: places with reasons.
Validate: TypeAlias = Callable[[str, Any], list[Fault]]

_ITEMS: dict[str, str] = {"strings": "string", "numbers": "number", "objects": "object"}


@dataclass(frozen=True)
class Input:
    """A property of a resource. `computed`: where it is not given the cloud fills it in."""

    name: str
    kind: Kind = "string"
    required: bool = False
    replaces: bool = False
    computed: bool = False
    default: str | float | None = None
    validate: Validate | None = None


def not_empty(place: str, value: Any) -> list[Fault]:
    """NoZeroValues in hashicorp/terraform-plugin-sdk v2, helper/validation/meta.go."""
    items = enumerate(value) if isinstance(value, list) else [(None, value)]
    return [
        (where, f"{provider_name(where)} must not be {'empty' if item == '' else 'zero'}, got {item}")
        for index, item in items
        if item in ("", 0) and (where := place if index is None else f"{place}[{index}]")
    ]


def provider_name(place: str) -> str:
    """`ipRange` as `ip_range`, the name that the provider's texts have."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", re.split(r"[.\[]", place)[-1]).lower().rstrip("]") or place


def missing(place: str, name: str) -> Fault:
    """A required property is not there (hashicorp/terraform-plugin-sdk v2, helper/schema/schema.go, validate)."""
    text = f'The argument "{provider_name(name)}" is required, but no definition was found.'
    return place, f"Missing required argument. {text}"


class Bridged(Resource):
    """One type of resource, from its inputs and from what the API answers.

    Of two that are in `conflicts` the program may say the second one only where it does not say the first.
    """

    input_names = frozenset()
    inputs: ClassVar[tuple[Input, ...]]
    outputs: ClassVar[tuple[str, ...]] = ()  # besides the inputs
    conflicts: ClassVar[tuple[tuple[str, str], ...]] = ()

    # What a type of resource says for itself.

    def plan(self, call: Call, inputs: dict[str, Any]) -> None:
        """Refuses, in previews too, what no single property is at fault for."""

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Creates: the id, and what the API answers as properties. Raises RefusedError."""
        raise NotImplementedError

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """Updates: what the API answers as properties. Raises RefusedError."""
        raise NotImplementedError

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """What the API has as properties; None where it is gone. Raises RefusedError."""
        raise NotImplementedError

    def kept(self, name: str, value: Any) -> Any:  # noqa: ARG002 - of one property
        """A known input as the state keeps it."""
        return value

    # What the engine asks.

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[Fault]]:
        """Refuses what is missing, unknown to the schema, or of no valid form; fills in defaults; orders sets."""
        given = {name: value for name, value in inputs.items() if name != "version" and not name.startswith("__")}
        known = {one.name: one for one in self.inputs}
        faults = [(name, f"the lab's account has no {name}") for name in sorted({*given} - {*known})]
        faults += self._conflicting(given)
        excluded = {other for one, other in self.conflicts if one in given}
        for one in self.inputs:
            if one.name not in given:
                if one.required:
                    faults.append(missing(one.name, one.name))
                elif one.default is not None and one.name not in excluded:
                    given[one.name] = one.default
            elif not values.unknown(given[one.name]):
                faults += self._misfit(one, given[one.name])
                given[one.name] = _fitted(one.kind, given[one.name])
        return given, [(place, f"{reason}. Examine values at '{call.name}.{place}'.") for place, reason in faults]

    def _conflicting(self, given: Properties) -> Iterator[Fault]:
        """ConflictsWith (hashicorp/terraform-plugin-sdk v2, helper/schema/schema.go, validateConflictingAttributes)."""
        for one, other in self.conflicts:
            if one in given and other in given:
                text = f'"{provider_name(one)}": conflicts with {provider_name(other)}'
                yield one, f"Conflicting configuration arguments. {text}"

    def _wanted(self, inputs: Properties) -> Properties:
        """The inputs with every default."""
        return {one.name: one.default for one in self.inputs if one.default is not None} | inputs

    def _misfit(self, one: Input, value: Value) -> list[Fault]:
        bare = plain(value)
        items, kind = (bare, _ITEMS[one.kind]) if one.kind in _ITEMS else ([bare], one.kind)
        if not isinstance(items, list) or not all(item is UNKNOWN or _is(kind, item) for item in items):
            return [(one.name, f"expected {one.kind} type")]
        found = one.validate(one.name, bare) if one.validate else []
        # a secret's text does not stand in a reason
        return [(place, "the secret value is not valid") for place, _ in found] if _secret(value) else found

    def differences(self, state: Properties, old: Properties, new: Properties) -> dict[str, values.Change]:  # noqa: ARG002
        """What changed against the state; a change anywhere in a property that replaces is one of all of it."""
        was: Properties = {}
        now: Properties = {}
        wanted = self._wanted(new)
        for one in self.inputs:
            if one.computed and one.name not in wanted:
                continue
            now |= self._compared(one.name, wanted)
            was |= self._compared(one.name, state)
        found = values.differences(was, now)
        whole = {path: re.split(r"[.\[]", path)[0] for path in found}
        return {
            (root if self.replaces(root) else path): ("update" if self.replaces(root) and root != path else found[path])
            for path, root in whole.items()
        }

    def _compared(self, name: str, properties: Properties) -> Properties:
        value = plain(properties.get(name))
        if value is not UNKNOWN and value not in (None, "", [], False):
            return {name: _ordered(self.kept(name, value))}
        return {name: UNKNOWN} if value is UNKNOWN else {}

    def replaces(self, path: str) -> bool:
        """As the property's own declaration says."""
        return any(one.replaces and one.name == re.split(r"[.\[]", path)[0] for one in self.inputs)

    async def create(self, call: Call, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Creates, or says what is known before: of what the cloud decides, nothing."""
        self.plan(call, plain(inputs))
        if preview:
            left = [one.name for one in self.inputs if one.computed and one.name not in inputs]
            return "", self._state(inputs, {}) | dict.fromkeys((*self.outputs, *left, "id"), UNKNOWN)
        identity, answer = await self.make(call, plain(inputs))
        return identity, self._state(inputs, answer | {"id": identity})

    async def update(self, call: Call, state: Properties, inputs: Properties, *, preview: bool) -> Properties:
        """Updates; what the cloud has decided stays known in a preview."""
        self.plan(call, plain(inputs))
        wanted = plain(self._wanted(inputs))
        answer = {} if preview else await self.change(call, call.identity, plain(state), wanted)
        unsaid = {one.name for one in self.inputs if not one.computed} - {*inputs}
        return {key: state[key] for key in state if key not in unsaid} | self._state(inputs, answer)

    async def delete(self, call: Call, state: Properties) -> None:
        """Removes the resource."""
        await self.remove(call, call.identity, plain(state))

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:
        """Removes. Raises RefusedError."""
        raise NotImplementedError

    async def read(self, call: Call, state: Properties) -> Properties | None:
        """The state as the API has it."""
        answer = await self.look(call, call.identity, plain(state))
        return None if answer is None else state | _alike(state, answer)

    def _state(self, inputs: Properties, answer: dict[str, Any]) -> Properties:
        """The inputs as they are kept, and the answer; what is secret in the inputs stays so."""
        kept = {name: _keeping(value, lambda v, n=name: self.kept(n, v)) for name, value in inputs.items()}  # type: ignore[misc]
        return kept | _alike(kept, answer)


def _keeping(value: Value, keep: Callable[[Any], Any]) -> Value:
    if values.unknown(value):
        return value
    return Secret(keep(value.value)) if isinstance(value, Secret) else keep(value)


def _alike(properties: Properties, answer: dict[str, Any]) -> Properties:
    """The answer, secret where the properties of the same names are or hold something secret."""
    return {name: Secret(value) if _secret(properties.get(name)) else value for name, value in answer.items()}


def _secret(value: Value) -> bool:
    match value:
        case Secret():
            return True
        case list():
            return any(_secret(item) for item in value)
        case dict():
            return any(_secret(item) for item in value.values())
    return False


def _fitted(kind: Kind, value: Value) -> Value:
    """A value of the right kind as it is compared: sets in order, and numbers that are written as strings."""
    match value:
        case Secret():
            return Secret(_fitted(kind, value.value))
        case list() if kind in _ITEMS:
            return _ordered([_fitted("number", item) if kind == "numbers" else item for item in value])  # type: ignore[no-any-return]
        case str() if kind == "number" and value.isdigit():
            return float(value)
    return value


def _ordered(value: Any) -> Any:
    """A set's list in an order of its own, unknown values last; objects' own lists as well."""
    match value:
        case Secret():
            return Secret(_ordered(value.value))
        case dict():
            return {key: _ordered(item) for key, item in value.items()}
        case list():
            return sorted((_ordered(item) for item in value), key=_rank)
    return value


def _rank(value: Any) -> tuple[bool, str]:
    text = json.dumps(plain(value), sort_keys=True, default=str)
    return str(UNKNOWN) in text, text


def _is(kind: str, value: Any) -> bool:
    """Whether a value is of a kind; the bridge takes a number that is written as a string."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "number":
            return (isinstance(value, int | float) and not isinstance(value, bool)) or str(value).isdigit()
        case "boolean":
            return isinstance(value, bool)
    return isinstance(value, dict)
