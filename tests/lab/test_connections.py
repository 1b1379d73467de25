"""The ways to a host: bastion, port, user with sudo, agent, another address for SSH; and a host key that is wrong."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.gateway import new_key_pair
from tests.lab.conftest import Start
from tests.lab.environment import pair

pytestmark = pytest.mark.lab


def test_bastion_port_user_with_sudo_and_an_address_for_ssh_alone(start: Start) -> None:
    config = pair()
    host_key = config["sites"]["ams"]["colo"]["host_key"]
    config["sites"]["ams"]["colo"] |= {
        "host": "198.51.100.21",
        "port": 2222,
        "user": "admin",
        "proxy": {"host": "192.0.2.99", "port": 2200, "user": "jump", "host_key": host_key},
    }
    config["sites"]["ams"]["endpoint"] = "198.51.100.20"
    environment = start(config)
    assert environment.up().warnings == ()
    assert "198.51.100.20:51820" in environment.on("nyc", "wg show wg0 endpoints")
    assert environment.probe().as_granted
    assert environment.deployment.run("destroy").failure is None


def test_a_host_with_another_key_is_refused_before_anything_is_written(start: Start) -> None:
    environment = start(pair())
    stack = environment.deployment.project / "Pulumi.test.yaml"
    stack.write_text(stack.read_text().replace(environment.world.host_keys()["203.0.113.10"], new_key_pair().public))
    outcome = environment.deployment.run("up")
    assert outcome.failure is not None
    assert "nyc-host" in outcome.failure
    assert "host key" in outcome.failure
    assert environment.on("nyc", "ls -A /etc/wireguard /usr/local/sbin") == environment.on(
        "nyc", "echo /etc/wireguard:; echo; echo /usr/local/sbin:"
    )


def test_the_keys_of_an_ssh_agent_are_used_where_the_config_has_none(start: Start, agent: Path) -> None:
    environment = start(pair(), agent=agent)
    refused = environment.deployment.run("up")
    assert refused.failure is not None
    assert "unable to authenticate" in refused.failure

    add = ["ssh-add", "-q", str(environment.world.operator_key_path)]
    subprocess.run(add, env={**os.environ, "SSH_AUTH_SOCK": str(agent)}, check=True, timeout=10)
    assert environment.up().warnings == ()
    assert environment.probe().as_granted
