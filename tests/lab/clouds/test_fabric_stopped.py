"""A machine that is stopped does nothing at all, and when it is started again it has booted from its own disk."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.clouds.model import CloudMachine
from mesh.keys import generate_private_key
from tests.lab.clouds.arrivals import arrives, counted
from tests.lab.clouds.stage import (
    DROPLET,
    EIP,
    GATEWAY,
    OUTSIDE,
    Stage,
    answering,
    ask,
    ask_by_udp,
    aws,
    digital_ocean,
    droplet,
    instance,
    rule,
    stage,
)

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

OPEN = (rule("udp", 7000, f"{OUTSIDE}/32"), rule("tcp", 22, f"{OUTSIDE}/32"), rule("tcp", 7000, f"{OUTSIDE}/32"))
TUNNEL = f"[Interface]\nPrivateKey = {generate_private_key().reveal()}\nAddress = 10.98.0.1/32\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stopped")) as begun:
        yield begun


def stopped(machine: CloudMachine) -> CloudMachine:
    return replace(machine, links=tuple(replace(link, up=False) for link in machine.links))


def opened(machine: CloudMachine) -> CloudMachine:
    """Open for everything that these tests ask for."""
    return replace(machine, links=tuple(replace(link, ingress=OPEN) for link in machine.links))


def test_nothing_passes_in_or_out_of_a_stopped_machine_even_in_flows_that_were_open(lab: Stage) -> None:
    lab.show(aws(opened(instance())), digital_ocean(opened(droplet())))
    for site, own, public in (("use1", GATEWAY, EIP), ("fra", DROPLET, DROPLET)):
        gateway = lab.fabric.gateway(site)
        with answering(gateway, own, udp="on"):
            assert ask_by_udp(lab.outside, public) == f"on {OUTSIDE}"
        assert arrives(gateway, OUTSIDE, at=lab.outside)
    lab.show(aws(stopped(opened(instance()))), digital_ocean(stopped(opened(droplet()))))
    for site, own, public in (("use1", GATEWAY, EIP), ("fra", DROPLET, DROPLET)):
        gateway = lab.fabric.gateway(site)
        assert gateway.end_others() == 0
        # Were it to run all the same, nobody would hear of it.
        with answering(gateway, own, udp="off"), counted(gateway, 7000, "udp") as count:
            assert ask_by_udp(lab.outside, public) == "TimeoutError"
            assert count() == 0
        assert not arrives(gateway, OUTSIDE, at=lab.outside)
        assert not arrives(lab.outside, public, at=gateway, port=22)
    lab.show()


@pytest.mark.parametrize(
    ("machine", "interface", "address"), [(opened(instance()), "ens5", EIP), (opened(droplet()), "eth0", DROPLET)]
)
def test_a_machine_that_is_started_again_has_its_disk_and_nothing_else(
    lab: Stage, machine: CloudMachine, interface: str, address: str
) -> None:
    around = aws if interface == "ens5" else digital_ocean
    assert machine.site
    lab.show(around(machine))
    old = lab.fabric.gateway(machine.site)
    for path in ("/etc/kept", "/root/kept", "/home/kept", "/var/lib/kept", "/usr/local/kept"):
        old.write(path, "mine")
    old.write("/run/gone", "")
    old.write("/tmp/gone", "")
    old.write("/etc/wireguard/wg9.conf", TUNNEL, mode=0o600)
    old.write("/etc/sysctl.d/60-wireguard-mesh-wg9.conf", f"net/ipv4/conf/{interface}/forwarding = 1\n")
    old.run(
        [
            "sh",
            "-c",
            "ip link add extra type dummy; iptables -A INPUT -p tcp --dport 9 -j DROP; sleep 600 <&- >&- 2>&- &",
        ]
    )

    lab.show(around(stopped(machine)))
    assert lab.fabric.gateway(machine.site) == old
    lab.show(around(machine))
    new = lab.fabric.gateway(machine.site)
    assert new.holder != old.holder
    assert not old.holder.alive
    for path in ("/etc/kept", "/root/kept", "/home/kept", "/var/lib/kept", "/usr/local/kept"):
        assert new.run(["cat", path]).stdout == "mine"
    assert new.run(["ls", "/run/gone", "/tmp/gone"], check=False).stdout == ""
    assert new.run(["cat", "/proc/1/comm"]).stdout == "sleep\n"
    assert "sleep 600" not in new.run(["ps", "ax", "-o", "args"]).stdout
    assert "extra" not in new.run(["ls", "/sys/class/net"]).stdout
    assert "dport 9" not in new.run(["iptables-save"]).stdout
    assert "10.98.0.1" in new.run(["ip", "addr", "show", "wg9"]).stdout
    assert new.run(["cat", f"/proc/sys/net/ipv4/conf/{interface}/forwarding"]).stdout == "1\n"
    assert ask(lab.outside, address, 22).startswith("SSH-2.0-")
    assert new.run(["hostname"]).stdout == f"{machine.hostname}\n"
    lab.show()


def test_a_machine_whose_boot_from_its_disk_was_cut_short_begins_that_anew(lab: Stage) -> None:
    machine = opened(instance())
    lab.show(aws(machine))
    old = lab.fabric.gateway("use1")
    old.write("/etc/wireguard/wg9.conf", TUNNEL, mode=0o600)
    old.run(["wg-quick", "up", "wg9"])
    lab.fabric.close()
    file = lab.directory / "fabric.json"
    file.write_text(file.read_text().replace('"booted": true', '"booted": false'))
    lab.fabric = lab.another()
    lab.fabric.resume([aws(machine)])
    lab.fabric.settle()
    assert not lab.told
    assert "10.98.0.1" in lab.fabric.gateway("use1").run(["ip", "addr", "show", "wg9"]).stdout
    assert not old.holder.alive
    lab.show()


def test_a_later_process_finds_it_stopped_and_starts_it_again_where_that_was_cut_short(lab: Stage) -> None:
    machine = opened(instance())
    lab.show(aws(machine))
    lab.fabric.gateway("use1").write("/root/kept", "mine")
    lab.show(aws(stopped(machine)))
    later = lab.another()
    later.resume([aws(stopped(machine))])
    assert ask(lab.outside, EIP, 22) == "TimeoutError"
    later.apply([aws(machine)])
    later.close()  # in the middle of its boot
    assert not json.loads((lab.directory / "fabric.json").read_text())["machines"]["i-1"]["booted"]
    lab.fabric = lab.another()
    lab.fabric.resume([aws(machine)])
    lab.fabric.settle()
    assert ask(lab.outside, EIP, 22).startswith("SSH-2.0-")
    assert lab.fabric.gateway("use1").path("/root/kept").read_text() == "mine"
    assert not lab.told
    lab.show()
