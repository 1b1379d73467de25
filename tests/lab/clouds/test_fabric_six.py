"""IPv6 in a VPC, on real packets: the same rules, and no way in from outside without a way out."""

import os
from collections.abc import Iterator
from ipaddress import ip_interface, ip_network

import pytest

from lab.clouds.model import INTERNET, Vpc
from tests.lab.clouds.arrivals import arrives
from tests.lab.clouds.stage import ANYTHING, GATEWAY, Stage, answering, ask, aws, instance, lend, rule, stage

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

TO_INTERNET = (ip_network("0.0.0.0/0"), INTERNET)
OUT = (ip_network("::/0"), INTERNET)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("six"), host="2001:db8:10::a/64", outside="2001:db8:99::1") as begun:
        yield begun


def both_families(*, out: bool = True, **changes: object) -> Vpc:
    """The VPC with an IPv6 block and, with `out`, a way to the internet; the gateway may be asked on port 7000."""
    link = {
        "addresses": (ip_interface(f"{GATEWAY}/24"), ip_interface("2001:db8:10::4/64")),
        "ingress": (rule("tcp", 7000, "2001:db8::/32"),),
        "egress": ANYTHING,
    }
    blocks = (ip_network("10.10.0.0/16"), ip_network("2001:db8:10::/56"))
    routes = (TO_INTERNET, (ip_network("2001:db8:20::/64"), "i-1"), *([OUT] if out else []))
    subnets = ((ip_network("10.10.0.0/24"), "rtb-1"), (ip_network("2001:db8:10::/64"), "rtb-1"))
    return aws(instance(**{**link, **changes}), cidrs=blocks, tables={"rtb-1": routes}, subnets=subnets)


def test_ipv6_fares_by_the_same_rules(lab: Stage) -> None:
    lab.show(both_families())
    gateway, host = lab.fabric.gateway("use1"), lab.host("use1")
    lend(gateway, "2001:db8:20::7")
    with (
        answering(gateway, "2001:db8:20::7"),
        answering(gateway, "2001:db8:10::4"),
        answering(gateway, "2001:db8:10::4", 7001),
    ):
        assert ask(host, "2001:db8:20::7") == "2001:db8:10::a"
        assert ask(host, "2001:db8:10::4") == "2001:db8:10::a"
        assert not arrives(host, "2001:db8:10::4", at=gateway, port=7001)
        assert ask(lab.outside, "2001:db8:10::4") == "2001:db8:99::1"
        lab.show(both_families(checked=True))
        assert not arrives(host, "2001:db8:20::7", at=gateway)
        assert ask(host, "2001:db8:10::4") == "2001:db8:10::a"
    with answering(lab.outside, "2001:db8:99::1"):
        assert ask(gateway, "2001:db8:99::1") == "2001:db8:10::4"
        assert not arrives(host, "2001:db8:99::1", at=lab.outside)


def test_without_a_way_out_nothing_gets_in_from_outside(lab: Stage) -> None:
    lab.show(both_families())
    gateway = lab.fabric.gateway("use1")
    with answering(gateway, "2001:db8:10::4"):
        assert arrives(lab.outside, "2001:db8:10::4", at=gateway)
        lab.show(both_families(out=False))
        assert not arrives(lab.outside, "2001:db8:10::4", at=gateway)
        assert ask(lab.host("use1"), "2001:db8:10::4") == "2001:db8:10::a"
