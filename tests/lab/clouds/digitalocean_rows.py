"""What a row of the stand-in's table is, and what its attempts begin with: resources as the components make them."""

from typing import Any, TypeAlias

from tests.lab.clouds import bench as shared
from tests.lab.clouds.bench import Made
from tests.lab.clouds.digitalocean_bench import Bench

UUID = "5a4981aa-9653-4bd1-bef5-d6bff52042e4"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO2nGB8jBLfA7Jx5M0T5n8xRkSbn0Nwr3rxqXyMHqYvD"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3fQ2cZk7v6dE0s1xY9pLrTnWm4oHjKgUqVbXyRtZaE"

OPENAPI = "digitalocean/openapi, specification/resources/"
PROVIDER = "digitalocean/terraform-provider-digitalocean, digitalocean/"

Row: TypeAlias = shared.Row[Bench]


def vpc(bench: Bench, **inputs: Any) -> Made:
    return bench.make("Vpc", **{"name": "stack-fra", "region": "fra1", "ipRange": "10.40.0.0/24"} | inputs)


def droplet(bench: Bench, **inputs: Any) -> Made:
    usual = {"name": "stack-fra", "region": "fra1", "size": "s-1vcpu-512mb-10gb", "image": "debian-12-x64"}
    return bench.make("Droplet", **usual | {"resizeDisk": False} | inputs)


def rule(ports: str | None = "22", *sources: str, protocol: str = "tcp") -> dict[str, Any]:
    made = {"protocol": protocol, "sourceAddresses": list(sources) or ["192.0.2.0/24"]}
    return made if ports is None else made | {"portRange": ports}


def firewall(bench: Bench, **inputs: Any) -> Made:
    return bench.make("Firewall", **{"name": "stack-fra", "inboundRules": [rule()]} | inputs)


def key(bench: Bench, **inputs: Any) -> Made:
    return bench.make("SshKey", **{"name": "stack-fra", "publicKey": KEY} | inputs)


def tag(bench: Bench, name: str = "wireguard-mesh:stack:fra") -> Made:
    return bench.make("Tag", name=name)


def reserved(bench: Bench, region: str = "fra1") -> Made:
    return bench.make("ReservedIp", region=region)


def assigned(bench: Bench, to: Made | int, address: Made | None = None) -> Made:
    where = (address or reserved(bench)).state["ipAddress"]
    return bench.make("ReservedIpAssignment", ipAddress=where, dropletId=to if isinstance(to, int) else int(to.id))


def existing(bench: Bench, region: str = "fra1") -> str:
    bench.account.seed(UUID, "10.60.0.0/24", region)
    return UUID
