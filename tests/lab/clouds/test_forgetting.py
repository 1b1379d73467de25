"""Each layer that a cloud enforces is forgotten once: the matrix fails in the cells that it is there for, and no other.

The hosts are as they were: what fails, fails between their rules and routes.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.clouds.whole import account, aws, digitalocean, droplets, wrong
from tests.lab.conftest import Start
from tests.lab.environment import Environment, clouds

pytestmark = [pytest.mark.lab, pytest.mark.long]

_KNOCK = """
import socket, sys
kind, own, address, port = sys.argv[1:]
with socket.socket(socket.AF_INET, getattr(socket, kind)) as knock:
    knock.bind(("", int(own)))
    knock.settimeout(0.5)
    try:
        knock.connect((address, int(port)))
        knock.send(b"knock")
    except OSError:
        pass
"""
AT_ONCE = 3.0  # seconds: the tunnels are up
FROM_USE1 = {("use1.vpc", "nyc.virbr0"), ("use1.vpc", "fra.vpc")}
TO_USE1 = {("ams.lan", "use1.vpc"), ("fra.vpc", "use1.vpc")}
ENDPOINTS = {(one, other) for name in ("ams", "fra", "nyc") for one, other in (("use1", name), (name, "use1"))}


def test_what_a_cloud_is_not_told_shows_in_the_cells_that_need_it(start: Start) -> None:
    environment = start(clouds())
    environment.up()
    assert wrong(environment) == set()

    with without_rule(environment, CidrIpv4="10.10.0.0/16", FromPort=443):
        assert wrong(environment, AT_ONCE) == {("use1.vpc", "nyc.virbr0")}
    with without_rule(environment, egress=True, CidrIpv4="0.0.0.0/0"):
        assert wrong(environment, AT_ONCE) == TO_USE1
    with without_route(environment, "192.168.122.0/24"):
        assert wrong(environment, AT_ONCE) == {("use1.vpc", "nyc.virbr0")}
    with without_route(environment, "10.20.0.0/24"):
        assert wrong(environment, AT_ONCE) == {("ams.lan", "use1.vpc")}
    with checked(environment):
        assert wrong(environment, AT_ONCE) == FROM_USE1 | TO_USE1
    with without_firewall_rule(environment, "443"):
        assert wrong(environment, AT_ONCE) == {("fra.vpc", "nyc.virbr0")}
    with without_address(environment):
        assert wrong(environment, AT_ONCE) == ENDPOINTS | FROM_USE1 | TO_USE1

    assert wrong(environment) == set()

    # Of WireGuard's port no cell tells: both ends send, and what one opened lets the other's packets in as answers. So
    # what counts is what arrives of a packet that is no answer, and of SSH, for which there is no cell at all.
    knocks = Knocks(environment)
    assert knocks.arrived("ams", "udp", 51820)
    assert not knocks.arrived("operator", "udp", 51820)
    assert knocks.arrived("operator", "tcp", 22)
    assert not knocks.arrived("ams", "tcp", 22)
    with without_rule(environment, CidrIpv4="198.51.100.20/32"), without_rule(environment, CidrIpv4="192.0.2.0/24"):
        assert not knocks.arrived("ams", "udp", 51820)
        assert not knocks.arrived("operator", "tcp", 22)
    assert knocks.arrived("ams", "udp", 51820)


class Knocks:
    """Single packets to the gateway on AWS, from a port that none came from before, and whether they arrive there."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._port = 40000
        (self._address,) = (each["PublicIp"] for each in account(environment, "addresses"))

    def arrived(self, sender: str, protocol: str, port: int) -> bool:
        """Waits until one that is let in arrives; of one that is not, until one sent after it is answered."""
        self._port += 1
        world = self._environment.world
        match = f"-p {protocol} --sport {self._port} --dport {port}"
        self._environment.on("use1", f"iptables -I INPUT {match}")
        namespace = world.operator if sender == "operator" else world.host(sender)
        kind = "SOCK_DGRAM" if protocol == "udp" else "SOCK_STREAM"
        namespace.python(["-c", _KNOCK, kind, str(self._port), str(self._address), str(port)], sys.executable)
        self._environment.on("use1", "ping -c 1 -W 5 10.99.0.2")
        counted = self._environment.on("use1", "iptables -L INPUT 1 -v -x -n")
        self._environment.on("use1", f"iptables -D INPUT {match}")
        return int(counted.split()[0]) > 0


def group(environment: Environment) -> str:
    return next(str(each["GroupId"]) for each in account(environment, "groups") if each["GroupName"] != "default")


@contextmanager
def without_rule(environment: Environment, *, egress: bool = False, **has: object) -> Iterator[None]:
    """The gateway's group without the one rule that has all this."""
    direction = "Egress" if egress else "Ingress"
    (rule,) = (
        each
        for each in account(environment, "rules")
        if each["GroupId"] == group(environment)
        and each["IsEgress"] == egress
        and all(each.get(name) == value for name, value in has.items())
    )
    given = {name: value for name, value in rule.items() if name not in ("GroupId", "IsEgress")}
    identity = given.pop("SecurityGroupRuleId")
    aws(environment, f"RevokeSecurityGroup{direction}", GroupId=rule["GroupId"], SecurityGroupRuleId=identity)
    yield
    aws(environment, f"AuthorizeSecurityGroup{direction}", GroupId=rule["GroupId"], **given)


@contextmanager
def without_route(environment: Environment, prefix: str) -> Iterator[None]:
    (table, interface) = next(
        (table["RouteTableId"], route["NetworkInterfaceId"])
        for table in account(environment, "tables")
        for route in table["Routes"]
        if route["Destination"] == prefix
    )
    aws(environment, "DeleteRoute", RouteTableId=table, DestinationCidrBlock=prefix)
    yield
    aws(environment, "CreateRoute", RouteTableId=table, DestinationCidrBlock=prefix, NetworkInterfaceId=interface)


@contextmanager
def checked(environment: Environment) -> Iterator[None]:
    """The gateway's interface with the source/destination check on, as it is on every interface by default."""
    (interface,) = account(environment, "interfaces")
    change = {"NetworkInterfaceId": interface["NetworkInterfaceId"]}
    aws(environment, "ModifyNetworkInterfaceAttribute", **change, SourceDestCheck=True)
    yield
    aws(environment, "ModifyNetworkInterfaceAttribute", **change, SourceDestCheck=False)


@contextmanager
def without_address(environment: Environment) -> Iterator[None]:
    """The Elastic IP on no interface."""
    (address,) = account(environment, "addresses")
    aws(environment, "DisassociateAddress", AssociationId=address["AssociationId"])
    yield
    names = ("AllocationId", "NetworkInterfaceId")
    aws(environment, "AssociateAddress", **{name: address[name] for name in names})


@contextmanager
def without_firewall_rule(environment: Environment, ports: str) -> Iterator[None]:
    """The droplet's firewall without the rules for these ports."""
    firewall = next(each for each in droplets(environment, "firewalls") if each["name"] == "test.fra")
    place = f"/v2/firewalls/{firewall['id']}"
    said = {name: firewall[name] for name in ("name", "droplet_ids", "tags", "outbound_rules")}
    kept = [rule for rule in firewall["inbound_rules"] if rule["ports"] != ports]
    assert len(kept) < len(firewall["inbound_rules"])
    digitalocean(environment, f"PUT {place}", **said, inbound_rules=kept)
    yield
    digitalocean(environment, f"PUT {place}", **said, inbound_rules=firewall["inbound_rules"])
