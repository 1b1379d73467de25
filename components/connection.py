"""How the program's remote commands connect: pulumi-command's arguments from a site's SSH settings."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from mesh.model import Secret, Ssh


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a machine that does not answer is tried: (1 + `limit`) dials of at most `seconds` each.

    Between them pulumi-command waits, 0.1 s first and half as long again each time, up to 5 s.
    """

    limit: int
    seconds: int

    @property
    def longest(self) -> float:
        """The time in seconds until it is given up, where no dial is answered."""
        return (1 + self.limit) * self.seconds + sum(min(0.1 * 1.5**number, 5) for number in range(self.limit))


# A host that is down is given up after about a minute. pulumi-command's own defaults take three where packets vanish.
USUAL = Patience(limit=4, seconds=10)
# A machine that boots is silent first, and then refuses. Short dials, so that both are waited for alike: 2:40 at least,
# and never five minutes.
BOOTING = Patience(limit=40, seconds=3)


def connection(ssh: Ssh) -> remote.ConnectionArgs:
    """The connection to a host, through its bastion if it has one. The host key of each is always pinned."""
    proxy = None if ssh.proxy is None else remote.ProxyConnectionArgs(**_hop(ssh.proxy))
    return remote.ConnectionArgs(**_hop(ssh), proxy=proxy)


def machine_connection(
    host: pulumi.Input[str],
    user: pulumi.Input[str],
    host_key: pulumi.Input[str],
    private_key: pulumi.Output[str],
    patience: Patience,
) -> remote.ConnectionArgs:
    """The connection to a machine that the program made. `host_key` is public, `private_key` the operator's."""
    return remote.ConnectionArgs(
        host=host,
        port=22,
        user=user,
        host_key=host_key,
        private_key=private_key,
        dial_error_limit=patience.limit,
        per_dial_timeout=patience.seconds,
    )


def _hop(ssh: Ssh) -> dict[str, Any]:
    return {
        "host": ssh.host,
        "port": ssh.port,
        "user": ssh.user,
        "host_key": ssh.host_key,
        "private_key": _secret(ssh.private_key),
        "dial_error_limit": USUAL.limit,
        "per_dial_timeout": USUAL.seconds,
    }


def _secret(value: Secret | None) -> pulumi.Output[str] | None:
    return None if value is None else pulumi.Output.secret(value.reveal())
