"""The stand-in of AWS under the real engine, in what the whole mesh's tests do not show: a failed run, a kept name."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab.clouds.api import VARIABLE, Server
from lab.clouds.aws import AwsAccount
from lab.clouds.pool import Pool
from lab.engine import Request
from lab.plugins import install_cloud_plugins
from lab.toolchain import ENGINE_ENVIRONMENT, Engine

ROOT = Path(__file__).parents[3]
PROGRAM = """
import pulumi
from pulumi import ResourceOptions
from pulumi_aws.ec2._inputs import GetAmiFilterArgs, InstancePrimaryNetworkInterfaceArgs
from pulumi_aws.ec2.get_ami import get_ami_output
from pulumi_aws.ec2.instance import Instance
from pulumi_aws.ec2.network_interface import NetworkInterface
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.provider import Provider

config = pulumi.Config("wireguard-mesh")
provider = Provider("use1-aws", region=config.require("region"))
opts = ResourceOptions(provider=provider)
vpc = Vpc("use1-vpc", cidr_block="10.10.0.0/16", opts=opts)
zone = "us-east-1a"
subnet = Subnet("use1-subnet", vpc_id=vpc.id, cidr_block="10.10.0.0/24", availability_zone=zone, opts=opts)
group = SecurityGroup("use1-group", description=config.require("description"), vpc_id=vpc.id, opts=opts)
interface = NetworkInterface("use1-interface", subnet_id=subnet.id, security_groups=[group.id], opts=opts)
image = get_ami_output(
    most_recent=True,
    include_deprecated=True,
    owners=["136693071363"],
    filters=[GetAmiFilterArgs(name="name", values=["debian-12-arm64-*"])],
    opts=pulumi.InvokeOutputOptions(provider=provider),
)
Instance(
    "use1-gateway",
    ami=image.id,
    instance_type=config.require("type"),
    primary_network_interface=InstancePrimaryNetworkInterfaceArgs(network_interface_id=interface.id),
    opts=opts,
)
"""


class Stack:
    """A project with that program, an account, and the engine."""

    def __init__(self, folder: Path, engine: Engine, account: AwsAccount) -> None:
        self.account, self._folder, self._engine = account, folder, engine
        self.config = {"region": "us-east-1", "type": "t4g.nano", "description": "a gateway"}
        self.project = folder / "project"
        self.project.mkdir()
        (folder / "state").mkdir()
        (self.project / "Pulumi.yaml").write_text("name: wireguard-mesh\nruntime: python\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        install_cloud_plugins(folder / "home", Path(sys.executable))

    def run(self, operation: str) -> dict[str, Any]:
        """How the operation ended: the result, or the failure."""
        lines = [f"  wireguard-mesh:{name}: {json.dumps(value)}" for name, value in self.config.items()]
        salt = [
            line
            for line in (self.stack_file.read_text().splitlines() if self.stack_file.exists() else ())
            if line.startswith("encryptionsalt")
        ]
        self.stack_file.write_text("\n".join([*salt, "config:", *lines, ""]))
        environment = {
            VARIABLE: str(self._folder / "clouds.sock"),
            "PULUMI_BACKEND_URL": f"file://{self._folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(self._folder / "home"),
            **ENGINE_ENVIRONMENT,
        }
        home = str(self._folder / "home")
        known = any(self._folder.glob("state/.pulumi/stacks/*/test.json"))
        engine = self._engine
        request = Request(
            operation, str(self.project), "test", str(engine.root), engine.version, known, home, environment
        )
        ended = subprocess.run(
            [sys.executable, "-m", "lab.engine"],
            input=request.to_json(),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=300,
            check=False,
        )
        end: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1]) if ended.stdout else {"failure": ended.stderr}
        return end

    def changes(self, operation: str = "up") -> dict[str, int]:
        """How many resources the operation changed how; all of them the same is {}."""
        end = self.run(operation)
        assert "result" in end, end
        return {kind: number for kind, number in end["result"]["changes"].items() if kind != "same"}

    @property
    def stack_file(self) -> Path:
        return self.project / "Pulumi.test.yaml"


@contextmanager
def _serving(folder: Path) -> Iterator[AwsAccount]:
    account = AwsAccount({}, Pool(IPv4Network("198.18.128.0/24")))
    with Server(folder / "clouds.sock", lambda _, action, arguments: account.call(action, arguments)):
        yield account


@pytest.fixture
def stack(tmp_path: Path, tools: Engine) -> Iterator[Stack]:
    with _serving(tmp_path) as account:
        yield Stack(tmp_path, tools, account)


def test_a_refused_run_goes_on_where_it_stopped_and_a_group_in_use_is_replaced(stack: Stack) -> None:
    stack.config["region"] = "us-esat-1"
    assert "lookup sts.us-esat-1.amazonaws.com: no such host" in stack.run("preview")["failure"]
    stack.config["region"] = "us-east-1"
    assert stack.changes("preview") == {"create": 7}
    assert stack.account.empty()

    stack.config["type"] = "t3.nano"
    end = stack.run("up")
    assert "creating EC2 Instance: operation error EC2: RunInstances" in end["failure"]
    assert "does not match the architecture 'arm64' of the specified AMI" in end["failure"]
    stack.config["type"] = "t4g.nano"
    assert stack.changes() == {"create": 1}

    before = stack.account.contents()
    stack.config["description"] = "another gateway"
    assert stack.changes() == {"replace": 1, "update": 1}
    after = stack.account.contents()
    assert {kind for kind in before if before[kind] != after[kind]} == {"groups"}
    assert (len(before["groups"]), len(after["groups"])) == (1, 1)

    assert stack.changes("destroy") == {"delete": 7}
    assert stack.account.contents() == {}
