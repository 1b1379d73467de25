"""What the calls on a stand-in DigitalOcean account share: its books, what DigitalOcean offers, and how it refuses."""

import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any, NoReturn, TypeAlias

from lab.clouds.api import ApiError
from lab.clouds.pool import Pool

Record: TypeAlias = dict[str, Any]
Records: TypeAlias = dict[str, Record]

# digitalocean/openapi, specification/shared/responses/not_found.yml and unauthorized.yml
NOT_FOUND = "The resource you requested could not be found."
UNAUTHORIZED = "Unable to authenticate you."

# pulumi_digitalocean 4.84.1, Region; that one is closed is said as in `422 nyc2 is unavailable.`
REGIONS = ("ams3", "blr1", "fra1", "lon1", "nyc1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1")
CLOSED = ("ams2", "nyc2", "sfo1")
# The droplets' anchor addresses: the range of each datacenter that no VPC may take
# (docs.digitalocean.com/products/networking/vpc/concepts/plan-your-network, reserved ranges).
ANCHORS = {
    region: ip_network(f"10.{number}.0.0/16")
    for region, number in {
        "ams2": 14, "ams3": 18, "blr1": 47, "fra1": 19, "lon1": 16, "nyc1": 10, "nyc2": 13, "nyc3": 17,
        "sfo1": 12, "sfo2": 46, "sfo3": 48, "sgp1": 15, "syd1": 49, "tor1": 20,
    }.items()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """A droplet's size. Memory in MiB, disk in GiB, dollars a month."""

    vcpus: int
    memory: int
    disk: int
    price: float


# pulumi_digitalocean 4.84.1, DropletSlug, and docs.digitalocean.com/products/droplets/details/pricing: some of them
SIZES = {
    "s-1vcpu-512mb-10gb": Size(1, 512, 10, 4.0),
    "s-1vcpu-1gb": Size(1, 1024, 25, 6.0),
    "s-1vcpu-2gb": Size(1, 2048, 50, 12.0),
    "s-2vcpu-2gb": Size(2, 2048, 60, 18.0),
    "s-2vcpu-4gb": Size(2, 4096, 80, 24.0),
    "s-4vcpu-8gb": Size(4, 8192, 160, 48.0),
    "s-8vcpu-16gb": Size(8, 16384, 320, 96.0),
    "c-2": Size(2, 4096, 25, 42.0),
    "g-2vcpu-8gb": Size(2, 8192, 25, 63.0),
}
# Images, each with the least disk (GiB) that it fits on.
IMAGES = {
    "debian-12-x64": 7,
    "debian-13-x64": 7,
    "ubuntu-22-04-x64": 7,
    "ubuntu-24-04-x64": 7,
    "docker-20-04": 25,
}

_KINDS = ("vpcs", "tags", "keys", "firewalls", "droplets", "reserved_ips")
# How many public addresses that were given back are not given out again: a replaced droplet gets another one.
_RESTING = 32
# The lab's own host in a network, where `lab.topology` puts it.
_HOST = 10


def refuse(status: int, message: str) -> NoReturn:
    """Raises ApiError."""
    raise ApiError(str(status), message)


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """An account's books, in plain JSON below `state`, and the addresses that are given out."""

    def __init__(self, state: Record, pool: Pool) -> None:
        """An account that is used for the first time has a default VPC in every region."""
        fresh = "vpcs" not in state
        for kind in _KINDS:
            state.setdefault(kind, {})
        state.setdefault("last_id", 512_000_000)
        state.setdefault("resting", [])
        self._state, self._pool = state, pool
        self.vpcs: Records = state["vpcs"]
        self.tags: Records = state["tags"]
        self.keys: Records = state["keys"]
        self.firewalls: Records = state["firewalls"]
        self.droplets: Records = state["droplets"]
        self.reserved_ips: Records = state["reserved_ips"]
        if fresh:
            for region in REGIONS:
                self.add_vpc(f"default-{region}", region, self.free_range(), default=True, foreign=True)

    def add_vpc(
        self,
        name: str,
        region: str,
        ip_range: str,
        *,
        description: str = "",
        default: bool = False,
        foreign: bool = False,
        identity: str | None = None,
    ) -> Record:
        """Books a VPC; a foreign one is not the account's user's to remove."""
        identity = identity or str(uuid.uuid4())
        self.vpcs[identity] = {
            "id": identity,
            "urn": f"do:vpc:{identity}",
            "name": name,
            "description": description,
            "region": region,
            "ip_range": ip_range,
            "default": default,
            "created_at": now(),
            "foreign": foreign,
            "held": [str(ip_network(ip_range).network_address + _HOST)],
        }
        return self.vpcs[identity]

    def free_range(self) -> str:
        """A /20 that overlaps no VPC of the account."""
        taken = [ip_network(vpc["ip_range"]) for vpc in self.vpcs.values()]
        candidates = IPv4Network("10.124.0.0/14").subnets(new_prefix=20)
        return next(str(net) for net in candidates if not any(net.overlaps(other) for other in taken))

    def next_id(self) -> int:
        """The id of a new droplet or key."""
        self._state["last_id"] += 1 + secrets.randbelow(1000)
        last: int = self._state["last_id"]
        return last

    def public_address(self) -> str:
        """A public address that nothing has, nor had a moment ago. Raises LabError where none is left."""
        used = {droplet["public"] for droplet in self.droplets.values()} | set(self.reserved_ips)
        return self._pool.allocate(used | set(self._state["resting"]))

    def give_back(self, address: str) -> None:
        """Lets a public address rest before another gets it."""
        self._state["resting"] = [*self._state["resting"], address][-_RESTING:]

    def private_address(self, vpc: Record) -> str:
        """The first free address of a VPC from the second on, or a refusal."""
        used = {droplet["private"] for droplet in self.members(vpc["id"])} | set(vpc["held"])
        network = ip_network(vpc["ip_range"])
        for number in range(2, network.num_addresses - 1):
            if (address := str(network.network_address + number)) not in used:
                return address
        return refuse(422, f"no address is left in VPC {vpc['name']}")

    def anchor_address(self, region: str) -> str:
        """The address in the datacenter's own network that a reserved address leads to."""
        used = {droplet["anchor"] for droplet in self.droplets.values()}
        network = ANCHORS[region]
        return next(str(a) for a in (IPv4Address(int(network[5]) + n) for n in range(60000)) if str(a) not in used)

    def members(self, vpc: str) -> Iterator[Record]:
        """The droplets in a VPC."""
        return (droplet for droplet in self.droplets.values() if droplet["vpc_uuid"] == vpc)

    def reserved_of(self, droplet: int) -> str | None:
        """The reserved address that leads to a droplet."""
        return next((ip for ip, record in self.reserved_ips.items() if record["droplet_id"] == droplet), None)


def found(records: Records, key: str) -> Record:
    """The record, or the refusal that it is not there."""
    if key not in records:
        refuse(404, NOT_FOUND)
    return records[key]
