"""`meshctl check`: the faults of stack files, each with its line. Needs no engine, no passphrase and no network."""

from dataclasses import dataclass
from pathlib import Path

from mesh.config import ConfigError, documentation_addresses, parse
from mesh.config.stackfile import StackFile, load
from mesh.faults import Fault
from mesh.model import Mesh
from mesh.warnings import warnings

# The stack whose hosts are examples: it is for the lab, which gives their addresses to hosts of its own.
SAMPLE = "dev"


class NoStackFileError(Exception):
    """There is no such stack file; the text says which ones there are."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One stack file's verdict. `notes` are the example hosts of the sample; in any other stack they are faults.

    `warnings` are what the config can do without; they are no faults.
    """

    stack: str
    path: Path
    file: StackFile
    mesh: Mesh | None
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def stack_files(directory: Path, stack: str | None) -> dict[str, Path]:
    """The stack files to check by the names of their stacks: the one asked for, or else all of the directory.

    `stack` may be a full name, organization/project/stack. Raises NoStackFileError.
    """
    try:
        # `glob` takes a directory that may not be read for an empty one.
        paths = [path for path in directory.iterdir() if path.match("Pulumi.?*.yaml")]
    except (FileNotFoundError, NotADirectoryError):
        raise NoStackFileError(f"{directory} is no directory") from None
    except OSError as error:
        raise NoStackFileError(f"{directory} cannot be read: {error.strerror}") from None
    there = {path.name.removeprefix("Pulumi.").removesuffix(".yaml"): path for path in paths}
    there = {name: there[name] for name in sorted(there)}
    where = f"in {directory.resolve()}"
    if stack is None:
        if there:
            return there
        raise NoStackFileError(
            f"there is no stack file, Pulumi.<stack>.yaml, {where}; name the directory by --directory"
        )
    name = stack.rpartition("/")[2]
    if name in there:
        return {name: there[name]}
    meant = name.removeprefix("Pulumi.").removesuffix(".yaml")
    if meant in there:
        raise NoStackFileError(f"'{name}' is a file; name its stack, '{meant}'")
    known = f"stacks with a file: {', '.join(there)}" if there else "there is no stack file at all"
    raise NoStackFileError(f"there is no Pulumi.{name}.yaml {where}; {known}")


def check(stack: str, path: Path, *, deployed: bool = False) -> Checked:
    """Reads and checks one stack file. `deployed`: its hosts exist, also those whose addresses are examples."""
    try:
        file = load(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no UTF-8 text, from byte {error.start} on"
        return Checked(stack, path, StackFile({}, {}, ()), None, (Fault("", f"cannot be read: {reason}"),))
    if file.faults and not file.sections:
        return Checked(stack, path, file, None, file.faults)
    try:
        mesh = parse(file.sections, stack_file=True)
    except ConfigError as error:
        return Checked(stack, path, file, None, _together(file, error.faults))
    examples = _by_line(file, documentation_addresses(mesh))
    excused = deployed or stack == SAMPLE
    notes = examples if excused else ()
    faults = file.faults if excused else _by_line(file, (*file.faults, *examples))
    return Checked(stack, path, file, None if faults else mesh, faults, notes, _by_line(file, warnings(mesh)))


def declared_sites(path: Path) -> tuple[str, ...]:
    """The names of a stack file's sites, as far as it can be read; what is wrong with it is for `check` to say."""
    try:
        sites = load(path.read_bytes().decode()).sections.get("sites")
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(name for name in sites if isinstance(name, str)) if isinstance(sites, dict) else ()


def _together(file: StackFile, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """The faults of the YAML and those of its content by line; a value that YAML spoilt is reported once."""
    spoilt = {fault.place for fault in file.faults}
    return _by_line(file, (*file.faults, *(fault for fault in faults if fault.place not in spoilt)))


def _by_line(file: StackFile, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: file.line(fault.place) or 0))
