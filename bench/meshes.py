"""What is planned and rendered: stack configs of any size as a user would write them, and keys for them."""

import base64
import hashlib
import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal, TypeAlias, get_args

# Nobody; each site's network to five others, three services; everybody to everybody, everything.
Grants: TypeAlias = Literal["none", "few", "all"]
GRANTS: tuple[Grants, ...] = get_args(Grants)
OPENERS = 5
# The files of a run, in a folder of its own: its input, its measurements, and the texts that it makes.
STACK, KEYS, REPORT, TEXTS = "stack.json", "keys.json", "report.json", "texts"

# What would be public addresses are those for benchmarks (RFC 2544).
_PUBLIC = IPv4Address("198.18.0.0")
_TUNNEL = IPv4Address("10.96.0.0")
_LANS = IPv4Address("10.128.0.0")


def write(folder: Path, sites: int, grants: Grants) -> None:
    """Writes the input of a run: the config as the engine hands it over, and the keys that the state would hold."""
    config = {f"wireguard-mesh:{name}": json.dumps(section) for name, section in stack(sites, grants).items()}
    (folder / STACK).write_text(json.dumps(config))
    (folder / KEYS).write_text(json.dumps({"private": private_keys(sites), "root": root_key()}))


def report(folder: Path) -> dict[str, float]:
    """What a run of ours measured: seconds by stage."""
    found: dict[str, float] = json.loads((folder / REPORT).read_text())
    return found


def site_names(sites: int) -> list[str]:
    """`site-0001` and so on: in the order of their names, as the mesh has them."""
    return [f"site-{number:04}" for number in range(1, sites + 1)]


def stack(sites: int, grants: Grants) -> dict[str, object]:
    """The sections of a stack config: every site a colo with one network behind it, IPv4, everything else by default.

    Every other network is masqueraded; the rest has routes back.
    """
    return {
        "mesh": {"tunnel": f"{_TUNNEL}/16"},
        "sites": {name: _site(number) for number, name in enumerate(site_names(sites), 1)},
        "access": _access(sites, grants),
    }


def tunnel_address(number: int) -> IPv4Address:
    """A site's own address in the tunnel; sites are numbered from 1."""
    return _TUNNEL + number


def public_address(number: int) -> IPv4Address:
    """The address of a site's host."""
    return _PUBLIC + number


def private_keys(sites: int) -> dict[str, str]:
    """A WireGuard key for each site, clamped (RFC 7748, section 5), the same in every run."""
    return {name: private_key(name) for name in site_names(sites)}


def private_key(name: str) -> str:
    """The key of that name."""
    value = _digest(name)
    return base64.b64encode(bytes((value[0] & 248, *value[1:31], value[31] & 127 | 64))).decode()


def root_key(generation: int = 1) -> str:
    """The root of the preshared keys, the same in every run."""
    return base64.b64encode(_digest("root" if generation == 1 else f"root {generation}")).decode()


def _site(number: int) -> dict[str, object]:
    back: dict[str, object] = {"masquerade": True} if number % 2 else {"return_route": "manual"}
    return {
        "address": str(tunnel_address(number)),
        "colo": {"host": str(public_address(number)), "host_key": _HOST_KEY},
        "networks": {"lan": {"cidr": f"{_LANS + 256 * number}/24", "interface": "eth1", **back}},
    }


def _access(sites: int, grants: Grants) -> list[dict[str, object]]:
    if grants == "none":
        return []
    if grants == "all":
        return [{"from": "*", "to": "*"}]
    names = site_names(sites)
    return [
        {
            "from": [f"{names[(number + step) % sites]}.lan" for step in range(1, min(OPENERS, sites - 1) + 1)],
            "to": f"{name}.lan",
            "ports": ["tcp/443", "tcp/8000-8100", "icmp"],
        }
        for number, name in enumerate(names)
    ]


def _digest(name: str) -> bytes:
    return hashlib.sha256(b"benchmark " + name.encode()).digest()


# An Ed25519 key as SSH writes it (RFC 8709, section 4); nobody has its other half.
_HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + _digest("host key")).decode()
