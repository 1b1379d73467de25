"""A recorder in place of the engine: which resources a program registers, in order, with which inputs and options."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest, RegisterResourceResponse

# Marks a secret inside a resource's inputs (pulumi.runtime.rpc, _special_sig_key).
SECRET = "4dabf18193072939515e22adb298388d"

# What clouds give, by the resource that gets it.
ADDRESSES: Final[Mapping[str, Mapping[str, str]]] = {
    "use1-address": {"publicIp": "198.51.100.101"},
    "usw2-address": {"publicIp": "198.51.100.102"},
    "fra-gateway": {"ipv4Address": "198.51.100.103", "ipv4AddressPrivate": "10.40.0.2"},
    "fra-address": {"ipAddress": "198.51.100.104"},
    "sgp-gateway": {"ipv4Address": "198.51.100.105", "ipv4AddressPrivate": "10.70.0.2"},
}
# What they give to a resource of any other name.
ELSEWHERE: Final[Mapping[str, Mapping[str, str]]] = {
    "aws:ec2/eip:Eip": {"publicIp": "198.51.100.111"},
    "digitalocean:index/droplet:Droplet": {"ipv4Address": "198.51.100.112", "ipv4AddressPrivate": "10.40.0.9"},
    "digitalocean:index/reservedIp:ReservedIp": {"ipAddress": "198.51.100.113"},
}
IMAGE = "ami-0123456789abcdef0"
DROPLET = "123456789"
# One for all these tests, as the SDK has: what it leaves on a loop goes with the process.
LOOP: Final = asyncio.new_event_loop()


class Recorder(Mocks):
    """Registers everything, and gives each resource its inputs as outputs, as Stash and remote.Command do."""

    def __init__(self) -> None:
        self.registered: list[MockResourceArgs] = []
        self.requests: dict[str, RegisterResourceRequest] = {}
        self.urns: dict[str, str] = {}
        self.every_urn: list[str] = []
        self.calls: list[MockCallArgs] = []
        self.zones = ["us-east-1f", "us-east-1b", "us-east-1-bos-1a", "us-east-1c"]
        self.zone: str | None = None  # where a subnet that was made before is, whatever it would be made in now
        self.hooks: dict[str, pulumi.ResourceHook] = {}
        self.error_hooks: dict[str, pulumi.ErrorHook] = {}

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.registered.append(args)
        outputs = {**args.inputs, **ELSEWHERE.get(args.typ, {}), **ADDRESSES.get(args.name, {})}
        if args.typ == "aws:ec2/subnet:Subnet" and self.zone:
            outputs["availabilityZone"] = self.zone
        if args.typ == "pulumi:index:Stash":
            outputs["output"] = outputs["input"]
        return DROPLET if args.typ == "digitalocean:index/droplet:Droplet" else f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        self.calls.append(args)
        match args.token:
            case "aws:ec2/getAmi:getAmi":
                return {"id": IMAGE}, []
            case "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings":
                return {"id": "", "locations": self.zones}, []
        raise AssertionError(f"the program calls no other function of a provider, but called {args.token}")

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        """The same for what is asked after a failure."""
        self.error_hooks[hook.name] = hook

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Takes the place of the server by which an engine calls hooks."""
        self.hooks[hook.name] = hook

    def names(self, kind: str) -> list[str]:
        return [args.name for args in self.registered if args.typ == kind]

    def starting(self, kind: str) -> list[str]:
        """The names of all resources of types that begin so, in the order of the alphabet."""
        return sorted(args.name for args in self.registered if args.typ.startswith(kind))

    def inputs(self, name: str) -> dict[str, Any]:
        """What a resource is given. Components have no inputs, and may share a name with each other."""
        return next(plain(args.inputs) for args in self.registered if args.name == name)

    def secret(self, name: str, key: str) -> bool:
        """Whether an input of a resource is marked as secret in what the engine is asked."""
        value: Any = self.requests[name].object.fields[key]
        return SECRET in value.struct_value.fields

    def after(self, name: str) -> set[str]:
        """The names of what a resource waits for, by its options or by its inputs."""
        return {urn.rpartition("::")[2] for urn in self.requests[name].dependencies}

    def parent(self, name: str) -> str:
        """The type and the name of the component that a resource belongs to."""
        kind, parent = self.requests[name].parent.split("::")[-2:]
        return f"{kind.rpartition('$')[2]} {parent}"

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
        self._recorder.every_urn.append(answer.urn)
        return answer


def plain(value: Any) -> Any:
    """A value without the marks of secrets in it."""
    if isinstance(value, dict):
        return plain(value["value"]) if SECRET in value else {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True, scope="module")
def loop() -> None:
    """Whoever called asyncio.run before left no event loop behind, and resources are registered on one."""
    if LOOP.is_closed():
        raise RuntimeError("somebody closed the loop that resources are registered on")
    asyncio.set_event_loop(LOOP)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return recording(monkeypatch)


def recording(monkeypatch: pytest.MonkeyPatch, *, preview: bool = False) -> Recorder:
    """A recorder in the engine's place, with nothing in it."""
    made = Recorder()
    pulumi.runtime.set_mocks(made, project="wireguard-mesh", stack="test", monitor=Monitor(made), preview=preview)
    monkeypatch.setattr(pulumi.runtime.settings.SETTINGS, "callbacks", made)
    return made
