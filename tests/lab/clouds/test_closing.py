"""The end of the clouds while machines boot and calls are at work: nothing happens after it, and nothing is left."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import namespaces
from lab.clouds import fabric, wiring
from lab.clouds.api import VARIABLE, ApiError, call
from lab.clouds.boot import boot
from lab.clouds.launching import Boot, call_off
from lab.namespaces import LabError, Namespace
from lab.world import World
from tests.lab.clouds.stage import Stage, aws, instance, stage
from tests.lab.traces import marked, until
from tests.lab.worlds import cloudy

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

DROPLET = {"token": "any", "name": "d", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-x64"}


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What threads have raised."""
    found: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda raised: found.append(repr(raised.exc_value)))
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as begun:
        yield begun


class Held:
    """In place of a function: it has `begun`, and goes on when it is told to; then it fails where it is to."""

    def __init__(self, instead_of: Callable[..., Any], error: Exception | None = None) -> None:
        self._instead_of = instead_of
        self._error = error
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, *words: Any, **options: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(30)
        if self._error:
            raise self._error
        return self._instead_of(*words, **options)


def ends_only_after(held: Held, ends: fabric.Fabric, end: Callable[[], None]) -> None:
    """Sees the end wait for the function that is held, and come once that may go on."""
    ending = threading.Thread(target=end)
    ending.start()
    assert until(lambda: ends._closed)
    ending.join(0.5)
    assert ending.is_alive()
    held.go_on.set()
    ending.join(20)
    assert not ending.is_alive()


@pytest.mark.parametrize("held", ["launch", "boot"])
def test_a_lab_that_stops_while_machines_boot_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: list[str], held: str
) -> None:
    world = World(cloudy(), f"closing-{os.getpid()}", tmp_path / "base")
    world.start()
    try:
        clouds = world.clouds
        assert clouds
        function = Held(getattr(fabric, held))
        monkeypatch.setattr(fabric, held, function)
        for number in range(3):
            clouds.call("digitalocean", "POST /v2/droplets", {**DROPLET, "name": f"d{number}"})
        assert function.begun.wait(10)
        ends_only_after(function, clouds._fabric, world.stop)
    finally:
        world.stop()
    assert not (tmp_path / "base").exists()
    assert not marked(world.identity)
    assert not [thread for thread in threading.enumerate() if thread.name.isdigit()]
    assert (errors, clouds.told) == ([], [])
    with pytest.raises(LabError, match="about to end"):
        clouds.call("digitalocean", "POST /v2/droplets", DROPLET)
    assert not (tmp_path / "base").exists()


def test_a_boot_that_is_called_off_in_time_does_nothing() -> None:
    begun: list[Boot] = []
    boot_of_one = Boot(instance(), begun.append)
    call_off([boot_of_one])
    assert not boot_of_one.runs
    assert begun == []


def test_a_change_that_is_at_work_is_over_when_the_end_is(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(namespaces.launch)
    monkeypatch.setattr(wiring, "launch", held)
    changing = threading.Thread(target=lab.fabric.apply, args=([aws(instance())],))
    changing.start()
    assert held.begun.wait(10)
    ends_only_after(held, lab.fabric, lab.fabric.close)
    changing.join(0)
    assert not changing.is_alive()
    assert not any(one.runs for one in lab.fabric._boots.values())
    with pytest.raises(LabError, match="about to end"):
        lab.fabric.apply([])


def test_a_machine_that_does_not_boot_in_time_is_told_with_what_it_is_at(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(boot)
    monkeypatch.setattr(fabric, "boot", held)
    monkeypatch.setattr(fabric, "_SECONDS_FOR_BOOTS", 1.0)
    lab.fabric.apply([aws(instance())])
    assert held.begun.wait(10)
    lab.fabric.settle()
    assert lab.told == ["use1 (i-1) has not booted within 1 s; it is at: what its user data says"]
    held.go_on.set()
    lab.fabric.settle()
    assert len(lab.told) == 1


def test_the_failure_of_a_machine_that_nobody_wants_any_more_is_not_told(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(boot, LabError("a fault"))
    monkeypatch.setattr(fabric, "boot", held)
    lab.fabric.apply([aws(instance())])
    assert held.begun.wait(10)
    one = lab.fabric._boots["i-1"]
    ending = threading.Thread(target=lab.fabric.apply, args=([aws()],))
    ending.start()
    assert one.off.wait(10)
    held.go_on.set()
    ending.join(20)
    assert not one.runs
    assert lab.told == []
    again = Held(boot, LabError("a fault"))
    again.go_on.set()
    monkeypatch.setattr(fabric, "boot", again)
    lab.fabric.apply([aws(instance())])
    lab.fabric.settle()
    assert lab.told == ["use1 (i-1) does not boot: a fault"]


def test_a_machine_that_cannot_be_in_the_network_is_in_nobodys_way(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ip = Namespace.ip

    def refuse(self: Namespace, lines: Any, *options: str, check: bool = True) -> None:
        if self.name == "cloud-i-1" and any("addr add" in line for line in lines):
            raise LabError("no such address")
        ip(self, lines, *options, check=check)

    monkeypatch.setattr(Namespace, "ip", refuse)
    lab.fabric.apply([aws(instance())])
    lab.fabric.settle()
    assert lab.told == ["use1 (i-1) does not boot: no such address"]
    lab.told.clear()
    monkeypatch.undo()
    with pytest.raises(LabError, match="use1 has no gateway in its cloud now"):
        lab.fabric.gateway("use1")
    lab.show(aws(instance()))
    assert lab.fabric.gateway("use1").run(["hostname"]).stdout == "use1\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(cloudy(), f"closing-{os.getpid()}", tmp_path / "base") as started:
        yield started


def test_a_call_whose_outcome_cannot_be_kept_fails_and_leaves_everything_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch, errors: list[str]
) -> None:
    assert world.clouds
    kept = (world.path / "clouds.json").read_text()
    with world.clouds.serving() as environment:
        monkeypatch.setenv(VARIABLE, environment[VARIABLE])

        def fail() -> None:
            raise OSError("no space left on device")

        with monkeypatch.context() as broken:
            broken.setattr(world.clouds, "_save", fail)
            with pytest.raises(ApiError, match="InternalError: OSError: no space left"):
                call("digitalocean", "POST /v2/droplets", **DROPLET)
    assert (world.path / "clouds.json").read_text() == kept
    assert world.clouds.contents() == {}
    assert "cloud-" not in "".join(str(namespace) for namespace in world.clouds._fabric._state.machines)
    assert (errors, world.clouds.told) == ([], [])


def test_a_run_that_fails_waits_for_machines_too(world: World) -> None:
    assert world.clouds
    serving = world.clouds.serving()
    serving.__enter__()
    world.clouds.call("digitalocean", "POST /v2/droplets", {**DROPLET, "user_data": "#cloud-config\n{}\n"})
    assert not serving.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not any(one.runs for one in world.clouds._fabric._boots.values())
    assert all(machine.booted for machine in world.clouds._fabric._state.machines.values())
