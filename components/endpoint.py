"""A site's WireGuard endpoint: the three remote commands that put it on a host and confirm it."""

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_command import remote

from components.site import Machine
from mesh.bundle import Bundle
from mesh.commands import AT_CONFIRM, Commands
from mesh.model import Site

# A command's inputs by which it does something.
_ACTING = ("create", "delete", "stdin", "triggers")


class Endpoint(pulumi.ComponentResource):
    """`host` (the helper and its packages), `config` (the bundle), `confirm` (from a connection of its own).

    `helper` is the host program, packed. `bundle` is secret: it holds the site's private key. Nothing is dialled before
    what is in `after` is there. Where the site is paused nothing is dialled at all, neither now nor when it is removed.
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
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("wireguard-mesh:index:Endpoint", name, None, opts)
        self._name, self._paused = name, site.paused
        self._machine, self._commands, self._bundle = machine, commands, bundle
        again = f", again {site.reapply}" if site.reapply else ""
        self.host = self._command(
            "host",
            connection=machine.first_connection,
            create=commands.install,
            delete=commands.remove,
            # A blank machine that took over address and host key would change nothing else here; nor would one that
            # boots once more, and only this command is patient enough for that: the others come after it.
            stdin=pulumi.Output.concat("for machine ", machine.boot, again, "\n", helper),
            # Another interface name is another set of files, chains and units: the old ones go first. Another text of
            # the commands, as a later version of the program has, is no reason to empty a host.
            triggers=[commands.interface],
            depends_on=after,
            delete_before_replace=True,
        )
        self.config = self._command(
            "config",
            connection=machine.connection,
            create=commands.apply,
            stdin=bundle.apply(_text),
            # A host that was emptied and installed again has nothing to go on with until it gets its bundle.
            depends_on=[self.host],
            replace_with=[self.host],
        )

    def finish(self, others: Sequence["Endpoint"], again: pulumi.ResourceHookBinding) -> None:
        """Has the host confirm, once all `others` are ready for it. `again` says when one that failed is repeated.

        Others are waited for only where the host has keys to change: otherwise a dead one would hold up everybody. A
        preview waits for nobody: what others will answer is not known then, and would look like a change here.
        """
        generation = self._bundle.apply(_generation)

        def in_time(known: list[Any]) -> Any:
            told, said = known
            return (
                pulumi.Output.all(*(other.ready() for other in others)).apply(lambda _: told) if _waits(said) else told
            )

        self.confirm = self._command(
            "confirm",
            connection=self._machine.connection,
            create=self._commands.confirm,
            stdin=generation
            if pulumi.runtime.is_dry_run()
            else pulumi.Output.all(generation, self.config.stdout).apply(in_time),
            depends_on=[self.config],
            replace_with=[self.host],
            hooks=again,
        )
        self.register_outputs({})

    def ready(self) -> pulumi.Output[Any]:
        """Known once the host takes other sites by their new keys.

        That is once it has confirmed, or, where it waits for others itself, once it has applied.
        """
        known: pulumi.Output[Any] = self.config.stdout.apply(lambda said: said if _waits(said) else self.confirm.stdout)
        return known

    def _command(self, what: str, *, connection: remote.ConnectionArgs, **settings: Any) -> remote.Command:
        inputs = {key: settings.pop(key) for key in _ACTING if key in settings}
        if self._paused:
            # A command that was never run is made without one, and dials nobody; one that was stays as it is.
            inputs = {}
            settings |= {"ignore_changes": ["connection", *_ACTING], "retain_on_delete": True}
        # Nothing is dialled to clean a machine that goes, with its site or alone. These stay when it is replaced.
        options = pulumi.ResourceOptions(parent=self, deleted_with=self._machine.gone_with, **settings)
        return remote.Command(
            f"{self._name}-{what}",
            connection=connection,
            logging=remote.Logging.NONE,
            add_previous_output_in_env=False,
            opts=options,
            **inputs,
        )


def _waits(said: str | None) -> bool:
    return AT_CONFIRM in (said or "")


def _text(bundle: Bundle) -> str:
    return bundle.text


def _generation(bundle: Bundle) -> str:
    return bundle.generation
