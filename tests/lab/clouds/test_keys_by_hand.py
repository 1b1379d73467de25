"""The keys of a gateway as somebody handles them who follows docs/clouds.md: logging in, and making new ones."""

import shutil
from pathlib import Path

import pytest

from tests.lab.clouds.documented import block, carry_out
from tests.lab.clouds.whole import droplets
from tests.lab.conftest import Start
from tests.lab.environment import Environment, clouds

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("jq") is None, reason="the page's commands take jq"),
]

LOG_IN, FIND = block("ssh -i key"), "pulumi stack --show-urns | grep {}"


def test_the_page_s_commands_log_in_and_a_new_host_key_takes_the_place_of_the_old_one(
    start: Start, agent: Path
) -> None:
    whole = clouds()
    sites = {name: {**whole["sites"][name], "networks": {}} for name in ("use1", "fra")}
    config = {name: whole[name] for name in ("mesh", "ssh", "operators")}
    access = [{"from": "use1", "to": "fra", "ports": "icmp"}]
    environment = start({**config, "sites": sites, "access": access}, agent=agent)
    environment.up()
    assert carry_out(environment, LOG_IN, "id -un\n") == "admin\n"
    assert (environment.deployment.project / "key").stat().st_mode & 0o777 == 0o600
    # The key that is registered at DigitalOcean is not let in, since the user data says so: the operator's is alone.
    (droplet,) = droplets(environment)
    (login,) = droplets(environment, "keys")
    assert droplet["ssh_keys"] == [str(login["id"])]
    lines = environment.on("fra", "cat /etc/ssh/lab/authorized_keys/root").splitlines()
    operator = carry_out(environment, "ssh-keygen -y -f key").split()[:2]
    assert [line.split()[:2] for line in lines] == [operator]
    assert login["public_key"].split()[:2] != operator

    before, own = host_key(environment), environment.on("use1", "wg show wg0 public-key")
    environment.config["sites"]["use1"]["aws"]["generation"] = 2
    environment.write()
    environment.up(replace=[urn(environment, "use1-host-key-1")])
    assert host_key(environment) != before
    assert environment.on("use1", "wg show wg0 public-key") == own
    assert carry_out(environment, LOG_IN, "id -un\n") == "admin\n"
    assert meets(environment)
    assert environment.up().nothing_changed

    # Its WireGuard key, which the other site learns of in the same `up`.
    environment.up(replace=[urn(environment, "use1-key-1")])
    assert environment.on("use1", "wg show wg0 public-key") != own
    assert meets(environment)

    # The operator's key, with all generations.
    for site, cloud in (("use1", "aws"), ("fra", "digitalocean")):
        kind = environment.config["sites"][site][cloud]
        kind["generation"] = kind.get("generation", 1) + 1
    environment.write()
    old = (environment.deployment.project / "key").read_text()
    environment.up(replace=[urn(environment, "operators-1")])
    assert carry_out(environment, LOG_IN, "id -un\n") == "admin\n"
    assert (environment.deployment.project / "key").read_text() != old
    assert meets(environment)


def host_key(environment: Environment) -> str:
    return carry_out(environment, "pulumi stack output use1.host_key")


def urn(environment: Environment, name: str) -> str:
    """As the page finds it."""
    line = carry_out(environment, FIND.format(name))
    return line[line.index("urn:pulumi:") :].strip()


def meets(environment: Environment) -> bool:
    return "1 received" in environment.on("use1", "ping -c 1 -W 10 10.99.0.4")
