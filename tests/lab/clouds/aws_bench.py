"""A bench for the stand-in of pulumi-aws: its plugin and its account, and what an engine would ask of them."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from lab.clouds.api import VARIABLE, ApiError, Server
from lab.clouds.aws import AwsAccount
from lab.clouds.pool import Pool
from lab.plugins.aws import provider
from tests.lab.clouds.digitalocean_bench import Context, RefusedError
from tests.lab.plugins.bench import Properties, properties, struct

REGION = "us-east-1"
VPC_TYPES = ("SecurityGroupIngressRule", "SecurityGroupEgressRule")


@dataclass
class Made:
    """A resource: its type, as in `Vpc`, its id, the inputs it was made from, and its state."""

    kind: str
    id: str
    inputs: Properties
    state: Properties


@dataclass
class Bench:
    """A configured plugin, and the account that it asks. `region` is what calls and the plugin's configuration say."""

    account: AwsAccount
    books: dict[str, Any]
    plugin: Any = field(default_factory=provider)

    def _ask(self, method: str, request: Any) -> Any:
        return asyncio.run(getattr(self.plugin, method)(request, Context()))

    def ec2(self, action: str, *, region: str = REGION, **arguments: Any) -> dict[str, Any]:
        """What the account answers, as if somebody else had asked it. Raises RefusedError."""
        try:
            return self.account.call(action, {"region": region, **arguments})
        except ApiError as error:
            raise RefusedError(str(error)) from None

    def configure(self, **config: Any) -> None:
        self._ask("Configure", provider_pb2.ConfigureRequest(args=struct(config)))

    def check_config(self, **config: Any) -> dict[str, str]:
        """The reasons of what is refused of a configuration."""
        done = self._ask("CheckConfig", provider_pb2.CheckRequest(urn="", news=struct(config), olds=struct({})))
        return {failure.property: failure.reason for failure in done.failures}

    def check(self, kind: str, inputs: Properties, old: Properties | None = None) -> tuple[Properties, dict[str, str]]:
        """The checked inputs, and the reasons of those that were refused."""
        request = provider_pb2.CheckRequest(urn=_urn(kind), news=struct(inputs), olds=struct(old or {}))
        done = self._ask("Check", request)
        return properties(done.inputs), {failure.property: failure.reason for failure in done.failures}

    def checked(self, kind: str, inputs: Properties, old: Properties | None = None) -> Properties:
        done, faults = self.check(kind, inputs, old)
        if faults:
            raise RefusedError("; ".join(faults.values()))
        return done

    def make(self, kind: str, *, preview: bool = False, **inputs: Any) -> Made:
        complete = self.checked(kind, inputs)
        request = provider_pb2.CreateRequest(urn=_urn(kind), properties=struct(complete), preview=preview)
        done = self._ask("Create", request)
        return Made(kind, done.id, complete, properties(done.properties))

    def _wanted(self, made: Made, without: tuple[str, ...], inputs: Properties) -> Properties:
        said = {name: value for name, value in (made.inputs | inputs).items() if name not in without}
        if "__defaults" in said:
            said.pop("__defaults")
            said.pop("name", None)
        return self.checked(made.kind, said, made.inputs)

    def change(self, made: Made, *, without: tuple[str, ...] = (), preview: bool = False, **inputs: Any) -> Made:
        complete = self._wanted(made, without, inputs)
        request = provider_pb2.UpdateRequest(
            id=made.id,
            urn=_urn(made.kind),
            olds=struct(made.state),
            old_inputs=struct(made.inputs),
            news=struct(complete),
            preview=preview,
        )
        return Made(made.kind, made.id, complete, properties(self._ask("Update", request).properties))

    def diff(self, made: Made, *, without: tuple[str, ...] = (), ignoring: tuple[str, ...] = (), **inputs: Any) -> Any:
        request = provider_pb2.DiffRequest(
            id=made.id,
            urn=_urn(made.kind),
            olds=struct(made.state),
            old_inputs=struct(made.inputs),
            news=struct(self._wanted(made, without, inputs)),
            ignoreChanges=ignoring,
        )
        return self._ask("Diff", request)

    def changes(self, made: Made, **said: Any) -> tuple[list[str], list[str]]:
        """What differs from a resource, and what of it replaces it."""
        done = self.diff(made, **said)
        assert bool(done.detailedDiff) == (done.changes == provider_pb2.DiffResponse.DIFF_SOME)
        return sorted(done.detailedDiff), list(done.replaces)

    def remove(self, made: Made) -> None:
        self._ask("Delete", provider_pb2.DeleteRequest(id=made.id, urn=_urn(made.kind), properties=struct(made.state)))

    def read(self, made: Made) -> Made | None:
        """The resource as it is now, or None where it is gone."""
        request = provider_pb2.ReadRequest(
            id=made.id, urn=_urn(made.kind), properties=struct(made.state), inputs=struct(made.inputs)
        )
        done = self._ask("Read", request)
        return Made(made.kind, done.id, properties(done.inputs), properties(done.properties)) if done.id else None

    def invoke(self, function: str, **arguments: Any) -> Properties:
        """What a function of the plugin gives, by its token's last part."""
        token = f"aws:ec2/{function}:{function}"
        done = self._ask("Invoke", provider_pb2.InvokeRequest(tok=token, args=struct(arguments)))
        found: Properties = properties(getattr(done, "return"))
        return found


def _urn(kind: str) -> str:
    module = "vpc" if kind in VPC_TYPES else "ec2"
    token = f"aws:{module}/{re.sub('^.', lambda first: first.group().lower(), kind)}:{kind}"
    return f"urn:pulumi:stack::project::parent:of:This${token}::use1-it"


@contextlib.contextmanager
def benched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with an account that was never used, and a region."""
    books: dict[str, Any] = {}
    account = AwsAccount(books, Pool(IPv4Network("198.18.128.0/24")))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, str(folder / "clouds.sock"))
    with Server(folder / "clouds.sock", lambda _, action, arguments: account.call(action, arguments)):
        bench = Bench(account, books)
        bench.configure(region=REGION)
        yield bench
