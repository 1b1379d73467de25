"""What the tests of packets share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.mesh.gateway import World


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack)
