"""The routes that droplets get by cloud-init: read strictly, and set by difference."""

import os
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from lab.clouds.snippets import carry_out, routes
from lab.namespaces import Keeper, LabError, Namespace, launch
from mesh import cloudinit

TEXT = cloudinit.routes([ip_network("10.20.0.0/24"), ip_network("10.30.0.0/24")], "10.40.0.2")


def test_what_the_program_writes_is_understood() -> None:
    assert routes(TEXT) == {
        "10.20.0.0/24": "route replace 10.20.0.0/24 via 10.40.0.2",
        "10.30.0.0/24": "route replace 10.30.0.0/24 via 10.40.0.2",
    }
    assert routes("") == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT.replace("ExecStart=/sbin/ip route", "ExecStart=/sbin/ip rule", 1), "other commands than routes"),
        (TEXT.replace("[systemctl, enable, --now, wireguard-mesh-routes.service]", "[reboot]"), "does not start"),
        (TEXT.replace("write_files", "files"), "not one file"),
        ("#cloud-config\n- [\n", "not one file"),
    ],
)
def test_what_the_lab_does_not_do_is_refused(text: str, reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        routes(text)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Namespace]:
    """A host in a VPC, with the neighbour that the routes lead to."""
    folder = tmp_path / f"snippets-{os.getpid()}"
    folder.mkdir()
    keeper = Keeper(folder.name)
    made = launch(keeper.processes[0], folder, "host", "host", "host")
    made.ip(["link add name eth1 type veth peer name other", "addr add 10.40.0.10/24 dev eth1", "link set eth1 up"])
    made.ip(["link set other up"])
    yield made
    keeper.close()
    keeper.wait()


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_hosts_routes_become_those_of_the_snippet_and_its_own_stay(host: Namespace) -> None:
    def told() -> list[str]:
        return [line.split()[0] for line in host.run(["ip", "route"]).stdout.splitlines()]

    carry_out(TEXT, host, "eth1", ["10.40.0.2"])
    assert told() == ["10.20.0.0/24", "10.30.0.0/24", "10.40.0.0/24"]
    carry_out(cloudinit.routes([ip_network("10.30.0.0/24")], "10.40.0.3"), host, "eth1", ["10.40.0.3"])
    assert told() == ["10.30.0.0/24", "10.40.0.0/24"]
    assert "10.30.0.0/24 via 10.40.0.3" in host.run(["ip", "route"]).stdout
    with pytest.raises(LabError, match=r"via 10\.40\.0\.2: .* has its gateway at 10\.40\.0\.3"):
        carry_out(TEXT, host, "eth1", ["10.40.0.3"])
    assert told() == ["10.30.0.0/24", "10.40.0.0/24"]
    carry_out("", host, "eth1", [])
    assert told() == ["10.40.0.0/24"]
    carry_out("", host, "eth9", [])  # not linked yet
