"""A VPC without route tables on real packets: hosts find their own way, and a reserved address leads inwards only."""

import os
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from lab.clouds.model import Vpc
from lab.namespaces import LabError
from tests.lab.clouds.arrivals import arrives
from tests.lab.clouds.stage import (
    ANCHOR,
    DROPLET,
    OUTSIDE,
    REMOTE,
    RESERVED,
    Stage,
    answering,
    ask,
    aws,
    digital_ocean,
    droplet,
    instance,
    lend,
    pings,
    stage,
)

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

PRIVATE = "10.40.0.2"
HOST = "10.40.0.10"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("droplets")) as begun:
        yield begun


@pytest.fixture
def lab(built: Stage) -> Stage:
    """Every test begins with one gateway, as `droplet` has it, and a host without routes beyond the VPC."""
    built.show(digital_ocean(droplet()))
    built.host("fra").ip(["route flush via 10.40.0.0/24"], check=False)
    return built


def test_the_firewall_lets_in_what_its_rules_say_on_both_sides_and_nothing_else(lab: Stage) -> None:
    gateway = lab.fabric.gateway("fra")
    with answering(gateway, DROPLET), answering(gateway, DROPLET, 7001), answering(gateway, PRIVATE, 7001):
        assert ask(lab.outside, DROPLET) == OUTSIDE
        assert not arrives(lab.outside, DROPLET, at=gateway, port=7001)
        assert ask(lab.host("fra"), PRIVATE, 7001) == HOST
    assert not pings(lab.outside, DROPLET)


def test_a_reserved_address_leads_to_the_droplet_and_what_it_opens_itself_has_its_own(lab: Stage) -> None:
    gateway = lab.fabric.gateway("fra")
    with answering(gateway, ANCHOR), answering(lab.outside, OUTSIDE):
        assert ask(lab.outside, RESERVED) == "OSError"
        lab.show(digital_ocean(droplet(reserved=True)))
        assert ask(lab.outside, RESERVED) == OUTSIDE
        assert ask(gateway, OUTSIDE) == DROPLET
        assert not arrives(gateway, OUTSIDE, at=lab.outside, source=ANCHOR)
        lab.show(digital_ocean(droplet()))
        assert ask(lab.outside, RESERVED) == "OSError"


def test_a_host_reaches_another_site_only_with_a_route_of_its_own(lab: Stage) -> None:
    gateway, host = lab.fabric.gateway("fra"), lab.host("fra")
    lend(gateway, REMOTE)
    with answering(gateway, REMOTE), answering(lab.outside, OUTSIDE):
        assert ask(host, REMOTE) == "OSError"
        host.ip([f"route replace 10.20.0.0/24 via {PRIVATE} dev eth1"])
        assert ask(host, REMOTE) == HOST
        assert ask(host, OUTSIDE) == "OSError"


def test_a_droplet_that_takes_anothers_place_gets_what_hosts_send_beyond(lab: Stage) -> None:
    host = lab.host("fra")
    lab.show(digital_ocean(droplet(), droplet("2", "10.40.0.3", public="198.19.1.2")))
    lab.show(digital_ocean(droplet("2", "10.40.0.3", public="198.19.1.2")))
    gateway = lab.fabric.gateway("fra")
    lend(gateway, REMOTE)
    with answering(gateway, REMOTE), answering(gateway, "198.19.1.2"):
        host.ip(["route replace 10.20.0.0/24 via 10.40.0.3 dev eth1"])
        assert ask(host, REMOTE) == HOST
        assert ask(lab.outside, "198.19.1.2") == OUTSIDE
        assert ask(lab.outside, DROPLET) == "OSError"


def test_of_two_sites_in_one_vpc_each_ones_hosts_send_to_its_own_gateway(lab: Stage) -> None:
    other = droplet("2", "10.40.0.3", site="ams3", public="198.19.1.2")
    lab.show(digital_ocean(droplet(), other))
    mine, others, host = lab.fabric.gateway("fra"), lab.fabric.gateway("ams3"), lab.host("fra")
    for gateway in (mine, others):
        lend(gateway, REMOTE)
    host.ip([f"route replace 10.20.0.0/24 via {PRIVATE} dev eth1"])
    with answering(mine, REMOTE), answering(mine, PRIVATE), answering(others, "10.40.0.3"):
        assert ask(host, REMOTE) == HOST
        assert not arrives(host, REMOTE, at=others)
        assert ask(others, PRIVATE) == "10.40.0.3"
        assert ask(lab.outside, "198.19.1.2", 7001) == "TimeoutError"
        lab.show(digital_ocean(other))
        assert not arrives(host, REMOTE, at=others)
        assert ask(host, "10.40.0.3") == HOST


def test_what_cannot_be_had_is_refused_before_anything_is_done_and_is_in_nobodys_way(lab: Stage) -> None:
    inside = ((ip_network("10.10.0.0/25"), "i-1"),)
    before = (lab.directory / "fabric.json").read_text()
    with pytest.raises(LabError, match=r"rtb-1 has a route to 10\.10\.0\.0/25, inside vpc-1 itself"):
        lab.fabric.apply([digital_ocean(), aws(instance(), tables={"rtb-1": inside})])
    assert (lab.directory / "fabric.json").read_text() == before
    assert lab.fabric.gateway("fra")
    lab.show(digital_ocean(droplet()), aws())


def test_droplets_of_two_vpcs_reach_each_other_over_the_internet_only(lab: Stage) -> None:
    other = droplet("2", "10.50.0.2", site="ams3", public="198.19.1.2", anchor="10.18.0.5")
    elsewhere = Vpc("uuid-2", "digitalocean", (ip_network("10.50.0.0/24"),), (other,))
    lab.show(digital_ocean(droplet(opens_to="198.19.1.2")), elsewhere)
    here, there = lab.fabric.gateway("fra"), lab.fabric.gateway("ams3")
    with answering(there, "198.19.1.2"), answering(there, "10.50.0.2"), answering(here, DROPLET):
        assert ask(there, DROPLET) == "198.19.1.2"
        assert not arrives(here, "198.19.1.2", at=there)  # that one's firewall knows only the machine outside
        assert ask(lab.outside, "198.19.1.2") == OUTSIDE
        assert ask(here, "10.50.0.2") == "OSError"
