"""A network of a new VPC beside the gateway's subnet: whoever adds it there gives it the table that was made."""

import pytest

from tests.lab.clouds.whole import account, aws, wrong
from tests.lab.conftest import Start
from tests.lab.environment import clouds

pytestmark = pytest.mark.lab


def test_a_network_beside_the_gateways_subnet_has_the_routes_of_the_table_that_was_made(start: Start) -> None:
    whole = clouds()
    config = {name: whole[name] for name in ("mesh", "ssh", "operators")}
    config["sites"] = {name: whole["sites"][name] for name in ("nyc", "use1")}
    config["sites"]["use1"]["networks"] = {"app": {"cidr": "10.10.0.0/24"}, "db": {"cidr": "10.10.8.0/24"}}
    config["access"] = [
        {"from": "nyc.virbr0", "to": "use1.db", "ports": "tcp/5432"},
        {"from": "use1.app", "to": "nyc.virbr0", "ports": "tcp/443"},
    ]
    environment = start(config)
    environment.up()
    assert wrong(environment) == set()

    (table,) = (each for each in account(environment, "tables") if len(each["Routes"]) > 1)
    aws(environment, "DeleteRoute", RouteTableId=table["RouteTableId"], DestinationCidrBlock="192.168.122.0/24")
    assert wrong(environment, 3) == {("nyc.virbr0", "use1.db"), ("use1.app", "nyc.virbr0")}
