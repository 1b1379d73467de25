"""A VPC that is the first one of its region: DigitalOcean makes it the default one there, and does not let go of it."""

import pytest

from lab.clouds.digitalocean import DigitalOceanAccount
from tests.lab.clouds.documented import carry_out
from tests.lab.clouds.test_moving import meets, two_sites
from tests.lab.clouds.whole import digitalocean, droplets
from tests.lab.conftest import Start
from tests.lab.environment import Environment

pytestmark = pytest.mark.lab


def test_destroy_leaves_a_default_vpc_until_another_one_takes_its_place(start: Start) -> None:
    environment = start(two_sites())
    ours = left_alone(environment)
    other = digitalocean(environment, "POST /v2/vpcs", name="default-fra1", region="fra1")["vpc"]
    digitalocean(environment, f"PUT /v2/vpcs/{other['id']}", name=other["name"], default=True)
    assert environment.deployment.run("destroy").failure is None
    assert [vpc["name"] for vpc in droplets(environment, "vpcs")] == ["default-fra1"] != [ours]


def test_or_until_the_state_forgets_it(start: Start) -> None:
    environment = start(two_sites())
    ours = left_alone(environment)
    line = carry_out(environment, "pulumi stack --show-urns | grep fra-vpc")
    carry_out(environment, f"pulumi state delete --yes '{line[line.index('urn:pulumi:') :].strip()}'")
    assert environment.deployment.run("destroy").failure is None
    assert [vpc["name"] for vpc in droplets(environment, "vpcs")] == [ours]


def left_alone(environment: Environment) -> str:
    """Has a gateway in a region that had no VPC yet, and destroys it; the name of the VPC that is left."""
    held = environment.world.clouds
    assert held is not None
    account = held.account("digitalocean")
    assert isinstance(account, DigitalOceanAccount)
    account.forget_default("fra1")
    environment.up()
    (ours,) = droplets(environment, "vpcs")
    assert ours["default"]
    assert meets(environment)

    refused = environment.deployment.run("destroy")
    assert "Can not delete default VPCs" in str(refused.failure) + refused.stdout + refused.stderr
    assert held.contents() == {"digitalocean vpcs": [ours["name"]]}
    return str(ours["name"])
