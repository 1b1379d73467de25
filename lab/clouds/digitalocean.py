"""A stand-in for a DigitalOcean account: takes the API's own calls, and refuses what the API refuses.

A call's action is the request's method and path, as in `POST /v2/droplets`; its arguments are the request's body, and
the token. The code of an ApiError is the HTTP status. The words are the API's where a transcript of the refusal exists;
otherwise they are near those of the documentation that is cited.

What the account does not know: IPv6, volumes, backups, load balancers, Kubernetes, and VPCs' peering. A droplet is
active as soon as it is created, and every action is completed.
"""

import re
from collections.abc import Callable, Collection
from ipaddress import IPv4Network, ip_address, ip_interface, ip_network
from typing import Any

from lab.clouds import digitalocean_droplets as droplets
from lab.clouds import digitalocean_firewalls as firewalls
from lab.clouds import digitalocean_networks as networks
from lab.clouds.digitalocean_store import ANCHORS, NOT_FOUND, UNAUTHORIZED, Record, Store, refuse
from lab.clouds.model import CloudMachine, Link, Vpc
from lab.clouds.pool import Pool

# How the components mark a gateway: wireguard-mesh:{stack}:{site}.
_SITE_TAG = re.compile(r"wireguard-mesh:.+:([^:]+)")

_CALLS: dict[str, Callable[..., Record]] = {
    "POST /v2/vpcs": networks.create_vpc,
    "GET /v2/vpcs/{}": networks.read_vpc,
    "PUT /v2/vpcs/{}": networks.update_vpc,
    "DELETE /v2/vpcs/{}": networks.delete_vpc,
    "POST /v2/reserved_ips": networks.create_reserved_ip,
    "GET /v2/reserved_ips/{}": networks.read_reserved_ip,
    "DELETE /v2/reserved_ips/{}": networks.delete_reserved_ip,
    "POST /v2/reserved_ips/{}/actions": networks.act_on_reserved_ip,
    "POST /v2/droplets": droplets.create_droplet,
    "GET /v2/droplets/{}": droplets.read_droplet,
    "DELETE /v2/droplets/{}": droplets.delete_droplet,
    "GET /v2/droplets/{}/actions": droplets.droplet_actions,
    "POST /v2/droplets/{}/actions": droplets.act_on_droplet,
    "POST /v2/account/keys": droplets.create_key,
    "GET /v2/account/keys/{}": droplets.read_key,
    "PUT /v2/account/keys/{}": droplets.update_key,
    "DELETE /v2/account/keys/{}": droplets.delete_key,
    "POST /v2/tags": droplets.create_tag,
    "GET /v2/tags/{}": droplets.read_tag,
    "DELETE /v2/tags/{}": droplets.delete_tag,
    "POST /v2/tags/{}/resources": droplets.tag_droplets,
    "DELETE /v2/tags/{}/resources": droplets.untag_droplets,
    "POST /v2/firewalls": firewalls.create_firewall,
    "GET /v2/firewalls/{}": firewalls.read_firewall,
    "PUT /v2/firewalls/{}": firewalls.update_firewall,
    "DELETE /v2/firewalls/{}": firewalls.delete_firewall,
}
_ROUTES = [(re.compile(re.escape(path).replace(r"\{\}", "([^/]+)")), call) for path, call in _CALLS.items()]


class DigitalOceanAccount:
    """One team's account, whose token is any that is not empty."""

    def __init__(self, state: dict[str, Any], pool: Pool) -> None:
        """`state` is plain JSON that the caller keeps; empty for an account that was never used."""
        self._store = Store(state, pool)

    def call(self, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The body of the answer. Raises ApiError."""
        body = {name: value for name, value in arguments.items() if name != "token"}
        if not arguments.get("token"):
            refuse(401, UNAUTHORIZED)
        for pattern, answer in _ROUTES:
            if match := pattern.fullmatch(action):
                return answer(self._store, body, *match.groups())
        return refuse(404, NOT_FOUND)

    def seed(self, uuid: str, cidr: str, region: str, reserved: Collection[str] = ()) -> None:
        """Puts a VPC there that is not this project's; no droplet gets one of its `reserved` addresses."""
        vpc = self._store.add_vpc(f"existing-{uuid[:8]}", region, cidr, foreign=True, identity=uuid)
        vpc["held"] += reserved

    def forget_default(self, region: str) -> None:
        """Makes the account one that had nothing in a region yet: the first VPC made there is its default one."""
        store = self._store
        for identity in [one["id"] for one in store.vpcs.values() if one["region"] == region and one["default"]]:
            del store.vpcs[identity]

    def contents(self) -> dict[str, list[str]]:
        """What there is by kind, without what was there before: default VPCs and those that were put there."""
        store = self._store
        all_of = {
            "vpcs": [vpc["name"] for vpc in store.vpcs.values() if not vpc["foreign"]],
            "tags": list(store.tags),
            "keys": [key["name"] for key in store.keys.values()],
            "firewalls": [firewall["name"] for firewall in store.firewalls.values()],
            "droplets": [droplet["name"] for droplet in store.droplets.values()],
            "reserved_ips": list(store.reserved_ips),
        }
        return {kind: sorted(names) for kind, names in all_of.items() if names}

    def empty(self) -> bool:
        """True where nothing is left of what was made."""
        return not self.contents()

    def networks(self) -> tuple[Vpc, ...]:
        """The VPCs, without default ones that nothing is in, with their droplets and what firewalls let pass."""
        return tuple(
            Vpc(vpc["id"], "digitalocean", (IPv4Network(vpc["ip_range"]),), machines)
            for vpc in self._store.vpcs.values()
            if (machines := tuple(self._machine(one, vpc) for one in self._store.members(vpc["id"])))
            or not (vpc["default"] and vpc["foreign"])
        )

    def _machine(self, droplet: Record, vpc: Record) -> CloudMachine:
        """A droplet: root logs in; it sends from its own address, whatever reserved one leads to its anchor address.

        In the VPC it may pass on what is others' (docs.digitalocean.com/products/networking/vpc/how-to/
        configure-droplet-as-gateway), towards the internet not.
        """
        store = self._store
        ingress, egress = (firewalls.rules_of(store, droplet, side) for side in ("inbound", "outbound"))
        on = droplet["status"] == "active"
        reserved, anchor = store.reserved_of(droplet["id"]), ip_address(droplet["anchor"])
        public = Link(
            "eth0",
            (ip_interface(droplet["public"]), ip_interface(f"{anchor}/{ANCHORS[droplet['region']].prefixlen}")),
            internet=True,
            nat=((ip_address(reserved), anchor),) if reserved else (),
            ingress=ingress,
            egress=egress,
            up=on,
        )
        private = ip_interface(f"{droplet['private']}/{ip_network(vpc['ip_range']).prefixlen}")
        return CloudMachine(
            str(droplet["id"]),
            next((match[1] for tag in droplet["tags"] if (match := _SITE_TAG.fullmatch(tag))), None),
            droplet["name"],
            ("root",),
            droplet["user_data"],
            (public, Link("eth1", (private,), internet=False, checked=False, ingress=ingress, egress=egress, up=on)),
            tuple(droplet["public_keys"]),
        )
