"""A bench for a provider plugin: an engine that only listens, and what the real one would ask the plugin."""

import os
import subprocess
import time
from collections.abc import Mapping
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from tests.lab.plugins.stage import Namespace, Sshd

Properties = dict[str, Any]


def struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(properties), struct_pb2.Struct())


@dataclass
class Engine(engine_pb2_grpc.EngineServicer):
    """An engine as a plugin sees it. `logs` is what the plugin reported: (severity, is it a status, text)."""

    logs: list[tuple[str, bool, str]] = field(default_factory=list)

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self.logs.append((engine_pb2.LogSeverity.Name(request.severity), request.ephemeral, request.message))
        return empty_pb2.Empty()


class CallError(Exception):
    """What a plugin answered instead of a result: gRPC's status code, and the text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


class Plugin:
    """A running plugin, asked the way the engine asks. Properties are in the wire's form, secrets wrapped."""

    def __init__(self, namespace: Namespace, program: Path, environment: Mapping[str, str] | None = None) -> None:
        socket = namespace.directory / f"engine-{time.monotonic_ns()}"
        self.engine = Engine()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self.engine, self._server)
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()
        port, self.disconnect = namespace.out(socket)
        clean = {key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"}
        self.process = namespace.popen(
            [str(program), f"127.0.0.1:{port}"], stdout=subprocess.PIPE, env={**clean, **(environment or {})}
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        # the text of a failure travels as metadata, and Go's limit is 16 MB
        limits = [("grpc.max_metadata_size", 1 << 24), ("grpc.absolute_max_metadata_size", 1 << 24)]
        self._channel = grpc.insecure_channel(namespace.into(self.port), options=limits)
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def __call__(self, method: str, request: Any, timeout: float = 60) -> Any:
        """The answer to one call. Raises CallError."""
        try:
            return getattr(self.stub, method)(request, timeout=timeout)
        except grpc.RpcError as error:
            raise CallError(error.code().name, error.details()) from None

    def close(self) -> None:
        self._channel.close()
        self.process.kill()
        self.process.communicate()
        self.disconnect()
        self._server.stop(None)


SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def secret(value: Any) -> Properties:
    return {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": value}


def text_asset(text: str, digest: str) -> Properties:
    return {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": text, "hash": digest, "path": "", "uri": ""}


def file_asset(path: Path, digest: str) -> Properties:
    return {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "", "hash": digest, "path": str(path), "uri": ""}


def folder_archive(path: str, digest: str) -> Properties:
    return {SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7", "assets": {}, "hash": digest, "path": path, "uri": ""}


@dataclass
class Bench:
    """A plugin under test and three servers: one that takes variables, one that does not, one with an RSA key only."""

    plugin: Plugin
    taking: Sshd
    refusing: Sshd
    rsa: Sshd
    directory: Path  # of all keys
    released: bool  # whether the plugin is the real one
    key: str  # the private key that every server lets in

    def connection(self, **changes: Any) -> Properties:
        """A connection to the first server that is not tried twice; None leaves a property out."""
        usual = {"host": "127.0.0.1", "port": self.taking.port, "user": "root", "privateKey": self.key}
        usual |= {"hostKey": self.taking.host_key, "dialErrorLimit": 0, "perDialTimeout": 15}
        return {key: value for key, value in (usual | changes).items() if value is not None}

    def inputs(self, connection: Properties | None = None, **properties: Any) -> Properties:
        return {"connection": secret(connection or self.connection()), **properties}

    def check(self, inputs: Properties, kind: str = "Command") -> tuple[Properties, list[tuple[str, str]]]:
        """The checked inputs, and what was refused as (property, reason)."""
        done = self.plugin("Check", provider_pb2.CheckRequest(urn=_urn(kind), news=struct(inputs), olds=struct({})))
        return properties(done.inputs), [(failure.property, failure.reason) for failure in done.failures]

    def create(
        self, inputs: Properties, kind: str = "Command", *, preview: bool = False, timeout: float = 60
    ) -> tuple[str, Properties]:
        request = provider_pb2.CreateRequest(urn=_urn(kind), properties=struct(inputs), preview=preview)
        done = self.plugin("Create", request, timeout)
        return done.id, properties(done.properties)

    def run(self, command: str, connection: Properties | None = None, **inputs: Any) -> Properties:
        """The outputs of a new command."""
        return self.create(self.inputs(connection, create=command, **inputs))[1]

    def failure(self, command: str, connection: Properties | None = None, **inputs: Any) -> CallError:
        """How a new command fails."""
        with pytest.raises(CallError) as error:
            self.run(command, connection, **inputs)
        return error.value

    def update(
        self, state: Properties, inputs: Properties, kind: str = "Command", *, preview: bool = False
    ) -> Properties:
        old = {key: value for key, value in state.items() if key not in ("stdout", "stderr")}
        request = provider_pb2.UpdateRequest(
            id="x", urn=_urn(kind), olds=struct(state), old_inputs=struct(old), news=struct(inputs), preview=preview
        )
        return properties(self.plugin("Update", request).properties)

    def delete(self, state: Properties, kind: str = "Command") -> None:
        self.plugin("Delete", provider_pb2.DeleteRequest(id="x", urn=_urn(kind), properties=struct(state)))

    def diff(self, old: Properties, new: Properties, kind: str = "Command") -> tuple[dict[str, str], list[str]]:
        """The kind of change by property path, and the properties that replace the resource."""
        request = provider_pb2.DiffRequest(
            id="x",
            urn=_urn(kind),
            olds=struct({**old, "stdout": "", "stderr": ""}),
            old_inputs=struct(old),
            news=struct(new),
        )
        done = self.plugin("Diff", request)
        assert bool(done.detailedDiff) == (done.changes == provider_pb2.DiffResponse.DIFF_SOME)
        kinds = {path: provider_pb2.PropertyDiff.Kind.Name(item.kind) for path, item in done.detailedDiff.items()}
        return kinds, list(done.replaces)


def _urn(kind: str) -> str:
    return f"urn:pulumi:stack::project::parent:of:This$command:remote:{kind}::name"


def properties(message: struct_pb2.Struct) -> Properties:
    found: Properties = json_format.MessageToDict(message)
    return found
