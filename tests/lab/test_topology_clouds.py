"""What a mesh with sites in clouds needs of the lab before anything is made, and what is known later."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from lab.namespaces import LabError
from lab.topology import lay_out, with_gateways
from mesh.model import Aws, ExistingVpc, Kind
from tests.lab.worlds import cloudy, pair
from tests.mesh.meshes import mesh, site


def test_a_site_in_a_cloud_has_no_machine_at_first_and_hosts_with_interfaces_of_their_own() -> None:
    topology = lay_out(cloudy())
    assert [machine.role for machine in topology.machines] == ["gw-nyc"]
    assert [(host.role, host.in_cloud) for host in topology.hosts] == [
        ("lan-nyc.virbr0", False),
        ("lan-use1.vpc", True),
        ("lan-fra.vpc", True),
    ]
    use1 = topology.lan_host("use1.vpc")
    assert (use1.bridge, use1.addresses, use1.routers) == ("ens5", (ip_interface("10.10.0.10/24"),), ())
    assert [cloud.site for cloud in topology.clouds] == ["use1", "fra"]


def test_the_addresses_of_a_gateway_in_a_cloud_become_its_hosts_routers_once_they_are_known() -> None:
    topology = lay_out(cloudy())
    known = with_gateways(topology, lambda name: [ip_address("10.40.0.2")] if name == "fra" else [])
    assert known.lan_host("fra.vpc").routers == (ip_address("10.40.0.2"),)
    assert known.lan_host("use1.vpc").routers == ()
    assert known.lan_host("nyc.virbr0") == topology.lan_host("nyc.virbr0")


def test_each_cloud_gives_out_public_addresses_that_nothing_else_has() -> None:
    pools = lay_out(cloudy()).pools
    assert pools == {"aws": ip_network("198.19.0.0/24"), "digitalocean": ip_network("198.19.1.0/24")}
    taken = site("sfo", "10.99.0.9", endpoint="198.19.0.77")
    assert lay_out(mesh(*cloudy().sites, taken)).pools["aws"] == ip_network("198.19.1.0/24")
    assert lay_out(pair()).pools == {}


def test_the_operator_comes_from_where_the_mesh_says_that_operators_do() -> None:
    assert lay_out(cloudy()).operator == (ip_address("192.0.2.1"),)
    anywhere = replace(cloudy(), operators=(ip_network("0.0.0.0/0"),))
    assert lay_out(anywhere).operator == (ip_address("198.18.0.1"),)
    host = replace(cloudy(), operators=(ip_network("203.0.113.10/32"), ip_network("192.0.2.7/32")))
    assert lay_out(host).operator == (ip_address("192.0.2.7"),)  # the other is nyc's


def test_operators_without_a_free_address_are_refused() -> None:
    full = replace(cloudy(), operators=(ip_network("203.0.113.10/32"), ip_network("10.10.0.7/32")))
    with pytest.raises(
        LabError, match=r"no free address in 203\.0\.113\.10/32, 10\.10\.0\.7/32; name more in 'operators'"
    ):
        lay_out(full)


def test_the_digest_changes_with_what_is_in_a_cloud_before_and_not_with_what_is_made_there() -> None:
    nyc, use1, fra = cloudy().sites

    def digest(kind: Kind) -> str:
        return lay_out(replace(cloudy(), sites=(nyc, replace(use1, kind=kind), fra))).digest

    assert isinstance(use1.kind, Aws)
    assert digest(replace(use1.kind, generation=2, instance_type="t4g.small")) == lay_out(cloudy()).digest
    assert digest(replace(use1.kind, vpc=ExistingVpc("vpc-1", "subnet-1"))) != lay_out(cloudy()).digest
