"""First contact with a machine that a cloud makes: its host key is made here and pinned, and its boot is waited for."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pulumi
from pulumi_command import remote

from components.connection import BOOTING, USUAL, machine_connection
from components.keys import host_key
from mesh import cloudinit, sshkeys
from mesh.model import SiteName


class FirstContact:
    """What a site's machine is told at its first boot, `user_data`, and how it is dialled from then on.

    `user_data` is secret, as it holds the host key's private half; `host_key` is the public one, and no secret, and
    `shown_host_key` words in its place while there is none. `root` lets root log in.
    """

    def __init__(
        self, site: SiteName, operator_key: pulumi.Output[str], parent: pulumi.Resource, *, root: bool = False
    ) -> None:
        host = host_key(site, parent)
        self._operator_key = operator_key
        self.host_key: pulumi.Output[str] = pulumi.Output.unsecret(host.secret.apply(sshkeys.public_key))
        self.shown_host_key: pulumi.Output[str] = pulumi.Output.all(self.host_key, host.new).apply(_shown)
        self.user_data: pulumi.Output[str] = pulumi.Output.all(
            host=host.secret, operator=operator_key, root=root
        ).apply(_told)
        self.waiting = pulumi.ResourceHookBinding(
            after_create=[pulumi.ResourceHook(f"{site}-waiting", lambda _: _tell(site))]
        )

    def connections(
        self, host: pulumi.Input[str], user: pulumi.Input[str]
    ) -> tuple[remote.ConnectionArgs, remote.ConnectionArgs]:
        """The usual connection, and the one that waits for a machine that may still boot."""
        usual, booting = (
            machine_connection(host, user, self.host_key, self._operator_key, patience) for patience in (USUAL, BOOTING)
        )
        return usual, booting


def _shown(known: Sequence[Any]) -> str:
    """A preview that would make a key has another one than the `up`, which somebody could take for the machine's."""
    key, new = known
    return "(made by the up)" if new and pulumi.runtime.is_dry_run() else str(key)


def _told(values: Mapping[str, Any]) -> str:
    host, operator, root = cast("tuple[str, str, bool]", (values["host"], values["operator"], values["root"]))
    return cloudinit.user_data(host, sshkeys.public_key(operator), root=root)


def _tell(site: SiteName) -> None:
    """Said only when a machine was really made: each dial that fails shows beside the command meanwhile."""
    minutes = -(-int(BOOTING.longest) // 60)
    pulumi.log.info(f"{site}: its machine is made and boots; it is waited for, {minutes} minutes at most")
