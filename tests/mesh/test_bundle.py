"""The bundle: one text a site, framed so that a host notices anything that is missing, with no key outside it."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given

from mesh import bundle, firewall
from mesh.model import Colo, Mesh, SiteName
from mesh.plan import SitePlan, plan
from tests.mesh.meshes import familiar, mesh, meshes, site

MACHINE = "SHA256:Wq3vCzUMN6Yz0yZ6o8h8oWyO2nUYn8jv4Uc8E1y3x2Q"
MARKERS = ["@machine", "@interface", "@rules", "@forwarding", "@rules.v4", "@rules.v6", "@conf", "@end"]


def render(site_plan: SitePlan, private_key: str = "<private>", machine: str = MACHINE) -> bundle.Bundle:
    words = {peer.site: f"<of {peer.site}>" for peer in site_plan.peers}
    return bundle.render(site_plan, machine, private_key, words, words, addresses={})


def nyc_plan(mesh: Mesh) -> SitePlan:
    return plan(mesh)[SiteName("nyc")]


def test_the_first_line_frames_what_follows() -> None:
    made = render(nyc_plan(familiar()))
    first, _, payload = made.text.partition("\n")
    assert first == f"wireguard-mesh 1 {len(payload.encode())} {sha256(payload.encode()).hexdigest()}"
    assert made.generation == first.split()[3]


def test_the_sections_are_the_texts_in_order() -> None:
    site_plan = nyc_plan(familiar())
    lines = render(site_plan).text.splitlines(keepends=True)[1:]
    assert [line.split()[0] for line in lines if line.startswith("@")] == MARKERS
    head = lines[:4]
    assert head[0] == f"@machine {MACHINE}\n"
    assert head[1] == "@interface wg0\n"
    assert re.fullmatch(r"@rules [0-9a-f]{16}\n", head[2])
    assert head[3] == "@forwarding wg0 virbr0\n"
    at = {name: lines.index(f"{name}\n") for name in MARKERS[4:]}
    assert "".join(lines[at["@rules.v4"] + 1 : at["@rules.v6"]]) == firewall.render(site_plan.firewall, 4)
    assert "".join(lines[at["@rules.v6"] + 1 : at["@conf"]]) == firewall.render(site_plan.firewall, 6)
    conf = lines[at["@conf"] + 1 : at["@end"]]
    assert conf[0].startswith("# Written by wireguard-mesh for site nyc.")
    assert conf[-1].startswith("AllowedIPs = ")
    assert lines[-1] == "@end\n"


def test_a_host_that_is_taken_over_is_told_so_in_one_word_and_all_else_stays() -> None:
    of = familiar()
    nyc = of.site("nyc")
    assert isinstance(nyc.kind, Colo)
    taken = replace(nyc, kind=replace(nyc.kind, adopt=True))
    adopting = replace(of, sites=tuple(taken if each is nyc else each for each in of.sites))
    before, after = (render(nyc_plan(each)) for each in (of, adopting))
    assert after.text.splitlines()[2] == "@interface wg0 adopt"
    assert before.text.splitlines()[2] == "@interface wg0"
    assert after.text.splitlines()[3:] == before.text.splitlines()[3:]
    assert after.generation != before.generation
    assert render(plan(adopting)[SiteName("ams")]) == render(plan(of)[SiteName("ams")])


def test_the_rules_id_is_the_digest_of_the_rules_and_what_the_conf_names() -> None:
    text = render(nyc_plan(familiar())).text
    section = text[text.index("@forwarding") : text.index("@conf\n")]
    expected = sha256(section.encode()).hexdigest()[:16]
    assert f"@rules {expected}\n" in text
    assert f"load %i {expected}\n" in text
    assert f"forward %i {expected}\n" in text


def test_a_site_without_forwarding_says_so_by_an_empty_list() -> None:
    lonely = mesh(site("nyc", "10.99.0.1", endpoint="203.0.113.10"), site("ams", "10.99.0.2", endpoint="198.51.100.20"))
    assert "\n@forwarding\n@rules.v4\n" in render(nyc_plan(lonely)).text


def test_keys_change_the_generation_but_not_the_rules() -> None:
    site_plan = nyc_plan(familiar())
    one, other = render(site_plan), render(site_plan, private_key="<another>")
    assert one.generation != other.generation
    assert one.text.splitlines()[3] == other.text.splitlines()[3]


def test_a_grant_changes_the_rules_and_another_machine_only_the_generation() -> None:
    before = familiar()
    after = replace(before, access=before.access[1:])
    one, other = render(nyc_plan(before)), render(nyc_plan(after))
    assert one.text.splitlines()[3] != other.text.splitlines()[3]
    moved = render(nyc_plan(before), machine="SHA256:another")
    assert moved.text.splitlines()[3] == one.text.splitlines()[3]
    assert moved.generation != one.generation


def test_a_bundle_does_not_show_its_text() -> None:
    made = render(nyc_plan(familiar()), private_key="canary")
    assert "canary" in made.text
    assert "canary" not in repr(made)


@pytest.mark.parametrize(
    ("private_key", "machine", "says"),
    [
        ("canary\n@end", MACHINE, "section of its own"),
        ("canary", "SHA256:x\n@end", "section of its own"),
        ("canary-ä", MACHINE, "ASCII"),
    ],
)
def test_text_that_would_break_the_frame_is_refused_without_being_shown(
    private_key: str, machine: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        render(nyc_plan(familiar()), private_key=private_key, machine=machine)
    assert "canary" not in str(caught.value)


@given(meshes())
def test_any_mesh_gives_ascii_bundles_that_a_reader_can_split(mesh: Mesh) -> None:
    for site_plan in plan(mesh).values():
        text = render(site_plan).text
        assert text.isascii()
        assert [line.split()[0] for line in text.splitlines() if line.startswith("@")] == MARKERS
        assert render(site_plan).text == text


def test_another_process_makes_the_same_bundles() -> None:
    """Sets and hashes of strings differ between processes, so one process alone could not notice that they decide."""
    program = (
        "from tests.mesh.test_bundle import familiar, plan, render\n"
        "print(*(render(site_plan).generation for site_plan in plan(familiar()).values()))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {" ".join(render(site_plan).generation for site_plan in plan(familiar()).values()) + "\n"}
