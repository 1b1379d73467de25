"""What a revoked grant ends and what it leaves alone, by flows that are open while a real `up` revokes it."""

import pytest

from tests.lab.conftest import Start
from tests.lab.environment import sample
from tests.lab.talking import forget_flows, talkers

pytestmark = pytest.mark.lab

KEPT = {"from": "ams.lan", "to": "fra.lan", "ports": ["tcp/7001", "udp/7001"]}
BACK = {"from": "fra.lan", "to": "ams.lan", "ports": ["tcp/7001", "udp/7001"]}
REVOKED = {"from": "ams.lan", "to": "fra.lan", "ports": ["tcp/7002", "udp/7002"]}
ELSEWHERE = {"from": "sfo.lan", "to": "nyc.virbr0"}
# Everything, both ways: what one direction's flows send could be taken for flows of the other.
THERE = {"from": "ams.lan", "to": "sfo.lan"}
HERE = {"from": "sfo.lan", "to": "ams.lan"}


def test_a_flow_ends_with_its_grant_and_no_other_flow_loses_anything(start: Start) -> None:
    config = {name: sample()[name] for name in ("mesh", "ssh", "sites")}
    config["sites"]["sfo"]["networks"]["lan"]["return_route"] = "manual"
    environment = start({**config, "access": [KEPT, REVOKED, BACK, ELSEWHERE, THERE, HERE]})
    environment.up()
    with talkers(environment.world, "ams.lan", "fra.lan", "nyc.virbr0", "sfo.lan") as talk:
        kept = [
            talk.open("ams.lan", "fra.lan", "tcp/7001"),
            talk.open("ams.lan", "fra.lan", "udp/7001"),
            talk.open("ams.lan", "fra.lan", "tcp/7001", family=6),
            talk.open("fra.lan", "ams.lan", "tcp/7001"),
            talk.open("fra.lan", "ams.lan", "udp/7001"),
        ]
        elsewhere = [
            talk.open("sfo.lan", "nyc.virbr0", "tcp/7001"),
            talk.open("sfo.lan", "nyc.virbr0", "udp/7001"),
            talk.open("ams.lan", "sfo.lan", "tcp/7001"),
        ]
        revoked = [
            talk.open("ams.lan", "fra.lan", "tcp/7002", "client"),
            talk.open("ams.lan", "fra.lan", "tcp/7002", "server"),
            talk.open("ams.lan", "fra.lan", "udp/7002"),
            talk.open("ams.lan", "fra.lan", "udp/7002", "server"),
            talk.open("ams.lan", "fra.lan", "tcp/7002", family=6),
        ]
        assert talk.up([*kept, *elsewhere, *revoked]) == []
        denied = [talk.open("fra.lan", "ams.lan", "tcp/7002"), talk.open("fra.lan", "ams.lan", "udp/7002")]

        environment.config["access"].remove(REVOKED)
        environment.write()
        environment.up()
        assert talk.dead(revoked) == []
        assert talk.losses([*kept, *elsewhere]) == []
        for site in ("ams", "fra"):
            forget_flows(environment.world, site)
        assert talk.stuck(kept) == []
        assert talk.dead(revoked) == []
        assert len(talk.up(denied, timeout=0)) == 2

        # Granted again, and now one of two directions between which everything passed is revoked.
        there = [
            talk.open("ams.lan", "sfo.lan", "tcp/7003", "client"),
            talk.open("ams.lan", "sfo.lan", "tcp/7003", "server"),
        ]
        here = [talk.open("sfo.lan", "ams.lan", "tcp/7003"), talk.open("sfo.lan", "ams.lan", "udp/7003")]
        assert talk.up([*there, *here]) == []
        environment.config["access"] = [KEPT, REVOKED, BACK, ELSEWHERE, HERE]
        environment.write()
        environment.up()
        again = [talk.open("ams.lan", "fra.lan", "tcp/7002"), talk.open("ams.lan", "fra.lan", "udp/7002")]
        assert talk.up(again) == []
        assert talk.dead(there) == []
        assert talk.losses(here) == []
        for site in ("ams", "sfo"):
            forget_flows(environment.world, site)
        assert talk.stuck(here) == []
        assert talk.dead(there) == []
