"""A gateway on AWS that is to have a type which its zone lacks: refused before it is stopped for that."""

import pytest

from tests.lab.clouds.whole import account
from tests.lab.conftest import Start
from tests.lab.environment import clouds

pytestmark = pytest.mark.lab


def test_a_type_that_the_zone_lacks_is_a_fault_and_the_machine_runs_on(start: Start) -> None:
    whole = clouds()
    config = {name: whole[name] for name in ("mesh", "ssh", "operators")}
    config["sites"] = {"use1": whole["sites"]["use1"]}
    config["access"] = []
    environment = start(config)
    environment.up()
    environment.config["sites"]["use1"]["aws"]["instance_type"] = "c8g.medium"
    environment.write()
    for operation in ("preview", "up"):
        refused = environment.deployment.run(operation)
        said = f"{refused.failure}{refused.stderr}"
        assert (
            "wireguard-mesh:sites.use1.aws.instance_type: c8g.medium: us-east-1a, where the gateway's subnet is" in said
        )
        assert "does not have this type, but us-east-1c does" in said
        assert "Traceback" not in said
    ((kind, state),) = ((each["InstanceType"], each["State"]) for each in account(environment, "instances"))
    assert (kind, state) == ("t4g.nano", "running")
