"""Firewalls of a stand-in DigitalOcean account: what they may say, and which of their rules a droplet is under."""

import re
import uuid
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Literal, TypeAlias

from lab.clouds.digitalocean_store import Record, Store, found, now, refuse
from lab.clouds.model import Protocol, Rule
from mesh.model import IPNetwork

Direction: TypeAlias = Literal["inbound", "outbound"]
_ENDS: dict[Direction, str] = {"inbound": "sources", "outbound": "destinations"}

# digitalocean/openapi, specification/resources/firewalls/models/firewall.yml: name
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]+")
# docs.digitalocean.com/products/networking/firewalls/details/limits
_MOST_DROPLETS, _MOST_TAGS, _MOST_RULES, _MOST_ENDS = 10, 5, 50, 1000
_ALL_PORTS = (1, 65535)


def create_firewall(store: Store, body: Record) -> Record:
    """`POST /v2/firewalls`."""
    record: Record = {"id": str(uuid.uuid4()), "created_at": now(), "status": "succeeded", "pending_changes": []}
    record |= _checked(store, body)
    store.firewalls[record["id"]] = record
    return {"firewall": record}


def read_firewall(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001 - as every call
    """`GET /v2/firewalls/ID`."""
    return {"firewall": found(store.firewalls, identity)}


def update_firewall(store: Store, body: Record, identity: str) -> Record:
    """`PUT /v2/firewalls/ID`: all of it."""
    record = found(store.firewalls, identity)
    record |= _checked(store, body, own=identity)
    return {"firewall": record}


def delete_firewall(store: Store, body: Record, identity: str) -> Record:  # noqa: ARG001
    """`DELETE /v2/firewalls/ID`."""
    found(store.firewalls, identity)
    del store.firewalls[identity]
    return {}


def _checked(store: Store, body: Record, own: str | None = None) -> Record:
    """What a firewall is to be, or the refusal."""
    name, droplets, tags = body["name"], list(body.get("droplet_ids", ())), list(body.get("tags", ()))
    if not _NAME.fullmatch(name):
        refuse(422, "name must begin with an alphanumeric character and may only contain those, periods and dashes")
    if any(other["name"] == name and other["id"] != own for other in store.firewalls.values()):
        refuse(409, "duplicate name")
    _check_ends(store, droplets, tags)
    rules = {f"{side}_rules": [_rule(store, side, rule) for rule in body.get(f"{side}_rules", ())] for side in _ENDS}
    count = sum(len(of_side) for of_side in rules.values())
    if not count:
        refuse(422, "at least one inbound or outbound access rule is required")
    for number, most, what in (
        (len(droplets), _MOST_DROPLETS, "Droplets"),
        (len(tags), _MOST_TAGS, "tags"),
        (count, _MOST_RULES, "rules"),
    ):
        if number > most:
            refuse(422, f"a firewall has a maximum of {most} {what}, not {number}")
    return {"name": name, "droplet_ids": droplets, "tags": tags, **rules}


def _check_ends(store: Store, droplets: Iterable[int], tags: Iterable[str]) -> None:
    for tag in tags:
        if tag not in store.tags:
            refuse(422, f"tag {tag} does not exist")
    for droplet in droplets:
        if str(droplet) not in store.droplets:
            refuse(422, f"droplet {droplet} does not exist")


def _rule(store: Store, side: Direction, rule: Record) -> Record:
    """A rule as it is kept: the ports "0" where they are all, or there is no such thing."""
    protocol, ends = rule["protocol"], rule[_ENDS[side]]
    ports = "0" if protocol == "icmp" or rule.get("ports") == "all" else rule.get("ports") or ""
    if protocol not in ("tcp", "udp", "icmp"):
        refuse(422, "invalid protocol")
    if not _valid_ports(ports):
        refuse(422, "invalid port range")
    kept = {key: list(ends.get(key) or ()) for key in ("addresses", "droplet_ids", "tags")}
    for address in kept["addresses"]:
        try:
            ip_network(address, strict=False)
        except ValueError:
            refuse(422, "invalid address")
    _check_ends(store, kept["droplet_ids"], kept["tags"])
    number = sum(len(of_kind) for of_kind in kept.values())
    if not 0 < number <= _MOST_ENDS:
        refuse(422, f"a rule has 1 to {_MOST_ENDS} {_ENDS[side]}, not {number}")
    return {"protocol": protocol, "ports": ports, _ENDS[side]: kept}


def _valid_ports(text: str) -> bool:
    if not re.fullmatch(r"\d{1,5}(-\d{1,5})?", text):
        return False
    first, last = _range(text)
    return 0 < first <= last <= _ALL_PORTS[1]


def _range(text: str) -> tuple[int, int]:
    if text == "0":
        return _ALL_PORTS
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def rules_of(store: Store, droplet: Record, side: Direction) -> tuple[Rule, ...] | None:
    """What passes at a droplet; None where no firewall applies to it.

    Firewalls apply by the droplet's id or by a tag, to its public and its private interface alike, and what any of them
    lets pass passes: docs.digitalocean.com/products/networking/firewalls, details/limits and how-to/configure-rules.
    """
    applying = [
        firewall
        for firewall in store.firewalls.values()
        if droplet["id"] in firewall["droplet_ids"] or set(firewall["tags"]) & set(droplet["tags"])
    ]
    if not applying:
        return None
    rules = (rule for firewall in applying for rule in firewall[f"{side}_rules"])
    return tuple(dict.fromkeys(made for rule in rules for made in _passing(store, rule, _ENDS[side])))


def _passing(store: Store, rule: Record, ends: str) -> Iterator[Rule]:
    first, last = (0, 0) if rule["protocol"] == "icmp" else _range(rule["ports"])
    for prefix in _prefixes(store, rule[ends]):
        protocol: Protocol = "icmpv6" if rule["protocol"] == "icmp" and prefix.version == 6 else rule["protocol"]
        yield Rule(protocol, first, last, prefix)


def _prefixes(store: Store, ends: Record) -> Iterator[IPNetwork]:
    yield from (ip_network(address, strict=False) for address in ends["addresses"])
    for droplet in store.droplets.values():
        if droplet["id"] in ends["droplet_ids"] or set(ends["tags"]) & set(droplet["tags"]):
            yield from (ip_network(droplet[kind]) for kind in ("public", "private"))
