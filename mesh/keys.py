"""WireGuard's keys: private keys that cannot be printed, their public keys, and preshared keys derived per pair."""

import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NewType, TypeVar

import nacl.bindings
import nacl.utils

PublicKey = NewType("PublicKey", str)
Name = TypeVar("Name", bound=str)

_LENGTH = 32
# Keeps these keys apart from anything else that is ever derived from the same root (BLAKE2b, RFC 7693, section 2.5).
_PURPOSE = b"wg-mesh psk"


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An X25519 private key of 32 bytes, clamped as RFC 7748, section 5 says. Only `reveal` shows it.

    WireGuard gives a key back clamped whatever it was told, so one that is not would look like drift for ever.
    Raises ValueError for bytes that are not such a key; the message never contains them.
    """

    _value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Checks length and clamping."""
        if len(self._value) != _LENGTH:
            raise ValueError("a WireGuard key has 32 bytes")
        if self._value != _clamp(self._value):
            raise ValueError(
                "the private key is not clamped; take the one that `wg genkey` prints, "
                "or `wg show INTERFACE private-key` where this key is in use"
            )

    @classmethod
    def from_base64(cls, text: str) -> "PrivateKey":
        """The key that `wg genkey` prints as 44 characters. Raises ValueError, without the text, for anything else."""
        return cls(_decode(text))

    def reveal(self) -> str:
        """The key in base64, as a configuration file has it."""
        return _encode(self._value)

    def public_key(self) -> PublicKey:
        """The public key that belongs to it, in base64 (RFC 7748, section 6.1)."""
        return PublicKey(_encode(nacl.bindings.crypto_scalarmult_base(self._value)))

    def __repr__(self) -> str:
        """Says what it is, and never the key."""
        return "PrivateKey(<secret>)"


def generate_private_key() -> PrivateKey:
    """A new private key from the system's random source."""
    return PrivateKey(_clamp(nacl.utils.random(_LENGTH)))


def generate_root() -> str:
    """A new secret, 32 bytes in base64, from which the preshared keys of a whole mesh are derived."""
    return _encode(nacl.utils.random(_LENGTH))


def preshared_key(root: str, a: str, b: str) -> str:
    """The preshared key of the two sites of these names in base64, the same for either order.

    BLAKE2b of both names, keyed with the root (RFC 7693): nobody without the root can derive one, and one says nothing
    about another. It does not depend on the sites' keys, so that a site can change its own without changing these.
    Raises ValueError where the root is not 32 bytes in base64, or both names are the same.
    """
    if a == b:
        raise ValueError("a preshared key needs two sites")
    return preshared_keys(root, (a, b))[a][b]


def preshared_keys(root: str, names: Iterable[Name]) -> dict[Name, dict[Name, str]]:
    """The preshared keys of any two of many sites: `keys[one][other]`.

    Each is derived once, and is one text for both ends. Raises ValueError as `preshared_key` does.
    """
    keyed = blake2b(digest_size=_LENGTH, key=_decode(root), person=_PURPOSE)
    keys: dict[Name, dict[Name, str]] = {name: {} for name in sorted(names)}
    sites = [(name.encode("ascii"), name) for name in keys]
    for number, (first, one) in enumerate(sites, 1):
        # A thousand sites are half a million pairs: what the pairs of one site have in common is digested once.
        begun = keyed.copy()
        begun.update(first + b"\0")  # which no name contains
        mine = keys[one]
        for second, other in sites[number:]:
            pair = begun.copy()
            pair.update(second)
            mine[other] = keys[other][one] = _encode(pair.digest())
    return keys


def _clamp(value: bytes) -> bytes:
    return bytes((value[0] & 248, *value[1:31], value[31] & 127 | 64))


def _encode(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def _decode(text: str) -> bytes:
    """Exactly 32 bytes from base64 in its one canonical form. Raises ValueError that does not contain the text."""
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ValueError("a WireGuard key is written in base64, as `wg genkey` prints it") from None
    if len(value) != _LENGTH:
        raise ValueError("a WireGuard key has 32 bytes: 44 characters of base64, as `wg genkey` prints it")
    if _encode(value) != text:
        raise ValueError("a WireGuard key's last character before the `=` says nothing beyond its 32 bytes")
    return value
