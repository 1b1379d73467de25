"""Policy, texts and reachability say the same thing, for random meshes and for every port at which a grant ends."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from mesh.model import Mesh
from mesh.reachability import Reachability, points
from tests.mesh.meshes import mesh, meshes, network, site
from tests.mesh.reachability import oracle
from tests.mesh.reachability.worlds import FIXED, rendered

# The profile `nightly` (tests/conftest.py) tries more.
EXAMPLES = max(200, settings().max_examples)


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(meshes(max_sites=12))
def test_the_texts_open_what_the_grants_say_and_nothing_else(world: Mesh) -> None:
    agrees(world)


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_mesh_opens_what_its_grants_say(name: str) -> None:
    agrees(FIXED[name]())


def agrees(world: Mesh) -> None:
    reachability = Reachability(rendered(world), points(world))
    assert reachability.table() == oracle.table(world)
    services = oracle.boundaries(world)
    for source, destination in oracle.pairs(world):
        grants, ping = oracle.granted(world, source, destination), oracle.pinged(source, destination)
        names, common = (str(source), str(destination)), oracle.common(source, destination)
        for service in services:
            expected = oracle.may(grants, service, ping=ping)
            for family in (4, 6):
                passes = reachability.passes(*names, service, family)
                assert passes is (expected and family in common), (*names, service, family)


def test_the_oracle_reads_grants_as_they_are_written() -> None:
    world = mesh(
        site("nyc", "10.99.0.1", network("lan", "10.10.0.0/24"), network("six", "fd10::/64"), endpoint="a"),
        site("ams", "10.99.0.2", network("lan", "10.20.0.0/24"), endpoint="b"),
        access=[
            ("ams.lan", "nyc.lan", "tcp/443 tcp/80-81 tcp/82 udp"),
            ("ams.lan", "nyc.lan nyc.six", "icmp"),
            ("nyc", "ams", "tcp/22"),
            ("ams", "nyc", ""),
        ],
    )
    assert oracle.table(world) == {
        "ams": {"nyc": "all"},
        "ams.lan": {"nyc.lan": "icmp, tcp/80-82, tcp/443, udp"},
        "nyc": {"ams": "ping, tcp/22"},
    }
    assert oracle.boundaries(world)[:6] == ["icmp", "ping", "tcp/0", "tcp/1", "tcp/21", "tcp/22"]
    grants = [grant for grant in world.access if len(grant.services) == 4]
    for service, expected in (("tcp/79", False), ("tcp/80", True), ("tcp/83", False), ("udp/0", True), ("icmp", False)):
        assert oracle.may(grants, service, ping=False) is expected
    assert oracle.may([], "ping", ping=True)
    assert not oracle.may([], "icmp", ping=True)


def test_reachability_shares_no_code_with_the_plan() -> None:
    pending, seen = ["mesh.reachability"], set[str]()
    while pending:
        name = pending.pop()
        seen.add(name)
        text = Path(import_module(name).__file__ or "").read_text()
        pending += [
            found for found in re.findall(r"^(?:from|import) (mesh[.\w]+)", text, re.MULTILINE) if found not in seen
        ]
    folder = Path(import_module("mesh.reachability").__file__ or "").parent
    own = {f"mesh.reachability.{path.stem}" for path in folder.glob("[a-z]*.py")}
    assert seen - own == {"mesh.reachability", "mesh.model"}
