"""Paused sites, sites done again, and generations of keys: what the engine is asked for each."""

from dataclasses import replace

import pulumi
import pytest

from mesh.model import Mesh
from tests.components.conftest import Recorder, recording
from tests.components.test_mesh import build, mesh, site

COMMANDS = ("host", "config", "confirm")
STASH = "pulumi:index:Stash"
NYC, AMS = site(1, "nyc"), site(2, "ams")


def run(of: Mesh) -> None:
    @pulumi.runtime.test
    def program() -> None:
        build(of)

    program()


def test_a_paused_site_s_commands_stay_as_they_are_and_do_nothing_where_they_never_ran(recorder: Recorder) -> None:
    run(mesh(replace(NYC, paused=True), AMS))
    for command in COMMANDS:
        request, inputs = recorder.requests[f"nyc-{command}"], recorder.inputs(f"nyc-{command}")
        assert {"connection", "create", "delete", "stdin", "triggers"} == set(request.ignoreChanges)
        assert request.retainOnDelete
        assert {"create", "delete", "update", "stdin"}.isdisjoint(inputs)
        others = recorder.requests[f"ams-{command}"]
        assert not list(others.ignoreChanges)
        assert not others.retainOnDelete
        assert recorder.inputs(f"ams-{command}")["create"]


def test_a_site_that_is_done_again_gets_all_of_its_commands_again_and_no_other_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    for of in (NYC, replace(NYC, reapply=7)):
        recorder = recording(monkeypatch)
        run(mesh(of, AMS))
        seen.append(
            {f"{name}-{each}": recorder.inputs(f"{name}-{each}") for name in ("nyc", "ams") for each in COMMANDS}
        )
    first, second = seen
    line, _, program = first["nyc-host"]["stdin"].partition("\n")
    assert second["nyc-host"]["stdin"] == f"{line}, again 7\n{program}"
    assert " 7\n@interface wg0\n" in second["nyc-config"]["stdin"]
    assert " 7\n" not in second["ams-config"]["stdin"]
    assert second["ams-host"] == first["ams-host"]


def test_a_key_s_generation_and_the_one_before_are_kept(recorder: Recorder) -> None:
    run(replace(mesh(replace(NYC, key_generation=3), AMS), preshared_generation=2))
    assert sorted(recorder.names(STASH)) == ["ams-key-1", "nyc-key-2", "nyc-key-3", "preshared-1", "preshared-2"]


@pytest.mark.parametrize(
    ("said_so", "preview"), [(False, False), (True, False), (True, True)], ids=["no keys", "keys", "keys, previewed"]
)
def test_a_confirm_waits_for_the_other_sites_only_where_keys_change_with_it(
    monkeypatch: pytest.MonkeyPatch, said_so: bool, preview: bool
) -> None:
    waiting = said_so and not preview
    said = {"nyc-config": "applied 0123: private key changes with the confirm" if said_so else "applied 0123"}
    recorder = recording(monkeypatch, preview=preview)
    answered = recorder.new_resource

    def answering(args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, object]]:
        made, outputs = answered(args)
        return made, {**outputs, "stdout": said.get(args.name, "")}

    monkeypatch.setattr(recorder, "new_resource", answering)
    run(mesh(NYC, AMS, site(3, "sfo")))
    others = {f"{name}-{each}" for name in ("ams", "sfo") for each in ("config", "confirm")}
    assert recorder.after("nyc-confirm") >= {"nyc-config", *(others if waiting else ())}
    assert recorder.inputs("nyc-confirm")["stdin"] == recorder.inputs("nyc-config")["stdin"].split()[3]
    assert waiting or recorder.after("nyc-confirm").isdisjoint(others)
    assert recorder.after("ams-confirm").isdisjoint({"nyc-confirm", "sfo-confirm"})
