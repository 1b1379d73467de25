"""The ground that stand-ins for provider plugins stand on: the engine's protocol, one resource type to a class."""

import asyncio
import contextlib
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Literal

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from lab.plugins import values
from lab.plugins.values import UNKNOWN, Properties

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

Severity = Literal["debug", "info", "warning", "error"]
SEVERITIES: Mapping[Severity, engine_pb2.LogSeverity.ValueType] = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}


class RefusedError(Exception):
    """The operation failed; the engine shows the text."""

    def __init__(self, text: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(text)
        self.code = code


class Call:
    """One request of the engine: what it can be told meanwhile, and whether it still waits.

    pulumi/pulumi-go-provider v1.3.0, middleware/cancel/cancel.go: a call ends early when its time is over or the engine
    says Cancel, and every call after a Cancel is over from the start. Only waiting notices; a running command does not.
    """

    def __init__(
        self, urn: str, engine: engine_pb2_grpc.EngineStub | None, cancelled: asyncio.Event, timeout: float
    ) -> None:
        self.urn, self.name = urn, urn.rpartition("::")[2]
        self._engine, self._cancelled = engine, cancelled
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + int(timeout) if timeout else None

    async def log(self, severity: Severity, text: str, *, status: bool = False) -> None:
        """Shows a line beside the resource; a status only until the next one comes."""
        if self._engine is None or self._over() is not None:
            return
        request = engine_pb2.LogRequest(
            severity=SEVERITIES[severity],
            message=text,
            urn=self.urn,
            ephemeral=status,
        )
        with contextlib.suppress(grpc.RpcError):
            await self._engine.Log(request)

    def _over(self) -> RefusedError | None:
        if self._cancelled.is_set():
            return RefusedError("context canceled", grpc.StatusCode.CANCELLED)
        if self._end is not None and self._loop.time() >= self._end:
            return RefusedError("context deadline exceeded", grpc.StatusCode.DEADLINE_EXCEEDED)
        return None

    async def pause(self, seconds: float) -> None:
        """Waits. Raises RefusedError at once where the call is over, or as soon as it is."""
        if self._end is not None:
            seconds = min(seconds, self._end - self._loop.time())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cancelled.wait(), max(seconds, 0))
        if over := self._over():
            raise over


class Resource:
    """One resource type. Subclasses refuse, create, update and delete; inputs and states keep their secrets wrapped."""

    input_names: ClassVar[frozenset[str]]
    replace_on: ClassVar[frozenset[str]] = frozenset()  # property paths whose change replaces the resource

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[tuple[str, str]]]:  # noqa: ARG002
        """The inputs with defaults, and what is wrong with them as (property, reason)."""
        return inputs, []

    async def create(self, call: Call, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """The new resource's id and state. Raises RefusedError."""
        raise NotImplementedError

    async def update(self, call: Call, state: Properties, inputs: Properties, *, preview: bool) -> Properties:
        """The new state. Raises RefusedError."""
        raise NotImplementedError

    async def delete(self, call: Call, state: Properties) -> None:
        """Removes the resource. Raises RefusedError."""

    async def read(self, call: Call, state: Properties) -> Properties:  # noqa: ARG002
        """The state as it is now; by default what the engine believes."""
        return state

    def unsettled(self, state: Properties, inputs: Properties) -> bool:
        """True where a previewed update may change outputs.

        pulumi/pulumi-go-provider v1.3.0, infer/resource.go, markComputed: that is where an input is unknown, or differs
        from what the state has of it; an input that is only added does not count.
        """
        return any(
            values.unknown(inputs.get(name)) or (name in state and inputs.get(name) != state[name])
            for name in self.input_names
        )


def unique_id(prefix: str) -> str:
    """An id as pulumi/pulumi v3.224.0 makes it, sdk/go/common/resource/resource_id.go, NewUniqueHex: 8 hex digits."""
    return prefix + secrets.token_hex(4)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """A plugin as the engine sees it. `resources` by type, as in `remote:Command`; what is not there does not exist.

    Handshake, DiffConfig, Parameterize, Call and Construct answer "unimplemented", which the engine expects.
    """

    def __init__(self, version: str, resources: Mapping[str, Resource]) -> None:
        self.version, self.resources = version, resources
        self.engine: engine_pb2_grpc.EngineStub | None = None
        self._cancelled = asyncio.Event()

    async def _answer(self, request: Any, context: Any, answer: Callable[[Resource, Call], Awaitable[Any]]) -> Any:
        """Finds the resource type that a request is about, and turns RefusedError into the protocol's error."""
        token = re.sub(r"^[^:]+:([^:/]+)(/[^:]*)?:", r"\1:", request.urn.split("::")[2].rpartition("$")[2])
        resource = self.resources.get(token)
        if resource is None:
            return await context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{token}' not found")
        call = Call(request.urn, self.engine, self._cancelled, getattr(request, "timeout", 0))
        try:
            return await answer(resource, call)
        except RefusedError as error:
            await context.abort(error.code, str(error))

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """The version that this stands in for."""
        return plugin_pb2.PluginInfo(version=self.version)

    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Accepts every provider configuration."""
        return provider_pb2.CheckResponse(inputs=request.news)

    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Says what the plugin understands."""
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True
        )

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuses bad inputs, fills in defaults, marks what is always secret."""

        async def answer(resource: Resource, call: Call) -> Any:
            inputs, faults = await resource.check(call, values.decode(request.news))
            failures = [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in faults]
            return provider_pb2.CheckResponse(inputs=values.encode(inputs), failures=failures)

        return await self._answer(request, context, answer)

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compares old and new inputs, never the state (pulumi/pulumi-go-provider v1.3.0, infer/resource.go, diff)."""

        async def answer(resource: Resource, call: Call) -> Any:  # noqa: ARG001
            old, state = values.decode(request.old_inputs), values.decode(request.olds)
            new = _ignoring(request, state, values.decode(request.news))
            new = {key: value for key, value in new.items() if key != "version" and not key.startswith("__")}
            return _difference(values.differences(old, new), resource.replace_on)

        return await self._answer(request, context, answer)

    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Creates, or says what creating would give."""

        async def answer(resource: Resource, call: Call) -> Any:
            inputs = values.decode(request.properties)
            identity, state = await resource.create(call, inputs, preview=request.preview)
            return provider_pb2.CreateResponse(id=identity, properties=values.encode(state))

        return await self._answer(request, context, answer)

    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Updates, or says what updating would give."""

        async def answer(resource: Resource, call: Call) -> Any:
            state = values.decode(request.olds)
            inputs = _ignoring(request, state, values.decode(request.news))
            state = await resource.update(call, state, inputs, preview=request.preview)
            return provider_pb2.UpdateResponse(properties=values.encode(state))

        return await self._answer(request, context, answer)

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Deletes."""

        async def answer(resource: Resource, call: Call) -> Any:
            await resource.delete(call, values.decode(request.properties))
            return empty_pb2.Empty()

        return await self._answer(request, context, answer)

    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Reads the state back."""

        async def answer(resource: Resource, call: Call) -> Any:
            state = await resource.read(call, values.decode(request.properties))
            return provider_pb2.ReadResponse(id=request.id, properties=values.encode(state), inputs=request.inputs)

        return await self._answer(request, context, answer)

    async def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Ends what waits."""
        self._cancelled.set()
        return empty_pb2.Empty()


def _ignoring(request: Any, state: Properties, inputs: Properties) -> Properties:
    return inputs | {key: state[key] for key in request.ignoreChanges if key in state}


def _difference(changes: Mapping[str, values.Change], replace_on: frozenset[str]) -> Any:
    detailed, replaces = {}, set()
    for path, change in changes.items():
        kind = change.upper()
        if path in replace_on:
            kind += "_REPLACE"
            replaces.add(path)
        detailed[path] = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(kind))
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
        detailedDiff=detailed,
        hasDetailedDiff=True,
        replaces=sorted(replaces),
        diffs=sorted({re.split(r"[.\[]", path)[0] for path in changes}),
    )


def preview_of(state: Properties, *names: str) -> Properties:
    """The state with these outputs unknown."""
    return state | dict.fromkeys(names, UNKNOWN)


async def _until_closed(channel: grpc.aio.Channel) -> None:
    """Returns when the engine is gone: a plugin outlived a killed engine before."""
    while (state := channel.get_state(try_to_connect=True)) not in (
        grpc.ChannelConnectivity.TRANSIENT_FAILURE,
        grpc.ChannelConnectivity.SHUTDOWN,
    ):
        await channel.wait_for_state_change(state)


async def serve(make: Callable[[], Provider]) -> None:
    """Serves until the engine, whose address is the only argument, closes; prints the port on the first line."""
    provider = make()
    server = grpc.aio.server(options=UNLIMITED)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not addresses:
        print(port, flush=True)
        await server.wait_for_termination()
        return
    async with grpc.aio.insecure_channel(addresses[0], options=UNLIMITED) as channel:
        provider.engine = engine_pb2_grpc.EngineStub(channel)
        print(port, flush=True)
        await _until_closed(channel)
    await server.stop(None)
