"""The first boot of a machine in a cloud: what cloud-init does with the user data, as far as gateways get any.

The rest is refused: what the lab would pass over in silence could be wrong for the real one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from lab import gateway
from lab.clouds.model import CloudMachine
from lab.namespaces import LabError, Namespace
from mesh import sshkeys
from mesh.model import IPAddress

_PORT = 22
_FORMS: Mapping[str, type] = {
    "allow_public_ssh_keys": bool,
    "disable_root": bool,
    "ssh_authorized_keys": list,
    "ssh_deletekeys": bool,
    "ssh_keys": dict,
    "ssh_pwauth": bool,
}
_HOST_KEYS = {"ed25519_private", "ed25519_public"}
# cloud-init 22.4, cloudinit/ssh_util.py, DISABLE_USER_OPTS.
_NOT_ROOT = (
    "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,"
    'command="echo \'Please login as the user \\"{user}\\" rather than the user \\"root\\".\';echo;sleep 10;exit 142" '
)


@dataclass(frozen=True, slots=True)
class FirstBoot:
    """What the user data says. `host_key` is the private key as PEM text, None where the machine makes one itself."""

    authorized: tuple[str, ...]
    root: bool
    host_key: str | None

    def __repr__(self) -> str:
        return f"FirstBoot({self.authorized!r}, root={self.root})"

    def keys_of(self, user: str) -> list[str]:
        """The lines of root's authorized_keys beside those of `user`, who logs in with the image's own name."""
        refusal = "" if self.root or user == "root" else _NOT_ROOT.format(user=user)
        return [f"{refusal}{key}" for key in self.authorized]


def read(text: str, handed: Sequence[str] = ()) -> FirstBoot:
    """What a cloud-config tells a gateway; `handed` are the keys from the cloud itself, let in unless it says no.

    Raises LabError where a part is not known here, or has another form.
    """
    if text.split("\n", 1)[0].rstrip() != "#cloud-config":
        raise LabError("user data: the first line is not #cloud-config, and cloud-init would pass over it")
    try:
        told: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The error itself would show a part of the text, which holds a key.
        where = getattr(error, "problem_mark", None)
        raise LabError(f"user data: no YAML{f' (line {where.line + 1})' if where else ''}") from None
    if not isinstance(told, dict):
        raise LabError("user data: not a mapping")
    for key, value in told.items():
        if key not in _FORMS:
            raise LabError(f"user data: the lab's machines do not know {key}")
        if not isinstance(value, _FORMS[key]):
            raise LabError(f"user data: {key} is no {_FORMS[key].__name__}")
    authorized = told.get("ssh_authorized_keys", [])
    if not all(isinstance(key, str) for key in authorized):
        raise LabError("user data: ssh_authorized_keys is no list of strings")
    # cloud-init's own defaults: cloudinit/config/cc_ssh.py, handle.
    keys = (*(handed if told.get("allow_public_ssh_keys", True) else ()), *authorized)
    return FirstBoot(
        tuple(dict.fromkeys(keys)), not told.get("disable_root", True), _host_key(told.get("ssh_keys", {}))
    )


def _host_key(keys: Mapping[str, Any]) -> str | None:
    if not keys:
        return None
    if set(keys) != _HOST_KEYS or not all(isinstance(key, str) for key in keys.values()):
        raise LabError(f"user data: ssh_keys has {', '.join(map(str, keys))}, not {' and '.join(sorted(_HOST_KEYS))}")
    try:
        public = sshkeys.public_key(keys["ed25519_private"])
    except ValueError as error:
        raise LabError(f"user data: ssh_keys.ed25519_private: {error}") from None
    if keys["ed25519_public"].split()[:2] != public.split()[:2]:
        raise LabError("user data: ssh_keys.ed25519_public is not the private key's")
    return str(keys["ed25519_private"])


def boot(namespace: Namespace, machine: CloudMachine, names: Mapping[str, IPAddress]) -> None:
    """Lets the users of a new machine in by SSH, as its user data says. Raises LabError with what is wrong with it."""
    first = read(machine.user_data, machine.keys)
    user = machine.users[0]
    authorized = {each: list(first.authorized) for each in machine.users} | {"root": first.keys_of(user)}
    gateway.resolve_names(namespace, machine.hostname, names)
    gateway.start_sshd(namespace, [_PORT], authorized, first.host_key or gateway.new_key_pair().private)


def boot_again(namespace: Namespace) -> None:
    """What a machine does whenever it boots: it brings up what `host/` left in its files, and lets its users in.

    Raises LabError where something of that fails; the rest is done.
    """
    # As systemd does it: what forwards, and a wg-quick for every tunnel. Nothing else of the files is anybody's here.
    settings = sorted(namespace.path("/etc/sysctl.d").glob("*-wireguard-mesh-*.conf"))
    tunnels = sorted(namespace.path("/etc/wireguard").glob("*.conf"))
    steps = [["sysctl", "-qe", "-p", f"/etc/sysctl.d/{file.name}"] for file in settings]
    failed = []
    for step in [*steps, *(["wg-quick", "up", file.stem] for file in tunnels)]:
        try:
            namespace.run(step)
        except LabError as error:
            failed.append(error)
    gateway.listen(namespace)
    if failed:
        raise failed[0]
