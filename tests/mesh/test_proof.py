"""What is tried to prove a mesh: of each two sites a port that is granted and one that is not, told by the texts."""

from typing import Any

import pytest

from mesh.config import parse
from mesh.model import Mesh
from mesh.plan import plan
from mesh.proof import Trial, trials
from tests.mesh.config.configs import changed

BOTH = {
    "mesh.tunnel": ["10.99.0.0/24", "fd99::/64"],
    "sites.nyc.address": ["10.99.0.1", "fd99::1"],
    "sites.ams.address": ["10.99.0.2", "fd99::2"],
    "sites.fra.address": ["10.99.0.3", "fd99::3"],
}


def tried(mesh: Mesh) -> dict[tuple[str, str], list[Trial]]:
    found: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials(mesh, plan(mesh)):
        found.setdefault((trial.source, trial.destination), []).append(trial)
    return found


def meshed(grants: list[Any], **more: Any) -> Mesh:
    return parse(changed({"access": grants, **more}))


@pytest.mark.parametrize(
    ("ports", "granted", "denied"),
    [
        ([], None, 9),
        (["tcp/443"], 443, 9),
        (["tcp/1-100"], 1, 443),
        (["tcp"], 1, None),
        (None, 9, None),
        (["udp", "icmp"], None, 9),
        (["tcp/1-442", "tcp/444-65535"], 1, 443),
        (["tcp/1-8079", "tcp/8081-65535"], 1, 8080),
    ],
    ids=["nothing", "a port", "a range", "all of TCP", "everything", "no TCP", "all but one", "all but another"],
)
def test_one_port_that_is_granted_and_one_that_is_not(
    ports: list[str] | None, granted: int | None, denied: int | None
) -> None:
    grant = {"from": "ams", "to": "nyc", **({} if ports is None else {"ports": ports})}
    found = tried(meshed([] if ports == [] else [grant]))
    wanted = [(port, passes) for port, passes in ((granted, True), (denied, False)) if port is not None]
    assert [(trial.service.first, trial.passes) for trial in found["ams", "nyc"]] == wanted
    # The other way round nothing was granted.
    assert [(trial.service.first, trial.passes) for trial in found["nyc", "ams"]] == [(9, False)]


def test_a_grant_to_a_network_is_none_to_its_gateway() -> None:
    found = tried(meshed([{"from": "ams", "to": "nyc.virbr0"}, {"from": "ams.lan", "to": "fra", "ports": "tcp/443"}]))
    assert {trial.passes for trials in found.values() for trial in trials} == {False}


def test_each_family_is_tried_and_the_number_is_bounded() -> None:
    found = tried(meshed([{"from": "*", "to": "*", "ports": ["tcp/22", "tcp/443", "tcp/8000-8100"]}], **BOTH))
    assert len(found) == 6
    for each in found.values():
        families = [(trial.address.version, trial.passes) for trial in each]
        assert families == [(4, True), (4, False), (6, True), (6, False)]


def test_the_users_probes_come_last_with_the_site_that_they_go_to() -> None:
    probe = {"from": "ams", "to": "192.168.122.9", "port": "icmp", "expect": "deny"}
    there = {**probe, "to": "10.99.0.1", "port": "tcp/22"}
    mesh = meshed([], probes=[probe, there])
    *_, one, other = trials(mesh, plan(mesh))
    assert (one.source, one.destination, str(one.service), one.passes) == ("ams", "nyc", "icmp", False)
    assert (other.destination, str(other.address), other.why) == ("nyc", "10.99.0.1", "probes[1] expects deny")
