"""What the accounts of clouds declare is enforced on real packets: each thing passes, and does not where it may not."""

import os
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from lab.clouds.model import INTERNET
from lab.namespaces import Process
from tests.lab.clouds.arrivals import arrives
from tests.lab.clouds.stage import (
    EIP,
    GATEWAY,
    HOST,
    OTHER_EIP,
    OUTSIDE,
    REMOTE,
    Stage,
    answering,
    ask,
    ask_by_udp,
    aws,
    connection,
    echoing,
    instance,
    lend,
    pings,
    rule,
    stage,
)

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

TO_INTERNET = (ip_network("0.0.0.0/0"), INTERNET)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("fabric")) as begun:
        yield begun


@pytest.fixture
def lab(built: Stage) -> Stage:
    """Every test begins with one gateway, as `instance` has it."""
    built.show(aws(instance()))
    return built


def test_a_group_lets_in_what_its_rules_say_and_nothing_else(lab: Stage) -> None:
    gateway = lab.fabric.gateway("use1")
    with answering(gateway, GATEWAY), answering(gateway, GATEWAY, 7001):
        assert ask(lab.outside, EIP) == OUTSIDE
        assert not arrives(lab.outside, EIP, at=gateway, port=7001)
        assert ask(lab.host("use1"), GATEWAY, 7001) == HOST
    assert not pings(lab.outside, EIP)
    lab.show(aws(instance(ingress=(rule("icmp", 0, f"{OUTSIDE}/32"),))))
    assert pings(lab.outside, EIP)


def test_a_gateway_sends_what_its_group_lets_out_and_nothing_else(lab: Stage) -> None:
    gateway = lab.fabric.gateway("use1")
    with answering(lab.outside, OUTSIDE), answering(lab.outside, OUTSIDE, 7001):
        lab.show(aws(instance(egress=(rule("tcp", 7000, "198.18.0.0/24"),))))
        assert ask(gateway, OUTSIDE) == EIP
        assert not arrives(gateway, OUTSIDE, at=lab.outside, port=7001)
        lab.show(aws(instance()))
        assert ask(gateway, OUTSIDE, 7001) == EIP


def test_without_a_public_address_nothing_passes_to_or_from_the_internet(lab: Stage) -> None:
    gateway = lab.fabric.gateway("use1")
    with answering(lab.outside, OUTSIDE), answering(gateway, GATEWAY):
        assert ask(gateway, OUTSIDE) == EIP
        assert not arrives(lab.host("use1"), OUTSIDE, at=lab.outside)
        lab.show(aws(instance(nat=(), sends_as=None)))
        assert not arrives(gateway, OUTSIDE, at=lab.outside)
        assert ask(lab.outside, EIP) == "OSError"  # there is no such address
        assert ask(lab.outside, GATEWAY) == "OSError"


def test_a_private_address_cannot_be_sent_to_from_the_internet(lab: Stage) -> None:
    uplink = lab.internet.run(["ip", "-4", "route", "get", EIP]).stdout.split(" dev ")[1].split()[0]
    lab.internet.ip([f"route add 10.10.0.0/24 via 169.254.0.2 dev {uplink} onlink"])
    with answering(lab.host("use1"), HOST):
        assert ask(lab.fabric.gateway("use1"), HOST) == GATEWAY
        assert not arrives(lab.outside, HOST, at=lab.host("use1"))
    lab.internet.ip(["route del 10.10.0.0/24"])


def test_the_route_table_leads_to_the_gateway_what_it_says_and_nothing_else(lab: Stage) -> None:
    gateway, host = lab.fabric.gateway("use1"), lab.host("use1")
    lend(gateway, REMOTE)
    with answering(gateway, REMOTE):
        assert ask(host, REMOTE) == HOST
        lab.show(aws(instance(), tables={"rtb-1": (TO_INTERNET,)}))
        assert not arrives(host, REMOTE, at=gateway)
        lab.show(aws(instance(), tables={"rtb-1": ((ip_network("10.20.0.8/29"), "i-1"),)}))
        assert not arrives(host, REMOTE, at=gateway)
    with answering(gateway, GATEWAY):
        assert ask(host, GATEWAY) == HOST  # the VPC itself needs no table


def test_the_table_of_the_senders_subnet_counts_and_no_other(lab: Stage) -> None:
    gateway, host = lab.fabric.gateway("use1"), lab.host("use1")
    both = {"rtb-1": (TO_INTERNET,), "rtb-2": ((ip_network("10.20.0.0/24"), "i-1"),)}
    subnet = ip_network("10.10.0.0/24")
    lend(gateway, REMOTE)
    with answering(gateway, REMOTE), answering(lab.outside, OUTSIDE):
        lab.show(aws(instance(), tables=both, subnets=((subnet, "rtb-2"),)))
        assert ask(host, REMOTE) == HOST
        assert ask(gateway, OUTSIDE) == EIP  # by rtb-1
        lab.show(aws(instance(table="rtb-2"), tables=both, subnets=((subnet, "rtb-1"),)))
        assert not arrives(host, REMOTE, at=gateway)
        assert not arrives(gateway, OUTSIDE, at=lab.outside)
        lab.show(aws(instance(), tables=both, subnets=((subnet, None),)))
        assert not arrives(host, REMOTE, at=gateway)


def test_the_source_and_destination_check_drops_what_is_not_the_machines_own_in_both_directions(lab: Stage) -> None:
    gateway, host = lab.fabric.gateway("use1"), lab.host("use1")
    lend(gateway, REMOTE)
    with answering(gateway, REMOTE), answering(host, HOST):
        assert ask(host, REMOTE) == HOST
        assert ask(gateway, HOST, source=REMOTE) == REMOTE
        lab.show(aws(instance(checked=True)))
        assert not arrives(host, REMOTE, at=gateway)
        assert not arrives(gateway, HOST, at=host, source=REMOTE)
        assert ask(gateway, HOST) == GATEWAY


def test_packets_that_a_route_brings_pass_the_gateways_group_too(lab: Stage) -> None:
    gateway, host = lab.fabric.gateway("use1"), lab.host("use1")
    lend(gateway, REMOTE)
    with answering(gateway, REMOTE):
        assert ask(host, REMOTE) == HOST
        lab.show(aws(instance(ingress=(rule("tcp", 7001, "10.10.0.0/24"),))))
        assert not arrives(host, REMOTE, at=gateway)


def test_answers_pass_a_group_that_would_not_let_them_in(lab: Stage) -> None:
    gateway, host = lab.fabric.gateway("use1"), lab.host("use1")
    lab.show(aws(instance(ingress=())))
    with answering(host, HOST), answering(gateway, GATEWAY):
        assert ask(gateway, HOST) == GATEWAY
        assert not arrives(host, GATEWAY, at=gateway)


def test_a_changed_rule_leaves_open_connections_alone_and_stops_new_ones(lab: Stage) -> None:
    gateway = lab.fabric.gateway("use1")
    with echoing(gateway, GATEWAY, 7000), connection(lab.outside, EIP, 7000) as say:
        assert say() == "again"
        lab.show(aws(instance(ingress=(rule("tcp", 22, "0.0.0.0/0"),))))
        assert say() == "again"
    with answering(gateway, GATEWAY, 7000):
        assert not arrives(lab.outside, EIP, at=gateway)


def test_what_is_the_same_is_not_touched(lab: Stage) -> None:
    router = lab.fabric.router("vpc-1")
    assert not pings(lab.outside, EIP)

    def content() -> list[str]:
        commands = (
            ["iptables-save", "-c"],
            ["ip", "-o", "link"],
            ["ip", "route", "show", "table", "all"],
            ["ip", "rule"],
        )
        said = [router.run(command).stdout for command in commands]
        return [line for text in said for line in text.splitlines() if not line.startswith("#")]

    before = content()
    assert any(
        "-j DROP" in line and not line.startswith("[0:0]") for line in before
    )  # counted, and not yet loaded anew
    lab.show(aws(instance()))
    assert content() == before
    lab.show(aws(instance(ingress=())))
    assert content() != before


def test_an_elastic_ip_that_moves_takes_even_the_flows_of_one_port_along(lab: Stage) -> None:
    open_udp = (rule("udp", 7000, f"{OUTSIDE}/32"),)
    elsewhere = {"addresses": (ip_interface("10.10.0.5/24"),), "ingress": open_udp}
    first = instance(ingress=open_udp)
    second = replace(instance(nat=(), sends_as=None, **elsewhere), id="i-2", site="other")
    lab.show(aws(first, second))
    with (
        answering(lab.fabric.gateway("use1"), GATEWAY, udp="first"),
        answering(lab.fabric.gateway("other"), "10.10.0.5", udp="second"),
    ):
        assert ask_by_udp(lab.outside, EIP) == f"first {OUTSIDE}"
        moved = instance(nat=((ip_address(EIP), ip_address("10.10.0.5")),), **elsewhere)
        lab.show(aws(instance(ingress=open_udp, nat=(), sends_as=None), replace(moved, id="i-2", site="other")))
        assert ask_by_udp(lab.outside, EIP) == f"second {OUTSIDE}"


def test_what_a_machine_has_open_leaves_with_the_address_that_it_has_now(lab: Stage) -> None:
    other = {"nat": ((ip_address(OTHER_EIP), ip_address(GATEWAY)),), "sends_as": ip_address(OTHER_EIP)}
    gateway = lab.fabric.gateway("use1")
    with answering(lab.outside, OUTSIDE, udp="you are"):
        assert ask_by_udp(gateway, OUTSIDE) == f"you are {EIP}"
        lab.show(aws(instance(**other)))
        assert ask_by_udp(gateway, OUTSIDE) == f"you are {OTHER_EIP}"


def test_two_machines_of_a_vpc_see_each_other_by_their_public_addresses(lab: Stage) -> None:
    second = instance(
        addresses=(ip_interface("10.10.0.5/24"),),
        nat=((ip_address(OTHER_EIP), ip_address("10.10.0.5")),),
        sends_as=ip_address(OTHER_EIP),
        ingress=(rule("tcp", 7000, f"{EIP}/32"),),
    )
    lab.show(aws(instance(), replace(second, id="i-2", site="other")))
    with answering(lab.fabric.gateway("other"), "10.10.0.5"), answering(lab.fabric.gateway("use1"), GATEWAY):
        assert ask(lab.fabric.gateway("use1"), OTHER_EIP) == EIP
        assert not arrives(lab.fabric.gateway("other"), EIP, at=lab.fabric.gateway("use1"))


def test_a_replaced_machine_is_a_new_one_with_nothing_of_the_old(lab: Stage) -> None:
    old = lab.fabric.gateway("use1")
    old.write("/root/mark", "")
    lab.show(aws(replace(instance(), id="i-9"), tables={"rtb-1": (TO_INTERNET, (ip_network("10.20.0.0/24"), "i-9"))}))
    new = lab.fabric.gateway("use1")
    assert new.holder != old.holder
    assert not new.path("/root/mark").exists()
    lend(new, REMOTE)
    with answering(new, REMOTE), answering(new, GATEWAY):
        assert ask(lab.host("use1"), REMOTE) == HOST
        assert ask(lab.outside, EIP) == OUTSIDE
    with pytest.raises(ProcessLookupError):
        Process.of(old.holder.pid)
