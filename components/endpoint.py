"""A site's WireGuard endpoint: the three remote commands that put it on a host and confirm it."""

from collections.abc import Sequence
from functools import partial

import pulumi
from pulumi_command import remote

from components.site import Machine
from mesh.bundle import Bundle
from mesh.commands import Commands


class Endpoint(pulumi.ComponentResource):
    """`host` (the helper and its packages), `config` (the bundle), `confirm` (from a connection of its own).

    `helper` is the host program's text. `bundle` is secret: it holds the site's private key. Nothing is dialled before
    what is in `after` is there. `again` says when a `confirm` that failed is repeated.
    """

    def __init__(
        self,
        name: str,
        *,
        machine: Machine,
        after: Sequence[pulumi.Resource],
        commands: Commands,
        helper: str,
        bundle: pulumi.Output[Bundle],
        again: pulumi.ResourceHookBinding,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("wireguard-mesh:index:Endpoint", name, None, opts)
        command = partial(remote.Command, logging=remote.Logging.NONE, add_previous_output_in_env=False)
        # Nothing is dialled to clean a machine that goes, with its site or alone. These stay when it is replaced.
        options = partial(pulumi.ResourceOptions, parent=self, deleted_with=machine.gone_with)
        self.host = command(
            f"{name}-host",
            connection=machine.first_connection,
            create=commands.install,
            delete=commands.remove,
            # A blank machine that took over address and host key would change nothing else here; nor would one that
            # boots once more, and only this command is patient enough for that: the others come after it.
            stdin=pulumi.Output.concat(helper, "# for machine ", machine.boot, "\n"),
            # Another interface name is another set of files, chains and units: the old ones go first.
            opts=options(depends_on=after, delete_before_replace=True, replace_on_changes=["delete"]),
        )
        self.config = command(
            f"{name}-config",
            connection=machine.connection,
            create=commands.apply,
            stdin=bundle.apply(_text),
            # A host that was emptied and installed again has nothing to go on with until it gets its bundle.
            opts=options(depends_on=[self.host], replace_with=[self.host]),
        )
        self.confirm = command(
            f"{name}-confirm",
            connection=machine.connection,
            create=commands.confirm,
            stdin=bundle.apply(_generation),
            opts=options(depends_on=[self.config], replace_with=[self.host], hooks=again),
        )
        self.register_outputs({})


def _text(bundle: Bundle) -> str:
    return bundle.text


def _generation(bundle: Bundle) -> str:
    return bundle.generation
