"""SSH key pairs: what the program makes and derives is what OpenSSH itself makes of it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh import sshkeys

needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="needs the program ssh-keygen, of the package openssh-client"
)
WHOLE = sshkeys.generate()


def ssh_keygen(*arguments: str | Path) -> str:
    return subprocess.run(["ssh-keygen", *arguments], capture_output=True, text=True, check=True).stdout


def key_file(folder: Path, text: str) -> Path:
    file = folder / "key"
    file.touch(0o600)
    file.write_text(text)
    return file


def pem(key: dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@needs_ssh_keygen
def test_a_made_key_is_an_ed25519_key_without_passphrase_and_comment(tmp_path: Path) -> None:
    file = key_file(tmp_path, sshkeys.generate())
    assert ssh_keygen("-y", "-P", "", "-f", file) == f"{sshkeys.public_key(file.read_text())}\n"
    bits, _, *comment, kind = ssh_keygen("-l", "-f", file).split()
    assert (bits, kind) == ("256", "(ED25519)")
    assert comment in ([], ["no", "comment"])  # how versions of OpenSSH say that there is none


def test_a_key_file_ends_as_openssh_wants_it() -> None:
    assert WHOLE.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert WHOLE.endswith("\n-----END OPENSSH PRIVATE KEY-----\n")


def test_no_key_is_made_twice() -> None:
    assert len({sshkeys.public_key(sshkeys.generate()) for _ in range(20)}) == 20


@needs_ssh_keygen
@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])  # ssh-keygen(1), -m; the first is OpenSSH's own here
@pytest.mark.parametrize("kind", ["ed25519", "rsa -b 2048", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521"])
def test_the_public_half_is_the_one_that_ssh_keygen_prints(tmp_path: Path, kind: str, form: str) -> None:
    file = tmp_path / "key"
    ssh_keygen("-q", "-m", form, "-t", *kind.split(), "-N", "", "-C", "a comment", "-f", file)
    printed = ssh_keygen("-y", "-f", file).split()
    assert sshkeys.public_key(file.read_text()).split() == printed[:2]
    assert sshkeys.public_key(file.read_text().strip()).split() == printed[:2]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(pem(dsa.generate_private_key(1024)), id="dsa"),
        pytest.param(pem(ec.generate_private_key(ec.SECP256K1())), id="a curve that SSH does not have"),
        pytest.param(pem(x25519.X25519PrivateKey.generate()), id="x25519"),
        pytest.param(WHOLE[:120] + WHOLE[160:], id="damaged"),
        pytest.param(sshkeys.public_key(WHOLE), id="public"),
        pytest.param("ключ", id="other letters"),
        pytest.param("", id="nothing"),
    ],
)
def test_anything_else_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is (damaged|a key of a kind|no SSH private key)") as caught:
        sshkeys.public_key(text)
    assert caught.value.__cause__ is None
    assert not any(line in str(caught.value) for line in text.splitlines() if line)


@needs_ssh_keygen
def test_a_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    ssh_keygen("-q", "-t", "ed25519", "-N", "a passphrase", "-f", file)
    with pytest.raises(ValueError, match="protected by a passphrase"):
        sshkeys.public_key(file.read_text())
