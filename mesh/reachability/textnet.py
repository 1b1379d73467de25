"""Reads a rendered wg-quick file back as data. What it does not know, it refuses: what is ignored is guessed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_interface
from typing import NamedTuple

from mesh.model import Family

# A key in base64: 32 bytes, so 43 digits and one sign to fill up.
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_HOOKS = frozenset({"PreUp", "PostUp", "PreDown", "PostDown"})
# The helper's hooks: it loads the rules before there is an interface, switches forwarding on, and takes the rules away.
_NEEDED_HOOKS = {("PreUp", "load"), ("PostUp", "forward"), ("PostDown", "unload")}
_ROUTE_HOOK = re.compile(r"ip -([46]) route replace (\S+) dev (\S+) mtu (\d+)")
# Keys that an interface does not work without, and those that wg-quick reads without a say in who reaches whom.
_NEEDED_KEYS = ("PrivateKey", "ListenPort", "MTU")
_SILENT_KEYS = frozenset({"DNS"})
# RFC 8200, section 5: a link that carries less has no IPv6.
_LEAST_IPV6 = 1280


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
    """A [Peer] section. `name` is the comment line before it; what the section does not have is empty.

    `keepalive` tells whether it shakes hands without being asked.
    """

    name: str
    public_key: str
    preshared: str
    endpoint: str
    allowed: tuple[Prefix, ...]
    keepalive: bool

    def agrees(self, other: "Peer") -> bool:
        """Whether the sections for the two ends of a link can have one preshared key; words in place of it can."""
        if bool(self.preshared) != bool(other.preshared):
            return False
        both_real = _KEY.fullmatch(self.preshared) and _KEY.fullmatch(other.preshared)
        return not both_real or self.preshared == other.preshared


@dataclass(frozen=True, slots=True)
class Conf:
    """A wg-quick file: the interface's own addresses, UDP port and MTU, and its peers in the order of the file.

    `route_mtus` has the MTU of each of the peers' prefixes that has one of its own.
    """

    addresses: tuple[Address, ...]
    port: int
    mtu: int
    route_mtus: Mapping[Prefix, int]
    peers: tuple[Peer, ...]

    def prefixes(self) -> Iterator[Prefix]:
        """Every prefix in the file, an interface's address on its own included."""
        for own in self.addresses:
            yield own.prefix
            yield own.alone()
        for peer in self.peers:
            yield from peer.allowed


def read_conf(text: str, interface: str) -> Conf:
    """Reads the wg-quick file of that interface (wg-quick(8), wg(8)).

    Raises TextError for a key or a hook that could change who reaches whom, and for one that is missing.
    """
    pairs: list[tuple[str, str]] = []
    peers: list[Peer] = []
    for name, section, found in _sections(text):
        if section == "[Interface]":
            pairs += found
        elif section == "[Peer]":
            peers.append(_peer(name, found))
        else:
            raise TextError(f"unknown section: {section}")
    known = dict(pairs)
    for key in known:
        if key not in _HOOKS | _SILENT_KEYS | {"Address", *_NEEDED_KEYS}:
            raise TextError(f"unknown key in [Interface]: {key}")
    for key in _NEEDED_KEYS:
        if key not in known:
            raise TextError(f"no {key} in [Interface]")
    conf = Conf(
        addresses=tuple(address(item) for key, value in pairs if key == "Address" for item in _items(value)),
        port=_number("ListenPort", known["ListenPort"]),
        mtu=_number("MTU", known["MTU"]),
        route_mtus=_read_hooks([pair for pair in pairs if pair[0] in _HOOKS], interface),
        peers=tuple(peers),
    )
    allowed = {prefix for peer in peers for prefix in peer.allowed}
    for prefix in conf.route_mtus:
        if prefix not in allowed:
            raise TextError(f"a hook sets the route to {prefix.text}, which is in no peer's AllowedIPs")
    if conf.mtu < _LEAST_IPV6 and any(prefix.family == 6 for prefix in conf.prefixes()):
        raise TextError(f"MTU {conf.mtu}: IPv6 needs {_LEAST_IPV6}")
    return conf


def _read_hooks(hooks: Iterable[tuple[str, str]], interface: str) -> dict[Prefix, int]:
    """The MTU of each route that a hook sets. Raises TextError for an unknown hook, and for one that is missing."""
    found: list[tuple[str, str]] = []
    generations: set[str] = set()
    route_mtus: dict[Prefix, int] = {}
    for key, command in hooks:
        words = command.split()
        route = _ROUTE_HOOK.fullmatch(command)
        if route and key == "PostUp":
            goal = prefix(route[2])
            if goal.family != int(route[1]) or route[3] not in {"%i", interface}:
                raise TextError(f"a route of another family or interface: {command}")
            route_mtus[goal] = int(route[4])
        elif (
            len(words) >= 3
            and words[0].rpartition("/")[2] == "wireguard-mesh"
            and (key, words[1]) in _NEEDED_HOOKS
            and words[2] in {"%i", interface}
        ):
            found.append((key, words[1]))
            generations |= set(words[3:])
        else:
            raise TextError(f"{key} runs a command that is not known here: {command}")
    if sorted(found) != sorted(_NEEDED_HOOKS):
        raise TextError("the rules are loaded by PreUp, forwarding begins by PostUp and PostDown unloads: each once")
    if len(generations) != 1:
        raise TextError(f"hooks for rules of different generations: {', '.join(sorted(generations))}")
    return route_mtus


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


def _number(key: str, value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 1 << 16:
        raise TextError(f"{key} is no number up to 65535: {value}")
    return int(value)


def _peer(name: str, pairs: list[tuple[str, str]]) -> Peer:
    known = {"PublicKey": "", "PresharedKey": "", "Endpoint": "", "PersistentKeepalive": "0"}
    allowed: list[Prefix] = []
    for key, value in pairs:
        if key == "AllowedIPs":
            allowed += [prefix(item) for item in _items(value)]
        elif key in known:
            known[key] = value
        else:
            raise TextError(f"unknown key in [Peer]: {key}")
    if not known["PublicKey"]:
        raise TextError("a peer without PublicKey")
    keepalive = known["PersistentKeepalive"] not in {"0", "off"}
    return Peer(name, known["PublicKey"], known["PresharedKey"], known["Endpoint"], tuple(allowed), keepalive)
