"""How the program's remote commands connect: pulumi-command's arguments from a site's SSH settings."""

from typing import Any

import pulumi
from pulumi_command import remote

from mesh.model import Secret, Ssh

# A host that is down is given up after about a minute: (1 + limit) dials of at most this many seconds each.
# pulumi-command's own defaults take three minutes where packets vanish.
DIAL_ERROR_LIMIT = 4
PER_DIAL_TIMEOUT = 10


def connection(ssh: Ssh) -> remote.ConnectionArgs:
    """The connection to a host, through its bastion if it has one. The host key of each is always pinned."""
    proxy = None if ssh.proxy is None else remote.ProxyConnectionArgs(**_hop(ssh.proxy))
    return remote.ConnectionArgs(**_hop(ssh), proxy=proxy)


def _hop(ssh: Ssh) -> dict[str, Any]:
    return {
        "host": ssh.host,
        "port": ssh.port,
        "user": ssh.user,
        "host_key": ssh.host_key,
        "private_key": _secret(ssh.private_key),
        "dial_error_limit": DIAL_ERROR_LIMIT,
        "per_dial_timeout": PER_DIAL_TIMEOUT,
    }


def _secret(value: Secret | None) -> pulumi.Output[str] | None:
    return None if value is None else pulumi.Output.secret(value.reveal())
