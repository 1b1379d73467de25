"""Keys do not change while a paused site's host has the old ones, and no fault shows one."""

from dataclasses import replace

import pytest

from mesh.keyring import KeyRing
from mesh.keys import generate_private_key, generate_root
from mesh.model import SiteName
from mesh.plan import plan
from mesh.rotation import held_up
from tests.mesh.meshes import familiar

MESH = familiar()
KEYS = {str(site): generate_private_key().reveal() for site in MESH.sites}
ROOT = generate_root()
RING = KeyRing.of(KEYS, ROOT)
AMS = SiteName("ams")
TEXT = RING.bundle(plan(MESH)[AMS], "SHA256:ams", {}).text
WAY_OUT = (
    "while ams is paused, whose host would not learn of it; set it back, or take 'paused' out of sites.ams once that"
    " host is there again, or take sites.ams out of the config if it never will be"
)


def faults(ring: KeyRing, text: str = TEXT) -> list[str]:
    found = [str(fault) for fault in held_up(ring, {AMS: text})]
    for secret in (*KEYS.values(), ROOT, *ring.public.values(), *RING.preshared[AMS].values()):
        assert secret not in "".join(found)
    return found


def test_what_the_paused_host_has_already_may_stay() -> None:
    assert faults(RING) == []
    assert list(held_up(RING, {})) == []


@pytest.mark.parametrize("site", ["nyc", "sfo", "ams"])
def test_another_key_of_a_site_is_refused_by_its_name(site: str) -> None:
    ring = KeyRing.of({**KEYS, site: generate_private_key().reveal()}, ROOT)
    assert faults(ring) == [f"sites.{site}.key_generation: the key of {site} cannot change {WAY_OUT}"]


def test_a_key_that_is_in_the_config_is_refused_where_it_stands() -> None:
    changed = {site: generate_private_key().reveal() for site in ("nyc", "ams", "sfo")}
    ring = KeyRing.of({**KEYS, **changed}, ROOT)
    places = [fault.place for fault in held_up(ring, {AMS: TEXT}, {AMS, SiteName("nyc")})]
    assert sorted(places) == ["sites.ams.private_key", "sites.nyc.private_key", "sites.sfo.key_generation"]


def test_another_root_is_refused_once() -> None:
    ring = KeyRing.of(KEYS, generate_root())
    assert faults(ring) == [f"mesh.preshared_generation: the preshared keys cannot change {WAY_OUT}"]


def test_all_that_is_refused_is_told_at_once() -> None:
    changed = {site: generate_private_key().reveal() for site in ("nyc", "sfo")}
    told = faults(KeyRing.of({**KEYS, **changed}, generate_root()))
    assert [line.split(":")[0] for line in told] == [
        "sites.nyc.key_generation",
        "sites.sfo.key_generation",
        "mesh.preshared_generation",
    ]


def test_a_host_that_was_never_given_anything_and_sites_that_come_and_go_hold_up_nobody() -> None:
    other = KeyRing.of({site: generate_private_key().reveal() for site in KEYS}, generate_root())
    assert faults(other, "") == []
    without = {site: key for site, key in KEYS.items() if site != "sfo"}
    assert faults(KeyRing.of(without, ROOT)) == []
    more = KeyRing.of({**KEYS, "new": generate_private_key().reveal()}, ROOT)
    assert faults(more) == []


def test_a_site_s_bundle_is_another_generation_where_it_is_to_be_applied_again() -> None:
    site_plan = plan(MESH)[AMS]
    again = replace(site_plan, site=replace(site_plan.site, reapply=3))
    first, second = (RING.bundle(each, "SHA256:ams", {}) for each in (site_plan, again))
    assert first.generation != second.generation
    assert second.text.splitlines()[1:] == ["@machine SHA256:ams 3", *first.text.splitlines()[2:]]
