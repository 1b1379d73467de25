"""Firewalls as pulumi-digitalocean has them: digitalocean/firewall, resource_firewall.go and firewalls.go."""

from typing import Any, Literal

from lab.plugins.bridged import Bridged, Fault, Input, not_empty
from lab.plugins.calls import Call, RefusedError
from lab.plugins.digitalocean_droplets import tags_are_valid
from lab.plugins.digitalocean_requests import ask, failure, seen
from lab.plugins.values import UNKNOWN

_SIDES: dict[Literal["inbound", "outbound"], tuple[str, str]] = {
    "inbound": ("source", "sources"),
    "outbound": ("destination", "destinations"),
}
_ENDS = {"Addresses": "addresses", "DropletIds": "droplet_ids", "Tags": "tags"}


def _rules_are_valid(place: str, value: Any) -> list[Fault]:
    end = _SIDES["inbound" if place.startswith("inbound") else "outbound"][0]
    found: list[Fault] = []
    for index, rule in enumerate(value):
        if rule is UNKNOWN:
            continue
        at = f"{place}[{index}]"
        known = {"protocol", "portRange", *(f"{end}{name}" for name in _ENDS)}
        found += [(f"{at}.{name}", f"the lab's account has no {name}") for name in sorted({*rule} - known)]
        found += _protocol_is_valid(f"{at}.protocol", rule.get("protocol"))
        found += not_empty(f"{at}.portRange", rule.get("portRange"))
        found += not_empty(f"{at}.{end}Addresses", rule.get(f"{end}Addresses"))
        found += tags_are_valid(f"{at}.{end}Tags", rule.get(f"{end}Tags") or [])
    return found


def _protocol_is_valid(place: str, value: Any) -> list[Fault]:
    if value is None:
        missing = 'Missing required argument. The argument "protocol" is required, but no definition was found.'
        return [(place, missing)]
    if value is UNKNOWN or value in ("tcp", "udp", "icmp"):
        return []
    return [(place, f"expected protocol to be one of [tcp udp icmp], got {value}")]


class Firewall(Bridged):
    """All of it changes in place."""

    inputs = (
        Input("name", required=True, validate=not_empty),
        Input("dropletIds", "numbers"),
        Input("inboundRules", "objects", validate=_rules_are_valid),
        Input("outboundRules", "objects", validate=_rules_are_valid),
        Input("tags", "strings", validate=tags_are_valid),
    )
    outputs = ("status", "createdAt", "pendingChanges")

    def kept(self, name: str, value: Any) -> Any:
        """Of a rule, what it says: an empty list says nothing."""
        if not name.endswith("Rules"):
            return value
        return [
            {key: item for key, item in rule.items() if item not in (None, "", [])} if isinstance(rule, dict) else rule
            for rule in value
        ]

    def plan(self, call: Call, inputs: dict[str, Any]) -> None:
        """CustomizeDiff: at least one rule, and each of TCP or UDP with ports."""
        sides = {side: inputs.get(f"{side}Rules") or [] for side in _SIDES}
        if not any(sides.values()):
            raise RefusedError(f"diffing {call.urn}: " + failure("At least one rule must be specified"))
        for side, rules in sides.items():
            for rule in rules if rules is not UNKNOWN else []:
                if rule is not UNKNOWN and rule["protocol"] != "icmp" and not rule.get("portRange"):
                    text = f"`port_range` of {side} rules is required if protocol is `tcp` or `udp`"
                    raise RefusedError(f"diffing {call.urn}: " + failure(text))

    @staticmethod
    def _body(inputs: dict[str, Any]) -> dict[str, Any]:
        """firewallRequest."""
        body: dict[str, Any] = {"name": inputs["name"], "tags": inputs.get("tags") or []}
        body["droplet_ids"] = [int(droplet) for droplet in inputs.get("dropletIds") or ()]
        for side, (end, ends) in _SIDES.items():
            body[f"{side}_rules"] = [
                {
                    "protocol": rule["protocol"],
                    "ports": rule.get("portRange", ""),
                    ends: {key: _integers(key, rule.get(f"{end}{name}")) for name, key in _ENDS.items()},
                }
                for rule in inputs.get(f"{side}Rules") or ()
            ]
        return body

    @staticmethod
    def _shown(answer: dict[str, Any]) -> dict[str, Any]:
        """Ports that the API writes as "0" are "all", and none of ICMP."""
        firewall = answer["firewall"]
        shown = {"status": firewall["status"], "createdAt": firewall["created_at"], "name": firewall["name"]}
        shown |= {"pendingChanges": [], "dropletIds": firewall["droplet_ids"], "tags": firewall["tags"]}
        for side, (end, ends) in _SIDES.items():
            shown[f"{side}Rules"] = [
                {
                    "protocol": rule["protocol"],
                    **_ports(rule),
                    **{f"{end}{name}": rule[ends][key] for name, key in _ENDS.items() if rule[ends][key]},
                }
                for rule in firewall[f"{side}_rules"]
            ]
        return shown

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Creates."""
        answer = await ask(call, "Error creating firewall", "POST /v2/firewalls", **self._body(inputs))
        return answer["firewall"]["id"], self._shown(answer)

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """All of it."""
        request = f"PUT /v2/firewalls/{identity}"
        return self._shown(await ask(call, "Error updating firewall", request, **self._body(inputs)))

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Removes: its droplets are open then, unless another firewall applies."""
        await ask(call, "Error deleting firewall", f"DELETE /v2/firewalls/{identity}")

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Reads."""
        answer = await seen(call, "Error retrieving firewall", f"GET /v2/firewalls/{identity}")
        return answer and self._shown(answer)


def _ports(rule: dict[str, Any]) -> dict[str, str]:
    if rule["protocol"] == "icmp":
        return {}
    return {"portRange": "all" if rule["ports"] == "0" else rule["ports"]}


def _integers(key: str, values: list[Any] | None) -> list[Any]:
    return [int(value) if key == "droplet_ids" else value for value in values or ()]
