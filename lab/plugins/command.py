"""The stand-in for pulumi-command 1.2.1: both remote resources of the release, `Command` and `CopyToRemote`.

A test double for the lab, to be as strict and as odd as the release, whose source each refusal names
(pulumi/pulumi-command, tag v1.2.1, below provider/pkg/provider). It is stricter in two things: a host key that is not
given is refused, and so are passwords; and where the release would hang for ever (a streamed line of 64 KiB), it fails.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import asyncssh
import grpc

from lab.plugins import copying, ssh
from lab.plugins.base import Provider, Resource, preview_of, unique_id
from lab.plugins.calls import Call, RefusedError
from lab.plugins.serving import serve
from lab.plugins.session import EXTENDED_DATA_STDERR, Finished, Lines, quote, run
from lab.plugins.shapes import ASSET, BOOLEAN, LIST, STRING, STRINGS, Fault, Field, Shape, listing
from lab.plugins.values import Asset, Properties, plain
from lab.plugins.versions import COMMAND

_CONNECTION = Field("connection", ssh.CONNECTION, required=True, secret=True)
_TRIGGERS = Field("triggers", LIST)
COMMAND_INPUTS = Shape(
    "remote.CommandInputs",
    (
        Field("stdin", STRING),
        Field("logging", "remote.Logging"),
        _CONNECTION,
        Field("environment", STRINGS),
        Field("addPreviousOutputInEnv", BOOLEAN),
        _TRIGGERS,
        Field("create", STRING),
        Field("update", STRING),
        Field("delete", STRING),
    ),
)
_OUTPUTS = (Field("stdout", STRING, required=True), Field("stderr", STRING, required=True))
COMMAND_OUTPUTS = Shape("remote.CommandOutputs", COMMAND_INPUTS.fields + _OUTPUTS)
COPY_INPUTS = Shape(
    "remote.CopyToRemoteInputs",
    (
        _CONNECTION,
        _TRIGGERS,
        Field("source", ASSET, required=True),
        Field("remotePath", STRING, required=True),
    ),
)
COPY_OUTPUTS = Shape("remote.CopyToRemoteOutputs", COPY_INPUTS.fields)

NOT_ACCEPTED = """Unable to set '{}'. This only works if your SSH server is configured to accept
\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could
\tprefix the command itself with the variables in the form 'VAR=value command'"""
BROKEN_TEXT = "grpc: error while marshaling: string field contains invalid UTF-8"
LONG_LINE = (
    "a line of 64 KiB or more on a streamed output: the released plugin blocks for ever here (util/util.go, LogOutput);"
    " write shorter lines, or set logging to none"
)


def _fitting(shape: Shape, properties: Properties, prefix: str = "") -> dict[str, Any]:
    """The properties without their secrets' wraps. Raises RefusedError where they do not fit the shape."""
    if faults := shape.faults(properties):
        raise RefusedError(prefix + listing(faults))
    return plain(properties)  # type: ignore[no-any-return]


@contextlib.contextmanager
def _ssh_errors() -> Iterator[None]:
    """What goes wrong on a connection that was made, as a refusal."""
    try:
        yield
    except (asyncssh.Error, OSError) as error:
        raise RefusedError(f"ssh: {error}") from None


class _Remote(Resource):
    """What both resources have in common."""

    replace_on = frozenset({"triggers"})  # common/inputs.go; an element's change replaces only through the SDK's option
    inputs: ClassVar[Shape]

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[Fault]]:  # noqa: ARG002
        faults = self.inputs.faults(inputs)
        complete = self.inputs.complete(inputs, defaults=not faults)
        return complete, faults + ([] if faults else ssh.refusals(complete.get("connection")))


class Command(_Remote):
    """`remote.Command`: remote/commandController.go and remote/commandOutputs.go."""

    inputs, input_names = COMMAND_INPUTS, COMMAND_INPUTS.names

    async def create(self, call: Call, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Runs `create`, where there is one."""
        values = _fitting(COMMAND_INPUTS, inputs, "invalid inputs: ")
        identity, state = unique_id(call.name), inputs | {"stdout": "", "stderr": ""}
        if preview:
            return identity, preview_of(state, "stdout", "stderr")
        if "create" in values:
            state |= await self._run(call, values, values["create"], {})
        return identity, state

    async def update(self, call: Call, state: Properties, inputs: Properties, *, preview: bool) -> Properties:
        """Runs `update`, or else `create`, on the host that the new inputs name; without either, keeps the outputs."""
        old, values = _fitting(COMMAND_OUTPUTS, state), _fitting(COMMAND_INPUTS, inputs)
        new = inputs | {"stdout": state["stdout"], "stderr": state["stderr"]}
        if preview:
            return preview_of(new, "stdout", "stderr") if self.unsettled(state, inputs) else new
        command = values.get("update", values.get("create"))
        return new if command is None else new | await self._run(call, values, command, old)

    async def delete(self, call: Call, state: Properties) -> None:
        """Runs `delete`, where there is one, over the connection that the state names."""
        values = _fitting(COMMAND_OUTPUTS, state)
        if "delete" in values:
            await self._run(call, values, values["delete"], values)

    async def _run(self, call: Call, values: dict[str, Any], command: str, previous: dict[str, Any]) -> Properties:
        """Runs a command over a connection of its own; what it printed, less one line's end. Raises RefusedError."""
        # never closed, as the release never does (commandOutputs.go, run): a host has them all until the engine is done
        connection = await ssh.dial(call, values["connection"])
        log = _Log(call, values.get("logging", "stdoutAndStderr"))
        variables = values.get("environment", {})
        before = previous if values.get("addPreviousOutputInEnv", True) else {}

        async def setenv(accepted: Callable[[str, str], Awaitable[bool]]) -> None:
            for name, value in variables.items():
                if not await accepted(name, value):
                    await call.log("error", NOT_ACCEPTED.format(name))
                    raise RefusedError(f'could not set environment variable "{name}": ssh: setenv failed')
            for name, stream in (("PULUMI_COMMAND_STDOUT", "stdout"), ("PULUMI_COMMAND_STDERR", "stderr")):
                if before.get(stream) and not await accepted(name, before[stream]):
                    await call.log("warning", NOT_ACCEPTED.format(name))

        with _ssh_errors():
            finished = await log.following(run(connection, command, values.get("stdin", ""), setenv, log.streams))
        if finished.failure:
            # whatever `logging` says, the text holds the command and all that it printed
            output = finished.both.decode(errors="replace")
            raise RefusedError(f"{finished.failure}: running {quote(command)}:\n{output}")
        try:
            return {name: getattr(finished, name).decode().removesuffix("\n") for name in ("stdout", "stderr")}
        except UnicodeDecodeError:
            raise RefusedError(BROKEN_TEXT, grpc.StatusCode.INTERNAL) from None


class _Log:
    """Streams what a command prints to the engine: remote/logging.go. A mode that does not exist logs nothing."""

    def __init__(self, call: Call, mode: str) -> None:
        self._call, self._lines = call, Lines()
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        wanted = {None: "stdout", EXTENDED_DATA_STDERR: "stderr"}
        self.streams = {stream: self._feed for stream, name in wanted.items() if mode in {name, "stdoutAndStderr"}}

    def _feed(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            self._queue.put_nowait(line)

    async def _report(self) -> None:
        while (line := await self._queue.get()) is not None:
            await self._call.log("info", line, status=True)

    async def following(self, running: Awaitable[Finished]) -> Finished:
        """The result of the command, once every line is reported. Raises RefusedError for a line that is too long."""
        report = asyncio.create_task(self._report())
        work = asyncio.ensure_future(running)
        too_long = asyncio.create_task(self._lines.too_long.wait())
        try:
            await asyncio.wait({work, too_long}, return_when=asyncio.FIRST_COMPLETED)
            if too_long.done():
                raise RefusedError(LONG_LINE)
            return await work
        finally:
            for task in (work, too_long):
                task.cancel()
            for line in self._lines.rest():
                self._queue.put_nowait(line)
            self._queue.put_nowait(None)
            await report


class CopyToRemote(_Remote):
    """`remote.CopyToRemote`: remote/copyController.go."""

    inputs, input_names = COPY_INPUTS, COPY_INPUTS.names

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[Fault]]:
        """As for every resource, and a source that is one file, text, or archive by its path.

        A source that is not known yet is refused as well, since it is neither: so it cannot be previewed.
        """
        complete, faults = await super().check(call, inputs)
        source = plain(inputs.get("source"))
        if not isinstance(source, Asset):
            faults.append(("asset", "either asset or archive must be set"))
        elif source.kind == "asset" and not source.path and not source.text:
            faults.append(("asset", "asset must be a path-based file asset or a text asset"))
        elif source.kind == "archive" and not source.path:
            faults.append(("archive", "archive must be a path to a file or directory"))
        return complete, faults

    async def create(self, call: Call, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Copies."""
        values = _fitting(COPY_INPUTS, inputs, "invalid inputs: ")
        if preview:
            return "", preview_of(inputs, "source")
        await self._copy(call, values)
        return unique_id(""), inputs

    async def update(self, call: Call, state: Properties, inputs: Properties, *, preview: bool) -> Properties:
        """Copies only where the content or the path is another: a new host, alone, gets nothing."""
        old, values = _fitting(COPY_OUTPUTS, state), _fitting(COPY_INPUTS, inputs)
        if preview:
            return preview_of(inputs, "source") if self.unsettled(state, inputs) else inputs
        if (values["source"].hash, values["remotePath"]) != (old["source"].hash, old["remotePath"]):
            await self._copy(call, values)
        return inputs

    async def _copy(self, call: Call, values: dict[str, Any]) -> None:
        source: Asset = values["source"]
        path, host = values["remotePath"], values["connection"]["host"]
        origin = "text asset" if source.text else f"local file {source.path}"
        await call.log("debug", f"Creating file: {host}:{path} from {origin}")
        connection = await ssh.dial(call, values["connection"])
        with _ssh_errors():
            async with connection:
                await copying.copy(connection, source, path)


def provider() -> Provider:
    """The plugin."""
    return Provider(COMMAND, {"remote:Command": Command(), "remote:CopyToRemote": CopyToRemote()})


def main() -> None:
    """Serves the engine."""
    asyncio.run(serve(provider))
