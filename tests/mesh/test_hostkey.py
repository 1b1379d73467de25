"""The fingerprint that stands for a machine: the one that OpenSSH prints."""

import subprocess

import pytest

from mesh.hostkey import fingerprint
from tests.mesh.config.configs import ECDSA_HOST_KEY, HOST_KEY, RSA_HOST_KEY


@pytest.mark.parametrize("key", [HOST_KEY, ECDSA_HOST_KEY, RSA_HOST_KEY], ids=["Ed25519", "ECDSA", "RSA"])
def test_a_fingerprint_is_what_ssh_keygen_prints(key: str) -> None:
    done = subprocess.run(
        ["ssh-keygen", "-l", "-f", "/dev/stdin"], input=f"{key}\n", capture_output=True, text=True, check=True
    )
    assert fingerprint(key) == done.stdout.split()[1]


def test_a_comment_does_not_change_a_fingerprint_and_another_key_does() -> None:
    assert fingerprint(f"{HOST_KEY} root@nyc") == fingerprint(HOST_KEY)
    assert fingerprint(ECDSA_HOST_KEY) != fingerprint(HOST_KEY)
