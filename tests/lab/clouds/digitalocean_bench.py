"""A bench for the stand-in of pulumi-digitalocean."""

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab.clouds.digitalocean import DigitalOceanAccount
from lab.clouds.pool import Pool
from lab.plugins.digitalocean import provider
from tests.lab.clouds import bench
from tests.lab.plugins.bench import secret

POOL = IPv4Network("198.18.64.0/24")


class Bench(bench.Bench[DigitalOceanAccount]):
    """A configured plugin, and the account that it asks."""

    package = "digitalocean"


@contextlib.contextmanager
def benched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with an account that was never used, and a token."""
    books: dict[str, Any] = {}
    account = DigitalOceanAccount(books, Pool(POOL))
    with bench.serving(account, folder, monkeypatch, "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"):
        made = Bench(account, books, provider())
        made.configure(token=secret("the token"))
        yield made
