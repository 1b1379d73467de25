"""Random environments from fixed seeds, each by a real `up`, every ordered pair probed: what passes is what is granted.

`make test` takes the first 3 seeds, `make test-long` all 25 (MESHES says how many).
"""

import os

import pytest

from lab.policy import judge
from lab.probing import Probe, probes
from lab.topology import lay_out
from mesh.config import parse
from tests.lab.conftest import Start
from tests.lab.random_meshes import random_config

FEWEST = 3
SEEDS = range(int(os.environ.get("MESHES", FEWEST)))


def probes_of(seed: int) -> list[Probe]:
    mesh = parse(random_config(seed))
    return probes(mesh, lay_out(mesh), judge(mesh), everywhere=True)


@pytest.mark.lab
@pytest.mark.parametrize("seed", SEEDS)
def test_what_passes_in_a_random_mesh_is_what_its_grants_say(start: Start, seed: int) -> None:
    environment = start(random_config(seed))
    environment.up()
    matrix = environment.probe(everywhere=True)
    wrong = [
        f"{each.probe.source} -> {each.probe.destination} at {each.probe.to.real}: {each.probe}: {each.problem}"
        for each in matrix.problems
    ]
    assert not wrong, "\n".join([matrix.summary, *wrong])
    assert matrix.as_granted


@pytest.mark.parametrize("seed", range(25))
def test_every_mesh_has_pairs_to_which_some_ports_are_granted_and_others_are_not(seed: int) -> None:
    ports = [probe for probe in probes_of(seed) if probe.port]
    granted, denied = (
        {(probe.source, probe.destination, probe.family) for probe in ports if probe.granted == side}
        for side in (True, False)
    )
    assert granted & denied
    assert denied - granted


@pytest.mark.parametrize("seed", range(25))
def test_every_mesh_has_a_prefix_twice(seed: int) -> None:
    cidrs = [
        (site.name, cidr) for site in parse(random_config(seed)).sites for net in site.networks for cidr in net.cidrs
    ]
    assert [
        (one, other)
        for one, first in cidrs
        for other, second in cidrs
        if one != other and first.version == second.version and first.network_address in second
    ]


def test_the_first_meshes_have_all_that_a_mesh_can_have() -> None:
    meshes = [parse(random_config(seed)) for seed in range(FEWEST)]
    networks = [network for mesh in meshes for site in mesh.sites for network in site.networks]
    assert {network.masquerade for network in networks} == {True, False}
    assert {network.masquerade for network in networks if network.advertise_as} == {True, False}
    assert {prefix.version for network in networks for prefix in network.advertise_as} == {4, 6}
    assert {network.prefixlen for mesh in meshes for network in mesh.tunnel} == {24, 64}
    assert len({site.mtu for mesh in meshes for site in mesh.sites}) > 1
    services = [service for mesh in meshes for grant in mesh.access for service in grant.services]
    assert {service.protocol for service in services} == {"tcp", "udp", "icmp"}
    assert [service for service in services if service.first < service.last]
    assert [grant for mesh in meshes for grant in mesh.access if not grant.services]
