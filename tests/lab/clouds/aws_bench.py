"""A bench for the stand-in of pulumi-aws, with what somebody else may ask of the account."""

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab.clouds.api import ApiError
from lab.clouds.aws import AwsAccount
from lab.clouds.pool import Pool
from lab.plugins.aws import provider
from tests.lab.clouds import bench
from tests.lab.clouds.bench import RefusedError
from tests.lab.plugins.bench import Properties

REGION = "us-east-1"
VPC_TYPES = ("SecurityGroupIngressRule", "SecurityGroupEgressRule")


class Bench(bench.Bench[AwsAccount]):
    """A configured plugin, and the account that it asks."""

    package = "aws"

    def module(self, kind: str) -> str:
        return "vpc" if kind in VPC_TYPES else "ec2"

    def ec2(self, action: str, *, region: str = REGION, **arguments: Any) -> dict[str, Any]:
        """What the account answers, as if somebody else had asked it. Raises RefusedError."""
        try:
            return self.account.call(action, {"region": region, **arguments})
        except ApiError as error:
            raise RefusedError(str(error)) from None

    def configured(self, **config: Any) -> None:
        """Raises RefusedError where the plugin refuses a configuration."""
        if faults := self.check_config(**config):
            raise RefusedError("; ".join(faults.values()))

    def ask(self, function: str, **arguments: Any) -> Properties:
        """What a function of the plugin gives, by its token's last part."""
        return self.invoke(f"aws:ec2/{function}:{function}", **arguments)


@contextlib.contextmanager
def benched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with an account that was never used, and a region."""
    books: dict[str, Any] = {}
    account = AwsAccount(books, Pool(IPv4Network("198.18.128.0/24")))
    with bench.serving(account, folder, monkeypatch, "AWS_REGION", "AWS_DEFAULT_REGION"):
        made = Bench(account, books, provider())
        made.configure(region=REGION)
        yield made
