"""The lab's world: what is in it, and what is shut out."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.matrix import Matrix
from lab.measuring import measure
from lab.namespaces import LabError, Namespace
from lab.policy import judge
from lab.probing import probes
from lab.world import World
from tests.lab.traces import until
from tests.lab.worlds import pair, ssh, varied

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(varied(), "varied", tmp_path_factory.mktemp("labs") / "base") as started:
        yield started


def test_gateways_reach_each_other_at_their_public_addresses_and_names(world: World) -> None:
    everyone = ["203.0.113.10", "198.51.100.20", "sfo.example.com", "2001:db8::4"]
    for name in ("nyc", "ams", "sfo", "fra"):
        for other in everyone:
            world.host(name).run(["ping", "-c", "1", "-W", "5", other])
    for other in everyone:
        subprocess.run(world.operator_command(["ping", "-c", "1", "-W", "5", other]), check=True, capture_output=True)


def test_before_anything_is_deployed_every_granted_pair_is_blocked_and_no_other_passes(tmp_path: Path) -> None:
    with World(pair(), "blocked", tmp_path / "base") as fresh:
        results = measure(fresh, probes(fresh.mesh, fresh.topology, judge(fresh.mesh)), within=1)
    matrix = Matrix.of(results)
    assert not any(result.reached for result in results)
    assert {cell.marks for cell in matrix.cells.values()} == {"✗", "·"}
    assert not matrix.as_granted


def test_a_host_reaches_its_gateway_in_both_families_and_nobody_beyond(world: World, tmp_path: Path) -> None:
    with World(pair(), "lan", tmp_path / "base") as fresh:
        for address in ("192.168.122.1", "fd22::1"):
            fresh.lan("nyc.virbr0").run(["ping", "-c", "1", "-W", "5", address])
        beyond = fresh.lan("nyc.virbr0").run(["ping", "-c", "1", "-W", "1", "198.51.100.20"], check=False)
        assert beyond.returncode != 0
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            assert fresh.host("nyc").run(["cat", f"/proc/sys/net/{key}"]).stdout.strip() == "0"


def test_no_packet_finds_a_way_to_the_machine_itself(world: World) -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection((%r, {port}), 1)"
        failed = "Error: .*(refused|unreachable|No route to host|timed out)"
        own = [address for address in _addresses_of_the_machine() if address]
        for namespace in (world.operator, world.host("nyc"), world.lan("nyc.virbr0"), world.internet):
            for address in ["127.0.0.1", *own]:
                with pytest.raises(LabError, match=failed):
                    namespace.python(["-c", script % address], sys.executable)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def _addresses_of_the_machine() -> list[str]:
    done = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    return [address for address in done.stdout.split() if "." in address]


def test_the_internet_has_links_to_the_labs_machines_only(world: World) -> None:
    links = world.internet.run(["ip", "-o", "link"]).stdout.splitlines()
    names = {line.split(":")[1].strip().partition("@")[0] for line in links}
    assert names == {"lo", *(f"port{number}" for number in range(len(world.topology.machines) + 1))}


def test_the_operator_has_loopback_and_the_configs_names_and_no_others(world: World) -> None:
    world.operator.run(["ping", "-c", "1", "-W", "5", "127.0.0.1"])
    found = world.operator.run(["getent", "ahostsv4", "sfo.example.com"]).stdout.split()[0]
    assert found == str(world.topology.names["sfo.example.com"])
    before = _sent(world.operator)
    assert world.operator.run(["getent", "hosts", "example.org"], check=False).returncode != 0
    assert _sent(world.operator) == before, "nobody is asked for a name"


def _sent(machine: Namespace) -> list[str]:
    """What its kernel counts of UDP, by which names are asked for."""
    counted = machine.run(["cat", "/proc/net/snmp", "/proc/net/snmp6"]).stdout.splitlines()
    found = [line for line in counted if line.startswith(("Udp:", "Udp6OutDatagrams"))]
    assert len(found) == 3
    return found


def test_the_operators_key_opens_root_and_other_users_with_sudo_at_the_configs_port(world: World) -> None:
    assert ssh(world, "203.0.113.10", "id -u; hostname") == "0\nnyc\n"
    assert ssh(world, "198.51.100.20", "id -un; sudo -n id -u", user="admin", port=2022) == "admin\n0\n"


def test_a_bastion_leads_to_a_host_and_has_a_host_key_of_its_own(world: World) -> None:
    assert ssh(world, "10.0.0.5", "hostname", via="jump@jump.example.net") == "sfo\n"
    assert len(set(world.host_keys().values())) == len(world.topology.machines)


def test_another_key_opens_nothing(world: World, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    options = ["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    argv = ["ssh", *options, "-o", "BatchMode=yes", "-i", str(tmp_path / "other"), "root@203.0.113.10", "id"]
    done = subprocess.run(world.operator_command(argv), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 255
    assert "Permission denied" in done.stderr


def test_what_a_gateway_writes_is_its_own(world: World) -> None:
    for path in (
        "/etc/wireguard/lab-test",
        "/usr/local/sbin/lab-test",
        "/var/lib/lab-test",
        "/home/lab-test",
        "/tmp/lab-test",
    ):
        world.host("nyc").run(["touch", path])
        assert world.host("nyc").path(path).exists()
        assert not Path(path).exists()
        assert not world.host("ams").path(path).exists()
    assert world.host("nyc").run(["touch", "/usr/lab-test"], check=False).returncode != 0


def test_a_gateway_sees_its_own_processes_and_interfaces_only_and_keeps_no_zombies(world: World) -> None:
    nyc = world.host("nyc")
    assert nyc.run(["cat", "/proc/1/comm"]).stdout.strip() == "sleep"
    assert set(nyc.run(["ls", "/sys/class/net"]).stdout.split()) == {"lo", "eth0", "virbr0", "port0"}
    nyc.run(["sh", "-c", "(sleep 0.1 & )"])
    assert until(lambda: "sleep 0.1" not in nyc.run(["ps", "ax", "-o", "args"]).stdout)
    assert "Z" not in nyc.run(["ps", "ax", "-o", "stat="]).stdout


def test_a_program_that_takes_too_long_is_ended_and_said(world: World) -> None:
    with pytest.raises(LabError, match=r"gw-nyc: sleep 33: not done after 0\.3 s"):
        world.host("nyc").run(["sleep", "33"], timeout=0.3)
    assert "sleep 33" not in world.host("nyc").run(["ps", "ax", "-o", "args"]).stdout


def test_a_program_that_fails_is_said_with_its_own_words(world: World) -> None:
    with pytest.raises(LabError, match=r"gw-nyc: cat /nothing: exit status 1: cat: /nothing: No such file"):
        world.host("nyc").run(["cat", "/nothing"])


def test_the_operator_works_in_the_folder_it_is_told_with_the_callers_environment(world: World, tmp_path: Path) -> None:
    argv = world.operator_command(["sh", "-c", "pwd; echo $COLOUR; cat /proc/1/comm"], tmp_path)
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "COLOUR": "blue"})
    assert done.stdout.splitlines() == [str(tmp_path), "blue", "sleep"]
