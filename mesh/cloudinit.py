"""What machines in clouds are told at their first boot: their host key, who may log in, and elsewhere the routes."""

import json
import re
from collections.abc import Sequence
from ipaddress import ip_address
from textwrap import indent

from mesh import sshkeys
from mesh.model import IPNetwork

# cloud-init is told by the first line that this is a cloud-config, and reads YAML.
_HEADER = "#cloud-config\n"

# What these do: cloudinit/config/cc_ssh.py, handle, in 22.4.2 (Debian 12), 24.1.3 and 25.3 (Ubuntu 24.04) alike.
# `ssh_deletekeys` removes the host keys that the image has, and others are made only where `ssh_keys` gives none.
# `allow_public_ssh_keys: false` leaves out the keys that the cloud itself hands over. With `disable_root: true`, root's
# copy of the authorized key only tells to log in as the default user.
_USER_DATA = """\
ssh_deletekeys: true
ssh_keys:
  ed25519_private: |
{private}
  ed25519_public: {public}
ssh_authorized_keys:
  - {authorized}
allow_public_ssh_keys: false
disable_root: {disable_root}
ssh_pwauth: false
"""

_UNIT = """\
[Unit]
Description=Routes to the other sites of the mesh
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
Restart=on-failure
RestartSec=5
{commands}

[Install]
WantedBy=multi-user.target
"""

_ROUTES = """\
write_files:
  - path: /etc/systemd/system/wireguard-mesh-routes.service
    content: |
{unit}
runcmd:
  - [systemctl, daemon-reload]
  - [systemctl, enable, --now, wireguard-mesh-routes.service]
"""


def user_data(host_key: str, authorized_key: str, *, root: bool = False) -> str:
    """The cloud-config of a gateway: its SSH host key and no other, and the key that may log in.

    `host_key` is an Ed25519 private key, `authorized_key` a public one as `type base64`. It is the default user's, who
    may sudo without a password (`admin` in Debian's images, `ubuntu` in Ubuntu's); with `root`, root's as well, as
    DigitalOcean's images have it. Nobody logs in with a password. The same keys give the same text, which is a secret
    as the host key is. Raises ValueError for keys of other forms, without showing them.
    """
    public = sshkeys.public_key(host_key)
    if not public.startswith("ssh-ed25519 "):
        raise ValueError("the host key is of another kind than ed25519")
    if not re.fullmatch(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+=*", authorized_key):
        raise ValueError("the authorized key is not written as `type base64`")
    return _HEADER + _USER_DATA.format(
        private=indent(host_key.strip(), "    "),
        public=public,
        authorized=authorized_key,
        disable_root=json.dumps(not root),
    )


def routes(routes: Sequence[IPNetwork], gateway: str) -> str:
    """A cloud-config for the other machines of a network that has no route tables: how to reach these prefixes.

    It leaves a unit that sets the routes at every boot. `gateway` is the address of the site's gateway in that network:
    by which interface it is reached every machine knows itself. Prefixes of the other version of IP cannot be reached
    by it, and are left out. Without any prefix there is nothing to say, and the text is empty.
    """
    version = ip_address(gateway).version
    commands = [
        f"ExecStart=/sbin/ip route replace {prefix} via {gateway}" for prefix in routes if prefix.version == version
    ]
    if not commands:
        return ""
    unit = _UNIT.format(commands="\n".join(commands))
    return _HEADER + _ROUTES.format(unit=indent(unit.strip(), "      "))
