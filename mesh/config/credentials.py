"""SSH host keys and the secret keys of the config: checked, and never shown in a message."""

import base64
import binascii
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from mesh.config.faults import is_sealed, mistyped
from mesh.keys import PrivateKey
from mesh.model import Secret
from mesh.sshkeys import public_key

HOST_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_HOW_TO_GET = "see it on the host by 'cat /etc/ssh/ssh_host_ed25519_key.pub'"
_REFUSED = {
    "ssh-rsa": "pulumi-command offers no rsa-sha2 signatures for a pinned key, so that a current sshd refuses it",
    "rsa-sha2-256": "that is a signature's name, and RSA keys are refused for want of it in pulumi-command",
    "rsa-sha2-512": "that is a signature's name, and RSA keys are refused for want of it in pulumi-command",
    "ssh-dss": "DSA was removed from OpenSSH",
}


def host_key(value: object) -> str:
    """An SSH host key as `type base64`; a comment after it is left out.

    Accepted are those that pulumi-command can pin. Raises ValueError for others and for damaged ones (RFC 4253, 6.6).
    """
    if is_sealed(value):
        raise ValueError("is encrypted, and is no secret; write it in plain text")
    if not isinstance(value, str):
        raise mistyped("an SSH host key like 'ssh-ed25519 AAAA...'", value)
    if "PRIVATE" in value.upper():
        raise ValueError(f"is a private key; the public half belongs here ({_HOW_TO_GET}), and make a new key pair")
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"contains a line break or a character that no key has; a host key is one line; {_HOW_TO_GET}")
    parts = value.split()
    if value.startswith(("SHA256:", "MD5:")):
        raise ValueError(f"is a fingerprint; the key itself belongs here; {_HOW_TO_GET}")
    if len(parts) > 2 and _known_type(parts[1]):
        raise ValueError("begins with a host's name, as ssh-keyscan prints it; leave that out")
    if not parts or not _known_type(parts[0]):
        raise ValueError(f"does not begin with a type of key ({', '.join(HOST_KEY_TYPES)}); {_HOW_TO_GET}")
    if "-cert-" in parts[0]:
        raise ValueError(f"is a certificate; the host's own key belongs here; {_HOW_TO_GET}")
    if parts[0] not in HOST_KEY_TYPES:
        reason = _REFUSED.get(parts[0], "pulumi-command cannot pin it")
        raise ValueError(f"{parts[0]} is refused: {reason}; give the host's ed25519 key; {_HOW_TO_GET}")
    if len(parts) < 2:
        raise ValueError(f"ends after '{parts[0]}'; the key itself is missing; {_HOW_TO_GET}")
    _check_blob(parts[0], parts[1])
    for comment in parts[2:]:
        if re.search(r"[^A-Za-z0-9@._:+=,()/-]", comment):
            raise ValueError("has a comment with quotes or other marks in it; leave the comment out")
    return f"{parts[0]} {parts[1]}"


def wireguard_key(value: object, *, stack_file: bool) -> Secret:
    """A WireGuard private key: 32 bytes in base64, clamped (RFC 7748, 5), as `wg genkey` makes it."""
    written = secret_text(value, "a WireGuard private key", stack_file=stack_file)
    if written is None:
        return Secret(None)
    return Secret(PrivateKey.from_base64(written.strip()).reveal())


def ssh_key(value: object, *, stack_file: bool) -> Secret:
    """An SSH private key without passphrase, in OpenSSH's format or PEM, of which `sshkeys` knows the public half."""
    written = secret_text(value, "an SSH private key", stack_file=stack_file)
    if written is None:
        return Secret(None)
    public_key(written)
    return Secret(written)


def secret_text(value: object, what: str, *, stack_file: bool, renewed: str = "key") -> str | None:
    """The text of a secret, None while it is encrypted; raises ValueError where a stack file has it in plain text.

    `what` and `renewed` name it in the messages.
    """
    if is_sealed(value):
        return None
    if not isinstance(value, str):
        raise mistyped(what, value)
    if stack_file:
        raise ValueError(
            f"is in plain text; make a new {renewed}, since this one may have been seen, and encrypt it:"
            " pulumi config set --path --secret 'wireguard-mesh:{place}'"
        )
    return value


def _known_type(word: str) -> bool:
    return re.fullmatch(r"(ssh-|ecdsa-|sk-|rsa-sha2-)[a-z0-9@.-]{1,60}", word) is not None


def _check_blob(key_type: str, blob: str) -> None:
    raw = _decoded(blob)
    if raw is None:
        raise ValueError(f"is not whole: what follows '{key_type}' is no valid base64; copy the line again")
    inner = raw[4 : 4 + int.from_bytes(raw[:4])] if len(raw) > 4 else b""
    if inner.decode("ascii", "replace") != key_type:
        within = inner.decode("ascii", "replace")
        found = f"a key of type {within}" if _known_type(within) else "something else"
        raise ValueError(f"says '{key_type}', and holds {found}; copy the line again")
    try:
        load_ssh_public_key(f"{key_type} {blob}".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"is damaged: it holds no valid {key_type} key; copy the line again") from None


def _decoded(blob: str) -> bytes | None:
    try:
        raw = base64.b64decode(blob.encode(), validate=True)
    except (binascii.Error, ValueError):
        return None
    # Two texts for one key would show as a change for ever.
    return raw if base64.b64encode(raw).decode() == blob else None
