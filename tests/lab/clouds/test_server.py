"""A lab's clouds: what is there at first, what stays between runs, and what becomes of a call that goes wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab.clouds.api import VARIABLE, ApiError, call
from lab.clouds.model import Vpc
from lab.clouds.wiring import Wiring
from lab.deployment import CHECKOUT
from lab.namespaces import LabError
from lab.world import World
from mesh.model import SiteName
from tests.lab.traces import traces
from tests.lab.worlds import cloudy, pair

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

BUILD = """
import json, sys
from pathlib import Path
from lab.world import World
from tests.lab.worlds import cloudy
world = World(cloudy(), sys.argv[2], Path(sys.argv[1]), persistent=True)
world.start()
world.clouds.call("digitalocean", "POST /v2/vpcs", json.loads(sys.argv[3]))
"""

VPC = {"name": "test", "region": "ams3", "ip_range": "10.77.0.0/24"}


def make_vpc(**changes: Any) -> dict[str, Any]:
    """Asks DigitalOcean for a VPC, as its plugin does."""
    return call("digitalocean", "POST /v2/vpcs", token="any", **{**VPC, **changes})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(cloudy(), f"server-{os.getpid()}", tmp_path / "base") as started:
        yield started


@pytest.fixture
def served(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world while an engine would run."""
    assert world.clouds
    with world.clouds.serving() as environment:
        monkeypatch.setenv(VARIABLE, environment[VARIABLE])
        yield world


def vpcs(world: World) -> dict[str, Vpc]:
    assert world.clouds
    return {vpc.id: vpc for cloud in ("aws", "digitalocean") for vpc in world.clouds.account(cloud).networks()}


def test_a_vpc_that_the_config_names_is_there_with_the_networks_hosts_and_counts_as_nobodys(world: World) -> None:
    assert world.clouds
    there = vpcs(world)["vpc-0a1b2c3d"]
    assert there.cidrs == (IPv4Network("10.10.0.0/24"),)
    assert there.subnets == ((IPv4Network("10.10.0.0/24"), "rtb-0a1b2c3d"),)
    assert world.clouds.contents() == {}
    assert "10.10.0.10/24" in world.lan("use1.vpc").run(["ip", "-o", "addr", "show", "ens5"]).stdout
    # The other VPC is to be made yet.
    assert "eth1" not in world.lan("fra.vpc").run(["ip", "-o", "link"]).stdout


def test_a_site_without_a_machine_has_no_host_and_no_address_yet(world: World) -> None:
    with pytest.raises(LabError, match="use1 has no gateway in its cloud now"):
        world.host("use1")
    assert world.host("nyc").name == "gw-nyc"
    assert world.topology.lan_host("use1.vpc").routers == ()
    assert world.host_keys().keys() == {"203.0.113.10"}


def test_what_is_made_is_there_for_a_later_process_and_its_file_is_ours_alone(served: World) -> None:
    assert served.clouds
    made = make_vpc()["vpc"]
    assert served.clouds.contents() == {"digitalocean vpcs": ["test"]}
    file = served.path / "clouds.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert made["id"] in json.loads(file.read_text())["digitalocean"]["vpcs"]
    assert (served.path / "fabric.json").stat().st_mode & 0o077 == 0 or served.path.stat().st_mode & 0o077 == 0
    call("digitalocean", f"DELETE /v2/vpcs/{made['id']}", token="any")
    assert served.clouds.contents() == {}


def test_a_refused_call_leaves_everything_as_it_was(served: World) -> None:
    before = (served.path / "clouds.json").read_text()
    with pytest.raises(ApiError, match="422"):
        make_vpc(ip_range="10.77.0.0/30")
    assert (served.path / "clouds.json").read_text() == before
    make_vpc()


def test_a_call_that_the_lab_cannot_follow_leaves_everything_as_it_was(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served.clouds

    def refuse(_vpcs: object) -> None:
        raise LabError("no more namespaces")

    monkeypatch.setattr(served.clouds._fabric, "apply", refuse)
    with pytest.raises(ApiError, match="InternalError: LabError: no more namespaces"):
        make_vpc()
    monkeypatch.undo()
    assert served.clouds.contents() == {}


def test_after_a_call_that_was_followed_half_way_what_was_there_before_is_wanted(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served.clouds
    make_vpc(name="first", ip_range="10.78.0.0/24")
    fabric = served.clouds._fabric
    wanted, there = fabric._wanted, set(fabric._state.routers)

    def refuse(*_: object) -> None:
        raise LabError("no such route")

    with monkeypatch.context() as broken:
        broken.setattr(Wiring, "_route", refuse)
        with pytest.raises(ApiError, match="InternalError: LabError: no such route"):
            make_vpc()
        assert fabric._wanted == wanted
    assert set(fabric._state.routers) == there
    assert served.clouds.contents() == {"digitalocean vpcs": ["first"]}
    make_vpc()


def test_an_unknown_cloud_is_a_fault_of_the_lab(served: World) -> None:
    with pytest.raises(ApiError, match="there is no cloud azure"):
        call("azure", "Make")  # type: ignore[arg-type]


def test_between_runs_nobody_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.clouds
    with world.clouds.serving() as environment:
        monkeypatch.setenv(VARIABLE, environment[VARIABLE])
        make_vpc()
    with pytest.raises(LabError, match="do not answer"):
        make_vpc(name="other")


def test_a_lab_that_stays_finds_its_accounts_and_networks_again(tmp_path: Path) -> None:
    name, base, before = f"server-stay-{os.getpid()}", tmp_path / "base", traces()
    argv = [sys.executable, "-c", BUILD, str(base), name, json.dumps({**VPC, "token": "any"})]
    try:
        subprocess.run(argv, check=True, cwd=CHECKOUT)
        again = World.attach(cloudy(), name, base)
        assert again
        assert again.fits
        assert again.clouds
        assert again.clouds.contents() == {"digitalocean vpcs": ["test"]}
        assert "10.10.0.10/24" in again.lan("use1.vpc").run(["ip", "-o", "addr", "show", "ens5"]).stdout
        again.release()
    finally:
        other = World.attach(pair(), name, base)
        assert other
        other.stop()
    assert not other.fits
    assert other.clouds is None
    assert not base.exists()
    assert traces() == before


def test_a_mesh_of_colos_has_no_clouds(tmp_path: Path) -> None:
    with World(pair(), f"server-none-{os.getpid()}", tmp_path / "base") as plain:
        assert plain.clouds is None
        assert not (plain.path / "clouds.json").exists()


def test_the_gateways_addresses_are_none_before_there_is_one(world: World) -> None:
    assert world.clouds
    assert world.clouds.gateway_addresses(SiteName("fra")) == ()
