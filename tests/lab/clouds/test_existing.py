"""Into networks that are there: a VPC on AWS with IPv6, one at DigitalOcean by hand, and a reserved address."""

from typing import Any

import pytest

from tests.lab.clouds.whole import account, droplets, wrong
from tests.lab.conftest import Start
from tests.lab.environment import clouds

pytestmark = [pytest.mark.lab, pytest.mark.long]

TABLES = ["rtb-0a1b2c3d", "rtb-0a1b2c3e"]
UUID = "5a4981aa-9653-4bd1-bef5-d6bff52042e4"


def existing() -> dict[str, Any]:
    whole = clouds()
    sites = whole["sites"]
    sites["ams"]["networks"]["lan"]["cidr"] = ["10.20.0.0/24", "fd6b:2a91:7c5e:20::/64"]
    sites["use1"]["aws"] = {
        "region": "us-east-1",
        "vpc": "vpc-0a1b2c3d",
        "subnet": "subnet-0a1b2c3d",
        "route_tables": TABLES,
        "instance_type": "t3.micro",
        "architecture": "x86_64",
        "image": "ubuntu-24.04",
        "tags": {"team": "network"},
    }
    sites["use1"]["networks"]["vpc"]["cidr"] = ["10.10.0.0/16", "2600:1f18:4a3:6900::/64"]
    sites["fra"]["digitalocean"] = {"region": "fra1", "vpc": UUID, "reserved_address": True, "image": "ubuntu-24.04"}
    sites["fra"]["networks"]["vpc"] |= {"return_route": "manual"}
    whole["access"].append({"from": "use1.vpc", "to": "ams.lan", "ports": ["tcp/443", "icmp"]})
    return whole


def test_gateways_in_networks_that_are_there_join_and_leave_them_as_they_were(start: Start) -> None:
    environment = start(existing())
    routes_before = routes(account(environment, "tables"))
    environment.up()
    assert wrong(environment) == set()
    remote = {"10.20.0.0/24", "10.40.0.0/24", "192.168.122.0/24", "fd6b:2a91:7c5e:20::/64"}
    assert routes(account(environment, "tables")) == {
        table: there | (remote if table in TABLES else set()) for table, there in routes_before.items()
    }

    # Peers send to the reserved address; the droplet sends from its own, and that is what is let in.
    (droplet,) = droplets(environment)
    (reserved,) = droplets(environment, "reserved_ips")
    assert f"Endpoint = {reserved['ip']}:51820" in environment.on("use1", "cat /etc/wireguard/wg0.conf")
    let_in = {rule.get("CidrIpv4") for rule in account(environment, "rules") if rule.get("FromPort") == 51820}
    assert f"{droplet['public']}/32" in let_in
    assert f"{reserved['ip']}/32" not in let_in

    # Replaced, it is reached where it was.
    environment.config["sites"]["fra"]["digitalocean"]["generation"] = 2
    environment.write()
    environment.up()
    (after,) = droplets(environment)
    assert after["id"] != droplet["id"]
    assert [each["ip"] for each in droplets(environment, "reserved_ips")] == [reserved["ip"]]
    assert wrong(environment) == set()
    assert environment.up().nothing_changed

    held = environment.world.clouds
    assert held is not None
    assert environment.deployment.run("destroy").failure is None
    assert held.contents() == {}
    assert routes(account(environment, "tables")) == routes_before


def routes(tables: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The destinations in each route table."""
    return {table["RouteTableId"]: {route["Destination"] for route in table["Routes"]} for table in tables}
