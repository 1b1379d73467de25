"""The first message of a WireGuard handshake, made for any time of day: what a peer with that clock would send.

https://www.wireguard.com/papers/wireguard.pdf, sections 5.4.1 to 5.4.4, and https://cr.yp.to/libtai/tai64.html.
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_TAI64_OF_UNIX = 2**62 + 10


def initiation(own: bytes, peer: bytes, sender: int, seconds: float) -> bytes:
    """The message from the owner of the private key `own` to `peer`, a public key, at `seconds` since 1970.

    `sender` is the number that the answer will be addressed to.
    """
    static, ephemeral, other = X25519PrivateKey.from_private_bytes(own), X25519PrivateKey.generate(), _public(peer)
    chain = _hash(_CONSTRUCTION)
    seen = _hash(_hash(chain + _IDENTIFIER) + peer)
    message = struct.pack("<B3xI", 1, sender)
    shown = ephemeral.public_key().public_bytes_raw()
    [chain] = _derive(chain, shown, 1)
    seen = _hash(seen + shown)
    message += shown
    for secret, said in (
        (ephemeral.exchange(other), static.public_key().public_bytes_raw()),
        (static.exchange(other), _tai64n(seconds)),
    ):
        chain, key = _derive(chain, secret, 2)
        sealed = ChaCha20Poly1305(key).encrypt(bytes(12), said, seen)
        seen = _hash(seen + sealed)
        message += sealed
    key = _hash(b"mac1----" + peer)
    return message + hashlib.blake2s(message, key=key, digest_size=16).digest() + bytes(16)


def answered(message: bytes) -> int | None:
    """The number that an answer to an initiation is addressed to; None for any other message."""
    return int(struct.unpack_from("<I", message, 8)[0]) if message[0] == 2 and len(message) == 92 else None


def _tai64n(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack(">QI", _TAI64_OF_UNIX + whole, int((seconds - whole) * 1e9))


def _public(key: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(key)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def _derive(chain: bytes, data: bytes, count: int) -> list[bytes]:
    """HKDF: so many keys."""
    root, last, keys = hmac.digest(chain, data, "blake2s"), b"", []
    for number in range(1, count + 1):
        last = hmac.digest(root, last + bytes([number]), "blake2s")
        keys.append(last)
    return keys
