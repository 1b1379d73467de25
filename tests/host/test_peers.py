"""A change of one peer: the others' sessions, counters and packets are left alone."""

from dataclasses import replace
from ipaddress import ip_network

from mesh.model import Mesh, Network, SiteName
from tests.host.observe import Ping, peers
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle
from tests.mesh.meshes import network

TWO_WAY = (("ams.lan", "nyc.virbr0", ""), ("nyc.virbr0", "ams.lan", ""))


def _all(gateways: dict[str, Host], keys: Keys, mesh: Mesh) -> None:
    for each in mesh.sites:
        settle(gateways[each.name], keys.bundle(mesh, each.name))


def test_adding_and_removing_a_peer_leaves_the_others_sessions_alone(trio: dict[str, Host], keys: Keys) -> None:
    _all(trio, keys, between(NYC, AMS))
    ams = keys.of("ams").public_key()
    with Ping(trio["ams"], "10.99.0.1") as flow:
        before = peers(trio["nyc"])[ams]
        _all(trio, keys, between(NYC, AMS, SFO))
        trio["sfo"].run("ping", "-c", "1", "-w", "10", "10.99.0.1")
        assert len(peers(trio["nyc"])) == 2
        answer, _ = settle(trio["nyc"], keys.bundle(between(NYC, AMS), "nyc"))
        assert answer.endswith(": 1 peer removed, route 10.99.0.3/32 removed, route fd99::3/128 removed")
        assert flow.lost() == []
        after = peers(trio["nyc"])
    assert list(after) == [ams]
    assert after[ams][3] == before[3], "the same handshake"
    assert int(after[ams][4]) > int(before[4]), "the counters went on"
    refused = trio["sfo"].try_("ping", "-c", "1", "-w", "1", "10.99.0.1")
    assert refused.returncode == 1, "the removed peer is not answered"


def test_changing_a_peer_leaves_its_own_session_and_the_others_alone(trio: dict[str, Host], keys: Keys) -> None:
    _all(trio, keys, between(NYC, AMS, SFO))
    with Ping(trio["ams"], "10.99.0.1") as granted, Ping(trio["sfo"], "10.99.0.1") as changed:
        before = peers(trio["nyc"])
        access = (("ams.lan sfo.lan", "nyc.virbr0", ""),)
        answer, _ = settle(trio["nyc"], keys.bundle(between(NYC, AMS, SFO, access=access), "nyc"))
        assert answer.endswith(": rules replaced, 1 peer changed, route 10.30.0.0/24 added")
        assert granted.lost() == []
        assert changed.lost() == []
        after = peers(trio["nyc"])
    assert {key: fields[3] for key, fields in after.items()} == {key: fields[3] for key, fields in before.items()}
    assert after[keys.of("sfo").public_key()][2] == "10.30.0.0/24,10.99.0.3/32,fd99::3/128"


def test_a_prefix_moves_from_one_peer_to_another(trio: dict[str, Host], keys: Keys) -> None:
    def lan(name: str) -> Network:
        return network("lan", "10.20.0.0/24", interface="br0")(SiteName(name))

    ams, sfo = keys.of("ams").public_key(), keys.of("sfo").public_key()
    at_ams = between(NYC, replace(AMS, networks=(lan("ams"),)), replace(SFO, networks=()))
    at_sfo = between(
        NYC, replace(AMS, networks=()), replace(SFO, networks=(lan("sfo"),)), access=(("sfo.lan", "nyc.virbr0", ""),)
    )
    for mesh, owner, other in ((at_ams, ams, sfo), (at_sfo, sfo, ams), (at_ams, ams, sfo)):
        settle(trio["nyc"], keys.bundle(mesh, "nyc"))
        assert "10.20.0.0/24" in peers(trio["nyc"])[owner][2]
        assert "10.20.0.0/24" not in peers(trio["nyc"])[other][2]


def test_a_preshared_root_and_keepalive_that_change_are_set(trio: dict[str, Host], keys: Keys) -> None:
    mesh = between(NYC, AMS)
    _all(trio, keys, mesh)
    other = Keys(private=keys.private)
    with Ping(trio["ams"], "10.99.0.1") as flow:
        for changed, said in (
            (mesh, ": preshared keys change with the confirm"),
            (replace(mesh, persistent_keepalive=0), ": 1 peer changed"),
        ):
            for name in ("nyc", "ams"):
                answer, _ = settle(trio[name], other.bundle(changed, name))
                assert answer.endswith(said)
        assert flow.lost() == []
    live = peers(trio["nyc"])[keys.of("ams").public_key()]
    assert live[6] == "off"
    assert f"PresharedKey = {live[0]}\n" in other.bundle(mesh, "nyc").text
    assert f"PresharedKey = {live[0]}\n" not in keys.bundle(mesh, "nyc").text


def test_an_endpoint_that_roamed_is_left_where_it_is_and_a_configured_one_is_set(
    pair: dict[str, Host], keys: Keys
) -> None:
    mesh = between(NYC, AMS)
    nyc, ams = pair["nyc"], keys.of("ams").public_key()
    settle(nyc, keys.bundle(mesh, "nyc"))
    pair["ams"].sh("ip address flush dev eth0; ip address add 203.0.113.99/24 dev eth0")
    settle(pair["ams"], keys.bundle(mesh, "ams"))
    pair["ams"].run("ping", "-c", "1", "-w", "10", "10.99.0.1")
    assert peers(nyc)[ams][1] == "203.0.113.99:51820"
    assert nyc.answer("apply", stdin=keys.bundle(mesh, "nyc").text) == "nothing changed"
    assert peers(nyc)[ams][1] == "203.0.113.99:51820"
    # Another change of the same peer does not take it back either.
    settle(nyc, keys.bundle(replace(mesh, persistent_keepalive=7), "nyc"))
    assert peers(nyc)[ams][1] == "203.0.113.99:51820"
    moved = replace(AMS, endpoint=replace(AMS.endpoint, host="203.0.113.50"))
    settle(nyc, keys.bundle(between(NYC, moved), "nyc"))
    assert peers(nyc)[ams][1] == "203.0.113.50:51820"


def test_an_endpoint_from_which_nothing_ever_came_cannot_have_roamed_and_is_set_again(nyc: Host, keys: Keys) -> None:
    mesh = between(NYC, AMS)
    settle(nyc, keys.bundle(mesh, "nyc"))
    ams = keys.of("ams").public_key()
    nyc.run("wg", "set", "wg0", "peer", ams, "endpoint", "203.0.113.99:1234")
    assert nyc.answer("apply", stdin=keys.bundle(mesh, "nyc").text).endswith(": 1 peer changed")
    assert peers(nyc)[ams][1] == "203.0.113.2:51820"


def test_the_endpoint_is_known_after_a_boot(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    nyc.sh("wg-quick down wg0; rm -r /run/wireguard-mesh; wg-quick up wg0")
    assert nyc.answer("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text) == "nothing changed"
    moved = replace(AMS, endpoint=replace(AMS.endpoint, host="203.0.113.50"))
    settle(nyc, keys.bundle(between(NYC, moved), "nyc"))
    assert peers(nyc)[keys.of("ams").public_key()][1] == "203.0.113.50:51820"


def test_two_way_grants_and_a_wider_prefix_change_one_peer(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS, SFO, access=TWO_WAY), "nyc"))
    wide = replace(AMS, networks=(replace(AMS.networks[0], cidrs=(ip_network("10.20.0.0/16"),)),))
    answer, _ = settle(nyc, keys.bundle(between(NYC, wide, SFO, access=TWO_WAY), "nyc"))
    assert "1 peer changed" in answer
    assert "10.20.0.0/16 dev wg0" in nyc.run("ip", "route")
