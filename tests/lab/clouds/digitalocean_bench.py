"""A bench for the stand-in of pulumi-digitalocean: its plugin and its account, and what an engine would ask of them."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2

from lab.clouds.api import VARIABLE, Server
from lab.clouds.digitalocean import DigitalOceanAccount
from lab.clouds.pool import Pool
from lab.plugins.digitalocean import provider

Properties = dict[str, Any]

SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
POOL = IPv4Network("198.18.64.0/24")


def secret(value: Any) -> Properties:
    return {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": value}


class RefusedError(Exception):
    """What was said instead of a result."""


class Context:
    """A call's context, as gRPC has it."""

    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        raise RefusedError(text)


@dataclass
class Made:
    """A resource: its type, as in `Vpc`, its id, the inputs it was made from, and its state."""

    kind: str
    id: str
    inputs: Properties
    state: Properties


@dataclass
class Bench:
    """A configured plugin; `books` is the account's own state."""

    account: DigitalOceanAccount
    books: dict[str, Any]
    plugin: Any = field(default_factory=provider)

    def _ask(self, method: str, request: Any) -> Any:
        return asyncio.run(getattr(self.plugin, method)(request, Context()))

    def configure(self, **config: Any) -> None:
        self._ask("Configure", provider_pb2.ConfigureRequest(args=_struct(config)))

    def check(self, kind: str, inputs: Properties) -> tuple[Properties, dict[str, str]]:
        """The checked inputs, and the reasons of those that were refused."""
        request = provider_pb2.CheckRequest(urn=_urn(kind), news=_struct(inputs), olds=_struct({}))
        done = self._ask("Check", request)
        return _properties(done.inputs), {failure.property: failure.reason for failure in done.failures}

    def checked(self, kind: str, inputs: Properties) -> Properties:
        done, faults = self.check(kind, inputs)
        if faults:
            raise RefusedError("; ".join(faults.values()))
        return done

    def make(self, kind: str, *, preview: bool = False, **inputs: Any) -> Made:
        complete = self.checked(kind, inputs)
        request = provider_pb2.CreateRequest(urn=_urn(kind), properties=_struct(complete), preview=preview)
        done = self._ask("Create", request)
        return Made(kind, done.id, complete, _properties(done.properties))

    def change(self, made: Made, *, preview: bool = False, ignoring: tuple[str, ...] = (), **inputs: Any) -> Made:
        complete = self.checked(made.kind, made.inputs | inputs)
        request = provider_pb2.UpdateRequest(
            id=made.id,
            urn=_urn(made.kind),
            olds=_struct(made.state),
            old_inputs=_struct(made.inputs),
            news=_struct(complete),
            preview=preview,
            ignoreChanges=ignoring,
        )
        return Made(made.kind, made.id, complete, _properties(self._ask("Update", request).properties))

    def diff(
        self, made: Made, *, without: str = "", ignoring: tuple[str, ...] = (), **inputs: Any
    ) -> tuple[list[str], list[str]]:
        """What differs from a resource, and what of it replaces it."""
        wanted = {name: value for name, value in (made.inputs | inputs).items() if name != without}
        request = provider_pb2.DiffRequest(
            id=made.id,
            urn=_urn(made.kind),
            olds=_struct(made.state),
            old_inputs=_struct(made.inputs),
            news=_struct(self.checked(made.kind, wanted)),
            ignoreChanges=ignoring,
        )
        done = self._ask("Diff", request)
        assert bool(done.detailedDiff) == (done.changes == provider_pb2.DiffResponse.DIFF_SOME)
        return sorted(done.detailedDiff), list(done.replaces)

    def remove(self, made: Made) -> None:
        self._ask("Delete", provider_pb2.DeleteRequest(id=made.id, urn=_urn(made.kind), properties=_struct(made.state)))

    def read(self, made: Made) -> Made | None:
        request = provider_pb2.ReadRequest(
            id=made.id, urn=_urn(made.kind), properties=_struct(made.state), inputs=_struct(made.inputs)
        )
        done = self._ask("Read", request)
        if not done.id:
            return None
        return Made(made.kind, done.id, _properties(done.inputs), _properties(done.properties))


def _struct(properties: Properties) -> struct_pb2.Struct:
    return json_format.ParseDict(properties, struct_pb2.Struct())


def _properties(message: struct_pb2.Struct) -> Properties:
    found: Properties = json_format.MessageToDict(message)
    return found


def _urn(kind: str) -> str:
    token = f"digitalocean:index/{kind[0].lower()}{kind[1:]}:{kind}"
    return f"urn:pulumi:stack::project::parent:of:This${token}::it"


@contextlib.contextmanager
def benched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with an account that was never used, and a token."""
    books: dict[str, Any] = {}
    account = DigitalOceanAccount(books, Pool(POOL))
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, str(folder / "clouds.sock"))
    with Server(folder / "clouds.sock", lambda _, action, arguments: account.call(action, arguments)):
        bench = Bench(account, books)
        bench.configure(token=secret("the token"))
        yield bench
