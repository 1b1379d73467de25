"""Assertions against the grants: each that holds, and how each that does not says why."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.assertions import broken
from mesh.model import Assertion, Mesh, Network, Party, Service
from tests.mesh.meshes import mesh, meshes, network, party, service, site

SITES = (
    site(
        "ams",
        "10.99.0.2",
        network("dmz", "10.21.0.0/24"),
        network("lan", "10.20.0.0/24", "fd20::/64"),
        endpoint="198.51.100.20",
    ),
    site("fra", "10.99.0.3", network("lan", "10.40.0.0/24"), network("six", "fd40::/64"), endpoint="198.51.100.40"),
    site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24"), endpoint="203.0.113.10"),
)
Expectation = Literal["allow", "deny"]


def judged(access: list[tuple[str, str, str]], *asserted: tuple[str, str, str, Expectation]) -> list[str]:
    """What is said of the assertions, each in four words: from, to, ports, expect."""
    assertions = tuple(
        Assertion(
            tuple(party(SITES, each) for each in sources.split()),
            tuple(party(SITES, each) for each in destinations.split()),
            tuple(service(each) for each in ports.split()),
            expect,
        )
        for sources, destinations, ports, expect in asserted
    )
    return [str(fault) for fault in broken(replace(mesh(*SITES, access=access), assertions=assertions))]


CHANGE = "take it out of that grant, or change the assertion"
GRANT = "grant it, or change the assertion"
OPEN = [("ams.lan", "nyc.virbr0", "")]
WEB = [("ams.lan fra.lan", "nyc.virbr0", "tcp/80-90 tcp/443 icmp")]


@pytest.mark.parametrize(
    ("access", "asserted"),
    [
        pytest.param([], ("ams.lan", "nyc.virbr0", "", "deny"), id="nothing is granted"),
        pytest.param(OPEN, ("nyc.virbr0", "ams.lan", "", "deny"), id="the other direction is granted"),
        pytest.param(OPEN, ("ams.lan", "nyc", "", "deny"), id="the network is granted, not the host"),
        pytest.param(OPEN, ("ams", "nyc.virbr0", "", "deny"), id="the network may, not its host"),
        pytest.param(WEB, ("ams.lan", "nyc.virbr0", "tcp/79 tcp/91-442 udp tcp/444", "deny"), id="beside the ports"),
        pytest.param([("ams fra", "fra ams.dmz", "")], ("fra", "fra.lan", "", "deny"), id="at one site"),
        pytest.param([("fra.six fra", "ams.dmz", "")], ("fra.six", "ams.dmz", "", "deny"), id="of no common family"),
        pytest.param(OPEN, ("ams.lan", "nyc.virbr0", "", "allow"), id="all of all"),
        pytest.param(OPEN, ("ams.lan", "nyc.virbr0", "udp/53 tcp icmp", "allow"), id="some of all"),
        pytest.param(WEB, ("fra.lan ams.lan", "nyc.virbr0", "tcp/81-89 icmp", "allow"), id="a part of a range"),
        pytest.param(
            [*WEB, ("ams.lan", "nyc.virbr0", "tcp/91-442")],
            ("ams.lan", "nyc.virbr0", "tcp/85-443", "allow"),
            id="a range in three pieces",
        ),
        pytest.param(
            [("ams.lan", "nyc.virbr0", ""), ("fra.lan", "nyc.virbr0", "")],
            ("ams.lan fra.lan", "nyc.virbr0", "", "allow"),
            id="a grant for each",
        ),
        pytest.param(
            [("ams.lan", "nyc.virbr0", "tcp/22"), ("ams.lan", "nyc.virbr0", ""), ("fra", "nyc.virbr0", "")],
            ("ams.lan fra", "nyc.virbr0", "", "allow"),
            id="all beside a part",
        ),
        pytest.param([("ams nyc", "ams nyc", "")], ("ams nyc", "ams nyc", "", "allow"), id="among each other"),
    ],
)
def test_an_assertion_that_holds_is_not_mentioned(
    access: list[tuple[str, str, str]], asserted: tuple[str, str, str, Expectation]
) -> None:
    assert judged(access, asserted) == []


@pytest.mark.parametrize(
    ("access", "asserted", "said"),
    [
        pytest.param(
            OPEN,
            ("ams.lan", "nyc.virbr0", "", "deny"),
            ["ams.lan may open everything to nyc.virbr0, by access[0] (from ams.lan to nyc.virbr0, everything);"],
            id="all of all",
        ),
        pytest.param(
            WEB,
            ("ams.dmz fra.lan ams.lan", "nyc nyc.virbr0", "tcp/22 tcp/85-100 icmp", "deny"),
            [
                "fra.lan may open icmp and tcp/85-90 to nyc.virbr0, by access[0] (from ams.lan and fra.lan to"
                " nyc.virbr0, tcp/80-90, tcp/443 and icmp);"
            ],
            id="a part of it, by one of the sources",
        ),
        pytest.param(
            [("nyc", "ams", "tcp/22"), ("nyc fra", "ams", ""), ("nyc", "fra", "")],
            ("nyc", "ams", "tcp/22", "deny"),
            [
                "nyc may open tcp/22 to ams, by access[0] (from nyc to ams, tcp/22);",
                "nyc may open tcp/22 to ams, by access[1] (from nyc and fra to ams, everything);",
            ],
            id="each grant at fault",
        ),
        pytest.param(
            [("nyc fra.six", "ams ams.lan", "tcp/1-9")],
            ("fra.six", "ams.lan ams.dmz", "", "deny"),
            ["fra.six may open tcp/1-9 to ams.lan, by access[0] (from nyc and fra.six to ams and ams.lan, tcp/1-9);"],
            id="in IPv6 alone",
        ),
        pytest.param(
            [("ams.lan ams.dmz fra.lan fra.six fra", "nyc.virbr0", "udp/53")],
            ("fra.lan", "nyc.virbr0", "udp", "deny"),
            [
                "fra.lan may open udp/53 to nyc.virbr0, by access[0] (from ams.lan, ams.dmz, fra.lan and 2 more to"
                " nyc.virbr0, udp/53);"
            ],
            id="a grant with many parties",
        ),
    ],
)
def test_what_is_denied_and_passes_is_named_with_the_grant_at_fault(
    access: list[tuple[str, str, str]], asserted: tuple[str, str, str, Expectation], said: list[str]
) -> None:
    held = ("nyc.virbr0", "fra.lan", "", "deny")
    assert judged(access, held, asserted) == [f"assert[1]: {each} {CHANGE}" for each in said]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("access", "asserted", "said"),
    [
        pytest.param(
            [], ("ams.lan", "nyc", "", "allow"), ["ams.lan cannot open anything to nyc;"], id="nothing of all"
        ),
        pytest.param(
            [("nyc", "ams.lan", "")],
            ("ams.lan", "nyc", "tcp/22 icmp", "allow"),
            ["ams.lan cannot open icmp and tcp/22 to nyc;"],
            id="nothing of two",
        ),
        pytest.param(
            WEB,
            ("ams.lan", "nyc.virbr0", "tcp/70-95 udp/53 icmp", "allow"),
            ["ams.lan cannot open tcp/70-79, tcp/91-95 and udp/53 to nyc.virbr0;"],
            id="a part of it",
        ),
        pytest.param(
            WEB,
            ("ams.lan fra.lan", "nyc.virbr0", "", "allow"),
            ["ams.lan and fra.lan can open only icmp, tcp/80-90 and tcp/443, and not everything, to nyc.virbr0;"],
            id="some of all",
        ),
        pytest.param(
            [("ams.lan", "nyc.virbr0", "tcp udp icmp")],
            ("ams.lan", "nyc.virbr0", "", "allow"),
            ["ams.lan can open only icmp, tcp and udp, and not everything, to nyc.virbr0;"],
            id="every known protocol is not every one",
        ),
        pytest.param(
            OPEN,
            ("ams.lan ams.dmz fra fra.lan ams nyc", "nyc.virbr0", "tcp/22", "allow"),
            ["ams.dmz, fra, fra.lan and 1 more cannot open tcp/22 to nyc.virbr0;"],
            id="some of the sources, and nobody of the same site",
        ),
        pytest.param(
            [("ams.lan", "nyc.virbr0 fra.lan", "tcp/22"), ("fra", "nyc.virbr0", "tcp/23")],
            ("ams.lan fra", "nyc.virbr0", "tcp/22-23", "allow"),
            ["ams.lan cannot open tcp/23 to nyc.virbr0;", "fra cannot open tcp/22 to nyc.virbr0;"],
            id="each lacks another part",
        ),
    ],
)
def test_what_is_allowed_and_does_not_pass_is_named(
    access: list[tuple[str, str, str]], asserted: tuple[str, str, str, Expectation], said: list[str]
) -> None:
    assert judged(access, asserted) == [f"assert[0]: {each} {GRANT}" for each in said]


def test_what_has_no_ip_version_in_common_is_never_allowed() -> None:
    everything = [("ams ams.dmz ams.lan", "fra.six fra.lan", "")]
    assert judged(everything, ("ams.lan ams.dmz", "fra.six", "", "allow")) == [
        "assert[0]: ams.dmz and fra.six have no IP version in common; leave one of them out of the assertion"
    ]
    assert judged(everything, ("ams.lan", "fra.six", "", "allow")) == []


def test_of_what_an_assertion_lacks_ten_faults_are_enough() -> None:
    sites = [site(f"s{n}", f"10.99.0.{n}", endpoint=f"203.0.113.{n}") for n in range(1, 31)]
    access = [(f"s{n}", f"s{n + 1}", "tcp/22") for n in range(1, 30)]
    whole = Assertion(tuple(sites), tuple(sites), (), "allow")
    assert len(broken(replace(mesh(*sites, access=access), assertions=(whole,)))) == 10


# The plainest reading: every pair of parties, every protocol and a port on each side of every boundary.


def bits(wanted: Iterable[Service], every: bool) -> frozenset[tuple[str, int]]:
    ports = {0, 1, 21, 22, 23, 79, 80, 81, 442, 443, 444, 7999, 8000, 8001, 65534, 65535}
    known = {("icmp", 0), ("other", 0), *product(("tcp", "udp"), ports)}
    if every:
        return frozenset(known)
    return frozenset(
        (name, port)
        for name, port in known
        for each in wanted
        if each.protocol == name and each.first <= port <= each.last
    )


def families(one: Party, *, reached: bool) -> set[int]:
    if isinstance(one, Network):
        return {cidr.version for cidr in one.cidrs}
    own: set[int] = {address.version for address in one.addresses}
    return own.union(cidr.version for each in one.networks for cidr in each.cidrs) if reached else own


def holds(whole: Mesh, assertion: Assertion) -> bool:
    for source, destination in product(assertion.sources, assertion.destinations):
        here = source.site if isinstance(source, Network) else source.name
        there = destination.site if isinstance(destination, Network) else destination.name
        if here == there:
            continue
        meet = families(source, reached=False) & families(destination, reached=True)
        passing = frozenset[tuple[str, int]]().union(
            *(
                bits(grant.services, not grant.services)
                for grant in whole.access
                if meet and source in grant.sources and destination in grant.destinations
            )
        )
        wanted = bits(assertion.services, not assertion.services)
        if passing & wanted if assertion.expect == "deny" else wanted - passing:
            return False
    return True


EDGES = st.sampled_from(
    [
        Service("tcp", 22, 22),
        Service("tcp", 80, 443),
        Service("udp", 1, 7999),
        Service("udp", 8000, 65535),
        Service("tcp", 0, 65535),
        Service("icmp"),
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_assertion_holds_where_the_plainest_reading_of_the_grants_says_so(data: st.DataObject) -> None:
    whole = data.draw(meshes(max_sites=4))
    parties: list[Party] = [*whole.sites, *(each for one in whole.sites for each in one.networks)]
    some = st.lists(st.sampled_from(parties), min_size=1, max_size=4, unique_by=str).map(tuple)
    whole = replace(
        whole,
        access=tuple(replace(grant, services=tuple(data.draw(st.lists(EDGES, max_size=2)))) for grant in whole.access),
    )
    if data.draw(st.booleans()) and whole.access:
        grant = data.draw(st.sampled_from(whole.access))
        sources, destinations = grant.sources, grant.destinations
    else:
        sources, destinations = data.draw(some), data.draw(some)
    expect: Expectation = data.draw(st.sampled_from(["allow", "deny"]))
    assertion = Assertion(sources, destinations, tuple(data.draw(st.lists(EDGES, max_size=2))), expect)
    assert (broken(replace(whole, assertions=(assertion,))) == ()) is holds(whole, assertion)
