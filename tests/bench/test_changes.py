"""The changes that are measured: each concerns what it is called after, and all together lead back."""

import re
from dataclasses import replace

import pytest

from bench.changes import FROM, KINDS, THIRD, TO, Kind, State, changed
from bench.ways import KINDS_OF, WAYS, helper, plain
from mesh.config import documentation_addresses, parse


def states() -> dict[Kind, tuple[State, State]]:
    found: dict[Kind, tuple[State, State]] = {}
    state = State()
    for kind in KINDS:
        found[kind] = state, changed(state, kind)
        state = found[kind][1]
    return found


def conf(text: str) -> str:
    return text.partition("\n@conf\n")[2]


def test_the_kinds_lead_back_to_where_they_began() -> None:
    last = states()[KINDS[-1]][1]
    assert replace(last, key=1, third_key=1, preshared=1) == State()


def test_every_state_is_one_that_a_real_up_takes() -> None:
    for _, after in states().values():
        assert documentation_addresses(parse(after.sections())) == ()


def test_the_third_site_comes_and_goes_and_the_other_two_stay() -> None:
    before, after = states()["added"]
    assert set(before.bundles()) == {FROM, TO}
    assert set(after.bundles()) == {FROM, TO, THIRD}
    assert set(states()["removed"][1].bundles()) == {FROM, TO}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nothing"])
def test_each_change_concerns_the_sites_between_which_packets_are_counted(kind: Kind) -> None:
    before, after = states()[kind]
    assert before.bundles()[FROM] != after.bundles()[FROM]
    assert before.bundles()[TO] != after.bundles()[TO]


def test_where_nothing_changes_nothing_does() -> None:
    before, after = states()["nothing"]
    assert before.bundles() == after.bundles()


def test_where_rules_change_no_peer_does() -> None:
    before, after = states()["rules"]
    for site, bundle in after.bundles().items():
        had = before.bundles()[site]
        assert plain(bundle) == plain(had)


def test_a_change_of_the_third_is_its_port_and_prefix() -> None:
    before, after = (state.bundles()[FROM].text for state in states()["changed"])
    new, old = set(conf(after).splitlines()), set(conf(before).splitlines())
    assert {line.partition(" = ")[0] for line in new - old} >= {"Endpoint", "AllowedIPs"}
    assert any(line.endswith(":51830") for line in new - old)
    assert any("10.128.3.0/25" in line for line in new - old)


def test_by_hand_everything_is_the_same_but_what_calls_our_program() -> None:
    bundle = changed(State(), "added").bundles()[FROM]
    text = plain(bundle)
    for key in ("PrivateKey", "ListenPort", "Address", "MTU", "PublicKey", "PresharedKey", "Endpoint", "AllowedIPs"):
        found = re.findall(rf"^{key} = .*$", text, re.MULTILINE)
        assert found == re.findall(rf"^{key} = .*$", bundle.text, re.MULTILINE) != []
    assert "wireguard-mesh load" in bundle.text
    assert "/wireguard-mesh" not in text
    assert "@" not in text


def test_every_way_makes_every_change_that_it_can_make() -> None:
    assert KINDS_OF["wireguard-mesh"] == KINDS
    assert {way: set(KINDS) - set(KINDS_OF[way]) for way in WAYS[1:]} == {way: {"rules"} for way in WAYS[1:]}


def test_the_program_on_the_hosts_is_the_endpoints_own() -> None:
    assert helper().startswith("#!/bin/sh\n")
    assert helper().endswith('main "$@"\n')


@pytest.mark.parametrize(("kind", "own"), [("third key", {THIRD}), ("key", {FROM}), ("preshared keys", set())])
def test_a_change_of_keys_is_those_keys_and_nothing_else(kind: Kind, own: set[str]) -> None:
    before, after = (state.bundles() for state in states()[kind])
    for site in (FROM, TO, THIRD):
        new, old = (set(conf(bundles[site].text).splitlines()) for bundles in (after, before))
        changed_keys = {line.partition(" = ")[0] for line in new - old}
        if kind == "preshared keys":
            assert changed_keys == {"PresharedKey"}
        else:
            assert changed_keys == ({"PrivateKey"} if site in own else {"PublicKey"})
