"""What every fault test has: a mesh whose keys are known, and at the end of the test are looked for everywhere."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.toolchain import Engine
from mesh.keys import generate_private_key
from tests.lab.faults.stage import Stage
from tests.lab.leaks import watched_processes

SetStage = Callable[..., Stage]


@pytest.fixture
def set_stage(tools: Engine, tmp_path: Path) -> Iterator[SetStage]:
    """Starts a mesh from a config. After the test none of its keys may be anywhere; then it is ended."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    stages: list[Stage] = []

    def begin(config: Mapping[str, Any], **deployment: Any) -> Stage:
        directory = tmp_path / f"lab{len(stages)}"
        directory.mkdir()
        stage = Stage(directory, tools, config, generate_private_key().reveal(), **deployment)
        stages.append(stage)
        stage.start()
        return stage

    try:
        with watched_processes(every=0.1) as seen:
            yield begin
        for stage in stages:
            stage.assert_no_leak(seen)
    finally:
        for stage in reversed(stages):
            stage.world.stop()
