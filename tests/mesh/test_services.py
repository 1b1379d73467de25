"""Merging services: the same packets, nothing said twice."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mesh.model import Service
from mesh.services import common, contained, merged, without
from tests.mesh.meshes import service, services


def texts(*names: str) -> list[str]:
    return [str(each) for each in merged(tuple(service(name) for name in names))]


def test_ranges_that_touch_are_one_and_those_that_do_not_stay_apart() -> None:
    assert texts("tcp/80", "tcp/81-90", "tcp/85-100", "tcp/102") == ["tcp/80-100", "tcp/102"]
    assert texts("udp/53", "tcp/53", "icmp", "icmp") == ["icmp", "tcp/53", "udp/53"]
    assert texts("tcp/443", "tcp") == ["tcp"]


def test_every_protocol_leaves_nothing_else_to_say() -> None:
    assert merged((service("tcp/443"), None, service("icmp"))) == (None,)
    assert merged(()) == ()


def test_no_port_is_shown_that_could_not_be_written() -> None:
    assert str(Service("tcp", 0, 442)) == "tcp/1-442"
    assert str(Service("tcp", 0, 1)) == "tcp/1"
    assert texts("tcp/1-442", "tcp/443-65535") == [str(Service("tcp", 0, 65535))] == ["tcp"]


def test_port_0_alone_is_nothing_that_is_missing() -> None:
    halves = (service("udp/1-442"), service("udp/443-65535"))
    assert contained((service("udp"),), halves)
    assert without((service("udp"), service("icmp")), halves) == (service("icmp"),)
    assert not contained((service("udp"),), (service("udp/2-65535"),))


def let(given: Iterable[Service | None]) -> dict[str, int]:
    """A bit for each port that passes, port 0 aside: nothing listens there."""
    found = {"icmp": 0, "tcp": 0, "udp": 0}
    for each in given:
        if each:
            found[each.protocol] |= (1 << each.last + 1) - (1 << each.first)
    return {name: ports if name == "icmp" else ports & ~1 for name, ports in found.items()}


@given(st.lists(services(), max_size=6))
def test_the_same_packets_pass_and_no_two_pieces_touch(several: list[Service]) -> None:
    pieces = merged(tuple(several))
    assert let(pieces) == let(several)
    for one, following in pairwise(pieces):
        assert one
        assert following
        assert one.protocol != following.protocol or one.last + 1 < following.first


@given(st.lists(services(), max_size=4), st.lists(services(), max_size=4))
def test_what_is_in_both_and_what_is_left_are_the_packets_that_they_say(
    one: list[Service], other: list[Service]
) -> None:
    first, second = let(one), let(other)
    assert let(without(tuple(one), tuple(other))) == {name: first[name] & ~second[name] for name in first}
    if one and other:
        assert let(common(tuple(one), tuple(other))) == {name: first[name] & second[name] for name in first}
        within = all(first[name] & ~second[name] == 0 for name in first)
        assert contained(tuple(one), tuple(other)) is within


def test_no_services_are_every_protocol_as_in_a_grant() -> None:
    some = (service("tcp/443"), service("icmp"))
    assert common((), ()) == (None,)
    assert common(some, ()) == common((), some) == merged(some)
    assert contained(some, ())
    assert contained((), ())
    assert not contained((), (service("tcp"), service("udp"), service("icmp")))
