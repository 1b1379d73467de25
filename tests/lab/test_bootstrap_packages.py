"""tools/bootstrap: what it installs, that no service starts, and what a refused, killed or second start leaves."""

from pathlib import Path

import pytest

from tests.lab import fakes
from tests.lab.bench import APT, Bench, needs_root

LISTS_LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)"
DPKG_INTERRUPTED = "E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a' to correct the problem."
DPKG_LOCKED = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711"
# What lies in the folders that an installation writes to.
TRACES = "; ls -A /usr/sbin /etc/systemd/system"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@needs_root
@pytest.mark.parametrize("apt", [True, False])
def test_certificates_are_wanted_only_where_apt_can_bring_them(bench: Bench, apt: bool) -> None:
    if not apt:
        bench.without("apt-get")
        (bench.bin / "apt-get").unlink()
    status, said = bench.in_mounts("mount -t tmpfs none /etc/ssl/certs && tools/bootstrap venv")
    assert status == 0, said
    assert ("installing system packages: ca-certificates\n" in said) is apt


@needs_root
def test_a_python_without_its_venv_module_gets_the_package_of_its_version(bench: Bench) -> None:
    bench.pip_log.with_name("pip.log.bare").touch()
    bench.in_mounts("tools/bootstrap venv")
    assert bench.apt_log.read_text().splitlines()[0].endswith(" python3.99-venv")


@needs_root
def test_what_is_missing_is_installed_and_no_service_of_it_starts_now_or_later(bench: Bench) -> None:
    status, said = bench.in_mounts("tools/bootstrap lab up" + TRACES)
    assert status == 0, said
    request, policy, *masks = bench.apt_log.read_text().splitlines()
    assert {"iptables", "conntrack", "openssh-server"} <= set(request.split())
    assert "--no-install-recommends" in request
    assert policy == "policy 101"
    assert masks == ["/dev/null", "/dev/null"]
    assert bench.steps() == ["apt-get update", "apt-get install"]
    assert "systemctl unmask ssh.service ssh.socket\n" in said
    assert said.endswith(
        "/etc/systemd/system:\nssh.service\nssh.socket\n\n/usr/sbin:\nconntrack\nip6tables\niptables\nsshd\nsysctl\n"
    )
    assert not list(bench.temporary.iterdir())


@needs_root
@pytest.mark.parametrize(("target", "wanted"), [("test", True), ("up", False)])
def test_what_only_the_tests_need_is_installed_for_the_tests_only(bench: Bench, target: str, wanted: bool) -> None:
    bench.without("busybox", "wireguard-go")
    fakes.program(bench.bin / "unshare", "")  # this kernel has WireGuard
    status, said = bench.in_mounts(f"tools/bootstrap lab {target}")
    assert status == 0, said
    request = bench.apt_log.read_text().splitlines()[0].split()
    assert ("busybox" in request, "wireguard-go" in request) == (wanted, wanted)


@needs_root
def test_where_the_kernel_has_no_wireguard_the_lab_gets_it_in_userspace(bench: Bench) -> None:
    bench.without("busybox", "wireguard-go")
    fakes.program(bench.bin / "unshare", "exit 2")
    bench.in_mounts("tools/bootstrap lab up")
    request = bench.apt_log.read_text().splitlines()[0].split()
    assert ("busybox" in request, "wireguard-go" in request) == (False, True)


@needs_root
def test_a_machine_that_has_an_ssh_server_keeps_its_service(bench: Bench) -> None:
    fakes.program(bench.bin / "sshd", "")
    status, said = bench.in_mounts("tools/bootstrap lab up" + TRACES)
    assert status == 0, said
    assert "openssh-server" not in bench.apt_log.read_text()
    assert "ssh.service" not in said


@needs_root
def test_a_failed_installation_tells_why_and_leaves_no_mask_no_policy_and_no_file(bench: Bench) -> None:
    bench.apt("refusals").write_text("E: The repository 'x' does not have a Release file.\n")
    status, said = bench.in_mounts("tools/bootstrap lab up; status=$?" + TRACES + "; exit $status")
    assert status == 1
    assert "does not have a Release file" in said
    assert "apt-get could not install: " in said
    assert said.endswith("/etc/systemd/system:\n\n/usr/sbin:\n")
    assert bench.steps() == ["apt-get update"]
    assert not list(bench.temporary.iterdir())


@needs_root
def test_a_failed_installation_leaves_the_masks_and_units_that_were_there_before(bench: Bench) -> None:
    bench.apt("refusals").write_text("E: Unable to locate package\n")
    own = "cd /etc/systemd/system && ln -s /dev/null ssh.socket && echo own >ssh.service && cd - >/dev/null && "
    _, said = bench.in_mounts(own + "tools/bootstrap lab up; cat /etc/systemd/system/ssh.service" + TRACES)
    assert "own\n/etc/systemd/system:\nssh.service\nssh.socket\n" in said


@needs_root
def test_a_signal_leaves_no_mask_no_policy_and_no_file(bench: Bench) -> None:
    bench.apt("gate").touch()
    script = (
        f"tools/bootstrap lab up & until [ -e {bench.apt('reached')} ]; do sleep 0.05; done; ls /etc/systemd/system; "
        f"echo refused >{bench.apt('refusals')}; kill -TERM $!; rm {bench.apt('gate')}; wait $!; echo status $?"
    )
    _, said = bench.in_mounts(script + TRACES)
    assert "masked-by-wireguard-mesh\nssh.service\nssh.socket\nstatus 130\n" in said
    assert said.endswith("/etc/systemd/system:\n\n/usr/sbin:\n")
    assert not list(bench.temporary.iterdir())


@needs_root
def test_masks_of_a_start_that_was_killed_before_anything_was_installed_are_gone_after_the_next(bench: Bench) -> None:
    bench.apt("kill").touch()
    bench.apt("gate").touch()
    script = (
        f"tools/bootstrap lab up; echo refused >{bench.apt('refusals')}; rm {bench.apt('gate')}; "
        "ls /etc/systemd/system; tools/bootstrap venv"
    )
    _, said = bench.in_mounts(script + TRACES)
    assert "masked-by-wireguard-mesh\nssh.service\nssh.socket\n" in said
    assert said.endswith("/etc/systemd/system:\n\n/usr/sbin:\n")


@needs_root
@pytest.mark.parametrize("policy", ["own", "none"])
def test_after_a_kill_an_installation_goes_on_is_waited_for_and_leaves_the_policy_as_it_was(
    bench: Bench, policy: str
) -> None:
    own = "echo 'exit 0 # own' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && " if policy == "own" else ""
    bench.apt("kill").touch()
    bench.apt("gate").touch()
    script = (
        "tools/bootstrap lab up; cat /usr/sbin/policy-rc.d; "
        f"(until grep -q waiting said; do sleep 0.05; done; rm {bench.apt('gate')}) & "
        "tools/bootstrap lab up >said; cat said; cat /usr/sbin/policy*"
    )
    _, said = bench.in_mounts(own + script + TRACES)
    before, after = said.split("another start is installing system packages; waiting for it")
    assert "for the time of an installation" in before
    assert after.count("exit 0 # own") == (policy == "own")
    assert "for the time of an installation" not in after
    assert "/etc/systemd/system:\nssh.service\nssh.socket\n" in after
    assert bench.steps() == ["apt-get update", "apt-get install"]


@needs_root
def test_a_start_that_finds_nothing_missing_restores_the_policy_that_a_killed_one_left(bench: Bench) -> None:
    bench.apt("kill").touch()
    script = "tools/bootstrap lab up; flock /usr/sbin true; ls /usr/sbin; tools/bootstrap lab up"
    _, said = bench.in_mounts(script + TRACES)
    before, after = said.split(" Python packages", 1)
    assert "policy-rc.d" in before
    assert "policy-rc.d" not in after
    assert bench.steps() == ["apt-get update", "apt-get install"]


@needs_root
def test_another_apt_is_waited_for_and_an_interrupted_dpkg_is_brought_to_its_end(bench: Bench) -> None:
    steps, refusals = bench.apt("steps"), bench.apt("refusals")
    fakes.program(bench.bin / "sleep", f'echo "sleep $1" >>{steps}')
    # The installation is refused until dpkg was run, and dpkg is locked the first time.
    refuse = f'[ -e {steps}.dpkg2 ] || case " $* " in *" install "*) echo "{DPKG_INTERRUPTED}" >{refusals} ;; esac\n'
    fakes.program(bench.bin / "apt-get", refuse + APT.format(log=bench.apt_log))
    fakes.program(
        bench.bin / "dpkg",
        f"echo dpkg >>{steps}; [ ! -e {steps}.dpkg1 ] || {{ touch {steps}.dpkg2; exit; }}\n"
        f"touch {steps}.dpkg1; echo '{DPKG_LOCKED}' >&2; exit 2",
    )
    refusals.write_text(f"{LISTS_LOCKED}\n" * 2)
    status, said = bench.in_mounts("tools/bootstrap lab up")
    assert status == 0, said
    assert bench.steps() == [
        *("apt-get update", "sleep 5", "apt-get update", "sleep 5", "apt-get update"),
        *("apt-get install", "dpkg", "sleep 5", "apt-get install", "dpkg", "apt-get install"),
    ]
    assert said.count("another apt or dpkg is at work on this machine; waiting for it") == 2
    assert "-o DPkg::Lock::Timeout=300 install" in bench.apt_log.read_text()


@needs_root
@pytest.mark.parametrize("refusal", [LISTS_LOCKED, DPKG_INTERRUPTED])
def test_what_does_not_end_is_waited_for_no_longer_than_five_minutes(bench: Bench, refusal: str) -> None:
    fakes.program(bench.bin / "sleep", "")
    bench.apt("refusals").write_text(f"{refusal}\n" * 100)
    status, said = bench.in_mounts("tools/bootstrap lab up")
    assert status == 1
    assert refusal in said
    assert bench.steps().count("apt-get update") == 60
