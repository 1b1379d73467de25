"""A lab's beginning and end: nothing of it stays, whoever is killed, and labs do not disturb each other."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import registry
from lab.namespaces import LabError
from lab.world import World
from tests.lab.traces import everything_in, holders, marked, traces, until
from tests.lab.worlds import pair, ssh, varied

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

ROOT = Path(__file__).parents[2]

# The lab of the process that is killed; no other run of these tests has one of this name.
KILLED = f"killed-{os.getpid()}"

# A program that starts a lab in the folder argv[1] and then waits, or stops half-way where argv[2] says so.
STARTER = """
import sys, time
from pathlib import Path
from lab.world import World
from tests.lab.worlds import pair

def progress(text):
    if text.startswith(sys.argv[2]):
        print("reached", flush=True)
        time.sleep(600)

world = World(pair(), sys.argv[4], Path(sys.argv[1]), persistent=sys.argv[3] == "persistent")
world.start(progress)
try:
    print("started", flush=True)
    time.sleep(0 if sys.argv[3] == "persistent" else 600)
finally:
    if sys.argv[3] != "persistent":
        world.stop()
"""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """A folder for labs. Should a test leave a persistent one there, it is ended."""
    yield tmp_path / "base"
    for pid in marked(KILLED, "keeper"):
        os.kill(pid, signal.SIGKILL)


def test_a_lab_keeps_nobody_elses_named_namespace_alive(base: Path) -> None:
    name = f"wgm-foreign-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        with World(pair(), "foreign", base) as fresh:
            for namespace in (fresh.host("nyc"), fresh.operator):
                assert "nsfs" not in namespace.run(["cat", "/proc/self/mounts"]).stdout
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_programs_in_the_labs_directory_run_where_the_folder_is_mounted_noexec(tmp_path: Path) -> None:
    # As many machines mount /run. In a mount namespace of its own, so that the machine keeps no mount.
    script = (
        "import subprocess\nfrom pathlib import Path\nfrom lab.world import World\nfrom tests.lab.worlds import pair\n"
        f"base = Path({str(tmp_path)!r})\n"
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'noexec', 'none', str(base)], check=True)\n"
        "with World(pair(), 'noexec', base / 'labs') as world:\n"
        "    program = world.path / 'program'\n    program.write_text('#!/bin/sh\\necho it runs\\n')\n"
        "    program.chmod(0o755)\n    subprocess.run(world.operator_command([str(program)]), check=True)\n"
    )
    argv = ["unshare", "--mount", sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (0, "it runs\n"), done.stderr


def test_a_gateway_can_read_what_the_machine_has_mounted_and_write_none_of_it(tmp_path: Path) -> None:
    script = (
        "import subprocess\nfrom pathlib import Path\nfrom lab.world import World\nfrom tests.lab.worlds import pair\n"
        "for point in ('/mnt', '/mnt/with space', '/mnt/with space/7below'):\n"
        "    Path(point).mkdir(exist_ok=True)\n"
        "    subprocess.run(['mount', '-t', 'tmpfs', 'none', point], check=True)\n"
        "    Path(point, 'file').touch()\n"
        f"with World(pair(), 'mounts', Path({str(tmp_path / 'labs')!r})) as world:\n"
        "    for point in ('/mnt', '/mnt/with space', '/mnt/with space/7below'):\n"
        "        world.host('nyc').run(['cat', f'{point}/file'])\n"
        "        print(world.host('nyc').run(['touch', f'{point}/file'], check=False).stderr, end='')\n"
        "    world.host('nyc').run(['touch', '/run/file', '/etc/file'])\n"
    )
    argv = ["unshare", "--mount", sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.count("Read-only file system")) == (0, 3), done.stdout + done.stderr


def test_after_stop_no_namespace_process_mount_interface_or_file_is_left(base: Path) -> None:
    before = traces()
    world = World(varied(), f"short-{os.getpid()}", base)
    world.start()
    running = subprocess.Popen(world.operator_command(["sleep", "600"]))
    everything = everything_in(world.identity)
    assert len(everything) > 20
    assert holders(everything)
    world.stop()
    assert holders(everything) == []
    assert running.wait(10) != 0
    assert traces() <= before
    assert not base.exists()


def test_stopping_twice_is_as_good_as_once(base: Path) -> None:
    world = World(pair(), "twice", base)
    world.start()
    world.stop()
    world.stop()
    assert not base.exists()


def test_a_start_that_fails_leaves_nothing_and_says_what_the_kernel_said(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = f"broken-{os.getpid()}"
    monkeypatch.setattr("lab.links.lan_host", lambda host: iter(["addr add nonsense dev eth0"]))
    with pytest.raises(LabError, match=r"lan-nyc\.virbr0: ip: exit status 1: .*nonsense"):
        World(pair(), identity, base).start()
    assert not marked(identity)
    assert not base.exists()


def test_two_labs_of_one_config_do_not_disturb_each_other(base: Path) -> None:
    with World(pair(), "left", base) as left, World(pair(), "right", base) as right:
        left.host("nyc").run(["touch", "/etc/left"])
        left.host("nyc").run(["ip", "link", "set", "eth0", "down"])
        assert right.host("nyc").run(["ls", "/etc/left"], check=False).returncode != 0
        right.host("nyc").run(["ping", "-c", "1", "-W", "5", "198.51.100.20"])
        assert left.host("nyc").run(["ping", "-c", "1", "-W", "1", "198.51.100.20"], check=False).returncode != 0
        assert left.host_keys() != right.host_keys()
    assert not base.exists()


def test_a_second_lab_of_the_same_name_is_refused_and_the_first_goes_on(base: Path) -> None:
    with World(pair(), "same", base) as first:
        with pytest.raises(registry.InUseError, match=f"the lab same is in use by process {os.getpid()}"):
            World(pair(), "same", base).start()
        first.host("nyc").run(["true"])


def test_a_name_that_could_leave_the_folder_is_refused(base: Path) -> None:
    with pytest.raises(LabError, match="no name for a lab"):
        World(pair(), "../etc", base).start()


@contextmanager
def starter(base: Path, stop_at: str = "never", kind: str = "owned") -> Iterator["subprocess.Popen[str]"]:
    """STARTER as another process, when it has reached its stop, or started the whole lab."""
    argv = [sys.executable, "-c", STARTER, str(base), stop_at, kind, KILLED]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        try:
            assert owner.stdout
            assert owner.stdout.readline().strip() == ("started" if stop_at == "never" else "reached")
            yield owner
        finally:
            owner.kill()


@pytest.mark.parametrize("stop_at", ["2 gateways", "links", "names", "never"])
def test_a_killed_owners_lab_ends_at_once_and_the_next_start_removes_its_files(base: Path, stop_at: str) -> None:
    with starter(base, stop_at) as owner:
        assert marked(KILLED)
        owner.kill()
    assert until(lambda: not marked(KILLED))
    assert (base / KILLED).exists()
    with World(pair(), KILLED, base) as world:
        world.host("nyc").run(["true"])
    assert not base.exists()


@pytest.mark.parametrize("stop_at", ["2 gateways", "links", "names"])
def test_a_persistent_lab_whose_builder_was_killed_half_way_is_no_lab(base: Path, stop_at: str) -> None:
    with starter(base, stop_at, "persistent") as owner:
        owner.kill()
    assert until(lambda: not marked(KILLED))
    assert World.attach(pair(), KILLED, base) is None
    assert not base.exists()


@pytest.mark.parametrize("stop_at", ["2 gateways", "names", "never"])
def test_an_interrupt_cleans_up(base: Path, stop_at: str) -> None:
    with starter(base, stop_at) as owner:
        owner.send_signal(signal.SIGINT)
        _, said = owner.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    assert not marked(KILLED)
    assert not base.exists()


def test_a_persistent_lab_outlives_its_starter_and_can_be_joined_and_ended(base: Path) -> None:
    with starter(base, kind="persistent") as owner:
        assert owner.wait(30) == 0
    assert registry.sweep(base) == []
    world = World.attach(pair(), KILLED, base)
    assert world is not None
    assert world.fits
    world.host("nyc").run(["ping", "-c", "1", "-W", "5", "198.51.100.20"])
    assert ssh(world, "203.0.113.10", "hostname") == "nyc\n"
    with pytest.raises(LabError, match=f"in use by process {os.getpid()}"):
        World(pair(), KILLED, base).start()
    everything = everything_in(world.identity)
    world.release()
    with pytest.raises(LabError, match="running already"):
        World(pair(), KILLED, base).start()
    assert holders(everything)
    again = World.attach(pair(), KILLED, base)
    assert again is not None
    again.stop()
    assert holders(everything) == []
    assert not marked(KILLED)
    assert not base.exists()


def test_a_lab_that_another_process_uses_cannot_be_joined_until_it_is_released(base: Path) -> None:
    with starter(base, kind="persistent") as owner:
        owner.wait(30)
    first = World.attach(pair(), KILLED, base)
    assert first is not None
    with pytest.raises(registry.InUseError, match=f"the lab {KILLED} is in use by process {os.getpid()}"):
        World.attach(pair(), KILLED, base)
    first.host("nyc").run(["true"])
    first.release()
    second = World.attach(pair(), KILLED, base)
    assert second is not None
    second.stop()
    assert not base.exists()


def test_a_lab_that_a_process_owns_cannot_be_joined(base: Path) -> None:
    with World(pair(), "owned", base), pytest.raises(registry.InUseError):
        World.attach(pair(), "owned", base)


def test_a_persistent_lab_of_another_network_does_not_fit(base: Path) -> None:
    with starter(base, kind="persistent") as owner:
        owner.wait(30)
    world = World.attach(varied(), KILLED, base)
    assert world is not None
    assert not world.fits
    world.release()
    same = World.attach(pair(), KILLED, base)
    assert same is not None
    assert same.fits
    (same.path / "topology").unlink()
    assert not same.fits
    same.stop()
    assert not base.exists()


def test_a_persistent_lab_whose_processes_are_gone_is_cleaned_up(base: Path) -> None:
    with starter(base, kind="persistent") as owner:
        owner.wait(30)
    for pid in marked(KILLED, "keeper"):
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: registry.sweep(base) == [KILLED])
    assert not marked(KILLED)
    assert not base.exists()
