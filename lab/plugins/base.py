"""The ground that stand-ins for provider plugins stand on: the engine's protocol, one resource type to a class."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar, TypeAlias

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from lab.plugins import values
from lab.plugins.calls import Call, RefusedError
from lab.plugins.values import UNKNOWN, Properties

# A data source: from its arguments to its result. Raises RefusedError.
Function: TypeAlias = Callable[[Call, Properties], Awaitable[Properties]]


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

    async def read(self, call: Call, state: Properties) -> Properties | None:  # noqa: ARG002
        """The state as it is now, by default what the engine believes; None where the resource is gone."""
        return state

    def inputs_read(self, inputs: Properties, state: Properties) -> Properties:  # noqa: ARG002
        """The inputs that would give a state that was read; by default those that the engine has."""
        return inputs

    def differences(self, state: Properties, old: Properties, new: Properties) -> dict[str, values.Change]:  # noqa: ARG002
        """What changed, by property path; by default old against new inputs, never the state.

        As in pulumi/pulumi-go-provider v1.3.0, infer/resource.go, diff.
        """
        new = {key: value for key, value in new.items() if key != "version" and not key.startswith("__")}
        return values.differences(old, new)

    def replaces(self, path: str) -> bool:
        """Whether a change at this path replaces the resource."""
        return path in self.replace_on

    def replacing(self, changes: Mapping[str, values.Change], new: Properties) -> set[str]:  # noqa: ARG002
        """Those of the changes that replace the resource, where it takes all of them, or the new inputs, to tell."""
        return {path for path in changes if self.replaces(path)}

    def deletes_first(self, old: Properties, new: Properties) -> bool:  # noqa: ARG002
        """Whether a resource that is replaced has to be gone before the new one is made."""
        return False

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

    `functions` likewise, as in `ec2:getAmi`. `config` is the provider's own configuration, an explicit provider's too:
    each has a process. Handshake, DiffConfig, Parameterize, Call and Construct answer "unimplemented", which the engine
    expects.
    """

    def __init__(
        self, version: str, resources: Mapping[str, Resource], functions: Mapping[str, Function] | None = None
    ) -> None:
        self.version, self.resources, self.functions = version, resources, functions or {}
        self.config: Properties = {}
        self.engine: engine_pb2_grpc.EngineStub | None = None
        self._cancelled = asyncio.Event()

    def config_faults(self, config: Properties) -> list[tuple[str, str]]:  # noqa: ARG002
        """What is wrong with a provider's configuration, as (property, reason); by default nothing is."""
        return []

    async def _answer(self, request: Any, context: Any, answer: Callable[[Resource, Call], Awaitable[Any]]) -> Any:
        """Finds the resource type that a request is about, and turns RefusedError into the protocol's error."""
        token = _short(request.urn.split("::")[2].rpartition("$")[2])
        resource = self.resources.get(token)
        if resource is None:
            return await context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{token}' not found")
        try:
            return await answer(resource, self._call(request.urn, request))
        except RefusedError as error:
            await context.abort(error.code, str(error))

    def _call(self, urn: str, request: Any) -> Call:
        timeout, identity = getattr(request, "timeout", 0), getattr(request, "id", "")
        return Call(urn, self.engine, self._cancelled, timeout, identity=identity, config=self.config)

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """The version that this stands in for."""
        return plugin_pb2.PluginInfo(version=self.version)

    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Refuses a bad provider configuration."""
        faults = self.config_faults(values.decode(request.news))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(faults))

    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Takes the provider's configuration, and says what the plugin understands."""
        self.config = values.decode(request.args)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True
        )

    async def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Reads a data source."""
        function = self.functions.get(_short(request.tok))
        if function is None:
            return await context.abort(grpc.StatusCode.NOT_FOUND, f"Function '{request.tok}' not found")
        try:
            result = await function(self._call("", request), values.decode(request.args))
        except RefusedError as error:
            return await context.abort(error.code, str(error))
        return provider_pb2.InvokeResponse(**{"return": values.encode(result)})

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuses bad inputs, fills in defaults, marks what is always secret."""

        async def answer(resource: Resource, call: Call) -> Any:
            call.old_inputs = values.decode(request.olds)
            inputs, faults = await resource.check(call, values.decode(request.news))
            return provider_pb2.CheckResponse(inputs=values.encode(inputs), failures=_failures(faults))

        return await self._answer(request, context, answer)

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Says what changed, and what of it replaces the resource."""

        async def answer(resource: Resource, call: Call) -> Any:  # noqa: ARG001
            old, state = values.decode(request.old_inputs), values.decode(request.olds)
            new = _ignoring(request, state, values.decode(request.news))
            changes = resource.differences(state, old, new)
            found = _difference(changes, resource.replacing(changes, new))
            found.deleteBeforeReplace = bool(found.replaces) and resource.deletes_first(old, new)
            return found

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
            if state is None:
                return provider_pb2.ReadResponse()
            inputs = resource.inputs_read(values.decode(request.inputs), state)
            return provider_pb2.ReadResponse(
                id=request.id, properties=values.encode(state), inputs=values.encode(inputs)
            )

        return await self._answer(request, context, answer)

    async def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Ends what waits."""
        self._cancelled.set()
        return empty_pb2.Empty()


def _ignoring(request: Any, state: Properties, inputs: Properties) -> Properties:
    return inputs | {key: state[key] for key in request.ignoreChanges if key in state}


def _short(token: str) -> str:
    """`aws:ec2/vpc:Vpc` as `ec2:Vpc`."""
    return re.sub(r"^[^:]+:([^:/]+)(/[^:]*)?:", r"\1:", token)


def _failures(faults: list[tuple[str, str]]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in faults]


def _difference(changes: Mapping[str, values.Change], replacing: Collection[str]) -> Any:
    detailed, replaces = {}, set()
    for path, change in changes.items():
        kind = change.upper()
        if path in replacing:
            kind += "_REPLACE"
            replaces.add(re.split(r"[.\[]", path)[0])
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
