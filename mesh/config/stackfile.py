"""Reads a stack file: YAML as Pulumi reads it, with the line of every value, and with what YAML would guess refused."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml

from mesh.config.faults import ConfigError, Loc, kind, place, shown, without_keys
from mesh.faults import Fault

PROJECT = "wireguard-mesh"

_WORDS: dict[str, object] = dict.fromkeys(("true", "True", "TRUE"), True)
_WORDS |= dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= dict.fromkeys(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# What the engine's YAML reads as another number than a person does.
_GUESSED = re.compile(r"[-+]?(0[0-9_]+|0[xob][0-9A-Fa-f_]+|[0-9]+_[0-9_]*)")
_LONGEST_NUMBER = 30
_MOST_VALUES = 200_000  # aliases of aliases grow beyond any memory
_DEEPEST = 30


@dataclass(frozen=True, slots=True)
class StackFile:
    """One stack file: the project's sections, the line of each place, and the faults of the YAML itself."""

    sections: dict[str, object]
    lines: Mapping[str, int]
    faults: tuple[Fault, ...]

    def line(self, where: str) -> int | None:
        """The line of a place, or else that of the nearest place around it."""
        while where and where not in self.lines:
            where = where[: max(where.rfind("."), where.rfind("["))] if "." in where or "[" in where else ""
        return self.lines.get(where)


def load(text: str, project: str = PROJECT) -> StackFile:
    """Reads the text of a Pulumi.<stack>.yaml. Faults do not raise: they are in the result, with all that was read."""
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        return StackFile({}, {}, (_syntax_fault(text, error),))
    except RecursionError:
        return StackFile({}, {}, (Fault("", "the file is nested too deeply"),))
    return _Reader(project).read(root)


def read_stack_file(text: str, project: str = PROJECT) -> dict[str, object]:
    """The project's sections of a stack file, for `parse`. Raises ConfigError where the YAML itself has faults."""
    file = load(text, project)
    if file.faults:
        raise ConfigError(file.faults)
    return file.sections


def namespaced(key: str, project: str = PROJECT) -> str:
    """A config key as the engine takes it: one without a namespace is the project's, and the old form is the short one.

    Sources: pulumi's sdk/go/common/workspace/loaders.go and sdk/go/common/resource/config/key.go.
    """
    match key.split(":"):
        case [_]:
            return f"{project}:{key}"
        case [namespace, "config", name]:
            return f"{namespace}:{name}"
    return key


def section_of(key: str, project: str = PROJECT) -> str | None:
    """The section that a config key names, None where it is another program's.

    A namespace that is ours but for its spelling stays in front: a section that nobody reads is to be a fault. One with
    a number of its own is meant to be another.
    """
    namespace, _, section = namespaced(key, project).partition(":")
    if namespace == project:
        return section
    misspelt = get_close_matches(_letters(namespace), [_letters(project)], cutoff=0.85)
    return f"{namespace}:{section}" if misspelt and not re.search("[0-9]", namespace) else None


def _letters(text: str) -> str:
    return re.sub("[^a-z]", "", text.lower())


class _Reader:
    def __init__(self, project: str) -> None:
        self._project = project
        self._lines: dict[str, int] = {}
        self._faults: list[Fault] = []
        self._values = 0

    def read(self, root: Any) -> StackFile:
        sections: dict[str, object] = {}
        top = {name: node for name, node, _ in self._pairs(root, None)} if isinstance(root, yaml.MappingNode) else {}
        config = top.get("config")
        if root is not None and not isinstance(root, yaml.MappingNode):
            self._faults.append(Fault("", "a stack file is a mapping that begins with 'config:'"))
        elif isinstance(config, yaml.MappingNode):
            for name, node, line in self._pairs(config, None):
                section = section_of(name, self._project)
                if section is None:
                    continue
                if section in sections:
                    self._faults.append(
                        Fault(place((section,)), "is there twice, with and without the namespace; keep one")
                    )
                    continue
                self._lines[place((section,))] = line
                sections[section] = self._value(node, (section,))
        elif config is not None and _WORDS.get(str(config.value), config) is not None:
            self._faults.append(Fault("config", "expected a mapping of keys and values"))
        if self._values > _MOST_VALUES:
            return StackFile({}, {}, (Fault("", f"the file has more than {_MOST_VALUES} values, aliases followed"),))
        return StackFile(sections, self._lines, tuple(self._faults))

    def _value(self, node: Any, loc: Loc) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            return None
        if len(loc) > _DEEPEST:
            self._fault(loc, node, "is nested too deeply")
            return None
        if isinstance(node, yaml.MappingNode):
            return {key: self._value(item, (*loc, key)) for key, item, _ in self._pairs(node, loc)}
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._lines[place((*loc, index))] = item.start_mark.line + 1
            return [self._value(item, (*loc, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, loc)

    def _pairs(self, node: Any, within: Loc | None) -> Iterator[tuple[str, Any, int]]:
        """The entries of a mapping and the lines of their keys. Left out: keys that come twice, merge or are no text.

        `within` is the mapping's place, None outside the project's sections: lines there are nobody's concern.
        """
        loc = within or ()
        first: dict[str, int] = {}
        for key, item in node.value:
            name = self._scalar(key, loc) if isinstance(key, yaml.ScalarNode) else None
            line = key.start_mark.line + 1
            if not isinstance(name, str):
                found = kind(name) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                self._fault(loc, key, f"{found} cannot be a key; put it in quotes")
            elif name == "<<":
                # The engine's YAML merges; read here as a key, it would hide what the engine gets.
                self._fault((*loc, name), key, "merge keys are not taken here; write the values out")
            elif name in first:
                self._fault((*loc, name), key, f"is there twice, on lines {first[name]} and {line}; keep one")
            else:
                first[name] = line
                if within is not None:
                    self._lines.setdefault(place((*loc, name)), line)
                yield name, item, line

    def _scalar(self, node: Any, loc: Loc) -> object:
        if node.tag not in {"tag:yaml.org,2002:str", "!"}:
            self._fault(loc, node, f"the tag {shown(node.tag)} is not taken here; write the value without it")
            return None
        text: str = node.value
        if node.style is None and _GUESSED.fullmatch(text):
            self._fault(
                loc, node, f"YAML reads {shown(text)} as another number; write it in decimal, or put it in quotes"
            )
            return None
        return text if node.style is not None else _resolved(text)

    def _fault(self, loc: Loc, node: Any, message: str) -> None:
        self._lines.setdefault(place(loc), node.start_mark.line + 1)
        self._faults.append(Fault(place(loc), message))


def _resolved(text: str) -> object:
    """The value of a word without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER and _INTEGER.fullmatch(text):
        return int(text)
    if len(text) <= _LONGEST_NUMBER and _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _syntax_fault(text: str, error: yaml.YAMLError) -> Fault:
    """PyYAML's own text quotes the line, which may hold a secret: only the problem is kept."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = without_keys(error.problem)
        if "'\\t'" in problem:
            problem = "a tab; YAML is indented by spaces"
        elif error.context == "while scanning an alias":
            problem = 'a * begins an alias; put it in quotes, "*"'
        return Fault(where, f"is no valid YAML: {problem}")
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        return Fault(f"line {before.count(chr(10)) + 1}", f"is no valid YAML: {without_keys(str(error.reason))}")
    return Fault("", "is no valid YAML")
