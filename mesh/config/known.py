"""An unknown key: which one is meant, which ones are known at its place, and where else it would be known."""

from collections.abc import Callable, Iterator, Mapping
from typing import get_args, get_origin

from pydantic.fields import FieldInfo

from mesh.config.faults import Loc, closest, listed, place, shown
from mesh.config.parts import Part
from mesh.config.schema import StackPart
from mesh.config.stackfile import PROJECT

# In the place of a part: a name of the user's, and the number of an entry in a list.
_NAME, _NUMBER = "NAME", -1


def way_out(loc: Loc, written: Callable[[Loc], bool]) -> str:
    """What to do about the unknown key at `loc`; `written` tells whether the config has a mapping at a place."""
    *above, last = loc
    word, parents = str(last), tuple(above)
    _, _, section = word.partition(":")
    if section and not parents:
        return f"did you mean {shown(f'{PROJECT}:{section}')}?"
    here = next(part for where, part in _parts() if len(where) == len(parents) == _together(where, parents))
    listing = f"known here: {listed(list(_keys(here)), most=None)}"
    known = [where for where, part in _parts() if word in _keys(part)]
    # Of all such places those that have most in common with this one; the user's own ones rather than any.
    most = max((_together(where, parents) for where in known), default=0)
    near = [where for where in known if _together(where, parents) == most]
    if own := [where for where in ((*parents[:most], *where[most:]) for where in near) if written(where)]:
        return f"it belongs to {_either(own)}; {listing}"
    if meant := closest(word, _keys(here)):
        return f"did you mean {shown(meant)}?"
    if not near:
        return listing
    fewest = min(map(len, near))
    return f"it belongs to {_either([where for where in near if len(where) == fewest])}; {listing}"


def _parts(part: type[Part] = StackPart, where: Loc = ()) -> Iterator[tuple[Loc, type[Part]]]:
    """Each part of the config with its place."""
    yield where, part
    for key, field in _keys(part).items():
        if inner := _part_in(field.annotation):
            below: Mapping[object, Loc] = {dict: (_NAME,), tuple: (_NUMBER,)}
            yield from _parts(inner, (*where, key, *below.get(get_origin(field.annotation), ())))


def _keys(part: type[Part]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in part.model_fields.items()}


def _part_in(annotation: object) -> type[Part] | None:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((part for argument in get_args(annotation) if (part := _part_in(argument))), None)


def _together(where: Loc, parents: Loc) -> int:
    """How many steps from the top on two places have in common."""
    for number, (step, parent) in enumerate(zip(where, parents, strict=False)):
        if step not in (_NAME, parent) and not (step == _NUMBER and isinstance(parent, int)):
            return number
    return min(len(where), len(parents))


def _either(places: list[Loc]) -> str:
    return " or ".join(place(where).replace(f"[{_NUMBER}]", "[N]") or "the top of the config" for where in places)
