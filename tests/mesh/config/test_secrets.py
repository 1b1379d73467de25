"""Keys in the stack config: what is refused, and that no report ever shows one."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.config import parse
from mesh.keys import PrivateKey
from tests.mesh.config.configs import (
    ECDSA_HOST_KEY,
    HOST_KEY,
    LOCKED_SSH_KEY,
    RSA_HOST_KEY,
    SEALED,
    SSH_KEY,
    UNCLAMPED_KEY,
    WIREGUARD_KEY,
    changed,
    faults,
    ssh,
)

SEE = "see it on the host by 'cat /etc/ssh/ssh_host_ed25519_key.pub'"
TYPES = "ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521"
SHORT_ED25519 = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x1f" + b"k" * 31).decode()

HOST_KEYS: list[tuple[str, object, str]] = [
    (
        "RSA",
        RSA_HOST_KEY,
        "ssh-rsa is refused: pulumi-command offers no rsa-sha2 signatures for a pinned key, so that a current sshd"
        " refuses"
        f" it; give the host's ed25519 key; {SEE}",
    ),
    (
        "DSA",
        "ssh-dss AAAAB3NzaC1kc3M=",
        f"ssh-dss is refused: DSA was removed from OpenSSH; give the host's ed25519 key; {SEE}",
    ),
    (
        "a hardware key",
        "sk-ssh-ed25519@openssh.com AAAA",
        f"sk-ssh-ed25519@openssh.com is refused: pulumi-command cannot pin it; give the host's ed25519 key; {SEE}",
    ),
    (
        "a certificate",
        "ssh-ed25519-cert-v01@openssh.com AAAA",
        f"is a certificate; the host's own key belongs here; {SEE}",
    ),
    ("a fingerprint", "SHA256:" + "x" * 43, f"is a fingerprint; the key itself belongs here; {SEE}"),
    (
        "a line of ssh-keyscan",
        f"203.0.113.10 {HOST_KEY}",
        "begins with a host's name, as ssh-keyscan prints it; leave that out",
    ),
    ("a key without type", HOST_KEY.split()[1], f"does not begin with a type of key ({TYPES}); {SEE}"),
    ("a type without key", "ssh-ed25519", f"ends after 'ssh-ed25519'; the key itself is missing; {SEE}"),
    (
        "a key cut off",
        HOST_KEY[:-3],
        "is not whole: what follows 'ssh-ed25519' is no valid base64; copy the line again",
    ),
    (
        "a key of 31 bytes",
        f"ssh-ed25519 {SHORT_ED25519}",
        "is damaged: it holds no valid ssh-ed25519 key; copy the line again",
    ),
    (
        "another type outside than inside",
        f"ssh-ed25519 {ECDSA_HOST_KEY.split()[1]}",
        "says 'ssh-ed25519', and holds a key of type ecdsa-sha2-nistp256; copy the line again",
    ),
    (
        "a point that is on no curve",
        "ecdsa-sha2-nistp256 "
        + base64.b64encode(b"\0\0\0\x13ecdsa-sha2-nistp256\0\0\0\x08nistp256\0\0\0\x41\x04" + b"\x01" * 64).decode(),
        "is damaged: it holds no valid ecdsa-sha2-nistp256 key; copy the line again",
    ),
    (
        "a private key",
        SSH_KEY,
        f"is a private key; the public half belongs here ({SEE}), and make a new key pair",
    ),
    (
        "two lines",
        f"{HOST_KEY}\n{HOST_KEY}",
        f"contains a line break or a character that no key has; a host key is one line; {SEE}",
    ),
    (
        "a comment that a shell would read",
        f"{HOST_KEY} $(id)",
        "has a comment with quotes or other marks in it; leave the comment out",
    ),
    ("an encrypted one", SEALED, "is encrypted, and is no secret; write it in plain text"),
    ("a number", 5, "expected an SSH host key like 'ssh-ed25519 AAAA...', found the number 5"),
]


@pytest.mark.parametrize(("key", "message"), [row[1:] for row in HOST_KEYS], ids=[row[0] for row in HOST_KEYS])
def test_a_host_key_that_cannot_be_pinned_is_refused(key: object, message: str) -> None:
    config = changed({"sites.ams.colo.host_key": key})
    assert [str(fault) for fault in faults(config)] == [f"sites.ams.colo.host_key: {message}"]


@pytest.mark.parametrize("key", [HOST_KEY, ECDSA_HOST_KEY], ids=["ed25519", "ecdsa"])
def test_a_host_key_that_can_be_pinned_is_kept_without_its_comment(key: str) -> None:
    assert ssh(parse(changed({"sites.ams.colo.host_key": f"{key} root@ams"})).site("ams")).host_key == key


SECRETS: list[tuple[str, dict[str, object], list[str]]] = [
    (
        "a WireGuard key that is not clamped",
        {"sites.ams.private_key": UNCLAMPED_KEY},
        [
            "sites.ams.private_key: the private key is not clamped; take the one that `wg genkey` prints, or"
            " `wg show INTERFACE private-key` where this key is in use"
        ],
    ),
    (
        "a WireGuard key that is none",
        {"sites.ams.private_key": WIREGUARD_KEY[:-4], "sites.fra.private_key": 7},
        [
            "sites.ams.private_key: a WireGuard key has 32 bytes: 44 characters of base64, as `wg genkey` prints it",
            "sites.fra.private_key: expected a WireGuard private key, found the number 7",
        ],
    ),
    (
        "one WireGuard key at two sites",
        {"sites.ams.private_key": WIREGUARD_KEY, "sites.fra.private_key": WIREGUARD_KEY},
        ["sites.fra.private_key: is the key of sites.ams too; every site needs one of its own"],
    ),
    (
        "an SSH key with a passphrase",
        {"ssh.private_key": LOCKED_SSH_KEY},
        [
            "ssh.private_key: is protected by a passphrase; make a key without one, or leave it out and use the"
            " SSH agent"
        ],
    ),
    (
        "an SSH key that is damaged",
        {"sites.ams.colo.private_key": SSH_KEY.replace("AAAA", "BBBB")},
        ["sites.ams.colo.private_key: is damaged: it cannot be read as a private key in OpenSSH's format or PEM"],
    ),
    (
        "the name of a key file",
        {"ssh.private_key": "~/.ssh/id_ed25519"},
        ["ssh.private_key: is no SSH private key: the whole content of the key file belongs here, not its name"],
    ),
    (
        "an encrypted value where no secret belongs",
        {"sites.ams.address": SEALED, "sites.fra.colo.host": SEALED, "sites.fra.networks.lan.cidr": SEALED},
        [
            "sites.ams.address: is encrypted, and is no secret; write it in plain text",
            "sites.fra.colo.host: is encrypted, and is no secret; write it in plain text",
            "sites.fra.networks.lan.cidr: is encrypted, and is no secret; write it in plain text",
        ],
    ),
    (
        "a site that is encrypted as a whole",
        {"sites.ams": SEALED},
        ["sites.ams: is encrypted as a whole; encrypt only the values in it that are secret"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in SECRETS], ids=[row[0] for row in SECRETS])
def test_a_bad_secret_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


@pytest.mark.parametrize(("byte", "bits"), [(0, 1), (0, 2), (0, 4), (31, 0x80), (31, 0x40)])
def test_every_bit_that_clamping_sets_or_clears_counts(byte: int, bits: int) -> None:
    raw = bytearray(base64.b64decode(WIREGUARD_KEY))
    raw[byte] ^= bits
    (fault,) = faults(changed({"sites.ams.private_key": base64.b64encode(raw).decode()}))
    assert fault.message.startswith("the private key is not clamped")


def test_a_wireguard_key_is_refused_in_the_words_that_the_keys_themselves_have() -> None:
    for key in (UNCLAMPED_KEY, WIREGUARD_KEY[:-4], WIREGUARD_KEY[:-2] + "B=", "not base64"):
        with pytest.raises(ValueError, match="key") as refusal:
            PrivateKey.from_base64(key)
        assert [fault.message for fault in faults(changed({"sites.ams.private_key": key}))] == [str(refusal.value)]


def test_a_wireguard_key_may_end_with_a_line_break_as_the_engine_stores_it() -> None:
    key = parse(changed({"sites.ams.private_key": f"{WIREGUARD_KEY}\n"})).site("ams").private_key
    assert key is not None
    assert key.reveal() == WIREGUARD_KEY


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return str(key.private_bytes(Encoding.PEM, form, NoEncryption()).decode())


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(X25519PrivateKey.generate(), id="X25519"),
        pytest.param(X448PrivateKey.generate(), id="X448"),
        pytest.param(Ed448PrivateKey.generate(), id="Ed448"),
        pytest.param(ec.generate_private_key(ec.SECP256K1()), id="secp256k1"),
        pytest.param(ec.generate_private_key(ec.BrainpoolP256R1()), id="brainpoolP256r1"),
        pytest.param(dsa.generate_private_key(1024), id="DSA"),
    ],
)
def test_a_private_key_that_ssh_cannot_use_is_refused(key: Any) -> None:
    assert [str(fault) for fault in faults(changed({"ssh.private_key": pem(key)}))] == [
        "ssh.private_key: is a key of a kind that SSH does not have; make one by 'ssh-keygen -t ed25519' (RSA, and"
        " ECDSA on P-256, P-384 or P-521, are taken as well)"
    ]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(Ed25519PrivateKey.generate(), id="Ed25519"),
        pytest.param(rsa.generate_private_key(65537, 2048), id="RSA"),
        pytest.param(ec.generate_private_key(ec.SECP256R1()), id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(ec.generate_private_key(ec.SECP521R1()), id="P-521"),
    ],
)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.OpenSSH], ids=["PKCS8", "OpenSSH"])
def test_a_private_key_that_ssh_can_use_is_taken(key: Any, form: PrivateFormat) -> None:
    assert faults(changed({"ssh.private_key": pem(key, form)})) == ()


def test_an_openssh_key_with_a_passphrase_is_refused_as_such(tmp_path: Path) -> None:
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", file], check=True)
    (fault,) = faults(changed({"ssh.private_key": file.read_text()}))
    assert "is protected by a passphrase" in fault.message


def test_a_secret_in_plain_text_is_a_fault_of_a_stack_file_only() -> None:
    config = changed({"sites.ams.private_key": WIREGUARD_KEY, "ssh.private_key": SSH_KEY})
    how = (
        "is in plain text; make a new key, since this one may have been seen, and encrypt it:"
        " pulumi config set --path --secret"
    )
    assert [str(fault) for fault in faults(config, stack_file=True)] == [
        f"sites.ams.private_key: {how} 'wireguard-mesh:sites.ams.private_key'",
        f"ssh.private_key: {how} 'wireguard-mesh:ssh.private_key'",
    ]
    assert faults(config) == ()


def test_an_encrypted_secret_stays_encrypted() -> None:
    mesh = parse(changed({"sites.ams.private_key": SEALED, "sites.ams.colo.private_key": SEALED}), stack_file=True)
    key = mesh.site("ams").private_key
    assert key is not None
    assert key.sealed


FIELDS = [
    "mesh",
    "mesh.tunnel",
    "mesh.interface",
    "mesh.mtu",
    "ssh.user",
    "sites.ams",
    "sites.ams.address",
    "sites.ams.endpoint",
    "sites.ams.dns",
    "sites.ams.private_key",
    "sites.ams.colo",
    "sites.ams.colo.host",
    "sites.ams.colo.host_key",
    "sites.ams.colo.private_key",
    "sites.ams.networks",
    "sites.ams.networks.lan.cidr",
    "sites.ams.networks.lan.interface",
    "sites.ams.networks.lan.masquerade",
    "access",
    "access.0",
    "access.0.from",
]
KEYS = {
    "WireGuard": WIREGUARD_KEY,
    "unclamped": UNCLAMPED_KEY,
    "OpenSSH": SSH_KEY,
    "PEM": LOCKED_SSH_KEY,
    "a line of a key": SSH_KEY.splitlines()[2],
    "hexadecimal": base64.b64decode(UNCLAMPED_KEY).hex(),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_a_key_in_the_wrong_place_is_never_shown(field: str, key: str) -> None:
    as_name = json.loads(json.dumps(changed({})).replace('"lan"', json.dumps(key)))
    never_shows(key, changed({field: key}), changed({field: [key, {key: key}]}), as_name)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"sites": {WIREGUARD_KEY: {"aws": False}}}, "machines in clouds (<not shown>) take SSH from nowhere else"),
        ({"groups": {WIREGUARD_KEY: WIREGUARD_KEY}}, "contains itself: <not shown> -> <not shown>"),
    ],
    ids=["a site", "a group"],
)
def test_a_key_in_a_names_place_is_not_shown_by_the_faults_of_others_either(
    sections: dict[str, object], message: str
) -> None:
    texts = [str(fault) for fault in faults(sections)]
    assert any(message in text for text in texts)
    assert not any(WIREGUARD_KEY in text for text in texts)


def never_shows(key: str, *configs: dict[str, Any]) -> None:
    """No report on these configs has a line of the key, nor the middle of one."""
    for config in configs:
        for stack_file in (True, False):
            shown = "\n".join(str(fault) for fault in faults(config, stack_file=stack_file))
            for line in key.splitlines():
                if "PRIVATE" not in line:
                    assert line not in shown
                    assert line[8:24] not in shown
