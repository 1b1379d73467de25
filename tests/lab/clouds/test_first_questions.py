"""A cloud that refuses the first questions of a site: what is shown names the site, and is no traceback."""

from typing import Any

import pytest

from lab.clouds.api import ApiError
from tests.lab.conftest import Start
from tests.lab.environment import clouds

pytestmark = pytest.mark.lab


def test_a_region_that_is_none_is_an_error_of_the_sites_provider(start: Start) -> None:
    whole = clouds()
    whole["sites"]["use1"]["aws"]["region"] = "us-esat-1"
    environment = start(whole)
    refused = environment.deployment.run("preview")
    ((name, message),) = refused.errors
    assert name == "use1-aws"
    assert "unable to validate AWS credentials" in message
    assert "sts.us-esat-1.amazonaws.com: no such host" in message
    assert "Traceback" not in f"{refused.failure}{refused.stderr}"


@pytest.mark.parametrize("question", ["DescribeInstanceTypeOfferings", "DescribeImages"])
def test_a_user_who_may_not_ask_is_told_where_and_what_to_do(
    start: Start, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    environment = start(clouds())
    held = environment.world.clouds
    assert held is not None
    call = held.call

    def refuse(cloud: Any, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if action == question:
            raise ApiError("UnauthorizedOperation", "You are not authorized to perform this operation.")
        return call(cloud, action, arguments)

    monkeypatch.setattr(held, "call", refuse)
    refused = environment.deployment.run("preview")
    said = f"{refused.failure}{refused.stderr}"
    assert "wireguard-mesh:sites.use1.aws: AWS does not answer what it offers in us-east-1: " in said
    assert "You are not authorized to perform this operation." in said
    assert "; see to its 'region', 'image', 'profile' and 'role', and to the credentials" in said
    assert "Traceback" not in said
