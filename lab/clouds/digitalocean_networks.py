"""VPCs and reserved addresses of a stand-in DigitalOcean account."""

import re
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from lab.clouds.digitalocean_store import ANCHORS, CLOSED, REGIONS, Record, Store, found, now, refuse

# digitalocean/openapi, specification/resources/vpcs/models/vpc.yml: name, ip_range
_NAME = re.compile(r"[a-zA-Z0-9\-.]+")
_LARGEST, _SMALLEST = 16, 28
_PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
# docs.digitalocean.com/products/networking/vpc/concepts/plan-your-network and the release note of 10.229.0.0/16 ("You
# may not create new VPC networks with subnets that overlap this range"): DigitalOcean's own, in every region
_INTERNAL = tuple(IPv4Network(text) for text in ("10.229.0.0/16", "10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24"))
# docs.digitalocean.com/products/networking/reserved-ips/details/limits
_MOST_RESERVED = 3


def create_vpc(store: Store, body: Record) -> Record:
    """`POST /v2/vpcs`. The first VPC of a region becomes its default, which cannot be removed."""
    name, region = body["name"], body["region"]
    _check_name(store, name)
    if region not in REGIONS:
        refuse(422, f"region {region} is not available")
    if ip_range := body.get("ip_range"):
        _check_range(store, ip_range, region)
    first = not any(vpc["region"] == region for vpc in store.vpcs.values())
    ip_range = str(IPv4Network(ip_range)) if ip_range else store.free_range()
    return {"vpc": store.add_vpc(name, region, ip_range, description=body.get("description", ""), default=first)}


def _check_name(store: Store, name: str, own: str | None = None) -> None:
    if not _NAME.fullmatch(name):
        refuse(422, "name may only contain alphanumeric characters, dashes, and periods")
    if any(vpc["name"] == name and vpc["id"] != own for vpc in store.vpcs.values()):
        refuse(422, "a VPC with the same name already exists in your account")


def _check_range(store: Store, text: str, region: str) -> None:
    try:
        network = IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        refuse(422, f"ip_range {text} is not a network")
    if not any(network.subnet_of(private) for private in _PRIVATE):
        refuse(422, f"ip_range {text} is not in the range of private addresses as defined in RFC1918")
    if not _LARGEST <= network.prefixlen <= _SMALLEST:
        refuse(422, f"ip_range {text} may not be smaller than /28 nor larger than /16")
    if any(network.overlaps(internal) for internal in (*_INTERNAL, ANCHORS[region])):
        refuse(422, f"ip_range {text} overlaps with a range that is reserved for internal use")
    for vpc in store.vpcs.values():
        if network.overlaps(IPv4Network(vpc["ip_range"])):
            overlap = "This range/size overlaps with another VPC network in your account"
            refuse(422, f"{overlap}: {vpc['name']} {vpc['ip_range']}.")


def read_vpc(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001 - as every call
    """`GET /v2/vpcs/ID`."""
    return {"vpc": found(store.vpcs, identity)}


def update_vpc(store: Store, body: Record, identity: str) -> Record:
    """`PUT /v2/vpcs/ID`: name, description, and that it is the region's default one from now on.

    It stays that until another one becomes it (specification/resources/vpcs/models/vpc.yml, vpc_default).
    """
    vpc = found(store.vpcs, identity)
    _check_name(store, body["name"], own=identity)
    if body.get("default"):
        for other in store.vpcs.values():
            if other["region"] == vpc["region"]:
                other["default"] = other is vpc
    vpc |= {"name": body["name"], "description": body.get("description", "")}
    return {"vpc": vpc}


def delete_vpc(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001
    """`DELETE /v2/vpcs/ID`: not a default one, nor one with members.

    For members specification/resources/vpcs/vpcs_delete.yml says 403, but what is reported of the API is 409
    (pulumi/pulumi-digitalocean issue 753, of 2024); the provider asks again at either.
    """
    if found(store.vpcs, identity)["default"]:
        refuse(403, "Can not delete default VPCs")
    if any(store.members(identity)):
        refuse(409, "Can not delete VPC with members")
    del store.vpcs[identity]
    return {}


def create_reserved_ip(store: Store, body: Record) -> Record:
    """`POST /v2/reserved_ips`, for a region."""
    region = body["region"]
    if region in CLOSED or region not in REGIONS:
        refuse(422, f"region {region} is not available")
    if len(store.reserved_ips) >= _MOST_RESERVED:
        refuse(422, f"this account has its {_MOST_RESERVED} reserved IPs, its limit")
    address = store.public_address()
    store.reserved_ips[address] = {"ip": address, "region": region, "droplet_id": None, "at": now(), "foreign": False}
    return {"reserved_ip": store.reserved_ips[address]}


def read_reserved_ip(store: Store, body: Record, address: str) -> Record:  # noqa: ARG001
    """`GET /v2/reserved_ips/IP`."""
    return {"reserved_ip": found(store.reserved_ips, address)}


def delete_reserved_ip(store: Store, body: Record, address: str) -> Record:  # noqa: ARG001
    """`DELETE /v2/reserved_ips/IP`, once it leads nowhere.

    digitalocean/terraform-provider-digitalocean pull request 1277 has the refusal, of an IPv6 address: "released
    failed: assigned FLIP cannot be released".
    """
    if found(store.reserved_ips, address)["droplet_id"] is not None:
        refuse(422, "assigned reserved IP cannot be released")
    del store.reserved_ips[address]
    store.give_back(address)
    return {}


def act_on_reserved_ip(store: Store, body: Record, address: str) -> Record:
    """`POST /v2/reserved_ips/IP/actions`: assign, away from another droplet too, and unassign."""
    reserved = found(store.reserved_ips, address)
    if body["type"] == "unassign":
        if reserved["droplet_id"] is None:
            refuse(422, "the reserved IP is not assigned to a Droplet")
        reserved["droplet_id"] = None
    else:
        droplet = found(store.droplets, str(body["droplet_id"]))
        if droplet["region"] != reserved["region"]:
            refuse(422, f"the reserved IP is in {reserved['region']}, the Droplet in {droplet['region']}")
        if store.reserved_of(droplet["id"]) is not None:
            refuse(422, "Droplet already has a reserved IP")
        reserved["droplet_id"] = droplet["id"]
    return {"action": {"id": store.next_id(), "status": "completed", "type": f"{body['type']}_ip"}}
