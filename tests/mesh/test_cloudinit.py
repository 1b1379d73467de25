"""The texts for cloud-init: a machine that took them shows the pinned key, and lets in the operator and no other."""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mesh import sshkeys
from mesh.cloudinit import routes, user_data

SSHD = shutil.which("sshd", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/bin")
HOST, OPERATOR, STRANGER = (sshkeys.generate() for _ in range(3))
OPERATOR_PUBLIC = sshkeys.public_key(OPERATOR)
# What EC2 takes at most: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
EC2_BYTES = 16 * 1024
TOLD = {
    "ssh_deletekeys": True,
    "ssh_keys": {"ed25519_private": HOST, "ed25519_public": sshkeys.public_key(HOST)},
    "ssh_authorized_keys": [OPERATOR_PUBLIC],
    "allow_public_ssh_keys": False,
    "disable_root": True,
    "ssh_pwauth": False,
}
# sshd(8) as inetd starts it needs no port. As root it wants a folder in /run, and a root who is not locked; this
# machine's own files are hidden for that, and stay as they are.
HIDE = (
    "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && "
    "echo 'root:*:19000:0:99999:7:::' >/run/shadow && mount --bind /run/shadow /etc/shadow && exec "
)


def read(text: str) -> Any:
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


@dataclass(frozen=True)
class Machine:
    """What cloud-init's module cc_ssh makes of a user data: host keys and authorized keys, in files."""

    folder: Path

    def take(self, text: str) -> None:
        told = read(text)
        self._file("host_key", told["ssh_keys"]["ed25519_private"])
        self._file("host_key.pub", told["ssh_keys"]["ed25519_public"])
        self._file("authorized_keys", "\n".join(told["ssh_authorized_keys"]) + "\n")

    def login(self, host_key: str, private: str) -> tuple[int, str]:
        """What ssh says: with that key pinned, and that one of the operator's."""
        settings = f"HostKey {self.folder}/host_key", f"AuthorizedKeysFile {self.folder}/authorized_keys"
        self._file("sshd_config", "\n".join((*settings, "StrictModes no", "UsePAM no", "PermitRootLogin yes", "")))
        self._file("known_hosts", f"machine {host_key}\n")
        self._file("identity", private)
        server = f"{SSHD} -i -e -f {shlex.quote(str(self.folder))}/sshd_config"
        if os.geteuid() == 0:
            server = f"unshare --mount sh -c {shlex.quote(HIDE + server)}"
        options = {
            "ProxyCommand": server,
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentityFile": self.folder / "identity",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
        }
        command = ["ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())]
        done = subprocess.run(
            [*command, "machine", "true"], capture_output=True, text=True, check=False, timeout=30, cwd=self.folder
        )
        return done.returncode, done.stderr

    def _file(self, name: str, text: str) -> None:
        file = self.folder / name
        file.touch(0o600)
        file.write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_gets_its_host_key_and_the_operators_key_and_nothing_else() -> None:
    assert read(user_data(HOST, OPERATOR_PUBLIC)) == TOLD


def test_root_may_log_in_only_where_the_image_is_made_for_that() -> None:
    assert read(user_data(HOST, OPERATOR_PUBLIC, root=True)) == {**TOLD, "disable_root": False}


@pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None,
    reason="needs sshd and ssh, of the packages openssh-server and openssh-client",
)
def test_the_machines_own_sshd_shows_the_host_key_and_lets_the_operator_in_and_no_other(machine: Machine) -> None:
    machine.take(user_data(HOST, OPERATOR_PUBLIC))
    status, said = machine.login(sshkeys.public_key(HOST), OPERATOR)
    assert status == 0, said
    status, said = machine.login(sshkeys.public_key(HOST), STRANGER)
    assert status == 255
    assert "Permission denied (publickey" in said
    status, said = machine.login(sshkeys.public_key(STRANGER), OPERATOR)
    assert status == 255
    assert "Host key verification failed" in said


def test_the_same_keys_give_the_same_text_however_the_file_ends() -> None:
    assert user_data(HOST.strip(), OPERATOR_PUBLIC) == user_data(HOST + "\n", OPERATOR_PUBLIC)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP521R1()])
def test_a_host_key_of_another_kind_is_refused(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    with pytest.raises(ValueError, match="another kind than ed25519"):
        user_data(key.decode(), OPERATOR_PUBLIC)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-ed25519",
        OPERATOR,
        OPERATOR_PUBLIC + "\nruncmd: [reboot]",
        OPERATOR_PUBLIC + "\n",
        OPERATOR_PUBLIC + " # comment",
        'command="true" ' + OPERATOR_PUBLIC,
    ],
    ids=["nothing", "type alone", "private", "more lines", "end of line", "comment", "options"],
)
def test_an_authorized_key_that_is_more_than_a_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match=r"^the authorized key is not written as `type base64`$"):
        user_data(HOST, key)


def test_the_largest_key_that_openssh_takes_fits_into_what_ec2_takes() -> None:
    # SSHBUF_MAX_BIGNUM of OpenSSH's sshbuf.h: 16384 bits.
    largest = rsa.RSAPublicNumbers(65537, (1 << 16384) - 1).public_key()
    text = user_data(HOST, largest.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
    assert 3_000 < len(text.encode()) < EC2_BYTES / 2


def commands(text: str) -> list[str]:
    """The commands that the unit of a routes' text runs at every boot."""
    (file,) = read(text)["write_files"]
    return [line.removeprefix("ExecStart=") for line in file["content"].splitlines() if line.startswith("ExecStart=")]


def test_other_machines_get_the_routes_that_they_need_at_every_boot() -> None:
    text = routes([ip_network("10.10.0.0/16"), ip_network("192.168.122.0/24")], "10.40.0.2")
    told = read(text)
    (file,) = told["write_files"]
    assert file["path"] == "/etc/systemd/system/wireguard-mesh-routes.service"
    assert "WantedBy=multi-user.target" in file["content"].splitlines()
    assert told["runcmd"][-1] == ["systemctl", "enable", "--now", "wireguard-mesh-routes.service"]
    assert commands(text) == [
        "/sbin/ip route replace 10.10.0.0/16 via 10.40.0.2",
        "/sbin/ip route replace 192.168.122.0/24 via 10.40.0.2",
    ]


def test_prefixes_that_the_gateway_has_no_address_for_are_left_out() -> None:
    both = [ip_network("10.10.0.0/16"), ip_network("fd00:10::/64")]
    assert commands(routes(both, "10.40.0.2")) == ["/sbin/ip route replace 10.10.0.0/16 via 10.40.0.2"]
    assert commands(routes(both, "fd00::2")) == ["/sbin/ip route replace fd00:10::/64 via fd00::2"]
    assert routes(both[1:], "10.40.0.2") == ""
    assert routes([], "10.40.0.2") == ""


@given(st.integers(0, 2**20 - 1), st.integers(1, 40))
def test_every_prefix_gets_one_command_in_the_order_given(start: int, count: int) -> None:
    prefixes = [ip_network(((10 << 24) + ((start + number) << 4), 28)) for number in range(count)]
    assert [command.split()[3] for command in commands(routes(prefixes, "10.40.0.2"))] == [
        str(prefix) for prefix in prefixes
    ]
