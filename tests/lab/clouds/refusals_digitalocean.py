"""What the stand-in of DigitalOcean refuses and replaces, each with its source and with a neighbour that it takes."""

from typing import Any

from tests.lab.clouds import (
    refusals_digitalocean_droplets,
    refusals_digitalocean_firewalls,
    refusals_digitalocean_networks,
)
from tests.lab.clouds.bench import Made
from tests.lab.clouds.digitalocean_bench import Bench
from tests.lab.clouds.digitalocean_rows import (
    OTHER_KEY,
    Row,
    assigned,
    droplet,
    existing,
    firewall,
    key,
    reserved,
    tag,
    vpc,
)

SCHEMA = "pulumi/pulumi-digitalocean, provider/cmd/pulumi-resource-digitalocean/schema.json, willReplaceOnChanges"


def _replaced(bench: Bench, made: Made, **inputs: Any) -> str:
    differing, replacing = bench.diff(made, **inputs)
    return f"replaces for {', '.join(replacing)}" if replacing else f"updates {', '.join(differing)}"


REFUSALS = (
    *refusals_digitalocean_networks.ROWS,
    *refusals_digitalocean_droplets.ROWS,
    *refusals_digitalocean_firewalls.ROWS,
)

REPLACEMENTS = (
    Row(
        "user data",
        "other user data on a running droplet",
        "replaces for userData",
        f"{SCHEMA}, droplet",
        lambda bench: _replaced(bench, droplet(bench, userData="#cloud-config\n"), userData="#cloud-config\na: 1\n"),
        lambda bench: _replaced(bench, droplet(bench, userData="#cloud-config\n"), name="other"),
    ),
    Row(
        "an image",
        "another image on a running droplet",
        "replaces for image",
        f"{SCHEMA}, droplet",
        lambda bench: _replaced(bench, droplet(bench), image="ubuntu-24-04-x64"),
        lambda bench: _replaced(bench, droplet(bench), size="s-1vcpu-1gb"),
    ),
    Row(
        "SSH keys",
        "another SSH key on a running droplet",
        "replaces for sshKeys",
        f"{SCHEMA}, droplet",
        lambda bench: _replaced(bench, droplet(bench, sshKeys=[key(bench).id]), sshKeys=["289794"]),
        lambda bench: _replaced(bench, droplet(bench, sshKeys=[key(bench).id]), tags=["a"]),
    ),
    Row(
        "a droplet's VPC",
        "another VPC for a running droplet",
        "replaces for vpcUuid",
        f"{SCHEMA}, droplet",
        lambda bench: _replaced(bench, droplet(bench), vpcUuid=existing(bench)),
        lambda bench: _replaced(bench, droplet(bench), gracefulShutdown=True),
    ),
    Row(
        "a droplet's region",
        "another region for a droplet",
        "replaces for region",
        f"{SCHEMA}, droplet",
        lambda bench: _replaced(bench, droplet(bench), region="ams3"),
        lambda bench: _replaced(bench, droplet(bench), resizeDisk=True),
    ),
    Row(
        "a VPC's range and region",
        "another range and region for a VPC",
        "replaces for ipRange, region",
        f"{SCHEMA}, vpc",
        lambda bench: _replaced(bench, vpc(bench), ipRange="10.41.0.0/24", region="ams3"),
        lambda bench: _replaced(bench, vpc(bench), name="other", description="another one"),
    ),
    Row(
        "a public key",
        "another public key by the same name",
        "replaces for publicKey",
        f"{SCHEMA}, sshKey",
        lambda bench: _replaced(bench, key(bench), publicKey=OTHER_KEY),
        lambda bench: _replaced(bench, key(bench), name="other"),
    ),
    Row(
        "a tag's name",
        "another name for a tag",
        "replaces for name",
        f"{SCHEMA}, tag",
        lambda bench: _replaced(bench, tag(bench), name="other"),
        lambda bench: _replaced(bench, firewall(bench), name="other"),
    ),
    Row(
        "a reserved address's region",
        "another region for a reserved address",
        "replaces for region",
        f"{SCHEMA}, reservedIp",
        lambda bench: _replaced(bench, reserved(bench), region="ams3"),
        lambda bench: _replaced(bench, reserved(bench), dropletId=3164494),
    ),
    Row(
        "another droplet for a reserved address",
        "an assignment to another droplet",
        "replaces for dropletId",
        f"{SCHEMA}, reservedIpAssignment",
        lambda bench: _replaced(bench, assigned(bench, droplet(bench)), dropletId=3164494),
        lambda bench: _replaced(bench, firewall(bench), dropletIds=[3164494]),
    ),
)
