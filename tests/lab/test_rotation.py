"""A site's key and all preshared keys change by a number in the config, in one `up`, while flows go on."""

import json
import re
from subprocess import CompletedProcess
from typing import Any

import pytest

from lab.deployment import Outcome
from tests.lab.conftest import Start
from tests.lab.environment import REFUSE_SSH, Environment, sample
from tests.lab.pings import INTERVAL, pings

pytestmark = pytest.mark.lab

ADDRESSES = {"nyc": "10.99.0.1", "ams": "10.99.0.2", "sfo": "10.99.0.3", "fra": "10.99.0.4"}
WITH_NYC = [("ams", ADDRESSES["nyc"]), ("nyc", ADDRESSES["sfo"])]
OTHERS = [("fra", ADDRESSES["ams"]), ("sfo", ADDRESSES["fra"])]
# How little it is, `make bench` measures; without a handover it is fifteen seconds.
MOST_SECONDS = 2
# A host goes back when its time has come; here it has come, and it is back when this ends.
LET_TIME_PASS = (
    "sed -i 's/ .*/ 0/' /run/wireguard-mesh/wg0.due;"
    "until ! grep -q . /run/wireguard-mesh/wg0.due 2>/dev/null; do sleep 0.1; done"
)


def public_key(environment: Environment, site: str) -> str:
    return environment.on(site, "wg show wg0 public-key").strip()


def preshared(environment: Environment) -> set[str]:
    return {
        line.split()[1]
        for site in ADDRESSES
        for line in environment.on(site, "wg show wg0 preshared-keys").splitlines()
    }


def rotate(environment: Environment, site: str, number: int) -> None:
    environment.config["sites"][site]["key_generation"] = number
    environment.write()


def failing(environment: Environment) -> Outcome:
    outcome = environment.deployment.run("up")
    assert outcome.failure is not None
    return outcome


def verified(environment: Environment) -> tuple[CompletedProcess[str], dict[str, Any]]:
    said = environment.deployment.meshctl("verify", "--json")
    return said, json.loads(said.stdout)


def test_a_site_s_key_and_then_all_preshared_keys_change(start: Start) -> None:
    environment = start(sample())
    environment.up()
    before = public_key(environment, "nyc")
    with pings(environment, *WITH_NYC, *OTHERS) as flows:
        rotate(environment, "nyc", 2)
        environment.up()
        lost = {flow: each.lost() for flow, each in flows.items()}
    assert public_key(environment, "nyc") != before
    assert all(lost[flow] * INTERVAL <= MOST_SECONDS for flow in WITH_NYC), lost
    assert all(lost[flow] == 0 for flow in OTHERS), lost
    assert environment.up().nothing_changed

    keys = preshared(environment)
    with pings(environment, *WITH_NYC, *OTHERS) as flows:
        environment.config["mesh"]["preshared_generation"] = 2
        environment.write()
        environment.up()
        lost = {flow: each.lost() for flow, each in flows.items()}
    assert preshared(environment).isdisjoint(keys)
    assert len(preshared(environment)) == 6
    assert set(lost.values()) == {0}, lost
    assert environment.probe().as_granted
    assert environment.up().nothing_changed

    # That keys changed is over: a preview tells of those that change now, and of nobody else.
    environment.config["access"].append({"from": "fra.lan", "to": "nyc.virbr0", "ports": "tcp/22"})
    environment.write()
    assert environment.deployment.run("preview").changes.get("update") == 4


def test_where_a_peer_cannot_learn_of_the_key_it_does_not_change_and_the_next_up_goes_on(start: Start) -> None:
    environment = start(sample(), environment={"PULUMI_CONTINUE_ON_ERROR": "true"})
    environment.up()
    before = public_key(environment, "nyc")
    # ams is not reached by SSH, but by WireGuard.
    environment.on("ams", REFUSE_SSH)
    with pings(environment, *WITH_NYC, *OTHERS) as flows:
        rotate(environment, "nyc", 2)
        outcome = failing(environment)
        assert [name for name, _ in outcome.errors if name] == ["ams-config"]
        assert public_key(environment, "nyc") == before
        # Nobody confirms it: it goes back, and still nobody loses a packet.
        environment.on("nyc", LET_TIME_PASS)
        assert {flow: each.lost() for flow, each in flows.items()} == dict.fromkeys(flows, 0)
        environment.on("ams", REFUSE_SSH.replace("-I", "-D"))
        outcome = environment.up()
        lost = {flow: each.lost() for flow, each in flows.items()}
    assert any("retrying" in warning for warning in outcome.warnings)
    assert public_key(environment, "nyc") != before
    assert all(lost[flow] * INTERVAL <= MOST_SECONDS for flow in WITH_NYC), lost
    assert all(lost[flow] == 0 for flow in OTHERS), lost
    assert environment.up().nothing_changed
    assert environment.probe().as_granted


def test_a_change_that_is_taken_back_gives_the_key_back(start: Start) -> None:
    environment = start(sample(), environment={"PULUMI_CONTINUE_ON_ERROR": "true"})
    environment.up()
    before = {site: public_key(environment, site) for site in ADDRESSES}
    environment.on("ams", REFUSE_SSH)
    rotate(environment, "nyc", 2)
    failing(environment)
    # Half-way nyc knows both keys, until it goes back: nobody judges that by what it does meanwhile.
    _, found = verified(environment)
    assert {one["site"] for one in found["findings"]} == {"ams", "nyc"}, found
    environment.on("nyc", LET_TIME_PASS)
    # Then everybody answers by nyc's old key, and who looks is told so.
    said, found = verified(environment)
    waits = {one["site"] for one in found["findings"] if "has not changed to its new one yet" in one["reason"]}
    assert (said.returncode, waits) == (1, {"fra", "sfo"}), found
    assert "something else" not in said.stdout
    rotate(environment, "nyc", 1)
    with pings(environment, *WITH_NYC) as flows:
        environment.up()
        assert {flow: each.lost() for flow, each in flows.items()} == dict.fromkeys(flows, 0)
    assert {site: public_key(environment, site) for site in ADDRESSES} == before


@pytest.mark.parametrize("what", ["a site's key", pytest.param("the preshared keys", marks=pytest.mark.long)])
def test_no_key_changes_while_a_site_is_paused_that_knows_the_old_one(start: Start, what: str) -> None:
    environment = start(sample())
    environment.up()
    environment.config["sites"]["ams"]["paused"] = True
    environment.write()
    environment.up()
    if what == "a site's key":
        rotate(environment, "nyc", 2)
        said = "sites.nyc.key_generation: the key of nyc cannot change while ams is paused"
    else:
        environment.config["mesh"]["preshared_generation"] = 2
        environment.write()
        said = "mesh.preshared_generation: the preshared keys cannot change while ams is paused"
    before = {
        site: environment.on(site, "wireguard-mesh status wg0 | grep -E '^(confirmed|staged|live)'")
        for site in ADDRESSES
    }
    for operation in ("preview", "up"):
        outcome = environment.deployment.run(operation)
        assert outcome.failure is not None
        assert said in outcome.failure
        assert "Traceback" not in outcome.failure + outcome.stderr
        assert not re.search(r"[A-Za-z0-9+/]{43}=", outcome.failure)
    assert before == {
        site: environment.on(site, "wireguard-mesh status wg0 | grep -E '^(confirmed|staged|live)'")
        for site in ADDRESSES
    }
