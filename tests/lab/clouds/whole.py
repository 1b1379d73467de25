"""A whole mesh with clouds in it, as its tests look at it: what the accounts hold, and what somebody does to them."""

import json
from typing import Any

from tests.lab.environment import Environment

REGION = "us-east-1"


def account(environment: Environment, kind: str, region: str = REGION) -> list[dict[str, Any]]:
    """What the account on AWS has of a kind: `rules`, `instances`, ..."""
    kept = json.loads((environment.world.path / "clouds.json").read_text())["aws"]["regions"]
    return list(kept.get(region, {}).get(kind, {}).values())


def droplets(environment: Environment, kind: str = "droplets") -> list[dict[str, Any]]:
    """What the account at DigitalOcean has of a kind, besides what was there before."""
    kept = json.loads((environment.world.path / "clouds.json").read_text())["digitalocean"]
    return [item for item in kept[kind].values() if not item.get("foreign")]


def aws(environment: Environment, action: str, **arguments: Any) -> dict[str, Any]:
    """What somebody does at AWS's own console."""
    clouds = environment.world.clouds
    assert clouds is not None
    return clouds.call("aws", action, {"region": REGION, **arguments})


def digitalocean(environment: Environment, action: str, **arguments: Any) -> dict[str, Any]:
    """What somebody does at DigitalOcean's."""
    clouds = environment.world.clouds
    assert clouds is not None
    return clouds.call("digitalocean", action, {"token": "of somebody else", **arguments})


def wrong(environment: Environment, within: float = 15) -> set[tuple[str, str]]:
    """The pairs of which something is not as granted, after so many seconds."""
    found = environment.probe(within=within).problems
    return {(str(each.probe.source), str(each.probe.destination)) for each in found}
