"""Faults of a config: where each lies, what is wrong, the way out; and how a value may be shown in one."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from mesh.faults import Fault

# The way to a value: keys of mappings and indexes of lists.
Loc: TypeAlias = tuple[str | int, ...]
# A fault while it is being found: where, and the message.
Found: TypeAlias = tuple[Loc, str]

_LONGEST_SHOWN = 60
_MOST_LISTED = 10
_LONG_RUN = re.compile(r"[A-Za-z0-9+/=_-]{32,}")
# A UUID, also one with a letter too many, and names in which words are joined by hyphens.
_GROUPS = re.compile(r"[0-9a-z]{1,12}(-[0-9a-z]{1,12}){2,}")
_RUN = re.compile(r"[A-Za-z0-9+/=]{16,}")


class ConfigError(Exception):
    """Every fault of one input at once, in the order of the file. Its text has one fault a line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def report(faults: Iterable[Fault]) -> str:
    """All faults as one text for a person: how many, then one a line."""
    lines = [str(fault) for fault in faults]
    return "\n  ".join([f"the stack config has {len(lines)} fault{'' if len(lines) == 1 else 's'}:", *lines])


def place(loc: Loc) -> str:
    """The dotted path of a value, in the form that `pulumi config set --path` takes."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", part) and not _like_key_material(part):
            text += f".{part}" if text else part
        else:
            text += f'["{_printable(part)}"]'
    return text


def shown(value: object) -> str:
    """A value as a message may show it: text in quotes, other kinds by their names; never what may be a key.

    People paste keys into the wrong fields, so that no field's value is above suspicion.
    """
    if isinstance(value, str):
        return f"'{_printable(value)}'"
    return kind(value)


def kind(value: object) -> str:
    """What sort of value this is, in the words of a YAML file."""
    if is_sealed(value):
        return "an encrypted value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        # Python refuses to print an integer of thousands of digits.
        huge = isinstance(value, int) and value.bit_length() > 64
        return "a huge number" if huge else f"the number {value}"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    names = {dict: "a mapping", list: "a list", tuple: "a list", type(None): "nothing"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


def mistyped(what: str, value: object, way_out: str = "") -> ValueError:
    """The fault of a value of the wrong type, to raise; pydantic takes nothing but ValueError for a fault."""
    return ValueError(f"expected {what}, found {kind(value)}{way_out}")


def is_sealed(value: object) -> bool:
    """True for `{secure: ...}`, the form in which the engine keeps an encrypted value in the stack file."""
    return isinstance(value, dict) and list(value) == ["secure"] and isinstance(value["secure"], str)


def nearest(word: str, known: Iterable[str]) -> str:
    """The way out of a misspelt word: the nearest known one, or else all of them (or the first ten)."""
    names = list(known)
    if close := closest(word, names):
        return f"did you mean {shown(close)}?"
    return f"known here: {listed(names)}" if names else "none is known here"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like another one; None where none is much like it."""
    return next(iter(get_close_matches(word.lower(), list(known), n=1)), None)


def listed(names: Sequence[str], most: int | None = _MOST_LISTED) -> str:
    """Names one after the other; of those that stand in the config no more than a reader takes in, the first ten."""
    return ", ".join(map(_printable, names[:most])) + (", ..." if most is not None and len(names) > most else "")


def without_pasted(text: str, config: object) -> str:
    """The text without the names in the config, at any depth, that may be keys pasted in a name's place."""
    for name in _names(config):
        if _like_key_material(name):
            text = text.replace(name, _printable(name))
    return text


def _names(config: object) -> Iterator[str]:
    if isinstance(config, Mapping):
        yield from (name for name in config if isinstance(name, str))
        config = list(config.values())
    if isinstance(config, list):
        for inner in config:
            yield from _names(inner)


def without_keys(text: str) -> str:
    """The text of another library with everything left out that may be a key."""
    return _LONG_RUN.sub("<not shown>", text)


def _like_key_material(text: str) -> bool:
    """True for PEM armour, for long runs of base64 or hexadecimal digits, and for shorter ones that look random."""
    if _GROUPS.fullmatch(text):
        return False
    if "PRIVATE KEY" in text.upper() or _LONG_RUN.search(text):
        return True
    return any(
        run.endswith("=") or all(any(test(c) for c in run) for test in (str.isupper, str.islower, str.isdigit))
        for run in _RUN.findall(text)
    )


def _printable(text: str) -> str:
    if _like_key_material(text):
        return "<not shown>"
    clean = text.encode("unicode_escape").decode("ascii")
    return clean if len(clean) <= _LONGEST_SHOWN else clean[:_LONGEST_SHOWN] + "..."
