"""The sample environment with its clouds, from nothing to nothing; and a gateway in a cloud that is replaced."""

import pytest

from lab.cloudinit import there, unpacked
from lab.clouds.aws import AwsAccount
from tests.lab.clouds.whole import account, droplets, wrong
from tests.lab.conftest import Start
from tests.lab.environment import Environment, clouds
from tests.lab.talking import talkers
from tests.lab.test_up import SAVE, rules

pytestmark = pytest.mark.lab

# Where a destroyed colo has to be as it was.
LOOK = "ls -A /etc/wireguard /usr/local/sbin /var/lib 2>/dev/null; ip -o link | cut -d: -f2; ip route; ip -6 route"


def test_the_sample_comes_up_as_granted_a_second_up_changes_nothing_and_destroy_leaves_nothing(start: Start) -> None:
    environment = start(clouds())
    before = {site: (environment.on(site, LOOK), rules(environment.on(site, SAVE))) for site in ("ams", "nyc")}
    first = environment.up()
    assert first.warnings == ()
    matrix = environment.probe(everywhere=True)
    assert matrix.as_granted, matrix.summary
    granted = {(str(cell.source), str(cell.destination)) for cell in matrix.cells.values() if cell.services}
    assert ("use1.vpc", "fra.vpc") in granted
    assert ("use1.vpc", "ams.lan") not in granted
    if there():
        # What the machines were told is what cloud-init takes; tests/lab/test_cloudinit.py says what it needs.
        for told in (account(environment, "instances")[0]["UserData"], droplets(environment)[0]["user_data"]):
            assert told.startswith("#cloud-config\n")
            assert unpacked().faults(told) == ""
    second = environment.up()
    assert second.nothing_changed, second.changes

    held = environment.world.clouds
    assert held is not None
    assert held.contents() != {}
    destroyed = environment.deployment.run("destroy")
    assert destroyed.failure is None, destroyed.failure
    assert held.contents() == {}
    for site, as_it_was in before.items():
        assert (environment.on(site, LOOK), rules(environment.on(site, SAVE))) == as_it_was


@pytest.mark.long
def test_a_raised_generation_replaces_a_machine_in_one_up_and_disturbs_nobody_else(start: Start) -> None:
    environment = start(clouds())
    environment.config["access"].append({"from": "use1.vpc", "to": "ams.lan", "ports": "tcp/7001"})
    environment.write()
    pinned = environment.up().outputs["use1.host_key"]
    keys = public_keys(environment)
    machine, image, address = the_instance(environment)
    assert offered(environment, address) == pinned

    # What a machine is made of changes nothing of one that runs: neither a newer image, nor another in the config.
    held = environment.world.clouds
    assert held is not None
    aws = held.account("aws")
    assert isinstance(aws, AwsAccount)
    aws.publish("debian-12", "20261101")
    environment.config["sites"]["fra"]["digitalocean"]["image"] = "ubuntu-24.04"
    environment.write()
    assert environment.up().nothing_changed

    with talkers(environment.world, "ams.lan", "nyc.virbr0", "fra.vpc") as talk:
        others = [
            talk.open("ams.lan", "nyc.virbr0", "tcp/7001"),
            talk.open("ams.lan", "nyc.virbr0", "udp/7001"),
            talk.open("ams.lan", "fra.vpc", "tcp/22"),
            talk.open("fra.vpc", "nyc.virbr0", "tcp/443"),
        ]
        assert talk.up(others) == []
        environment.config["sites"]["use1"]["aws"]["generation"] = 2
        environment.write()
        environment.up()
        assert talk.losses(others) == []
    new_machine, new_image, new_address = the_instance(environment)
    assert new_machine != machine
    assert new_image != image
    assert new_address == address
    assert offered(environment, address) == pinned
    assert public_keys(environment) == keys
    assert wrong(environment) == set()

    # A droplet gets another address, which every peer and every firewall learns of in the same up.
    (before,) = droplets(environment)
    environment.config["sites"]["fra"]["digitalocean"]["generation"] = 2
    environment.write()
    environment.up()
    (after,) = droplets(environment)
    assert after["id"] != before["id"]
    assert after["public"] != before["public"]
    assert (before["image"], after["image"]) == ("debian-12-x64", "ubuntu-24-04-x64")
    assert public_keys(environment) == keys
    assert wrong(environment) == set()
    assert environment.up().nothing_changed


def the_instance(environment: Environment) -> tuple[str, str, str]:
    """The running instance, its image, and its address."""
    (instance,) = (each for each in account(environment, "instances") if each["State"] == "running")
    (address,) = account(environment, "addresses")
    return instance["InstanceId"], instance["ImageId"], address["PublicIp"]


def offered(environment: Environment, address: str) -> str:
    """The host key that the machine at an address proves to have, as whoever logs in sees it."""
    scan = ["ssh-keyscan", "-T", "10", "-t", "ed25519", address]
    (line,) = environment.world.operator.run(scan).stdout.splitlines()
    return line.partition(" ")[2]


def public_keys(environment: Environment) -> list[str]:
    """Every site's public key."""
    return [environment.on(site, "wg show wg0 public-key") for site in ("ams", "fra", "nyc", "use1")]
