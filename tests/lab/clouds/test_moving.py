"""A gateway at DigitalOcean whose VPC or region becomes another: what is refused costs nobody the old one."""

from typing import Any

import pytest

from tests.lab.clouds.whole import digitalocean, droplets
from tests.lab.conftest import Start
from tests.lab.environment import Environment, clouds

pytestmark = [pytest.mark.lab, pytest.mark.long]

INTERNAL, OTHER, ELSEWHERE = "10.19.0.0/16", "10.41.0.0/24", "10.42.0.0/24"  # the first is DigitalOcean's own in fra1


def test_another_vpc_is_made_first_and_a_refusal_destroys_nothing(start: Start) -> None:
    environment = start(two_sites())
    environment.up()
    (before,) = droplets(environment)
    assert meets(environment)

    moved = environment.config["sites"]["fra"]["digitalocean"]
    moved["vpc_cidr"] = INTERNAL
    environment.write()
    refused = environment.deployment.run("up")
    assert "reserved for internal use" in str(refused.failure) + refused.stdout + refused.stderr
    assert droplets(environment) == [before]
    assert meets(environment)

    # Somebody's own droplet in the old VPC keeps that, and the gateway is in the new one.
    theirs: dict[str, Any] = {"name": "theirs", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-x64"}
    theirs = digitalocean(environment, "POST /v2/droplets", **theirs, vpc_uuid=before["vpc_uuid"])["droplet"]
    moved["vpc_cidr"] = OTHER
    environment.write()
    kept = environment.deployment.run("up")
    assert "Can not delete VPC with members" in str(kept.failure) + kept.stdout + kept.stderr
    gateway = next(each for each in droplets(environment) if each["name"] == "test-fra")
    assert gateway["vpc_uuid"] != before["vpc_uuid"]
    assert gateway["private"].startswith("10.41.0.")
    assert meets(environment)

    # It goes with the next up, once it is empty.
    digitalocean(environment, f"DELETE /v2/droplets/{theirs['id']}")
    environment.up()
    assert [vpc["name"] for vpc in droplets(environment, "vpcs")] == ["test.fra.10.41.0.0-24.fra1"]
    assert environment.up().nothing_changed
    assert meets(environment)

    # So does one in another region.
    moved |= {"region": "ams3", "vpc_cidr": ELSEWHERE}
    environment.write()
    environment.up()
    assert [vpc["name"] for vpc in droplets(environment, "vpcs")] == ["test.fra.10.42.0.0-24.ams3"]
    assert [each["region"] for each in droplets(environment)] == ["ams3"]
    assert meets(environment)


def two_sites() -> dict[str, Any]:
    """A colo and a gateway, without networks: the lab's hosts do not move."""
    whole = clouds()
    sites = {name: whole["sites"][name] for name in ("nyc", "fra")}
    for site in sites.values():
        del site["networks"]
    config = {name: whole[name] for name in ("mesh", "ssh", "operators")}
    return {**config, "sites": sites, "access": [{"from": "fra", "to": "nyc", "ports": "icmp"}]}


def meets(environment: Environment, site: str = "fra") -> bool:
    """Whether a gateway reaches the colo through the tunnel."""
    return "1 received" in environment.on(site, "ping -c 1 -W 10 10.99.0.1")
