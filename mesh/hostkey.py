"""SSH host keys: the fingerprint that stands for a machine."""

from base64 import b64decode, b64encode
from hashlib import sha256


def fingerprint(host_key: str) -> str:
    """The fingerprint of a public key line, as `ssh-keygen -l` prints it: `SHA256:` and unpadded base64."""
    blob = b64decode(host_key.split()[1])
    return "SHA256:" + b64encode(sha256(blob).digest()).decode().rstrip("=")
