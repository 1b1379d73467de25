"""What hosts said for `meshctl verify`, judged without any host: each fault with its pair, and the reason that fits."""

from dataclasses import replace
from typing import Any

import pytest

from cli.fleet import HostRef
from cli.hoststatus import HostStatus, PeerStatus
from cli.verdict import Finding, Seen, of_hosts, of_pairs, of_probes, read
from mesh.config import parse
from mesh.model import Mesh, Service, Ssh
from mesh.proof import Trial
from tests.mesh.config.configs import changed

GENERATION = "a" * 64
ADDRESSES = {"ams": "10.99.0.2", "nyc": "10.99.0.1", "fra": "10.99.0.3"}
FULL = HostStatus(GENERATION, None, GENERATION, None, "kernel", (), (), 1000)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """nyc, ams and fra, in colos."""
    return parse(changed({}))


def peer(site: str, **other: Any) -> PeerStatus:
    return PeerStatus(**{"site": site, "handshake_age": 5, "changed_age": 60, "received": 900, "sent": 900, **other})


def seen(site: str, answered: bool = True, **peers: PeerStatus) -> Seen:
    """A host whose peers all are well, but those that are given, of which nothing came before."""
    others = [other for other in ADDRESSES if other != site]
    after = replace(FULL, peers=tuple(peers.get(other, peer(other)) for other in others))
    before = replace(FULL, peers=tuple(peer(other, received=0, sent=0) for other in others))
    return Seen(
        before,
        after,
        answered={(other, ADDRESSES[other]): answered or other not in peers for other in others},
        probes={},
        skew=0,
        own_key=f"key of {site}",
        keys={ADDRESSES[other]: f"key of {other}" for other in others},
        endpoints={f"key of {other}": f"192.0.2.1{ADDRESSES[other][-1]}:51820" for other in others},
    )


def judged(mesh: Mesh, **hosts: Seen) -> list[str]:
    return [str(one) for one in of_pairs(mesh, {site: seen(site) for site in ADDRESSES} | hosts)]


def silent(site: str, **other: Any) -> dict[str, PeerStatus]:
    return {site: peer(site, **{"handshake_age": None, "received": 0, **other})}


def test_a_mesh_that_is_well_gives_no_finding_and_one_silent_pair_gives_one(mesh: Mesh) -> None:
    assert judged(mesh) == []
    pair = {"ams": seen("ams", False, **silent("nyc")), "nyc": seen("nyc", False, **silent("ams"))}
    (told,) = judged(mesh, **pair)
    assert told.startswith("ams and nyc: no handshake")


@pytest.mark.parametrize(
    ("handshake", "change", "fault"),
    [(5, None, False), (5, 60, False), (60, 60, False), (61, 60, False), (62, 60, True), (None, None, True)],
)
def test_an_answer_counts_only_with_a_handshake_that_is_newer_than_the_change(
    mesh: Mesh, handshake: int | None, change: int | None, fault: bool
) -> None:
    told = judged(mesh, ams=seen("ams", nyc=peer("nyc", handshake_age=handshake, changed_age=change)))
    assert [text.startswith("ams and nyc: it answers") for text in told] == [True] * fault


def test_a_peer_that_has_not_changed_to_its_new_key_yet_is_told_so(mesh: Mesh) -> None:
    ams = seen("ams", nyc=peer("nyc", handshake_age=None))
    (told,) = judged(mesh, ams=replace(ams, after=replace(ams.after, handover=("nyc",))))
    assert told.startswith("ams and nyc: it answers by the key that it had, and has not changed to its new one yet")
    changed = seen("ams", nyc=peer("nyc", handshake_age=5, changed_age=60))
    assert judged(mesh, ams=replace(changed, after=replace(changed.after, handover=("nyc",)))) == []
    (other,) = judged(mesh, ams=replace(ams, after=replace(ams.after, handover=("fra",))))
    assert "does something else answer" in other


MENDED = "run 'pulumi up', or, where that changes nothing, 'wireguard-mesh rollback wg0'"
CASES = [
    ("neither hears the other", 0, 0, None, "neither hears the other, so UDP to 192.0.2.11:51820 is filtered"),
    ("one hears, the other does not", 0, 148, None, "nyc hears ams, but what it sends back does not arrive; UDP port"),
    ("the other way round", 148, 0, None, "ams hears nyc, but what it sends back does not arrive; UDP port"),
    ("both hear, and agree on nothing", 148, 148, None, f"their preshared keys differ; {MENDED} on both"),
    ("a session that is over", 148, 148, 200, f"their preshared keys differ; {MENDED} on both"),
    ("a session, and no answer", 148, 148, 20, "there is a session, but no answer to a ping"),
]


@pytest.mark.parametrize(("here", "there", "age", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_why_a_peer_is_silent_is_told_by_what_both_sides_heard(
    mesh: Mesh, here: int, there: int, age: int | None, reason: str
) -> None:
    hosts = {
        "ams": seen("ams", False, **silent("nyc", received=here, handshake_age=age)),
        "nyc": seen("nyc", False, **silent("ams", received=there, handshake_age=age)),
    }
    (told,) = judged(mesh, **hosts)
    assert reason in told
    assert {case[4] for case in CASES if case[4] in told} == {reason}
    assert "clock" not in told


def test_a_wrong_public_key_is_told_at_the_side_that_has_it(mesh: Mesh) -> None:
    nyc = seen("nyc", False, **silent("ams"))
    hosts = {"ams": seen("ams", False, **silent("nyc")), "nyc": replace(nyc, keys={**nyc.keys, "10.99.0.2": "other"})}
    assert judged(mesh, **hosts) == [
        f"ams and nyc: no handshake: nyc has another public key for ams than its own; {MENDED} on nyc"
    ]
    hosts["nyc"] = replace(nyc, keys={"10.99.0.3": "key of fra"})
    assert judged(mesh, **hosts) == [
        f"ams and nyc: no handshake: nyc has no peer with the address of ams; {MENDED} on nyc"
    ]


@pytest.mark.parametrize(("skew", "said"), [(-3600, "ams's is 3600 s behind"), (40, "ams's is 40 s ahead"), (9, "")])
def test_a_clock_is_named_only_where_it_differs_from_most(mesh: Mesh, skew: int, said: str) -> None:
    # Our own clock is 100 s behind all of theirs: that is nobody's fault.
    hosts = {
        "ams": replace(seen("ams", False, **silent("nyc")), skew=100 + skew),
        "nyc": replace(seen("nyc", False, **silent("ams")), skew=100),
        "fra": replace(seen("fra"), skew=100),
    }
    (told,) = judged(mesh, **hosts)
    assert ("clock" in told) == bool(said)
    assert said in told


def test_of_a_host_that_was_not_asked_the_others_tell(mesh: Mesh) -> None:
    hosts = {"ams": seen("ams", False, **silent("nyc")), "fra": seen("fra")}
    assert [str(one) for one in of_pairs(mesh, hosts)] == [
        "ams and nyc: no answer; nothing comes back from 192.0.2.11:51820, and nyc itself could not be asked"
    ]


def test_where_an_interface_is_down_that_is_the_only_reason(mesh: Mesh) -> None:
    down = seen("nyc", False, **silent("ams"))
    hosts = {"nyc": replace(down, after=replace(FULL, live=None)), "ams": seen("ams", False, **silent("nyc"))}
    assert judged(mesh, **hosts) == []
    (told,) = of_hosts([host("nyc")], hosts)
    assert told == Finding("nyc", None, "wg0 is down; 'wg-quick up wg0' on the host")


def host(site: str, generation: str | None = GENERATION) -> HostRef:
    return HostRef(site, "wg0", Ssh("192.0.2.1", 22, "root", "ssh-ed25519 A"), generation, False, "")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({}, []),
        ({"confirmed": "b" * 64, "live": "b" * 64}, [f"{'b' * 12} is confirmed there, and the state says"]),
        ({"confirmed": None}, ["nothing is confirmed there, and the state says", "what is live is not what"]),
        ({"live": "unknown"}, ["what is live is not what is confirmed; run 'wireguard-mesh rollback wg0'"]),
        ({"live": "b" * 64, "goes_back_in": -1}, ["a change is not confirmed, and goes back in 0 s: wait"]),
        ({"live": "b" * 64, "goes_back_in": 7}, ["a change is not confirmed, and goes back in 7 s: wait"]),
        ({"drift": ("route 10.0.0.0/8 missing",)}, ["is not as it was applied: route 10.0.0.0/8 missing"]),
    ],
    ids=["well", "another generation", "none", "live is unknown", "overdue", "to be confirmed", "drift"],
)
def test_a_host_runs_what_the_state_says_and_nothing_else(status: dict[str, Any], told: list[str]) -> None:
    one = replace(seen("nyc"), after=replace(FULL, **status))
    found = [finding.reason for finding in of_hosts([host("nyc")], {"nyc": one})]
    assert len(found) == len(told)
    assert all(reason.startswith(text) for reason, text in zip(found, told, strict=True))


def test_a_change_that_was_confirmed_or_gone_back_while_nothing_was_tried_is_told_all_the_same() -> None:
    one = replace(seen("nyc"), before=replace(FULL, goes_back_in=9))
    (told,) = of_hosts([host("nyc")], {"nyc": one})
    assert told.reason.startswith("a change is not confirmed, and goes back in 9 s")


def test_a_host_on_which_nothing_was_confirmed_yet_is_told_so() -> None:
    (told,) = of_hosts([host("nyc", None)], {"nyc": seen("nyc")})
    assert "no 'pulumi up' has confirmed anything there yet" in told.reason


@pytest.mark.parametrize(
    ("state", "granted", "denied"),
    [
        ("connected", "", "tcp/443 at 10.99.0.1 is open, though none: somebody listens there"),
        ("refused", "", "tcp/443 at 10.99.0.1 is open, though none: nobody listens there, yet packets pass"),
        ("silent", "tcp/443 at 10.99.0.1 does not open, though granted: no answer", ""),
        ("unreachable", "tcp/443 at 10.99.0.1 does not open, though granted: rejected by a firewall, or no route", ""),
        ("untried bash: no", *["tcp/443 at 10.99.0.1 could not be tried: bash: no"] * 2),
    ],
)
def test_what_passes_and_what_does_not(mesh: Mesh, state: str, granted: str, denied: str) -> None:
    ams, nyc = mesh.site("ams"), mesh.site("nyc")
    service = Service("tcp", 443, 443)
    trials = [
        Trial(ams.name, nyc.name, nyc.addresses[0], service, passes=True, why="granted"),
        Trial(ams.name, nyc.name, nyc.addresses[0], service, passes=False, why="none"),
        Trial(nyc.name, ams.name, ams.addresses[0], service, passes=True, why="of a host that was not asked"),
    ]
    one = replace(seen("ams"), probes={0: state, 1: state})
    found = [finding.reason for finding in of_probes(trials, {"ams": one})]
    assert found == [text for text in (granted, denied) if text]
    # What was not tried, since that site answered no ping, says nothing.
    assert list(of_probes(trials, {"ams": replace(one, probes={})})) == []


STATUS = """interface: wg0
confirmed: none
staged: none
live: none
clock: 1700000000
peer nyc: handshake never, changed 3 s ago, received {}, sent 444
drift: none
"""
SAID = f"""@results
answered nyc 10.99.0.1
silent fra 10.99.0.3
probe 4 refused
probe 7 untried bash: not found
@before
{STATUS.format(100)}@after
{STATUS.format(248)}@wireguard
own OWN=
endpoint NYC= 192.0.2.1:51820
allowed NYC= 10.99.0.1/32 fd00::1/128
"""


def test_what_a_host_says_is_read_whole_or_not_at_all() -> None:
    one = read(SAID, 1700000007)
    assert one.answered == {("nyc", "10.99.0.1"): True, ("fra", "10.99.0.3"): False}
    assert one.probes == {4: "refused", 7: "untried bash: not found"}
    assert (one.skew, one.heard("nyc"), one.heard("fra"), one.own_key) == (-7, 148, 0, "OWN=")
    assert one.keys == {"10.99.0.1": "NYC=", "fd00::1": "NYC="}
    assert one.endpoints == {"NYC=": "192.0.2.1:51820"}
    for cut in range(0, SAID.index("@wireguard"), 7):
        with pytest.raises(ValueError, match=r"\w"):
            read(SAID[:cut], 0)
