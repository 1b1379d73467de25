"""The stand-in of AWS under the real engine: a gateway is made, left alone, changed, replaced and destroyed."""

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
from pulumi import Output, ResourceOptions
from pulumi_aws.ec2._inputs import GetAmiFilterArgs, InstancePrimaryNetworkInterfaceArgs
from pulumi_aws.ec2.eip import Eip
from pulumi_aws.ec2.eip_association import EipAssociation
from pulumi_aws.ec2.get_ami import get_ami_output
from pulumi_aws.ec2.instance import Instance
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.network_interface import NetworkInterface
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.provider import Provider
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

config = pulumi.Config("wireguard-mesh")
provider = Provider("use1-aws", region="us-east-1")
opts = ResourceOptions(provider=provider)
vpc = Vpc("use1-vpc", cidr_block="10.10.0.0/16", opts=opts)
internet = InternetGateway("use1-internet", vpc_id=vpc.id, opts=opts)
zone = "us-east-1a"
subnet = Subnet("use1-subnet", vpc_id=vpc.id, cidr_block="10.10.0.0/24", availability_zone=zone, opts=opts)
table = RouteTable("use1-routes", vpc_id=vpc.id, opts=opts)
Route("out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=internet.id, opts=opts)
RouteTableAssociation("use1-routes-subnet", route_table_id=table.id, subnet_id=subnet.id, opts=opts)
group = SecurityGroup("use1-group", description=config.require("description"), vpc_id=vpc.id, opts=opts)
SecurityGroupIngressRule(
    "use1-in",
    security_group_id=group.id,
    ip_protocol="udp",
    from_port=51820,
    to_port=51820,
    cidr_ipv4="198.51.100.20/32",
    opts=opts,
)
interface = NetworkInterface(
    "use1-interface", subnet_id=subnet.id, security_groups=[group.id], source_dest_check=False, opts=opts
)
address = Eip("use1-address", opts=ResourceOptions(provider=provider, depends_on=[internet]))
EipAssociation(
    "use1-address-of-interface",
    allocation_id=address.id,
    network_interface_id=interface.id,
    opts=ResourceOptions(provider=provider, depends_on=[internet]),
)
image = get_ami_output(
    most_recent=True,
    owners=["136693071363"],
    filters=[GetAmiFilterArgs(name="name", values=["debian-12-arm64-*"])],
    opts=pulumi.InvokeOutputOptions(provider=provider),
)
machine = Instance(
    "use1-gateway",
    ami=image.id,
    instance_type=config.require("type"),
    primary_network_interface=InstancePrimaryNetworkInterfaceArgs(network_interface_id=interface.id),
    user_data=Output.secret("#cloud-config\\n# the key\\n"),
    tags={"Name": "dev-use1", "wireguard-mesh:site": "use1"},
    opts=ResourceOptions(
        provider=provider,
        delete_before_replace=True,
        replacement_trigger=config.require("generation"),
        ignore_changes=["ami", "user_data", "source_dest_check"],
    ),
)
Route(
    "fra",
    route_table_id=table.id,
    destination_cidr_block="10.40.0.0/24",
    network_interface_id=interface.id,
    opts=ResourceOptions(provider=provider, depends_on=[machine]),
)
pulumi.export("address", address.public_ip)
"""


class Stack:
    """A project with that program, an account, and the engine."""

    def __init__(self, folder: Path, engine: Engine, account: AwsAccount) -> None:
        self.account, self._folder, self._engine = account, folder, engine
        self.config = {"type": "t4g.nano", "generation": "1", "description": "a gateway"}
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
        request = Request(operation, str(self.project), "test", str(self._engine.root), home, environment)
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

    @property
    def machine(self) -> Any:
        (found,) = [machine for network in self.account.networks() for machine in network.machines]
        return found


@contextmanager
def _serving(folder: Path) -> Iterator[AwsAccount]:
    account = AwsAccount({}, Pool(IPv4Network("198.18.128.0/24")))
    with Server(folder / "clouds.sock", lambda _, action, arguments: account.call(action, arguments)):
        yield account


@pytest.fixture
def stack(tmp_path: Path, tools: Engine) -> Iterator[Stack]:
    with _serving(tmp_path) as account:
        yield Stack(tmp_path, tools, account)


def test_a_gateway_is_made_kept_changed_replaced_and_destroyed(stack: Stack) -> None:
    assert stack.changes("preview") == {"create": 15}
    assert stack.account.empty()
    assert stack.changes() == {"create": 15}
    first = stack.machine
    assert first.user_data == "#cloud-config\n# the key\n"
    assert (first.links[0].checked, len(first.links[0].nat), len(first.links[0].ingress)) == (False, 1, 1)
    state = "".join(path.read_text() for path in stack.project.parent.glob("state/.pulumi/stacks/**/*.json"))
    assert "use1-gateway" in state
    assert "the key" not in state

    stack.account.publish("debian-12", "20990101")
    assert stack.changes() == {}

    stack.config["type"] = "t4g.micro"
    assert stack.changes() == {"update": 1}
    assert stack.machine.id == first.id

    stack.config["generation"] = "2"
    assert stack.changes() == {"replace": 1}
    assert stack.machine.id != first.id
    assert stack.machine.links == first.links

    stack.config["description"] = "another gateway"
    assert stack.changes() == {"replace": 2, "update": 1}
    assert stack.account.networks()[0].machines[0].links[0].ingress == first.links[0].ingress

    assert stack.changes("destroy") == {"delete": 15}
    assert stack.account.contents() == {}


def test_what_the_account_refuses_fails_the_up_with_its_words(stack: Stack) -> None:
    stack.config["type"] = "t3.nano"
    end = stack.run("up")
    assert "creating EC2 Instance: operation error EC2: RunInstances" in end["failure"]
    assert "does not match the architecture 'arm64' of the specified AMI" in end["failure"]
    stack.config["type"] = "t4g.nano"
    assert stack.changes()["create"] == 2
