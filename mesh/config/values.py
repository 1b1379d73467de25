"""The scalar values of the config, each from what was written to its type; a ValueError says what is wrong.

Every text is held against a list of what is allowed, so that no quote, line break or `$(...)` ever reaches a host.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from mesh.config.faults import is_sealed, mistyped, shown
from mesh.model import IPAddress, IPNetwork

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What wg-quick takes as a name, without `+`, which iptables reads as a wildcard, and not beginning with a hyphen.
_INTERFACE = re.compile(r"[A-Za-z0-9_.=][A-Za-z0-9_.=-]*")
# Only one case: two interfaces whose names differ in case alone would share their chains.
_TUNNEL_INTERFACE = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_INTERFACE_LENGTH = 15  # IFNAMSIZ of Linux, less the closing zero
_VPC_LENGTHS = (16, 28)
# RFC 1918 and RFC 6598; RFC 4193. What is kept for documentation (RFC 5737) is none of these.
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_UNIQUE_LOCAL = IPv6Network("fc00::/7")
_FLAGS = {"true": ("yes", "on", "y"), "false": ("no", "off", "n")}
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_SPECIAL = tuple(
    (ip_network(prefix), name)
    for prefix, name in (
        ("0.0.0.0/8", "'this network' addresses (RFC 1122)"),
        ("127.0.0.0/8", "loopback addresses"),
        ("169.254.0.0/16", "link-local addresses"),
        ("224.0.0.0/4", "multicast addresses"),
        ("240.0.0.0/4", "reserved addresses"),
        ("::/96", "unspecified and loopback addresses"),
        ("::ffff:0:0/96", "IPv4-mapped addresses; write it as IPv4"),
        ("fe80::/10", "link-local addresses"),
        ("ff00::/8", "multicast addresses"),
    )
)


class EndpointText(NamedTuple):
    """An endpoint as written: `port` None where it was left out."""

    host: str
    port: int | None


def text(value: object, what: str = "text") -> str:
    """Printable ASCII without spaces, quotes or anything that a shell reads; `what` names it in the message."""
    if is_sealed(value):
        raise ValueError("is encrypted, and is no secret; write it in plain text")
    if not isinstance(value, str):
        way_out = "; put it in quotes" if isinstance(value, bool | int | float) else ""
        raise mistyped(what, value, way_out)
    if not value:
        raise ValueError(f"expected {what}, found an empty text")
    for character in value:
        if name := _misplaced(character):
            raise ValueError(f"{shown(value)} contains {name}; expected {what}")
    return value


def flag(value: object) -> bool:
    """True or false. The other words that YAML once had for these are texts by now (YAML 1.2, 10.3.2)."""
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word in {"true", "false"}:
        raise mistyped("true or false", value, "; leave the quotes out")
    meant = next((f"; write {flag}" for flag, words in _FLAGS.items() if word in words), "")
    raise mistyped("true or false", value, meant)


def choice(value: object, words: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str):
        raise mistyped(" or ".join(words), value)
    if value not in words:
        raise ValueError(f"{shown(value)} is not known here; write {' or '.join(words)}")
    return value


def number(value: object, first: int, last: int) -> int:
    """A whole number in the range, both ends included."""
    if isinstance(value, bool) or not isinstance(value, int):
        way_out = "; leave the quotes out" if isinstance(value, str) and value.isdecimal() else ""
        raise mistyped(f"a whole number from {first} to {last}", value, way_out)
    if not first <= value <= last:
        raise ValueError(f"{shown(value).removeprefix('the number ')} is out of range; it goes from {first} to {last}")
    return value


def is_label(value: str) -> bool:
    """True for a DNS label in lower case (RFC 1123, 2.1), which every site's and network's name is."""
    return _LABEL.fullmatch(value) is not None


def tunnel_interface(value: object) -> str:
    """The name of the tunnel's interface, which also names its chains (in upper case), files and unit on the hosts."""
    name = interface(value)
    if not _TUNNEL_INTERFACE.fullmatch(name):
        raise ValueError(
            f"'{name}' is no name for the tunnel; it may hold a-z, 0-9 and _ . - and begins with a-z or 0-9"
        )
    return name


def interface(value: object) -> str:
    """The name of a network interface that Linux, wg-quick and iptables take and read alike."""
    name = text(value, "the name of a network interface")
    if len(name) > _INTERFACE_LENGTH:
        raise ValueError(f"{shown(name)} has {len(name)} characters; Linux takes at most {_INTERFACE_LENGTH}")
    if "+" in name:
        raise ValueError(f"{shown(name)} contains '+', which iptables reads as 'any that begins so'; rename it")
    if not _INTERFACE.fullmatch(name) or not name.strip("."):
        raise ValueError(f"{shown(name)} is no interface name; it may hold letters, digits and _ . = -")
    if name in {"lo", "all", "default"}:
        reason = "the loopback interface" if name == "lo" else "a name that the kernel's settings keep for themselves"
        raise ValueError(f"'{name}' is {reason}; name another interface")
    return name


def user(value: object) -> str:
    """A user's name on a host."""
    name = text(value, "a user's name")
    if not _USER.fullmatch(name):
        raise ValueError(f"{shown(name)} is no user's name")
    return name


def address(value: object) -> IPAddress:
    """An IPv4 or IPv6 address of one machine."""
    return _ordinary(text(value, "an IP address"))


def resolver(value: object) -> IPAddress:
    """The address of a DNS server, which may be one on the machine itself."""
    written = text(value, "the address of a DNS server")
    found = _address(written)
    return found if found.is_loopback else _ordinary(written)


def prefix(value: object) -> IPNetwork:
    """An IPv4 or IPv6 network in CIDR notation, without host bits."""
    network = any_prefix(value)
    if network.prefixlen == 0:
        raise ValueError(f"{shown(value)} is the whole internet; name the networks that are meant")
    return network


def any_prefix(value: object) -> IPNetwork:
    """A network as above; also the whole internet, by 0.0.0.0/0 or ::/0."""
    written = text(value, "a network in CIDR notation, for example 10.20.0.0/24")
    base, slash, length = written.partition("/")
    try:
        start = _address(base)
    except ValueError:
        raise ValueError(f"{shown(written)} is no network; write it like 10.20.0.0/24 or fd00:20::/64") from None
    if not slash:
        raise ValueError(f"{shown(written)} has no prefix length; write it like {start}/{start.max_prefixlen}")
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", length) or int(length) > start.max_prefixlen:
        raise ValueError(f"{shown(written)} has no valid prefix length; it goes from 1 to {start.max_prefixlen}")
    network = ip_network(f"{start}/{length}", strict=False)
    if network.network_address != start:
        raise ValueError(f"{shown(written)} has host bits set; the network is {network}")
    for special, name in _SPECIAL:
        if network.prefixlen and special.version == network.version and special.overlaps(network):
            raise ValueError(f"{shown(written)} holds {name}")
    return network


def is_private(network: IPNetwork) -> bool:
    """True for a prefix, or an address as one, that nobody on the internet has: no packet arrives from there."""
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(private) for private in _PRIVATE)
    return network.subnet_of(_UNIQUE_LOCAL)


def vpc_range(value: object) -> IPv4Network:
    """The range of a VPC to be made. AWS and DigitalOcean have the same bounds.

    Sources: "VPC CIDR blocks" in the Amazon VPC user guide; "How to Plan Your Custom VPC Network" at DigitalOcean.
    """
    network = prefix(value)
    first, last = _VPC_LENGTHS
    if isinstance(network, IPv4Network) and first <= network.prefixlen <= last:
        return network
    why = "is IPv6" if network.version == 6 else "is of no size that a VPC can have"
    raise ValueError(f"{network} {why}; its range is IPv4, from /{first} to /{last}")


def host(value: object) -> str:
    """An address or DNS name at which a machine is reached. IPv6 addresses come back in their short form."""
    written = text(value, "an address or a DNS name")
    if written.startswith("["):
        raise ValueError(f"{shown(written)}: write the address without brackets")
    if written.endswith("."):
        raise ValueError(f"{shown(written)} ends with a dot; leave the last dot out")
    if ":" in written or re.fullmatch(r"[0-9.]+", written):
        return str(_ordinary(written))
    labels = written.lower().split(".")
    if not all(is_label(label) for label in labels) or len(written) > 253 or labels[-1].isdecimal():
        raise ValueError(f"{shown(written)} is neither an address nor a DNS name")
    if labels[-1] == "localhost":
        raise ValueError(f"{shown(written)} is the machine itself; give the name that others use")
    return written.lower()


def endpoint(value: object) -> EndpointText:
    """`host`, `host:port` or `[IPv6]:port`; a bare IPv6 address is a host."""
    written = text(value, "host, host:port or [IPv6 address]:port")
    if match := re.fullmatch(r"\[([^\[\]]*)\](?::(.*))?", written):
        if ":" not in match[1]:
            raise ValueError(f"{shown(written)}: brackets are for IPv6 addresses only")
        return EndpointText(host(match[1]), _endpoint_port(match[2]))
    if written.count(":") != 1:
        return EndpointText(host(written), None)
    name, _, port = written.partition(":")
    return EndpointText(host(name), _endpoint_port(port))


def _endpoint_port(written: str | None) -> int | None:
    if written is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,4}", written) or int(written) > 65535:
        raise ValueError(f"{shown(written)} is no port; it goes from 1 to 65535")
    return int(written)


def _address(written: str) -> IPv4Address | IPv6Address:
    try:
        found = ip_address(written)
    except ValueError:
        raise ValueError(f"{shown(written)} is no IP address") from None
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        raise ValueError(f"{shown(written)} has a zone; write the address alone")
    return found


def _ordinary(written: str) -> IPAddress:
    found = _address(written)
    for special, name in _SPECIAL:
        if special.version == found.version and found in special:
            raise ValueError(f"{shown(written)} belongs to the {name}")
    return found


def _misplaced(character: str) -> str | None:
    """The name of a character that belongs into no value of the config."""
    names = {" ": "a space", "'": "a quote", '"': "a quote", "`": "a backtick", "\n": "a line break", "\t": "a tab"}
    if character in names:
        return names[character]
    if not character.isascii():
        return f"a character outside ASCII (U+{ord(character):04X})"
    if not character.isprintable():
        return "a control character"
    return None if character.isalnum() or character in "._:/+=@*,[]%-" else f"'{character}'"
