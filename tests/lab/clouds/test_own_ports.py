"""What a network may open elsewhere, its hosts reach at their own gateway too: a cloud's rule has no destination."""

import pytest

from tests.lab.clouds.stage import answering, ask
from tests.lab.conftest import Start
from tests.lab.environment import clouds

pytestmark = pytest.mark.lab


def test_a_granted_port_of_the_gateway_s_own_is_open_to_the_network_and_no_other_is(start: Start) -> None:
    environment = start(clouds())
    environment.up()
    held = environment.world.clouds
    assert held is not None
    for site, granted in (("use1", 443), ("fra", 5432)):
        own, host = held.gateway(site), environment.world.lan(f"{site}.vpc")
        address = next(str(each) for each in held.gateway_addresses(site) if str(each).startswith(("10.10.", "10.40.")))
        for port, answer in ((granted, True), (444, False)):
            with answering(own, address, port):
                assert (ask(host, address, port) not in ("TimeoutError", "OSError")) is answer, (site, port)
        assert ask(host, address, 22) in ("TimeoutError", "OSError")
