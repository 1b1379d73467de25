"""A gateway on AWS whose subnet or VPC becomes another: it is made anew there, and keeps its address and its peers."""

from typing import Any

import pytest

from tests.lab.clouds.test_moving import meets
from tests.lab.clouds.whole import account
from tests.lab.conftest import Start
from tests.lab.environment import clouds

pytestmark = [pytest.mark.lab, pytest.mark.long]

THERE = {"region": "us-east-1", "vpc": "vpc-0a1b2c3d", "subnet": "subnet-0a1b2c3d", "route_tables": ["rtb-0a1b2c3d"]}


def test_a_gateway_moves_to_another_subnet_to_a_new_vpc_and_on_to_another_new_one(start: Start) -> None:
    environment = start(two_sites())
    environment.up()
    (address,) = account(environment, "addresses")
    other = next(each for each in account(environment, "subnets") if each["SubnetId"] != THERE["subnet"])

    for moved, prefix in (
        (THERE | {"subnet": other["SubnetId"]}, "10.10.1."),
        ({"region": "us-east-1", "vpc_cidr": "10.10.0.0/16"}, "10.10.0."),
        ({"region": "us-east-1", "vpc_cidr": "10.10.0.0/20"}, "10.10.0."),
    ):
        environment.config["sites"]["use1"]["aws"] = moved
        environment.write()
        environment.up()
        (now,) = account(environment, "addresses")
        assert now["PublicIp"] == address["PublicIp"]
        assert now["PrivateIpAddress"].startswith(prefix)
        assert meets(environment, "use1")
    made = [each["CidrBlock"] for each in account(environment, "vpcs") if each["VpcId"] != THERE["vpc"]]
    assert made == ["10.10.0.0/20"]
    assert environment.up().nothing_changed


def two_sites() -> dict[str, Any]:
    """A colo, and a gateway in a VPC that is there, with a subnet for each of its two networks."""
    whole = clouds()
    sites = {name: whole["sites"][name] for name in ("nyc", "use1")}
    del sites["nyc"]["networks"]
    sites["use1"] |= {"aws": THERE, "networks": {"one": {"cidr": "10.10.0.0/24"}, "two": {"cidr": "10.10.1.0/24"}}}
    config = {name: whole[name] for name in ("mesh", "ssh", "operators")}
    return {**config, "sites": sites, "access": [{"from": "use1", "to": "nyc", "ports": "icmp"}]}
