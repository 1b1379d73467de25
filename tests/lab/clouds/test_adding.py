"""A site in a cloud that is added to a mesh and taken away again: what changes at the others, and in which order."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.lab.clouds.whole import wrong
from tests.lab.conftest import Start
from tests.lab.environment import Environment, clouds
from tests.lab.talking import talkers
from tests.lab.test_preview import outputs_part

pytestmark = [pytest.mark.lab, pytest.mark.long]

USW2 = {
    "address": "10.99.0.5",
    "aws": {"region": "us-west-2", "vpc_cidr": "10.60.0.0/16"},
    "networks": {"vpc": {"cidr": "10.60.0.0/16"}},
}
GRANTS = [
    {"from": "usw2.vpc", "to": "nyc.virbr0", "ports": "tcp/443"},
    {"from": "use1.vpc", "to": "usw2.vpc", "ports": "tcp/5432"},
]


def test_a_fifth_site_changes_a_peer_its_routes_and_a_rule_at_the_others_and_takes_them_along(
    start: Start, tmp_path: Path
) -> None:
    whole = clouds()
    whole["sites"]["usw2"] = USW2
    environment = start(whole)
    with_it(environment, present=False)
    environment.up()
    before, held_before = peers(environment), held(environment)

    with_it(environment, present=True)
    preview = environment.deployment.run("preview")
    assert preview.failure is None, preview.failure
    shown = [line.strip() for line in outputs_part(preview.stdout) if re.match(r"\s*[-+~] ", line)]
    assert {"+ usw2.vpc -> nyc.virbr0 (tcp/443)", "+ use1.vpc -> usw2.vpc (tcp/5432)"} <= set(shown)
    # The new machine's address is not known yet, and words stand for it.
    text = "\n".join(shown)
    assert text.count("+ # usw2") == text.count("+ Endpoint = (address of usw2):51820") == 4

    # Nor is its host key, and no throw-away stands in its place; that of a machine which is there stays as it is.
    keys = [line for line in shown if ".host_key" in line]
    assert keys == ['+ usw2.host_key : "(made by the up)"']

    with talkers(environment.world, "ams.lan", "nyc.virbr0", "use1.vpc", "fra.vpc") as talk:
        others = [
            talk.open("ams.lan", "nyc.virbr0", "udp/7001"),
            talk.open("use1.vpc", "nyc.virbr0", "tcp/443"),
            talk.open("fra.vpc", "use1.vpc", "tcp/5432"),
        ]
        assert talk.up(others) == []
        added = done(environment, tmp_path / "added")
        assert talk.losses(others) == []
        assert wrong(environment) == set()
        elsewhere = {name: kind for name, kind in added.items() if not name.startswith("usw2")}
        assert elsewhere == {
            **{f"{site}-{what}": "update" for site in ("ams", "fra", "nyc", "use1") for what in ("config", "confirm")},
            "use1-in-udp-51820-from-usw2": "create",
            "use1-route-10.60.0.0-16": "create",
            "fra-firewall-peers": "update",
        }
        assert {site: set(now) - set(before[site]) for site, now in peers(environment).items()} == {
            site: {environment.on("usw2", "wg show wg0 public-key").strip()} for site in before
        }

        # Away again: its routes first, and nobody dials what goes away, where no answer would ever come.
        environment.on("usw2", "iptables -I INPUT -p tcp --dport 22 -j DROP")
        holder = environment.world.host("usw2").pid
        with_it(environment, present=False)
        order = list(done(environment, tmp_path / "removed"))
        assert talk.losses(others) == []
    gone = order.index("usw2-gateway")
    assert order.index("use1-route-10.60.0.0-16") < gone
    assert all(order.index(f"{site}-confirm") < gone for site in ("ams", "fra", "nyc", "use1"))
    assert not Path(f"/proc/{holder}").exists()
    assert peers(environment) == before
    assert wrong(environment) == set()
    assert held(environment) == held_before
    assert environment.up().nothing_changed


def with_it(environment: Environment, *, present: bool) -> None:
    whole = clouds()
    if present:
        whole["sites"]["usw2"] = USW2
        whole["access"] += GRANTS
    environment.config = whole
    environment.write()


def done(environment: Environment, log: Path) -> dict[str, str]:
    """What an `up` did, by resource and in order; what stayed as it was is left out."""
    environment.up(event_log=log)
    found: dict[str, str] = {}
    for line in log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        if step := (event.get("res_outputs_event") or {}).get("metadata"):
            operation, name = str(step["op"]), step["urn"].rpartition("::")[2]
            if operation not in ("same", "read") and not step["type"].startswith("pulumi:pulumi:"):
                found[name] = operation
    return found


def held(environment: Environment) -> dict[str, list[str]]:
    """What is in the accounts."""
    assert environment.world.clouds is not None
    return environment.world.clouds.contents()


def peers(environment: Environment) -> dict[str, list[str]]:
    """The public keys that each of the four sites has peers by."""
    sites = ("ams", "fra", "nyc", "use1")
    return {site: sorted(environment.on(site, "wg show wg0 peers").split()) for site in sites}
