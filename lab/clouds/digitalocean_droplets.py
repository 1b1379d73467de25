"""Droplets, SSH keys and tags of a stand-in DigitalOcean account."""

import base64
import binascii
import hashlib
import re

from lab.clouds.digitalocean_store import CLOSED, IMAGES, REGIONS, SIZES, Record, Size, Store, found, now, refuse

# digitalocean/openapi, specification/resources/tags/models/tags.yml: pattern, maxLength
_TAG = re.compile(r"[a-zA-Z0-9_\-:]{1,255}")
_HOSTNAME = re.compile(r"[a-zA-Z0-9.-]+")
# specification/resources/droplets/models/droplet_create.yml: user_data
_MOST_USER_DATA = 64 * 1024
_KEY_TYPES = re.compile(r"ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh|ecdsa)-.+")


def create_droplet(store: Store, body: Record) -> Record:
    """`POST /v2/droplets`."""
    size = _offered(body)
    if len(body.get("user_data", "").encode()) > _MOST_USER_DATA:
        refuse(422, "user_data may not exceed 64 KiB in size")
    for name in (tags := list(body.get("tags", ()))):
        _check_tag(name)
    keys = {str(key): _key(store, str(key)) for key in body.get("ssh_keys", ())}
    if unknown := [name for name, key in keys.items() if key is None]:
        refuse(422, f"{', '.join(unknown)} are invalid key identifiers for Droplet creation.")
    region, vpc = body["region"], _vpc(store, body)
    identity = store.next_id()
    record = {
        "id": identity,
        "name": body["name"],
        "region": region,
        "size": body["size"],
        "disk": size.disk,
        "image": body["image"],
        "ssh_keys": [*keys],
        "public_keys": [key["public_key"] for key in keys.values() if key is not None],
        "user_data": body.get("user_data", ""),
        "vpc_uuid": vpc["id"],
        "tags": tags,
        "status": "active",
        "created_at": now(),
        "monitoring": bool(body.get("monitoring")),
        "public": store.public_address(),
        "private": store.private_address(vpc),
        "anchor": store.anchor_address(region),
    }
    store.tags |= {name: {"name": name} for name in tags if name not in store.tags}
    store.droplets[str(identity)] = record
    return {"droplet": _shown(record)}


def _offered(body: Record) -> Size:
    """The size, where name, region, size and image are what DigitalOcean has; or the refusal."""
    if not _HOSTNAME.fullmatch(body["name"]):
        refuse(422, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    if body["region"] in CLOSED:
        refuse(422, f"{body['region']} is unavailable.")
    for kind, offered in (("region", REGIONS), ("size", SIZES), ("image", IMAGES)):
        if body[kind] not in offered:
            refuse(422, f"You specified an invalid {kind} for Droplet creation.")
    if SIZES[body["size"]].disk < IMAGES[body["image"]]:
        refuse(422, "Cannot create a droplet with a smaller disk than the image.")
    return SIZES[body["size"]]


def _vpc(store: Store, body: Record) -> Record:
    """The VPC that is asked for, or else the region's default one."""
    if not (identity := body.get("vpc_uuid")):
        return next(vpc for vpc in store.vpcs.values() if vpc["region"] == body["region"] and vpc["default"])
    if identity not in store.vpcs:
        refuse(422, "Failed to resolve VPC")
    vpc = store.vpcs[identity]
    if vpc["region"] != body["region"]:
        refuse(422, f"the VPC is in {vpc['region']}, the Droplet in {body['region']}")
    return vpc


def _shown(droplet: Record) -> Record:
    """A droplet as the API shows it: never its user data."""
    size = SIZES[droplet["size"]]
    public, private = droplet["public"], droplet["private"]
    return {
        **{name: droplet[name] for name in ("id", "name", "status", "disk", "created_at", "vpc_uuid", "tags")},
        "locked": False,
        "region": {"slug": droplet["region"]},
        "size": {"slug": droplet["size"], "price_monthly": size.price, "price_hourly": round(size.price / 672, 5)},
        "vcpus": size.vcpus,
        "memory": size.memory,
        "features": ["droplet_agent", "private_networking", *(["monitoring"] if droplet["monitoring"] else [])],
        "networks": {
            "v4": [{"type": "public", "ip_address": public}, {"type": "private", "ip_address": private}],
            "v6": [],
        },
    }


def read_droplet(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001 - as every call
    """`GET /v2/droplets/ID`."""
    return {"droplet": _shown(found(store.droplets, identity))}


def delete_droplet(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001
    """`DELETE /v2/droplets/ID`: a reserved address stays, and firewalls forget the droplet."""
    droplet = found(store.droplets, identity)
    if reserved := store.reserved_of(droplet["id"]):
        store.reserved_ips[reserved]["droplet_id"] = None
    for firewall in store.firewalls.values():
        firewall["droplet_ids"] = [one for one in firewall["droplet_ids"] if one != droplet["id"]]
    del store.droplets[identity]
    store.give_back(droplet["public"])
    return {}


def droplet_actions(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001
    """`GET /v2/droplets/ID/actions`: here every action is over at once."""
    found(store.droplets, identity)
    return {"actions": []}


def act_on_droplet(store: Store, body: Record, identity: str) -> Record:
    """`POST /v2/droplets/ID/actions`: power_off, power_on, rename, resize."""
    droplet = found(store.droplets, identity)
    match body["type"]:
        case "power_off" | "power_on":
            droplet["status"] = {"power_off": "off", "power_on": "active"}[body["type"]]
        case "rename":
            if not _HOSTNAME.fullmatch(body["name"]):
                refuse(422, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
            droplet["name"] = body["name"]
        case "resize":
            _resize(droplet, body)
        case other:
            refuse(422, f"{other} is not an action that the lab's account knows")
    return {"action": {"id": store.next_id(), "status": "completed", "type": body["type"]}}


def _resize(droplet: Record, body: Record) -> None:
    """Another size: with another disk for good, without only among those whose disk is not smaller."""
    if body["size"] not in SIZES:
        refuse(422, "You specified an invalid size.")
    if droplet["status"] != "off":
        refuse(422, "Droplet must be powered off to be resized")
    disk = SIZES[body["size"]].disk
    if disk < droplet["disk"]:
        refuse(422, "Size can not decrease size of Droplet's disk image")
    droplet["size"] = body["size"]
    if body["disk"]:
        droplet["disk"] = disk


def _key(store: Store, identifier: str) -> Record | None:
    return next((k for k in store.keys.values() if identifier in (str(k["id"]), k["fingerprint"])), None)


def create_key(store: Store, body: Record) -> Record:
    """`POST /v2/account/keys`: a public key is known to an account once."""
    kind, _, rest = body["public_key"].strip().partition(" ")
    try:
        blob = base64.b64decode(rest.partition(" ")[0], validate=True)
    except binascii.Error:
        blob = b""
    if not _KEY_TYPES.fullmatch(kind) or not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        refuse(422, "Key invalid, key should be of the format `type key [comment]`")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    if _key(store, fingerprint):
        refuse(422, "SSH Key is already in use on your account")
    key = {"id": store.next_id(), "name": body["name"], "fingerprint": fingerprint, "public_key": body["public_key"]}
    store.keys[str(key["id"])] = key
    return {"ssh_key": key}


def read_key(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001
    """`GET /v2/account/keys/ID`."""
    return {"ssh_key": found(store.keys, identity)}


def update_key(store: Store, body: Record, identity: str) -> Record:
    """`PUT /v2/account/keys/ID`: its name."""
    key = found(store.keys, identity)
    key["name"] = body["name"]
    return {"ssh_key": key}


def delete_key(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001
    """`DELETE /v2/account/keys/ID`: droplets keep what they were given."""
    found(store.keys, identity)
    del store.keys[identity]
    return {}


def _check_tag(name: str) -> None:
    """specification/resources/tags/responses/tags_bad_request.yml."""
    if not _TAG.fullmatch(name):
        refuse(400, f'Error validating resource tag: "{name}" contains invalid characters')


def create_tag(store: Store, body: Record) -> Record:
    """`POST /v2/tags`: one that is there already stays as it is."""
    _check_tag(body["name"])
    store.tags.setdefault(body["name"], {"name": body["name"]})
    return read_tag(store, body, body["name"])


def read_tag(store: Store, body: Record, name: str) -> Record:  # noqa: ARG001
    """`GET /v2/tags/NAME`."""
    count = sum(name in droplet["tags"] for droplet in store.droplets.values())
    return {"tag": {**found(store.tags, name), "resources": {"count": count, "droplets": {"count": count}}}}


def delete_tag(store: Store, body: Record, name: str) -> Record:  # noqa: ARG001
    """`DELETE /v2/tags/NAME`: all that had it loses it."""
    found(store.tags, name)
    for record in (*store.droplets.values(), *store.firewalls.values()):
        record["tags"] = [tag for tag in record["tags"] if tag != name]
    del store.tags[name]
    return {}


def tag_droplets(store: Store, body: Record, name: str) -> Record:
    """`POST /v2/tags/NAME/resources`."""
    found(store.tags, name)
    for resource in body["resources"]:
        tags = found(store.droplets, resource["resource_id"])["tags"]
        tags += [name] if name not in tags else []
    return {}


def untag_droplets(store: Store, body: Record, name: str) -> Record:
    """`DELETE /v2/tags/NAME/resources`."""
    found(store.tags, name)
    for resource in body["resources"]:
        droplet = found(store.droplets, resource["resource_id"])
        droplet["tags"] = [tag for tag in droplet["tags"] if tag != name]
    return {}
