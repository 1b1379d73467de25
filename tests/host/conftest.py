"""Hosts for the helper's tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.scratch import HEARD, Host
from tests.host.sites import SECRETS, Keys, on_the_internet, ready


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here starts namespaces."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.lab)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip("network namespaces need root"))


@pytest.fixture
def blank(tmp_path: Path) -> Iterator[Host]:
    """A host on which nothing of ours has ever been."""
    with Host(tmp_path / "blank") as host:
        yield host


@pytest.fixture
def nyc(tmp_path: Path) -> Iterator[Host]:
    """nyc's gateway alone: its peers are configured, and nobody answers."""
    with Host(tmp_path / "nyc") as host:
        yield ready(host, "nyc")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[dict[str, Host]]:
    """The gateways of nyc and ams, which reach each other."""
    yield from on_the_internet(tmp_path, ["nyc", "ams"])


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[dict[str, Host]]:
    """The gateways of all three sites, which reach one another."""
    yield from on_the_internet(tmp_path, ["nyc", "ams", "sfo"])


@pytest.fixture
def keys() -> Keys:
    """Keys for one mesh."""
    return Keys()


@pytest.fixture(autouse=True)
def canary() -> Iterator[None]:
    """No private or preshared key of a test is in anything that the helper said in it."""
    HEARD.clear()
    SECRETS.clear()
    yield
    assert not [key[:4] for key in SECRETS for text in HEARD if key.rstrip("=") in text], "a key was said"
