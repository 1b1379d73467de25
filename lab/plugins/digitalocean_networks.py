"""VPCs and reserved addresses as pulumi-digitalocean has them."""

import ipaddress
import secrets
from typing import Any

from lab.plugins.bridged import Bridged, Fault, Input, not_empty
from lab.plugins.calls import Call, RefusedError
from lab.plugins.digitalocean_requests import RequestError, ask, failure, seen


def _is_cidr(place: str, value: Any) -> list[Fault]:
    """IsCIDR in hashicorp/terraform-plugin-sdk v2, helper/validation/network.go."""
    try:
        ipaddress.ip_interface(value if "/" in value else "")
    except ValueError:
        return [(place, f'expected "ip_range" to be a valid IPv4 Value, got {value}: invalid CIDR address: {value}')]
    return []


def _is_ipv4(place: str, value: Any) -> list[Fault]:
    """IsIPv4Address there."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return [(place, f"expected ip_address to contain a valid IPv4 address, got: {value}")]
    return []


def _is_short(place: str, value: Any) -> list[Fault]:
    if len(value) <= 255:
        return []
    return [(place, f"expected length of description to be in the range (0 - 255), got {value}")]


class Vpc(Bridged):
    """digitalocean/vpc/resource_vpc.go."""

    inputs = (
        Input("name", required=True, validate=not_empty),
        Input("region", required=True, replaces=True, validate=not_empty),
        Input("description", validate=_is_short),
        Input("ipRange", replaces=True, computed=True, validate=_is_cidr),
    )
    outputs = ("vpcUrn", "default", "createdAt")

    @staticmethod
    def _shown(answer: dict[str, Any]) -> dict[str, Any]:
        vpc = answer["vpc"]
        names = {"ip_range": "ipRange", "urn": "vpcUrn", "created_at": "createdAt"}
        return {names.get(key, key): vpc[key] for key in ("name", "region", "description", "default", *names)}

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Creates."""
        names = {"ipRange": "ip_range"}
        body = {names.get(name, name): value for name, value in inputs.items()}
        answer = await ask(call, "Error creating VPC", "POST /v2/vpcs", **body)
        return answer["vpc"]["id"], self._shown(answer)

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """Name and description; whether it is the region's default one is said again, as the state has it."""
        body = {"name": inputs["name"], "description": inputs.get("description", ""), "default": state["default"]}
        return self._shown(await ask(call, "Error updating VPC ", f"PUT /v2/vpcs/{identity}", **body))

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Removes, without members only."""
        await ask(call, "Error deleting VPC", f"DELETE /v2/vpcs/{identity}")

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Reads."""
        answer = await seen(call, "Error reading VPC", f"GET /v2/vpcs/{identity}")
        return answer and self._shown(answer)


class ReservedIp(Bridged):
    """digitalocean/reservedip/resource_reserved_ip.go."""

    inputs = (
        Input("region", required=True, replaces=True),
        Input("ipAddress", computed=True, validate=_is_ipv4),
        Input("dropletId", "number"),
    )
    outputs = ("reservedIpUrn",)

    def kept(self, name: str, value: Any) -> Any:
        """The region in lower case."""
        return value.lower() if name == "region" else value

    @staticmethod
    def _shown(answer: dict[str, Any]) -> dict[str, Any]:
        reserved = answer["reserved_ip"]
        shown = {"ipAddress": reserved["ip"], "region": reserved["region"]}
        shown["reservedIpUrn"] = f"do:reservedip:{reserved['ip']}"
        return shown | ({"dropletId": reserved["droplet_id"]} if reserved["droplet_id"] else {})

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Reserves, and assigns where a droplet is given."""
        body = {"region": inputs["region"]}
        answer = await ask(call, "Error creating reserved IP", "POST /v2/reserved_ips", **body)
        address = answer["reserved_ip"]["ip"]
        if droplet := inputs.get("dropletId"):
            await assign(call, address, int(droplet), "the Droplet")
        return address, self._shown(answer)

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """Assigns, or takes away."""
        if (droplet := inputs.get("dropletId")) != state.get("dropletId"):
            if droplet:
                await assign(call, identity, int(droplet), "the Droplet")
            else:
                await _unassign(call, identity, f"Error unassigning reserved IP ({identity})")
        return {"dropletId": droplet} if droplet else {}

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:
        """Gives back, after taking it from the droplet that this resource says.

        That the API does not take it from there (422) is passed over: it may lead to none by now.
        """
        if state.get("dropletId"):
            try:
                await _unassign(call, identity)
            except RequestError as error:
                if error.status != "422":
                    raise
        await ask(call, "Error deleting reserved IP", f"DELETE /v2/reserved_ips/{identity}")

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """Reads; a droplet that this resource does not say is not its own matter."""
        answer = await seen(call, "Error retrieving reserved IP", f"GET /v2/reserved_ips/{identity}")
        if answer is None:
            return None
        shown = self._shown(answer)
        return shown if "dropletId" in state else {key: shown[key] for key in shown if key != "dropletId"}


async def assign(call: Call, address: str, droplet: int, what: str) -> None:
    """Lets an address lead to a droplet, which is asked for its actions before (reserved_ip_actions.go)."""
    waiting = f"Error waiting for droplet ({droplet}) to be ready for reserved IP assign"
    retrieving = f"{waiting}: Error retrieving droplet ({droplet}) actions"
    await ask(call, retrieving, f"GET /v2/droplets/{droplet}/actions")
    failed = f"Error Assigning reserved IP ({address}) to {what}"
    await ask(call, failed, f"POST /v2/reserved_ips/{address}/actions", type="assign", droplet_id=droplet)


async def _unassign(call: Call, address: str, failed: str | None = None) -> None:
    failed = failed or f"Error unassigning reserved IP ({address}) from the droplet"
    await ask(call, failed, f"POST /v2/reserved_ips/{address}/actions", type="unassign")


class ReservedIpAssignment(Bridged):
    """digitalocean/reservedip/resource_reserved_ip_assignment.go."""

    inputs = (
        Input("ipAddress", required=True, replaces=True, validate=_is_ipv4),
        Input("dropletId", "number", required=True, replaces=True, validate=not_empty),
    )

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Assigns, away from another droplet too."""
        address, droplet = inputs["ipAddress"], int(inputs["dropletId"])
        await assign(call, address, droplet, "the droplet")
        return f"{droplet}-{address}-{secrets.token_hex(13)}", {}

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Unassigns, unless it leads to another droplet by now.

        Where it leads to none the released plugin reads through a nil pointer, and ends.
        """
        address = state["ipAddress"]
        answer = await ask(call, "Error retrieving reserved IP", f"GET /v2/reserved_ips/{address}")
        holder = answer["reserved_ip"]["droplet_id"]
        if holder is None:
            raise RefusedError(failure("runtime error: invalid memory address or nil pointer dereference"))
        if holder == int(state["dropletId"]):
            await _unassign(call, address)

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """What there is of it: gone once the address leads elsewhere."""
        path = f"GET /v2/reserved_ips/{state['ipAddress']}"
        answer = await ask(call, "Error retrieving reserved IP", path)
        return {} if answer["reserved_ip"]["droplet_id"] == int(state["dropletId"]) else None
