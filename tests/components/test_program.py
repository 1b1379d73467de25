"""The program as the engine runs it: a config with faults registers no resource, a good one registers its outputs."""

import json
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.components.conftest import Recorder
from tests.mesh.config import (
    test_access,
    test_addresses,
    test_advertised,
    test_asserted,
    test_aws,
    test_aws_tags,
    test_clouds,
    test_digitalocean,
    test_form,
    test_hosts,
    test_instance_types,
    test_networks,
    test_operators,
    test_ports,
    test_reach,
    test_returns,
    test_selectors,
)
from tests.mesh.config.configs import changed, clouds, good

PROGRAM = Path(__file__).parents[2] / "__main__.py"
TABLES = (
    test_access,
    test_addresses,
    test_advertised,
    test_asserted,
    test_form,
    test_hosts,
    test_networks,
    test_operators,
    test_ports,
    test_returns,
    test_selectors,
)
CLOUD_TABLES = (test_aws, test_aws_tags, test_clouds, test_digitalocean, test_instance_types, test_reach)
BAD = [(row[0], changed(row[1]), row[2]) for table in TABLES for row in table.TABLE]
BAD_CLOUDS = [(row[0], clouds(row[1]), row[2]) for table in CLOUD_TABLES for row in table.TABLE]


@pytest.fixture(autouse=True)
def no_config_left() -> Iterator[None]:
    """The engine's config is a variable of the whole process."""
    yield
    pulumi.runtime.set_all_config({})


def run(sections: Mapping[str, Any]) -> None:
    """Runs the program on a config, as a stack's run does."""
    pulumi.runtime.set_all_config({f"wireguard-mesh:{name}": json.dumps(section) for name, section in sections.items()})

    @pulumi.runtime.test
    def program() -> None:
        runpy.run_path(str(PROGRAM), run_name="__main__")

    program()


def test_there_are_at_least_forty_bad_configs() -> None:
    assert len(BAD) >= 40
    assert len(BAD_CLOUDS) >= 40


@pytest.mark.parametrize(
    ("config", "faults"), [row[1:] for row in BAD + BAD_CLOUDS], ids=[row[0] for row in BAD + BAD_CLOUDS]
)
def test_a_config_with_faults_registers_no_resource(
    recorder: Recorder, config: dict[str, Any], faults: list[str]
) -> None:
    with pytest.raises(pulumi.RunError) as refusal:
        run(config)
    assert [line.strip() for line in str(refusal.value).splitlines()[1:]] == faults
    assert recorder.registered == []


def test_documentation_addresses_are_refused_outside_the_lab_and_taken_inside(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(pulumi.RunError, match=r"203\.0\.113\.10 is an example"):
        run(good())
    assert recorder.registered == []
    monkeypatch.setenv("WIREGUARD_MESH_LAB", "test/engine")
    run(good())
    assert len(recorder.names("command:remote:Command")) == 3 * 3


def test_a_grant_that_another_contains_is_a_warning_and_no_fault(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    monkeypatch.setenv("WIREGUARD_MESH_LAB", "test/engine")
    sections = good()
    run(sections)
    assert told == []
    run({**sections, "access": [*sections["access"], sections["access"][0]]})
    number = len(sections["access"])
    assert told == [f"access[{number}]: says the same as access[0]; leave it out"]
