"""What a machine with sshd gets: names, users and keys in its own /etc, and a running sshd."""

import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lab.namespaces import LabError, Namespace
from mesh.model import IPAddress

_SSHD_CONFIG = """\
# Made for the lab. An engine opens dozens of connections at once (MaxStartups).
{ports}
HostKey /etc/ssh/lab/host_key
AuthorizedKeysFile /etc/ssh/lab/authorized_keys/%u
PidFile /run/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 500
MaxSessions 100
PrintMotd no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key in OpenSSH's formats: the private key's PEM text, and the public key's one line."""

    private: str
    public: str

    def __repr__(self) -> str:
        return f"KeyPair({self.public!r})"


def new_key_pair() -> KeyPair:
    """A new key without passphrase."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode())


def resolve_names(namespace: Namespace, own: str, names: Mapping[str, IPAddress]) -> None:
    """Makes /etc/hosts with `names`, and its `own`, the only source of names in a namespace with an /etc of its own."""
    lines = [f"127.0.0.1 localhost {own}", "::1 localhost", *(f"{address} {name}" for name, address in names.items())]
    namespace.write("/etc/hosts", "".join(f"{line}\n" for line in lines))
    namespace.write("/etc/resolv.conf", "# The lab has no name server; /etc/hosts has the names of the config.\n")
    switch = namespace.path("/etc/nsswitch.conf")
    others = (
        [line for line in switch.read_text().splitlines() if not line.startswith("hosts:")] if switch.exists() else []
    )
    namespace.write("/etc/nsswitch.conf", "".join(f"{line}\n" for line in [*others, "hosts: files"]))


def admit(namespace: Namespace, user: str) -> None:
    """Makes `user` one who can log in with a key, and, other than root, become root by sudo without a password."""
    passwd = _entries(namespace, "/etc/passwd")
    shadow = _entries(namespace, "/etc/shadow")
    if user not in passwd:
        number = str(max(int(entry[2]) for entry in passwd.values() if int(entry[2]) < 60000) + 1)
        passwd[user] = [user, "x", number, number, "", f"/home/{user}", "/bin/sh"]
        group = _entries(namespace, "/etc/group")
        group.setdefault(user, [user, "x", number, ""])
        _save(namespace, "/etc/group", group, 0o644)
    # Without PAM, sshd takes "!" for a locked account; "*" is no password, and open to keys.
    shadow[user] = [user, "*", "19000", "0", "99999", "7", "", "", ""]
    _save(namespace, "/etc/passwd", passwd, 0o644)
    _save(namespace, "/etc/shadow", shadow, 0o640)
    if user != "root":
        home = namespace.path(passwd[user][5])
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        namespace.run(["chown", f"{passwd[user][2]}:{passwd[user][3]}", passwd[user][5]])
        namespace.write(f"/etc/sudoers.d/{_file_name(user)}", f"{user} ALL=(ALL:ALL) NOPASSWD: ALL\n", mode=0o440)


def _entries(namespace: Namespace, path: str) -> dict[str, list[str]]:
    lines = namespace.path(path).read_text().splitlines()
    return {fields[0]: fields for fields in (line.split(":") for line in lines) if len(fields) > 3}


def _save(namespace: Namespace, path: str, entries: Mapping[str, list[str]], mode: int) -> None:
    namespace.write(path, "".join(f"{':'.join(fields)}\n" for fields in entries.values()), mode=mode)


def _file_name(user: str) -> str:
    """sudo passes over files whose names have a dot."""
    return "lab-" + re.sub(r"[^A-Za-z0-9-]", "-", user)


def start_sshd(
    namespace: Namespace, ports: Iterable[int], authorized: Mapping[str, Sequence[str]], host_key: str
) -> None:
    """Starts sshd with this private host key, and returns when it listens.

    `authorized` are the users that it lets in, each with the lines of an authorized_keys file.
    """
    for user, keys in authorized.items():
        admit(namespace, user)
        namespace.write(f"/etc/ssh/lab/authorized_keys/{user}", "".join(f"{key}\n" for key in keys))
    namespace.write("/etc/ssh/lab/host_key", host_key, mode=0o600)
    config = _SSHD_CONFIG.format(ports="\n".join(f"Port {port}" for port in ports))
    if _sshd_version() >= (9, 8):
        config += "PerSourcePenalties no\n"  # the lab's operator is every client, and is told no on purpose in tests
    namespace.write("/etc/ssh/lab/sshd_config", config)
    listen(namespace)


def listen(namespace: Namespace) -> None:
    """Starts sshd as `start_sshd` did before the machine was booted again, and returns when it listens."""
    namespace.run(["/usr/sbin/sshd", "-f", "/etc/ssh/lab/sshd_config", "-E", "/run/sshd.log"])
    # sshd goes to the background before it listens, and writes its process id after.
    deadline = time.monotonic() + 20
    while not namespace.path("/run/sshd.pid").exists():
        if time.monotonic() > deadline:
            log = namespace.path("/run/sshd.log")
            raise LabError(f"{namespace.name}: sshd does not listen: {log.read_text() if log.exists() else 'no log'}")
        time.sleep(0.01)


def replace_host_key(namespace: Namespace, host_key: str) -> None:
    """Ends the sshd that listens, and starts it with another host key; sessions that are open go on."""
    namespace.write("/etc/ssh/lab/host_key", host_key, mode=0o600)
    namespace.run(["sh", "-c", "kill -KILL $(cat /run/sshd.pid) && rm /run/sshd.pid"])
    listen(namespace)


@cache
def _sshd_version() -> tuple[int, int]:
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)
