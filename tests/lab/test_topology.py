"""From a mesh to the lab's topology and the ip(8) commands, as text."""

from ipaddress import ip_address, ip_interface, ip_network
from itertools import chain

import pytest
from hypothesis import given, settings

from lab import links
from lab.namespaces import LabError
from lab.topology import Bridge, Machine, Topology, lay_out
from mesh.model import Mesh
from tests.lab.worlds import bastion, pair, varied, with_ssh
from tests.mesh.meshes import mesh, meshes, network, site


def pids(topology: Topology) -> dict[str, int]:
    roles = ["operator", *(machine.role for machine in topology.machines), *(host.role for host in topology.hosts)]
    return {role: 100 + number for number, role in enumerate(roles)}


def machine(topology: Topology, role: str) -> Machine:
    return next(machine for machine in topology.machines if machine.role == role)


def test_every_site_has_a_gateway_and_every_network_a_host() -> None:
    topology = lay_out(pair())
    assert [machine.role for machine in topology.machines] == ["gw-nyc", "gw-ams"]
    assert [host.role for host in topology.hosts] == ["lan-nyc.virbr0", "lan-ams.lan"]


def test_the_gateway_has_the_first_address_of_its_network_and_the_host_the_tenth() -> None:
    topology = lay_out(pair())
    addresses = (ip_interface("192.168.122.1/24"), ip_interface("fd22::1/64"))
    assert machine(topology, "gw-nyc").bridges == (Bridge("virbr0", addresses),)
    host = topology.lan_host("nyc.virbr0")
    assert host.addresses == (ip_interface("192.168.122.10/24"), ip_interface("fd22::a/64"))
    assert host.routers == (ip_address("192.168.122.1"), ip_address("fd22::1"))


def test_a_name_in_the_config_gets_an_address_of_the_lab_and_an_address_keeps_itself() -> None:
    topology = lay_out(varied())
    assert set(topology.names) == {"sfo.example.com", "jump.example.net"}
    sfo = machine(topology, "gw-sfo")
    assert topology.names["sfo.example.com"] in sfo.addresses
    assert ip_address("10.0.0.5") in sfo.addresses
    assert machine(topology, "gw-fra").addresses[0] == ip_address("2001:db8::4")


def test_with_one_ipv6_endpoint_every_machine_has_both_families_and_without_any_none_has_ipv6() -> None:
    mixed = lay_out(varied())
    for addresses in (mixed.operator, *(machine.addresses for machine in mixed.machines)):
        assert {address.version for address in addresses} == {4, 6}
    plain = lay_out(pair())
    for addresses in (plain.operator, *(machine.addresses for machine in plain.machines)):
        assert {address.version for address in addresses} == {4}


def test_a_bastion_is_a_machine_of_its_own_with_its_port_and_user() -> None:
    machine = lay_out(varied()).machines[-1]
    assert (machine.role, machine.site, machine.ports, machine.users) == ("bastion-1", None, (2222,), ("jump",))
    assert machine.bridges == ()


def test_a_bastion_that_two_sites_share_is_one_machine() -> None:
    nyc = site("nyc", "10.99.0.1", endpoint="203.0.113.10")
    ams = site("ams", "10.99.0.2", endpoint="198.51.100.20")
    shared = [with_ssh(nyc, proxy=bastion("192.0.2.1")), with_ssh(ams, proxy=bastion("192.0.2.1", 2222))]
    machines = lay_out(mesh(*shared)).machines
    assert [machine.role for machine in machines] == ["gw-nyc", "gw-ams", "bastion-1"]
    assert machines[-1].ports == (22, 2222)


def test_a_gateway_that_is_another_sites_bastion_stays_one_machine() -> None:
    nyc = site("nyc", "10.99.0.1", endpoint="203.0.113.10")
    ams = with_ssh(site("ams", "10.99.0.2", endpoint="198.51.100.20"), proxy=bastion("203.0.113.10", 2222, "jump"))
    topology = lay_out(mesh(nyc, ams))
    assert [machine.role for machine in topology.machines] == ["gw-nyc", "gw-ams"]
    assert (topology.machines[0].ports, topology.machines[0].users) == ((22, 2222), ("root", "jump"))
    assert topology.access["203.0.113.10"] == "gw-nyc"


def test_two_sites_at_one_address_are_refused() -> None:
    same = [site("nyc", "10.99.0.1", endpoint="203.0.113.10"), site("ams", "10.99.0.2", endpoint="203.0.113.10")]
    with pytest.raises(LabError, match=r"203\.0\.113\.10 is the address of both nyc and ams"):
        lay_out(mesh(*same))


def test_the_uplink_takes_no_name_that_the_config_gives_to_another_interface() -> None:
    topology = lay_out(varied())
    assert machine(topology, "gw-ams").uplink == "eth1"  # its LAN is eth0
    assert machine(topology, "gw-nyc").uplink == "eth0"


def test_an_ssh_address_inside_a_sites_own_network_is_the_gateways_address_there() -> None:
    inner = site("nyc", "10.99.0.1", network("lan", "10.1.0.0/24"), endpoint="203.0.113.10")
    topology = lay_out(mesh(with_ssh(inner, host="10.1.0.10", proxy=bastion("192.0.2.1"))))
    gateway, host = topology.machines[0], topology.hosts[0]
    assert gateway.addresses == (ip_address("203.0.113.10"),)
    assert gateway.bridges[0].addresses == (ip_interface("10.1.0.10/24"),)
    assert host.addresses == (ip_interface("10.1.0.1/24"),)
    assert "route add 10.1.0.10/32 dev port0" in [*links.internet(topology, pids(topology))]


def test_addresses_of_the_lab_itself_avoid_what_the_mesh_uses() -> None:
    crowded = mesh(site("nyc", "10.99.0.1", network("lan", "198.18.0.0/16"), endpoint="nyc.example.com"))
    topology = lay_out(crowded)
    assert topology.operator == (ip_address("100.64.0.1"),)
    assert topology.names == {"nyc.example.com": ip_address("100.64.0.2")}


def test_addresses_of_the_lab_itself_avoid_what_other_sites_know_a_network_as() -> None:
    known_as = network("lan", "10.1.0.0/16", advertise_as=["198.18.0.0/16"])
    topology = lay_out(mesh(site("nyc", "10.99.0.1", known_as, endpoint="nyc.example.com")))
    assert topology.operator == (ip_address("100.64.0.1"),)
    assert topology.hosts[0].addresses == (ip_interface("10.1.0.10/16"),)


def test_two_sites_with_the_same_prefix_have_hosts_of_their_own_with_the_same_addresses() -> None:
    sites = [
        site(name, f"10.99.0.{number}", network("lan", "192.168.122.0/24"), endpoint=f"203.0.113.{number}")
        for number, name in enumerate(("nyc", "ams"), 1)
    ]
    inner = with_ssh(sites[1], host="192.168.122.7", proxy=bastion("192.0.2.1"))
    topology = lay_out(mesh(sites[0], inner))
    assert [host.gateway for host in topology.hosts] == ["gw-nyc", "gw-ams"]
    assert [host.addresses for host in topology.hosts] == [(ip_interface("192.168.122.10/24"),)] * 2
    # The address for SSH is that of one gateway; the other keeps the first of its network.
    assert [machine.inside for machine in topology.machines[:2]] == [(), (ip_address("192.168.122.7"),)]
    assert [str(host.routers[0]) for host in topology.hosts] == ["192.168.122.1", "192.168.122.7"]


def test_a_mesh_that_leaves_no_address_for_the_lab_is_refused() -> None:
    full = [network("a", "198.18.0.0/15"), network("b", "100.64.0.0/10")]
    with pytest.raises(LabError, match=r"no IPv4 addresses for the lab itself; free one of 198\.18\.0\.0/15"):
        lay_out(mesh(site("nyc", "10.99.0.1", *full, endpoint="203.0.113.10")))


def test_the_digest_changes_with_the_machines_and_not_with_the_grants() -> None:
    ungranted = Mesh(pair().tunnel, "wg0", 25, pair().sites, ())
    assert lay_out(pair()).digest == lay_out(ungranted).digest
    assert lay_out(pair()).digest != lay_out(varied()).digest


def test_the_internet_has_one_link_and_one_route_for_each_public_address_and_nothing_else() -> None:
    topology = lay_out(pair())
    assert [*links.internet(topology, {"gw-nyc": 11, "gw-ams": 12, "operator": 13})] == [
        "link set lo up",
        "link add name port0 type veth peer name eth0 netns 11",
        "addr add 169.254.0.1/32 dev port0",
        "addr add fe80::1/128 dev port0 nodad",
        "link set port0 up",
        "route add 203.0.113.10/32 dev port0",
        "link add name port1 type veth peer name eth0 netns 12",
        "addr add 169.254.0.1/32 dev port1",
        "addr add fe80::1/128 dev port1 nodad",
        "link set port1 up",
        "route add 198.51.100.20/32 dev port1",
        "link add name port2 type veth peer name eth0 netns 13",
        "addr add 169.254.0.1/32 dev port2",
        "addr add fe80::1/128 dev port2 nodad",
        "link set port2 up",
        "route add 198.18.0.1/32 dev port2",
    ]


def test_a_gateway_has_its_public_address_and_a_bridge_for_its_network() -> None:
    topology = lay_out(pair())
    nyc = machine(topology, "gw-nyc")
    assert [*links.uplink(nyc.uplink, nyc.addresses)] == [
        "link set lo up",
        "addr add 203.0.113.10/32 dev eth0",
        "link set eth0 up",
        "route add default via 169.254.0.1 dev eth0 onlink",
    ]
    assert [*links.bridges(nyc, topology.hosts[:1], {"lan-nyc.virbr0": 21})] == [
        "link add name virbr0 type bridge stp_state 0 mcast_snooping 0",
        "addr add 192.168.122.1/24 dev virbr0",
        "addr add fd22::1/64 dev virbr0 nodad",
        "link set virbr0 up",
        "link add name port0 type veth peer name eth0 netns 21",
        "link set port0 master virbr0 up",
    ]


def test_a_host_leads_everything_by_way_of_its_gateway() -> None:
    assert [*links.lan_host(lay_out(pair()).hosts[1])] == [
        "link set lo up",
        "addr add 10.20.0.10/24 dev eth0",
        "addr add fd20::a/64 dev eth0 nodad",
        "link set eth0 up",
        "route add default via 10.20.0.1 dev eth0 onlink",
        "route add default via fd20::1 dev eth0 onlink",
    ]


def test_a_network_of_one_address_is_its_hosts_and_the_gateway_has_a_route_to_it() -> None:
    topology = lay_out(mesh(site("nyc", "10.99.0.1", network("db", "10.1.2.3/32"), endpoint="203.0.113.10")))
    (host,) = topology.hosts
    assert host.addresses == (ip_interface("10.1.2.3/32"),)
    commands = [*links.bridges(topology.machines[0], topology.hosts, pids(topology))]
    assert "addr add 169.254.0.2/32 dev db" in commands
    assert "route add 10.1.2.3/32 dev db" in commands
    assert "route add default via 169.254.0.2 dev eth0 onlink" in [*links.lan_host(host)]


@pytest.mark.parametrize(
    ("cidr", "router", "host"),
    [
        ("10.0.0.0/29", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/30", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
        ("fd00::/127", "fd00::", "fd00::1"),
    ],
)
def test_small_networks_have_room_for_a_gateway_and_a_host(cidr: str, router: str, host: str) -> None:
    topology = lay_out(mesh(site("nyc", "10.99.0.1", network("lan", cidr), endpoint="203.0.113.10")))
    assert [str(address.ip) for address in topology.machines[0].bridges[0].addresses] == [router]
    assert [str(address.ip) for address in topology.hosts[0].addresses] == [host]


@given(meshes(max_sites=6))
@settings(max_examples=60, deadline=None)
def test_no_two_machines_share_an_address_and_every_host_is_in_its_network(drawn: Mesh) -> None:
    topology = lay_out(drawn)
    public = [*topology.operator, *chain.from_iterable(machine.addresses for machine in topology.machines)]
    assert len(public) == len(set(public))
    inside = [cidr for each in drawn.sites for network in each.networks for cidr in network.cidrs]
    assert not [address for address in public if any(address in cidr for cidr in inside)]
    networks = {str(network): network for each in drawn.sites for network in each.networks}
    for host in topology.hosts:
        assert [ip_network(address.network) for address in host.addresses] == [*networks[host.network].cidrs]
        assert not {address.ip for address in host.addresses} & set(host.routers)


@given(meshes(max_sites=6))
@settings(max_examples=60, deadline=None)
def test_interface_names_on_a_machine_are_distinct_and_short_enough_for_the_kernel(drawn: Mesh) -> None:
    topology = lay_out(drawn)
    for machine in topology.machines:
        ports = [host.port for host in topology.hosts if host.gateway == machine.role]
        names = [drawn.interface, machine.uplink, *(bridge.name for bridge in machine.bridges), *ports]
        assert len(names) == len(set(names))
        assert all(len(name) < 16 for name in names)
