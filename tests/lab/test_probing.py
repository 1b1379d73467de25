"""Which probes a mesh needs, and what is expected of each."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lab.policy import judge
from lab.probing import Probe, probes
from lab.topology import Topology, lay_out, with_gateways
from mesh.model import Family, Grant, Mesh
from tests.lab.results import as_expected, probes_of, results_for
from tests.lab.worlds import cloudy, pair
from tests.mesh.meshes import mesh, network, site


def granting(*access: tuple[str, str, str]) -> Mesh:
    """Two sites of one family with these grants."""
    return mesh(
        site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24", masquerade=True), endpoint="203.0.113.10"),
        site("ams", "10.99.0.2", network("lan", "10.20.0.0/24"), endpoint="198.51.100.20"),
        access=access,
    )


def same_prefix_twice() -> Mesh:
    """Both sites have 192.168.122.0/24; elsewhere that is 10.201.0.0/24 (ams) and 10.202.0.0/24 (nyc, masquerading)."""
    return mesh(
        site(
            "nyc",
            ("10.99.0.1", "fd99::1"),
            network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True, advertise_as=["10.202.0.0/24"]),
            endpoint="203.0.113.10",
        ),
        site(
            "ams",
            ("10.99.0.2", "fd99::2"),
            network("lan", "192.168.122.0/24", "fd20::/64", advertise_as=["10.201.0.0/24"]),
            endpoint="198.51.100.20",
        ),
        tunnel=("10.99.0.0/24", "fd99::/64"),
        access=[("ams.lan", "nyc.virbr0", "tcp/443"), ("nyc.virbr0", "ams.lan", "udp/53")],
    )


def between(found: list[Probe], source: str, destination: str) -> dict[str, bool]:
    """From one point to another: each probe, and whether it is to pass."""
    return {
        str(probe): probe.granted
        for probe in found
        if (str(probe.source), str(probe.destination)) == (source, destination)
    }


def test_every_ordered_pair_of_different_sites_is_probed_and_no_other() -> None:
    pairs = {(str(probe.source), str(probe.destination)) for probe in probes_of(pair())}
    assert pairs == {
        (source, destination)
        for here, there in ((["nyc", "nyc.virbr0"], ["ams", "ams.lan"]), (["ams", "ams.lan"], ["nyc", "nyc.virbr0"]))
        for source in here
        for destination in there
    }


def test_each_family_that_both_ends_have_is_probed_by_icmp_tcp_and_udp() -> None:
    one_family = mesh(
        site("nyc", "10.99.0.1", network("lan", "10.1.0.0/24"), endpoint="203.0.113.10"),
        site("ams", "10.99.0.2", network("lan", "10.2.0.0/24", "fd02::/64"), endpoint="198.51.100.20"),
    )
    only = {str(probe) for probe in probes_of(one_family)}
    assert only == {"IPv4 icmp", "IPv4 tcp/7007", "IPv4 udp/7007"}
    assert {str(probe) for probe in probes_of(pair())} == only | {"IPv6 icmp", "IPv6 tcp/7007", "IPv6 udp/7007"}


def test_a_granted_range_is_probed_at_its_ends_and_beside_them_by_both_protocols() -> None:
    found = between(probes_of(granting(("ams.lan", "nyc.virbr0", "tcp/8000-8100"))), "ams.lan", "nyc.virbr0")
    assert {name for name, granted in found.items() if granted} == {"IPv4 tcp/8000", "IPv4 tcp/8100"}
    denied = ["tcp/7999", "tcp/8101", "tcp/7007", "icmp", *(f"udp/{port}" for port in (7007, 7999, 8000, 8100, 8101))]
    assert {name for name, granted in found.items() if not granted} == {f"IPv4 {name}" for name in denied}


def test_ports_of_a_grant_are_probed_in_its_pair_only_unless_everything_is_asked() -> None:
    built = granting(("ams.lan", "nyc.virbr0", "udp/53"))
    assert set(between(probes_of(built), "nyc.virbr0", "ams.lan")) == {"IPv4 icmp", "IPv4 tcp/7007", "IPv4 udp/7007"}
    found = between(probes_of(built, everywhere=True), "nyc.virbr0", "ams.lan")
    ports = [f"IPv4 {protocol}/{port}" for protocol in ("tcp", "udp") for port in (52, 53, 54, 7007)]
    assert found == dict.fromkeys(["IPv4 icmp", *ports], False)


@pytest.mark.parametrize(
    ("services", "ports"), [("tcp", {1, 7007, 65535}), ("udp/1-65535", {1, 7007, 65535}), ("tcp/1", {1, 2, 7007})]
)
def test_no_port_is_probed_that_is_none(services: str, ports: set[int]) -> None:
    found = probes_of(granting(("ams.lan", "nyc.virbr0", services)))
    asked = {probe.port for probe in found if str(probe.source) == "ams.lan" and str(probe.destination) == "nyc.virbr0"}
    assert asked - {0} == ports


def test_the_port_where_wireguard_listens_itself_is_not_asked_by_udp() -> None:
    found = between(probes_of(granting(("ams.lan", "nyc nyc.virbr0", "udp/51820"))), "ams.lan", "nyc")
    assert "IPv4 udp/51820" not in found
    assert found["IPv4 tcp/51820"] is False
    assert found["IPv4 udp/51821"] is False
    behind = between(probes_of(granting(("ams.lan", "nyc nyc.virbr0", "udp/51820"))), "ams.lan", "nyc.virbr0")
    assert behind["IPv4 udp/51820"] is True


def test_where_everything_is_asked_so_are_a_gateways_addresses_in_its_networks() -> None:
    built = granting(("ams", "nyc", "tcp/443"), ("ams.lan", "nyc.virbr0", ""))
    inside = {
        (str(probe.source), probe.protocol, probe.port): probe.granted
        for probe in probes_of(built, everywhere=True)
        if str(probe.to) == "192.168.122.1"
    }
    # Endpoints may ping each other in the tunnel alone, and a grant to the network is for the hosts behind the gateway.
    assert {key for key, granted in inside.items() if granted} == {("ams", "tcp", 443)}
    assert {("ams", "icmp", 0), ("ams.lan", "icmp", 0), ("ams.lan", "tcp", 443)} <= set(inside)
    assert not [probe for probe in probes_of(built) if str(probe.to) == "192.168.122.1"]


def test_a_masqueraded_network_has_to_see_its_gateway_and_any_other_the_opener() -> None:
    seen = {
        (str(probe.source), str(probe.destination), probe.protocol): str(probe.arrives_as)
        for probe in probes_of(pair())
        if probe.family == 4
    }
    for protocol in ("tcp", "udp"):
        assert seen["ams.lan", "nyc.virbr0", protocol] == "192.168.122.1"
        assert seen["nyc.virbr0", "ams.lan", protocol] == "192.168.122.10"
    assert seen["ams.lan", "nyc.virbr0", "icmp"] == "None"


def test_a_network_is_sent_to_by_the_prefix_that_others_know_it_by_and_seen_by_its_own() -> None:
    found = {
        (str(probe.source), str(probe.destination), probe.family): probe
        for probe in probes_of(same_prefix_twice())
        if (probe.protocol, probe.port) == ("tcp", 7007)
    }
    to_nyc, to_ams = found["ams.lan", "nyc.virbr0", 4], found["nyc.virbr0", "ams.lan", 4]
    assert (str(to_nyc.sends_from), str(to_nyc.to.known_as), str(to_nyc.to.real)) == (
        "192.168.122.10",
        "10.202.0.10",
        "192.168.122.10",
    )
    assert str(to_nyc.arrives_as) == "192.168.122.1"  # masqueraded
    assert (str(to_ams.to.known_as), str(to_ams.arrives_as)) == ("10.201.0.10", "10.202.0.10")
    # The family that is not in advertise_as is known as it is.
    to_nyc6 = found["ams.lan", "nyc.virbr0", 6]
    assert (str(to_nyc6.to.known_as), str(to_nyc6.arrives_as)) == ("fd22::a", "fd22::1")
    assert str(found["ams", "nyc.virbr0", 4].to) == "10.202.0.10 (192.168.122.10 there)"


def test_a_probe_knows_what_it_stands_for_in_the_grants() -> None:
    built = granting(("ams.lan", "nyc.virbr0", "tcp/80 tcp/8000-8100 icmp"), ("ams.lan", "nyc", ""))
    stands_for = {(str(probe.source), str(probe.destination), str(probe)): probe.service for probe in probes_of(built)}
    behind = {name.removeprefix("IPv4 "): known for (a, b, name), known in stands_for.items() if b == "nyc.virbr0"}
    assert {name: known for name, known in behind.items() if known} == {
        "icmp": "icmp",
        "tcp/80": "tcp/80",
        "tcp/8000": "tcp/8000-8100",
        "tcp/8100": "tcp/8000-8100",
    }
    assert behind["tcp/81"] == ""
    assert stands_for["ams.lan", "nyc", "IPv4 tcp/7007"] == "all"
    assert stands_for["ams", "nyc", "IPv4 icmp"] == "ping"


def test_the_judge_is_asked_for_a_service_a_family_and_the_two_by_name() -> None:
    asked = set()

    def judged(source: str, destination: str, service: str, family: Family) -> bool:
        asked.add((source, destination, service, family))
        return False

    probes_of(granting(("ams.lan", "nyc.virbr0", "udp/53")), judged)
    assert ("ams.lan", "nyc.virbr0", "udp/53", 4) in asked
    assert ("ams", "nyc", "ping", 4) in asked
    assert ("nyc", "ams.lan", "tcp/7007", 4) in asked


def test_where_the_judge_and_the_plain_reading_differ_the_result_is_a_problem_whatever_it_is() -> None:
    built = granting(("ams.lan", "nyc.virbr0", "tcp/443"))
    assert not [result for result in results_for(built) if result.problem]

    def wrong(source: str, destination: str, service: str, family: Family) -> bool:
        return service == "tcp/444" or (service != "tcp/443" and judge(built)(source, destination, service, family))

    problems = {str(result.probe): result.problem for result in results_for(built, judged=wrong) if result.problem}
    assert problems == {
        "IPv4 tcp/443": "the hosts' texts block it, the grants grant it; silent",
        "IPv4 tcp/444": "the hosts' texts let it pass, the grants deny it; answered",
    }


def test_a_result_says_what_is_not_as_the_policy_says() -> None:
    built = granting(("ams.lan", "nyc.virbr0", "tcp/443"))
    wanted = {str(probe): probe for probe in probes_of(built) if str(probe.destination) == "nyc.virbr0"}
    granted, denied = as_expected(wanted["IPv4 tcp/443"]), as_expected(wanted["IPv4 tcp/444"])
    assert (granted.problem, denied.problem) == (None, None)
    # A port that another program has does not say which source it saw.
    assert replace(granted, state="open", seen=None).problem is None
    assert replace(granted, state="refused", seen=None, tries=3).problem == "granted, but refused (3 tries)"
    assert replace(granted, state="silent", seen=None, tries=1).problem == "granted, but silent (1 try)"
    assert replace(granted, seen="10.20.0.10").problem == "granted, but arrives as 10.20.0.10 instead of 192.168.122.1"
    assert replace(denied, state="open").problem == "denied, but open"
    assert replace(denied, state="refused").problem == "denied, but refused"
    assert replace(denied, state="answered", seen="10.20.0.10").problem == "denied, but answered, seen as 10.20.0.10"
    assert replace(denied, state="unreachable").problem is None
    # The answer may be lost where the question was not.
    assert replace(denied, arrived=True).problem == "denied, but arrives, unanswered"
    assert replace(denied, arrived=True, state="unreachable").problem == "denied, but arrives, unanswered"
    assert replace(denied, arrived=True, state="refused").problem == "denied, but refused"
    texts = "the hosts' texts block it, the grants grant it; silent"
    disputed = replace(denied, probe=replace(denied.probe, disputed=True))
    assert (disputed.problem, replace(disputed, arrived=True).problem) == (texts, f"{texts}, but arrives")


def test_behind_a_gateway_in_a_cloud_its_own_address_is_expected_as_soon_as_it_is_known() -> None:
    fra = cloudy().sites[2].networks[0]
    nyc = cloudy().sites[0].networks[0]
    built = replace(cloudy(), access=(Grant((nyc,), (fra,)),))

    def arrivals(topology: Topology) -> set[str]:
        found = [probe for probe in probes(built, topology, judge(built)) if probe.granted and probe.port]
        return {str(probe.arrives_as) for probe in found}

    assert arrivals(lay_out(built)) == {"None"}
    assert arrivals(with_gateways(lay_out(built), lambda _: [ip_address("10.40.0.2")])) == {"10.40.0.2"}
