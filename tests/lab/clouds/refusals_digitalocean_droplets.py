"""What the stand-in of DigitalOcean refuses of droplets and SSH keys."""

from tests.lab.clouds.digitalocean_bench import Bench
from tests.lab.clouds.digitalocean_rows import KEY, OPENAPI, OTHER_KEY, UUID, Row, droplet, existing, key


def _resized(bench: Bench, *, disk: bool) -> None:
    made = droplet(bench, resizeDisk=disk)
    larger = bench.change(made, size="s-1vcpu-1gb")
    bench.change(larger, size="s-1vcpu-512mb-10gb")


ROWS = (
    Row(
        "an unknown image",
        "a droplet of an image that is not there",
        "POST https://api.digitalocean.com/v2/droplets: 422 You specified an invalid image for Droplet creation.",
        "github.com/digitalocean/terraform-provider-digitalocean/pull/1035",
        lambda bench: droplet(bench, image="debian-8-x64"),
        lambda bench: droplet(bench, image="ubuntu-24-04-x64"),
    ),
    Row(
        "an unknown size",
        "a droplet of a size that is not there",
        "422 You specified an invalid size for Droplet creation.",
        OPENAPI + "droplets/models/droplet_create.yml, size",
        lambda bench: droplet(bench, size="t4g.nano"),
        lambda bench: droplet(bench, size="s-1vcpu-1gb"),
    ),
    Row(
        "an unknown region",
        "a droplet in a region that is not there",
        "422 You specified an invalid region for Droplet creation.",
        "github.com/digitalocean/api-v2/issues/52",
        lambda bench: droplet(bench, region="us-east-1"),
        lambda bench: droplet(bench, region="lon1"),
    ),
    Row(
        "a disk that is too small",
        "a droplet whose disk is smaller than its image",
        "422 Cannot create a droplet with a smaller disk than the image.",
        "docs.digitalocean.com/reference/api, GET /v2/images, min_disk_size",
        lambda bench: droplet(bench, image="docker-20-04"),
        lambda bench: droplet(bench, image="docker-20-04", size="s-1vcpu-1gb"),
    ),
    Row(
        "a name that is no hostname",
        "a droplet with an underscore in its name",
        "422 Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)",
        "docs.digitalocean.com/reference/api, POST /v2/droplets, name",
        lambda bench: droplet(bench, name="stack_fra"),
        lambda bench: droplet(bench, name="stack.fra"),
    ),
    Row(
        "a VPC of another region",
        "a droplet in one region and a VPC in another",
        "422 the VPC is in ams3, the Droplet in fra1",
        "docs.digitalocean.com/products/networking/vpc/details/limits: no VPC spans regions",
        lambda bench: droplet(bench, vpcUuid=existing(bench, "ams3")),
        lambda bench: droplet(bench, vpcUuid=existing(bench, "fra1")),
    ),
    Row(
        "a VPC that is not there",
        "a droplet in a VPC that does not exist",
        "422 Failed to resolve VPC",
        OPENAPI + "droplets/models/droplet_create.yml, vpc_uuid",
        lambda bench: droplet(bench, vpcUuid=UUID),
        lambda bench: droplet(bench, vpcUuid=existing(bench)),
    ),
    Row(
        "an SSH key that is not there",
        "a droplet with a key that the account does not have",
        "422 289794 are invalid key identifiers for Droplet creation.",
        "github.com/poseidon/typhoon/issues/106",
        lambda bench: droplet(bench, sshKeys=["289794"]),
        lambda bench: droplet(bench, sshKeys=[key(bench).id]),
    ),
    Row(
        "user data that is too long",
        "a droplet with more than 64 KiB of user data",
        "422 user_data may not exceed 64 KiB in size",
        OPENAPI + "droplets/models/droplet_create.yml, user_data",
        lambda bench: droplet(bench, userData="é" * 32769),
        lambda bench: droplet(bench, userData="é" * 32768),
    ),
    Row(
        "a smaller disk",
        "back to the smaller size after resizing with resize_disk",
        "422 Size can not decrease size of Droplet's disk image",
        "github.com/hashicorp/terraform/pull/7094; " + OPENAPI + "droplets/models/droplet_actions.yml, disk",
        lambda bench: _resized(bench, disk=True),
        lambda bench: _resized(bench, disk=False),
    ),
    Row(
        "an SSH key in use",
        "a public key that the account has already, by another name",
        "POST https://api.digitalocean.com/v2/account/keys: 422 SSH Key is already in use on your account",
        "github.com/digitalocean/packer-plugin-digitalocean/issues/113",
        lambda bench: (key(bench), key(bench, name="other")),
        lambda bench: (key(bench), key(bench, publicKey=OTHER_KEY)),
    ),
    Row(
        "no SSH key",
        "a public key that is none",
        "422 Key invalid, key should be of the format `type key [comment]`",
        OPENAPI + "ssh_keys/models/sshKeys.yml, public_key",
        lambda bench: key(bench, publicKey="ssh-ed25519 bm90IGEga2V5"),
        lambda bench: key(bench, publicKey=f"{KEY} a comment"),
    ),
)
