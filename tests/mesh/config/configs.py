"""One good config, and changes to it, for the tests of the stack config."""

import base64
from copy import deepcopy
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mesh.config import ConfigError, parse
from mesh.faults import Fault
from mesh.model import Colo, Site, Ssh

GONE: Final = object()
# What a test shows, the changes to the good config, and the report that is expected.
Row: TypeAlias = tuple[str, dict[str, object], list[str]]


def _public(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _private(form: PrivateFormat, encryption: KeySerializationEncryption) -> str:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, encryption).decode()


HOST_KEY = _public(Ed25519PrivateKey.generate())
ECDSA_HOST_KEY = _public(ec.generate_private_key(ec.SECP256R1()))
RSA_HOST_KEY = _public(rsa.generate_private_key(65537, 2048))
SSH_KEY = _private(PrivateFormat.OpenSSH, NoEncryption())
LOCKED_SSH_KEY = _private(PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
# RFC 7748, 5: the three lowest bits clear, the highest clear, the second highest set.
WIREGUARD_KEY = base64.b64encode(b"\x50" * 31 + b"\x60").decode()
UNCLAMPED_KEY = base64.b64encode(b"\x51" * 31 + b"\xe0").decode()
SEALED = {"secure": "v1:AAAAAAAAAAAAAAAA:c2VhbGVk"}

_GOOD: dict[str, object] = {
    "mesh": {"tunnel": "10.99.0.0/24"},
    "sites": {
        "nyc": {
            "address": "10.99.0.1",
            "colo": {"host": "203.0.113.10", "host_key": HOST_KEY},
            "networks": {"virbr0": {"cidr": "192.168.122.0/24", "interface": "virbr0", "masquerade": True}},
        },
        "ams": {
            "address": "10.99.0.2",
            "colo": {"host": "198.51.100.20", "host_key": HOST_KEY},
            "networks": {"lan": {"cidr": ["10.20.0.0/24", "fd20::/64"], "interface": "eth1", "return_route": "manual"}},
        },
        "fra": {
            "address": "10.99.0.3",
            "colo": {"host": "fra.mesh.net", "host_key": HOST_KEY},
            "networks": {"lan": {"cidr": "10.40.0.0/24", "interface": "eth1", "return_route": "manual"}},
        },
    },
    "access": [{"from": ["ams.lan", "fra.lan"], "to": "nyc.virbr0"}, {"from": "fra", "to": "ams.lan"}],
}


# One site of each kind: a colo, an instance on AWS and a droplet at DigitalOcean.
_CLOUDS: dict[str, object] = {
    "mesh": {"tunnel": "10.99.0.0/24"},
    "operators": "9.9.7.0/24",
    "sites": {
        "nyc": {
            "address": "10.99.0.1",
            "colo": {"host": "nyc.mesh.net", "host_key": HOST_KEY, "sends_from": "9.9.9.10"},
            "networks": {"virbr0": {"cidr": "192.168.122.0/24", "interface": "virbr0", "masquerade": True}},
        },
        "use1": {
            "address": "10.99.0.2",
            "aws": {"region": "us-east-1", "vpc_cidr": "10.10.0.0/16"},
            "networks": {"vpc": {"cidr": "10.10.0.0/16"}},
        },
        "fra": {
            "address": "10.99.0.3",
            "digitalocean": {"region": "fra1", "vpc_cidr": "10.40.0.0/24"},
            "networks": {"vpc": {"cidr": "10.40.0.0/24"}},
        },
    },
    "access": [
        {"from": ["use1.vpc", "nyc.virbr0"], "to": "fra.vpc"},
        {"from": "fra.vpc", "to": ["nyc.virbr0", "use1.vpc"]},
    ],
}
UUID = "5a4981aa-9653-4bd1-bef5-d6bff52042e4"
# In place of a new VPC on AWS, one that exists.
EXISTING: dict[str, object] = {
    "sites.use1.aws.vpc_cidr": GONE,
    "sites.use1.aws.vpc": "vpc-0a1b2c3d",
    "sites.use1.aws.subnet": "subnet-0123456789abcdef0",
    "sites.use1.aws.route_tables": ["rtb-0a1b2c3d", "rtb-0123456789abcdef0"],
}


def good() -> dict[str, Any]:
    """A config without faults, to be changed at will."""
    return deepcopy(_GOOD)


def changed(changes: dict[str, object]) -> dict[str, Any]:
    """The good config with values set at their places (`sites.nyc.address`, `access.0.from`), or taken out by GONE."""
    return _with(good(), changes)


def clouds(changes: dict[str, object]) -> dict[str, Any]:
    """The same of a config that has a site of each kind."""
    return _with(deepcopy(_CLOUDS), changes)


def _with(config: Any, changes: dict[str, object]) -> dict[str, Any]:
    for where, value in changes.items():
        *parents, last = where.split(".")
        inner = config
        for part in parents:
            inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
        if value is GONE:
            del inner[last]
        else:
            # A copy, since the same value may be another config's too.
            inner[int(last) if isinstance(inner, list) else last] = deepcopy(value)
    found: dict[str, Any] = config
    return found


def ssh(site: Site) -> Ssh:
    """How a colo is reached."""
    assert isinstance(site.kind, Colo)
    return site.kind.ssh


def faults(config: dict[str, Any], *, stack_file: bool = False) -> tuple[Fault, ...]:
    """The faults that `parse` reports; none where it gives a mesh."""
    try:
        parse(config, stack_file=stack_file)
    except ConfigError as error:
        return error.faults
    return ()
