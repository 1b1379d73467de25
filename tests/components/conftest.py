"""A recorder in place of the engine: which resources a program registers, in order, with which inputs."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest, RegisterResourceResponse

# Marks a secret inside a resource's inputs (pulumi.runtime.rpc, _special_sig_key).
SECRET = "4dabf18193072939515e22adb298388d"


class Recorder(Mocks):
    """Registers everything, and gives each resource its inputs as outputs, as Stash and remote.Command do."""

    def __init__(self) -> None:
        self.registered: list[MockResourceArgs] = []
        self.requests: dict[str, RegisterResourceRequest] = {}
        self.urns: dict[str, str] = {}

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.registered.append(args)
        outputs = dict(args.inputs)
        if args.typ == "pulumi:index:Stash":
            outputs["output"] = outputs["input"]
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls no function of a provider, but called {args.token}")

    def names(self, kind: str) -> list[str]:
        return [args.name for args in self.registered if args.typ == kind]

    def inputs(self, name: str) -> dict[str, Any]:
        return next(plain(args.inputs) for args in self.registered if args.name == name)

    def urn(self, name: str) -> str:
        """The URN of the resource of that name, as requests name each other."""
        return self.urns[name]


class Monitor(MockMonitor):
    """Keeps what is asked of the engine, since the mocks are told nothing of a resource's options."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: RegisterResourceRequest) -> RegisterResourceResponse:  # noqa: N802, the name in gRPC
        self._recorder.requests[request.name] = request
        answer: RegisterResourceResponse = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self._recorder.urns[request.name] = answer.urn
        return answer


def plain(value: Any) -> Any:
    """A value without the marks of secrets in it."""
    if isinstance(value, dict):
        return plain(value["value"]) if SECRET in value else {key: plain(item) for key, item in value.items()}
    return value


@pytest.fixture
def recorder() -> Recorder:
    made = Recorder()
    pulumi.runtime.set_mocks(made, project="wireguard-mesh", stack="test", monitor=Monitor(made))
    return made
