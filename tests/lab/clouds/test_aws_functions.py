"""What the functions of the stand-in of pulumi-aws find: images, and the zones that have an instance type."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clouds.aws_bench import Bench, benched
from tests.lab.clouds.aws_things import DEBIAN
from tests.lab.clouds.bench import RefusedError


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with benched(tmp_path, monkeypatch) as made:
        yield made


def test_the_newest_image_of_an_owner_is_found(bench: Bench) -> None:
    filters = [{"name": "name", "values": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]}]
    asked = {"mostRecent": True, "includeDeprecated": True}
    found = bench.ask("getAmi", **asked, owners=["099720109477"], filters=filters)
    assert (found["architecture"], found["rootDeviceName"]) == ("x86_64", "/dev/sda1")
    with pytest.raises(RefusedError, match="no results"):
        bench.ask("getAmi", **asked, owners=[DEBIAN], filters=filters)
    with pytest.raises(RefusedError, match="filter 'nmae' is invalid"):
        bench.ask("getAmi", mostRecent=True, owners=[DEBIAN], filters=[{"name": "nmae", "values": ["*"]}])


def test_the_zones_that_offer_a_type_are_told_and_the_old_one_is_none_of_them(bench: Bench) -> None:
    filters = [{"name": "instance-type", "values": ["t4g.nano"]}]
    found = bench.ask("getInstanceTypeOfferings", locationType="availability-zone", filters=filters)
    assert set(found["locations"]) == {"us-east-1-lab-1a", "us-east-1a", "us-east-1b", "us-east-1c"}
    assert found["instanceTypes"] == ["t4g.nano"] * 4
    none = [{"name": "instance-type", "values": ["t4g.pico"]}]
    assert bench.ask("getInstanceTypeOfferings", locationType="availability-zone", filters=none)["locations"] == []
