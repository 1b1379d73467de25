"""The meshes of the benchmark: configs that the program takes, as large as was asked for."""

from collections.abc import Mapping

import pytest

from bench.meshes import GRANTS, OPENERS, Grants, private_keys, root_key, site_names, stack
from mesh.config import documentation_addresses, parse
from mesh.keys import PrivateKey, preshared_key
from mesh.model import Mesh, Network
from mesh.plan import plan


def granted(mesh: Mesh) -> set[tuple[str, str]]:
    """The pairs of parties at different sites that some grant names."""
    return {
        (str(source), str(destination))
        for grant in mesh.access
        for source in grant.sources
        for destination in grant.destinations
        if str(source).partition(".")[0] != str(destination).partition(".")[0]
    }


@pytest.mark.parametrize("grants", GRANTS)
@pytest.mark.parametrize("sites", [2, 3, 300])
def test_a_config_of_any_size_is_one_that_a_real_up_takes(sites: int, grants: Grants) -> None:
    if sites > 3 and grants == "all":
        sites = 10  # what it comes to grows with the square
    mesh = parse(stack(sites, grants))
    assert [site.name for site in mesh.sites] == site_names(sites)
    assert documentation_addresses(mesh) == ()
    assert all(len(each.peers) == sites - 1 for each in plan(mesh).values())


def test_without_grants_nobody_may_open_anything() -> None:
    mesh = parse(stack(3, "none"))
    assert granted(mesh) == set()


def test_a_few_grants_are_one_for_each_network_to_the_sites_after_it() -> None:
    mesh = parse(stack(8, "few"))
    assert OPENERS == 5
    assert ("site-0006.lan", "site-0001.lan") in granted(mesh)
    assert ("site-0007.lan", "site-0001.lan") not in granted(mesh)
    assert ("site-0005.lan", "site-0008.lan") in granted(mesh)
    assert ("site-0006.lan", "site-0008.lan") not in granted(mesh)
    assert len(granted(mesh)) == 8 * 5
    assert {tuple(map(str, grant.services)) for grant in mesh.access} == {("tcp/443", "tcp/8000-8100", "icmp")}


def test_everybody_to_everybody_is_every_host_and_every_network() -> None:
    mesh = parse(stack(3, "all"))
    assert len(granted(mesh)) == 3 * 2 * 2 * 2
    assert all(grant.services == () for grant in mesh.access)


def test_every_other_network_is_masqueraded_and_the_rest_has_routes_back() -> None:
    networks: list[Network] = [site.networks[0] for site in parse(stack(4, "few")).sites]
    assert [network.masquerade for network in networks] == [True, False, True, False]
    assert [network.return_route for network in networks] == [None, "manual", None, "manual"]


def test_the_keys_are_real_ones_the_same_in_every_run_and_differ() -> None:
    keys: Mapping[str, str] = private_keys(300)
    assert list(keys) == site_names(300)
    assert keys == private_keys(300)
    public = [PrivateKey.from_base64(key).public_key() for key in keys.values()]
    assert len(set(public)) == 300
    assert preshared_key(root_key(), "one", "other")
