"""Machines in clouds that are given another size and something to do in one `up`: they boot, and are waited for."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.clouds.whole import account, droplets, wrong
from tests.lab.conftest import Start
from tests.lab.environment import Environment, clouds

pytestmark = [pytest.mark.lab, pytest.mark.long]

# What a host that is down is tried for is over in less, where every dial is refused at once.
BOOTS = 6.0
_RULE = "INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset"


class Slow:
    """The lab's clouds, with machines that refuse SSH for a while after they are started again."""

    def __init__(self, environment: Environment) -> None:
        assert environment.world.clouds is not None
        self._environment = environment
        self._call = environment.world.clouds.call
        self.refused: dict[str, float] = {}

    def call(self, cloud: Any, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = self._call(cloud, action, arguments)
        if action == "StartInstances" or arguments.get("type") == "power_on":
            site = "use1" if cloud == "aws" else "fra"
            self._environment.on(site, f"iptables -I {_RULE}")
            self.refused[site] = time.time() + BOOTS
            threading.Timer(BOOTS, self._environment.on, (site, f"iptables -D {_RULE}")).start()
        return answer


def test_a_machine_that_boots_for_another_size_is_waited_for_and_configured_in_the_same_up(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = start(clouds())
    environment.up()
    before = machines(environment)
    environment.config["sites"]["use1"]["aws"]["instance_type"] = "t4g.small"
    environment.config["sites"]["fra"]["digitalocean"]["size"] = "s-1vcpu-1gb"
    for site in ("use1", "fra"):
        environment.config["access"].append({"from": f"{site}.vpc", "to": "ams.lan", "ports": "tcp/7001"})
    environment.write()

    slow = Slow(environment)
    monkeypatch.setattr(environment.world.clouds, "call", slow.call)
    log = tmp_path / "log"
    environment.up(event_log=log)
    assert set(slow.refused) == {"use1", "fra"}
    ended = at(log)
    for site, until in slow.refused.items():
        assert until - 1 < ended[f"{site}-host"] <= ended[f"{site}-config"] <= ended[f"{site}-confirm"]
    assert machines(environment) == before
    assert [each["InstanceType"] for each in account(environment, "instances")] == ["t4g.small"]
    assert [each["size"] for each in droplets(environment)] == ["s-1vcpu-1gb"]
    assert wrong(environment) == set()
    assert environment.up().nothing_changed


def machines(environment: Environment) -> list[str]:
    return [str(each["InstanceId"]) for each in account(environment, "instances")] + [
        str(each["id"]) for each in droplets(environment)
    ]


def at(log: Path) -> dict[str, float]:
    """When each resource that an `up` changed was done."""
    found: dict[str, float] = {}
    for line in log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        if (step := (event.get("res_outputs_event") or {}).get("metadata")) and step["op"] != "same":
            found[step["urn"].rpartition("::")[2]] = float(event["timestamp"])
    return found
