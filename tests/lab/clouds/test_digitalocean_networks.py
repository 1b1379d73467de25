"""VPCs and reserved addresses of the stand-in of pulumi-digitalocean: what is assigned, moved and given back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clouds.bench import Made, RefusedError
from tests.lab.clouds.digitalocean_bench import Bench, benched
from tests.lab.clouds.digitalocean_rows import assigned, droplet, reserved, vpc


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with benched(tmp_path, monkeypatch) as made:
        yield made


def test_an_assignment_that_moved_reads_as_gone_and_its_removal_takes_nothing(bench: Bench) -> None:
    old, new, address = droplet(bench), droplet(bench), reserved(bench)
    first = assigned(bench, old, address)
    second = assigned(bench, new, address)
    assert bench.read(first) is None
    bench.remove(first)  # as where the droplet is replaced: made before, removed after
    assert bench.read(second)
    bench.remove(old)
    bench.remove(second)


def test_a_reserved_address_that_something_else_assigns_is_no_difference(bench: Bench) -> None:
    address = reserved(bench)
    assigned(bench, droplet(bench), address)
    seen = bench.read(address)
    assert seen
    assert bench.diff(seen) == ([], [])


def test_a_reserved_address_may_name_its_droplet_itself(bench: Bench) -> None:
    first, second = droplet(bench), droplet(bench)
    address = bench.make("ReservedIp", region="fra1", dropletId=int(first.id))
    assert _holder(bench) == first.id
    address = bench.change(address, dropletId=int(second.id))
    assert _holder(bench) == second.id
    assert bench.diff(address) == ([], [])
    bench.remove(address)  # which takes it from the droplet before
    assert bench.books["reserved_ips"] == {}
    address = bench.make("ReservedIp", region="fra1", dropletId=int(first.id))
    del address.inputs["dropletId"]
    later = bench.change(address)
    assert "dropletId" not in later.state
    assert _holder(bench) is None


def test_a_reserved_address_that_leads_to_no_droplet_any_more_is_given_back_all_the_same(bench: Bench) -> None:
    machine = droplet(bench)
    address = bench.make("ReservedIp", region="fra1", dropletId=int(machine.id))
    bench.remove(machine)
    assert _holder(bench) is None
    with pytest.raises(
        RefusedError, match=r"Error unassigning reserved IP \([0-9.]+\): POST .* 422 the reserved IP is"
    ):
        bench.change(Made(address.kind, address.id, {"region": "fra1"}, address.state))
    bench.remove(address)
    assert bench.books["reserved_ips"] == {}


def test_a_reserved_address_that_is_gone_is_no_longer_given_back(bench: Bench) -> None:
    """The refusal that is passed over is the one that it leads nowhere."""
    address = bench.make("ReservedIp", region="fra1", dropletId=int(droplet(bench).id))
    bench.books["reserved_ips"].clear()
    with pytest.raises(RefusedError, match=r"Error unassigning reserved IP .* 404 The resource"):
        bench.remove(address)


def test_a_region_s_default_vpc_is_let_go_once_another_one_takes_its_place(bench: Bench) -> None:
    bench.account.forget_default("fra1")
    first, second = (vpc(bench, name=f"n{number}", ipRange=f"10.4{number}.0.0/24") for number in range(2))
    assert (first.state["default"], second.state["default"]) == (True, False)
    renamed = bench.change(first, name="other")
    assert renamed.state["default"]
    with pytest.raises(RefusedError, match="403 Can not delete default VPCs"):
        bench.remove(renamed)
    body = {"name": "n1", "default": True, "token": "somebody's"}
    assert bench.account.call(f"PUT /v2/vpcs/{second.id}", body)["vpc"]["default"]
    bench.remove(renamed)
    with pytest.raises(RefusedError, match="403 Can not delete default VPCs"):
        bench.remove(second)


def _holder(bench: Bench) -> str | None:
    (record,) = bench.books["reserved_ips"].values()
    return record["droplet_id"] and str(record["droplet_id"])
