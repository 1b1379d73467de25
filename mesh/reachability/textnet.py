"""Reads a rendered wg-quick file back as data. What it does not know, it refuses: what is ignored is guessed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_interface
from typing import NamedTuple

from mesh.model import Family

# A key in base64: 32 bytes, so 43 digits and one sign to fill up.
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_HOOKS = frozenset({"PreUp", "PostUp", "PreDown", "PostDown"})
# Read by WireGuard or wg-quick, but without a say in who reaches whom.
_SILENT_KEYS = frozenset({"PrivateKey", "ListenPort", "MTU", "DNS", "PersistentKeepalive"})


class TextError(ValueError):
    """A text says something that this reader does not know, so that any answer about it could be wrong."""


class Prefix(NamedTuple):
    """An IP prefix as integers: `address & mask == first` for every address in it."""

    family: Family
    first: int
    mask: int
    text: str

    @property
    def end(self) -> int:
        """The first address after the prefix."""
        return self.first + (1 << (32 if self.family == 4 else 128)) - self.mask


class Address(NamedTuple):
    """An address of an interface, and the prefix that it is written with."""

    family: Family
    value: int
    prefix: Prefix

    def alone(self) -> Prefix:
        """The address as a prefix of nothing but itself."""
        return Prefix(self.family, self.value, (1 << (32 if self.family == 4 else 128)) - 1, str(self.value))


@cache
def address(text: str) -> Address:
    """Parses `10.0.0.1/24` or `10.0.0.1`. Raises TextError."""
    try:
        parsed = ip_interface(text)
    except ValueError as error:
        raise TextError(f"not an address or prefix: {text!r}") from error
    family: Family = 4 if parsed.version == 4 else 6
    network = parsed.network
    return Address(
        family, int(parsed.ip), Prefix(family, int(network.network_address), int(network.netmask), str(network))
    )


def prefix(text: str) -> Prefix:
    """Parses `10.0.0.0/24`; as iptables and wg do, bits after the mask are cut off. Raises TextError."""
    return address(text).prefix


@dataclass(frozen=True, slots=True)
class Peer:
    """A [Peer] section. `name` is the comment line before it; what the section does not have is empty."""

    name: str
    public_key: str
    preshared: str
    endpoint: str
    allowed: tuple[Prefix, ...]

    def agrees(self, other: "Peer") -> bool:
        """Whether the sections for the two ends of a link can have one preshared key; words in place of it can."""
        if bool(self.preshared) != bool(other.preshared):
            return False
        both_real = _KEY.fullmatch(self.preshared) and _KEY.fullmatch(other.preshared)
        return not both_real or self.preshared == other.preshared


@dataclass(frozen=True, slots=True)
class Conf:
    """A wg-quick file: the interface's own addresses, and its peers in the order of the file."""

    addresses: tuple[Address, ...]
    peers: tuple[Peer, ...]

    def prefixes(self) -> Iterator[Prefix]:
        """Every prefix in the file, an interface's address on its own included."""
        for own in self.addresses:
            yield own.prefix
            yield own.alone()
        for peer in self.peers:
            yield from peer.allowed


def read_conf(text: str) -> Conf:
    """Reads a wg-quick file (wg-quick(8), wg(8)).

    Raises TextError for a key or a hook that could change who reaches whom, and where no hook loads the rules.
    """
    addresses: list[Address] = []
    peers: list[Peer] = []
    hooks: list[tuple[str, str]] = []
    for name, section, pairs in _sections(text):
        if section == "[Interface]":
            for key, value in pairs:
                if key == "Address":
                    addresses += [address(item) for item in _items(value)]
                elif key in _HOOKS:
                    hooks.append((key, value))
                elif key not in _SILENT_KEYS:
                    raise TextError(f"unknown key in [Interface]: {key}")
        elif section == "[Peer]":
            peers.append(_peer(name, pairs))
        else:
            raise TextError(f"unknown section: {section}")
    for key, command in hooks:
        if command.split()[0].rpartition("/")[2] != "wireguard-mesh":
            raise TextError(f"{key} runs a command that is not known here: {command}")
    if not any(key == "PreUp" and command.split()[1:2] == ["load"] for key, command in hooks):
        raise TextError("no PreUp loads the rules: without them the interface would be open")
    return Conf(tuple(addresses), tuple(peers))


def _sections(text: str) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Each section: the comment line before it, its head, its keys with their values."""
    comment, head, name = "", "", ""
    pairs: list[tuple[str, str]] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#"):
            comment = line.lstrip("# ")
        elif line.startswith("["):
            if head:
                yield name, head, pairs
            head, name, comment, pairs = line, comment, "", []
        elif line:
            key, equals, value = line.partition("=")
            if not (equals and head):
                raise TextError(f"not a line of a wg-quick file: {line!r}")
            pairs.append((key.strip(), value.strip()))
    if head:
        yield name, head, pairs


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _peer(name: str, pairs: list[tuple[str, str]]) -> Peer:
    known = {"PublicKey": "", "PresharedKey": "", "Endpoint": ""}
    allowed: list[Prefix] = []
    for key, value in pairs:
        if key == "AllowedIPs":
            allowed += [prefix(item) for item in _items(value)]
        elif key in known:
            known[key] = value
        elif key not in _SILENT_KEYS:
            raise TextError(f"unknown key in [Peer]: {key}")
    return Peer(name, known["PublicKey"], known["PresharedKey"], known["Endpoint"], tuple(allowed))
