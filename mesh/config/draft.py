"""What was written, held against the schema: the faults of single values, and what remains without them.

The remainder lets the checks of the whole config run at once with the faults of single values, in one report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mesh.config.faults import Found, Loc, kind, place
from mesh.config.known import way_out
from mesh.config.schema import StackPart

_DEEPEST = 20  # levels of nesting; the schema has nine


@dataclass(frozen=True, slots=True)
class Draft:
    """The config without its faulty values. `raw` is what was written, with text as the keys of every mapping.

    `faulty` are the places of the faults.
    """

    raw: dict[str, object]
    config: StackPart
    found: tuple[Found, ...] = ()
    faulty: frozenset[Loc] = field(init=False)
    _around: frozenset[Loc] = field(init=False)

    def __post_init__(self) -> None:
        faulty = frozenset(loc for loc, _ in self.found)
        object.__setattr__(self, "faulty", faulty)
        around = frozenset(loc[:length] for loc in faulty for length in range(len(loc) + 1))
        object.__setattr__(self, "_around", around)

    def spoilt(self, *loc: str | int) -> bool:
        """True where there is a fault at the place, or in what belongs to it."""
        return loc in self._around

    def misses(self, *loc: str | int) -> bool:
        """True where nothing was written, and not because what it belongs to is faulty itself."""
        value = _at(self.raw, loc)
        if isinstance(value, list) and all(item is None for item in value):
            value = None  # a list of nothing but empty places
        return value is None and not any(loc[:length] in self.faulty for length in range(1, len(loc) + 1))

    def empty(self, *loc: str | int) -> bool:
        """True where a key was written without a value."""
        parent = _at(self.raw, loc[:-1])
        return isinstance(parent, dict) and loc[-1] in parent and parent[loc[-1]] is None

    def single(self, *loc: str | int) -> bool:
        """True where something else than a list was written."""
        return not isinstance(_at(self.raw, loc), list)

    def names(self, *loc: str | int) -> list[str]:
        """The keys of a mapping as they were written, faulty ones included."""
        value = _at(self.raw, loc)
        return list(value) if isinstance(value, dict) else []


@dataclass(frozen=True, slots=True)
class Within:
    """What was written in one part of a draft; places are relative to it."""

    draft: Draft
    loc: Loc

    def misses(self, *loc: str | int) -> bool:
        """As `Draft.misses`."""
        return self.draft.misses(*self.loc, *loc)

    def spoilt(self, *loc: str | int) -> bool:
        """As `Draft.spoilt`."""
        return self.draft.spoilt(*self.loc, *loc)

    def names(self, *loc: str | int) -> list[str]:
        """As `Draft.names`."""
        return self.draft.names(*self.loc, *loc)


def draft(sections: Mapping[str, object], *, stack_file: bool) -> Draft:
    """Holds the sections against the schema. `stack_file`: secrets in plain text are faults."""
    found: list[Found] = []
    raw: dict[str, object] = _plain(dict(sections), (), found)
    context = {"stack_file": stack_file, "remainder": False}
    try:
        return Draft(raw, StackPart.model_validate(raw, context=context), tuple(found))
    except ValidationError as error:
        # include_input stays off: the input may be a key.
        details = error.errors(include_url=False, include_input=False)
    remainder = _plain(raw, (), [])
    for detail in details:
        loc = _loc(raw, detail)
        found.append((loc, _message(raw, loc, detail)))
        _drop(remainder, loc)
    return Draft(raw, StackPart.model_validate(remainder, context={**context, "remainder": True}), tuple(found))


def position(raw: Mapping[str, object], loc: Loc) -> tuple[int, ...]:
    """Sorts faults by their places in the file; what is missing comes at the head of what it is missing from."""
    order: list[int] = []
    value: object = raw
    for part in loc:
        if isinstance(value, dict) and part in value:
            order.append(1 + list(value).index(part))
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            order.append(1 + part)
            value = value[part]
        else:
            return (*order, 0)
    return tuple(order)


def _plain(value: Any, loc: Loc, found: list[Found]) -> Any:
    """A deep copy in dicts and lists; keys that are no text, and what lies too deep, are faults and left out."""
    if len(loc) > _DEEPEST:
        found.append((loc, "is nested too deeply"))
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                found.append((loc, f"{kind(key)} cannot be a key; put it in quotes"))
        return {key: _plain(item, (*loc, key), found) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [_plain(item, (*loc, index), found) for index, item in enumerate(value)]
    return value


def _loc(raw: object, detail: ErrorDetails) -> Loc:
    """Pydantic's place, without the index 0 that it gives to a single value where a list could be."""
    loc: list[str | int] = []
    value = raw
    for part in detail["loc"]:
        if isinstance(part, int) and not isinstance(value, list):
            break
        loc.append(part)
        value = _at(value, (part,))
    return tuple(loc)


def _message(raw: object, loc: Loc, detail: ErrorDetails) -> str:
    match detail["type"]:
        case "value_error":
            return str(detail["ctx"]["error"]).replace("{place}", place(loc))
        case "extra_forbidden":
            return f"unknown key; {way_out(loc, lambda where: isinstance(_at(raw, where), dict))}"
        case "tuple_type":
            return f"expected a list, found {kind(_at(raw, loc))}"
        case "model_type" | "dict_type":
            return f"expected a mapping of keys and values, found {kind(_at(raw, loc))}"
        case other:
            return f"is not valid ({other})"


def _at(value: Any, loc: Loc) -> Any:
    for part in loc:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
            value = value[part]
        else:
            return None
    return value


def _drop(value: Any, loc: Loc) -> None:
    """Takes out one value. In a list its place stays, empty, so that the others keep their numbers."""
    inner = _at(value, loc[:-1])
    if isinstance(inner, dict):
        inner.pop(loc[-1], None)
    elif isinstance(inner, list):
        inner[int(loc[-1])] = None
