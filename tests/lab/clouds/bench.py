"""A bench for the stand-in of a cloud's plugin: the plugin and its account, and what an engine would ask of them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from lab.clouds.api import VARIABLE, Server
from tests.lab.plugins.bench import Properties, properties, struct


class Account(Protocol):
    """What both clouds' accounts have."""

    def call(self, action: str, arguments: dict[str, Any], /) -> dict[str, Any]: ...


AnAccount = TypeVar("AnAccount", bound=Account)


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
class Bench(Generic[AnAccount]):
    """A configured plugin, and the account that it asks; `books` is the account's own state."""

    account: AnAccount
    books: dict[str, Any]
    plugin: Any
    package: ClassVar[str]

    def module(self, kind: str) -> str:
        """The module that a type of resource is in, as in `index`."""
        return "index"

    def _urn(self, kind: str) -> str:
        token = f"{self.package}:{self.module(kind)}/{kind[0].lower()}{kind[1:]}:{kind}"
        return f"urn:pulumi:stack::project::parent:of:This${token}::it"

    def _ask(self, method: str, request: Any) -> Any:
        return asyncio.run(getattr(self.plugin, method)(request, Context()))

    def configure(self, **config: Any) -> None:
        self._ask("Configure", provider_pb2.ConfigureRequest(args=struct(config)))

    def check_config(self, **config: Any) -> dict[str, str]:
        """The reasons of what is refused of a configuration."""
        done = self._ask("CheckConfig", provider_pb2.CheckRequest(urn="", news=struct(config), olds=struct({})))
        return {failure.property: failure.reason for failure in done.failures}

    def check(self, kind: str, inputs: Properties, old: Properties | None = None) -> tuple[Properties, dict[str, str]]:
        """The checked inputs, and the reasons of those that were refused."""
        request = provider_pb2.CheckRequest(urn=self._urn(kind), news=struct(inputs), olds=struct(old or {}))
        done = self._ask("Check", request)
        return properties(done.inputs), {failure.property: failure.reason for failure in done.failures}

    def checked(self, kind: str, inputs: Properties, old: Properties | None = None) -> Properties:
        done, faults = self.check(kind, inputs, old)
        if faults:
            raise RefusedError("; ".join(faults.values()))
        return done

    def make(self, kind: str, *, preview: bool = False, **inputs: Any) -> Made:
        complete = self.checked(kind, inputs)
        request = provider_pb2.CreateRequest(urn=self._urn(kind), properties=struct(complete), preview=preview)
        done = self._ask("Create", request)
        return Made(kind, done.id, complete, properties(done.properties))

    def _wanted(self, made: Made, without: tuple[str, ...], inputs: Properties) -> Properties:
        said = {name: value for name, value in (made.inputs | inputs).items() if name not in without}
        if "__defaults" in said:
            said.pop("__defaults")
            said.pop("name", None)
        return self.checked(made.kind, said, made.inputs)

    def change(
        self,
        made: Made,
        *,
        without: tuple[str, ...] = (),
        preview: bool = False,
        ignoring: tuple[str, ...] = (),
        **inputs: Any,
    ) -> Made:
        complete = self._wanted(made, without, inputs)
        request = provider_pb2.UpdateRequest(
            id=made.id,
            urn=self._urn(made.kind),
            olds=struct(made.state),
            old_inputs=struct(made.inputs),
            news=struct(complete),
            preview=preview,
            ignoreChanges=ignoring,
        )
        return Made(made.kind, made.id, complete, properties(self._ask("Update", request).properties))

    def difference(
        self, made: Made, *, without: tuple[str, ...] = (), ignoring: tuple[str, ...] = (), **inputs: Any
    ) -> Any:
        """The answer to what differs from a resource, as the engine gets it."""
        request = provider_pb2.DiffRequest(
            id=made.id,
            urn=self._urn(made.kind),
            olds=struct(made.state),
            old_inputs=struct(made.inputs),
            news=struct(self._wanted(made, without, inputs)),
            ignoreChanges=ignoring,
        )
        return self._ask("Diff", request)

    def diff(self, made: Made, **said: Any) -> tuple[list[str], list[str]]:
        """What differs from a resource, and what of it replaces it."""
        done = self.difference(made, **said)
        assert bool(done.detailedDiff) == (done.changes == provider_pb2.DiffResponse.DIFF_SOME)
        return sorted(done.detailedDiff), list(done.replaces)

    def remove(self, made: Made) -> None:
        request = provider_pb2.DeleteRequest(id=made.id, urn=self._urn(made.kind), properties=struct(made.state))
        self._ask("Delete", request)

    def read(self, made: Made) -> Made | None:
        """The resource as it is now, or None where it is gone."""
        request = provider_pb2.ReadRequest(
            id=made.id, urn=self._urn(made.kind), properties=struct(made.state), inputs=struct(made.inputs)
        )
        done = self._ask("Read", request)
        return Made(made.kind, done.id, properties(done.inputs), properties(done.properties)) if done.id else None

    def invoke(self, token: str, **arguments: Any) -> Properties:
        """What a function of the plugin gives."""
        done = self._ask("Invoke", provider_pb2.InvokeRequest(tok=token, args=struct(arguments)))
        found: Properties = properties(getattr(done, "return"))
        return found


ABench = TypeVar("ABench")


@dataclass(frozen=True)
class Row(Generic[ABench]):
    """`attempt` has to end in a refusal, or a replacement, that says `expected`; `neighbour` has to be taken."""

    name: str
    tried: str
    expected: str
    source: str
    attempt: Callable[[ABench], object]
    neighbour: Callable[[ABench], object]


@contextlib.contextmanager
def serving(account: Account, folder: Path, monkeypatch: pytest.MonkeyPatch, *forgotten: str) -> Iterator[None]:
    """Lets plugins in this process reach an account, without these variables of the environment."""
    for name in forgotten:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, str(folder / "clouds.sock"))
    with Server(folder / "clouds.sock", lambda _, action, arguments: account.call(action, arguments)):
        yield
