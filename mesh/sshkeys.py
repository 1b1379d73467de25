"""SSH key pairs: those that the program makes for its machines, and the public half of any that it is given."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

_UNUSABLE = (
    "is a key of a kind that SSH does not have; make one by 'ssh-keygen -t ed25519' (RSA, and ECDSA on P-256, P-384 or"
    " P-521, are taken as well)"
)


def generate() -> str:
    """A new Ed25519 private key (RFC 8709) from the system's random source, in OpenSSH's format.

    It has no passphrase, since a machine has nobody to ask for one, and no comment.
    """
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")


def public_key(private: str) -> str:
    """The public half of a private key, as `type base64` without a comment, like `ssh-keygen -y` prints it.

    Takes what `ssh.private_key` may be: Ed25519, RSA or ECDSA, in OpenSSH's format or PEM, without a passphrase.
    Raises ValueError for anything else; the message never contains the text. Of the kinds that PEM may hold, SSH has
    Ed25519 (RFC 8709), RSA (RFC 4253) and ECDSA on three curves (RFC 5656).
    """
    if "-----BEGIN" not in private:
        raise ValueError("is no SSH private key: the whole content of the key file belongs here, not its name")
    load = load_ssh_private_key if "BEGIN OPENSSH" in private else load_pem_private_key
    try:
        key = load(private.encode(), password=None)
    except TypeError:  # how cryptography says that a passphrase is needed
        raise ValueError(
            "is protected by a passphrase; make a key without one, or leave it out and use the SSH agent"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is damaged: it cannot be read as a private key in OpenSSH's format or PEM") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError(_UNUSABLE)  # noqa: TRY004 the kind is the value's, as above
    try:
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
    except ValueError:  # a curve that SSH does not have
        raise ValueError(_UNUSABLE) from None
