"""Droplets, SSH keys and tags as pulumi-digitalocean has them."""

import hashlib
import re
from typing import Any

from lab.plugins.bridged import Bridged, Fault, Input, not_empty
from lab.plugins.calls import Call
from lab.plugins.digitalocean_requests import RequestError, ask, seen
from lab.plugins.values import UNKNOWN

# digitalocean/tag/tags.go
_TAG = re.compile(r"[a-zA-Z0-9:\-_]{1,255}")
_TAG_FAULT = (
    "tags may contain lowercase letters, numbers, colons, dashes, and underscores;"
    " there is a limit of 255 characters per tag"
)
# What `kept` makes of user data: digitalocean/util/hash.go, HashString.
_HASH = re.compile(r"[0-9a-f]{40}")


def tags_are_valid(place: str, value: Any) -> list[Fault]:
    """ValidateTag in digitalocean/tag/tags.go, of one tag or a list of them."""
    if isinstance(value, list):
        return [fault for index, tag in enumerate(value) for fault in tags_are_valid(f"{place}[{index}]", tag)]
    return [] if value is UNKNOWN or _TAG.fullmatch(value) else [(place, _TAG_FAULT)]


class Tag(Bridged):
    """digitalocean/tag/resource_tag.go."""

    inputs = (Input("name", required=True, replaces=True, validate=tags_are_valid),)
    outputs = (
        *("totalResourceCount", "dropletsCount", "imagesCount"),
        *("volumesCount", "volumeSnapshotsCount", "databasesCount"),
    )

    def _shown(self, answer: dict[str, Any]) -> dict[str, Any]:
        count = answer["tag"]["resources"]["count"]
        counted = {name: count if name in ("totalResourceCount", "dropletsCount") else 0 for name in self.outputs}
        return {"name": answer["tag"]["name"], **counted}

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Creates, or finds it there."""
        answer = await ask(call, "Error creating tag", "POST /v2/tags", name=inputs["name"])
        return answer["tag"]["name"], self._shown(answer)

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Removes it from the account, and so from all that has it."""
        await ask(call, "Error deleting tag", f"DELETE /v2/tags/{identity}")

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Reads."""
        answer = await seen(call, "Error retrieving tag", f"GET /v2/tags/{identity}")
        return answer and self._shown(answer)


class SshKey(Bridged):
    """digitalocean/sshkey/resource_ssh_key.go."""

    inputs = (
        Input("name", required=True, validate=not_empty),
        Input("publicKey", required=True, replaces=True, validate=not_empty),
    )
    outputs = ("fingerprint",)

    def kept(self, name: str, value: Any) -> Any:
        """White space around a key is no difference."""
        return value.strip() if name == "publicKey" else value

    @staticmethod
    def _shown(answer: dict[str, Any]) -> dict[str, Any]:
        key = answer["ssh_key"]
        return {"name": key["name"], "fingerprint": key["fingerprint"], "publicKey": key["public_key"].strip()}

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Creates."""
        body = {"name": inputs["name"], "public_key": inputs["publicKey"]}
        answer = await ask(call, "Error creating SSH Key", "POST /v2/account/keys", **body)
        return str(answer["ssh_key"]["id"]), self._shown(answer)

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """The name."""
        request = f"PUT /v2/account/keys/{identity}"
        return self._shown(await ask(call, "Failed to update SSH key", request, name=inputs["name"]))

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Removes it from the account; droplets keep it."""
        await ask(call, "Error deleting SSH key", f"DELETE /v2/account/keys/{identity}")

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Reads."""
        answer = await seen(call, "Error retrieving SSH key", f"GET /v2/account/keys/{identity}")
        return answer and self._shown(answer)


class Droplet(Bridged):
    """digitalocean/droplet/resource_droplet.go.

    The image is never read back, since an image's name moves on; of user data the state has the hash, as secret as the
    user data was. Size and name change in place, the size with the droplet off.
    """

    inputs = (
        Input("image", required=True, replaces=True, validate=not_empty),
        Input("name", required=True, validate=not_empty),
        Input("region", required=True, replaces=True, validate=not_empty),
        Input("size", required=True, validate=not_empty),
        Input("gracefulShutdown", "boolean", default=False),
        Input("resizeDisk", "boolean", default=True),
        Input("dropletAgent", "boolean", replaces=True),
        Input("monitoring", "boolean", replaces=True, default=False),
        Input("sshKeys", "strings", replaces=True, validate=not_empty),
        Input("userData", replaces=True, validate=not_empty),
        Input("tags", "strings", validate=tags_are_valid),
        Input("vpcUuid", replaces=True, computed=True, validate=not_empty),
    )
    outputs = (
        *("createdAt", "disk", "dropletUrn", "ipv4Address", "ipv4AddressPrivate", "ipv6", "ipv6Address", "locked"),
        *("memory", "priceHourly", "priceMonthly", "privateNetworking", "publicNetworking", "status", "vcpus"),
        *("backups", "volumeIds"),
    )

    def kept(self, name: str, value: Any) -> Any:
        """User data as its hash, unless that is what the engine gives back; region and size in lower case."""
        if name == "userData":
            return value if _HASH.fullmatch(value) else hashlib.sha1(value.encode(), usedforsecurity=False).hexdigest()
        return value.lower() if name in ("region", "size") else value

    @staticmethod
    def _shown(answer: dict[str, Any]) -> dict[str, Any]:
        droplet = answer["droplet"]
        addresses = {one["type"]: one["ip_address"] for one in droplet["networks"]["v4"]}
        return {
            **{name: droplet[name] for name in ("name", "disk", "vcpus", "memory", "status", "locked", "tags")},
            "dropletUrn": f"do:droplet:{droplet['id']}",
            "region": droplet["region"]["slug"],
            "size": droplet["size"]["slug"],
            "priceHourly": droplet["size"]["price_hourly"],
            "priceMonthly": droplet["size"]["price_monthly"],
            "createdAt": droplet["created_at"],
            "vpcUuid": droplet["vpc_uuid"],
            "ipv4Address": addresses["public"],
            "ipv4AddressPrivate": addresses["private"],
            "ipv6Address": "",
            "publicNetworking": True,
            **{name: name in droplet["features"] for name in ("backups", "ipv6", "monitoring")},
            "privateNetworking": "private_networking" in droplet["features"],
            "volumeIds": [],
        }

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Creates."""
        names = {"sshKeys": "ssh_keys", "userData": "user_data", "vpcUuid": "vpc_uuid"}
        own = ("gracefulShutdown", "resizeDisk", "dropletAgent")  # what only the provider acts on, or nobody here
        body = {names.get(name, name): value for name, value in inputs.items() if name not in own}
        answer = await ask(call, "Error creating droplet", "POST /v2/droplets", **body)
        return str(answer["droplet"]["id"]), self._shown(answer)

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """Size, name and tags."""
        actions = f"POST /v2/droplets/{identity}/actions"
        if self.kept("size", inputs["size"]) != state["size"]:
            await self._resize(call, identity, inputs)
        if inputs["name"] != state["name"]:
            await ask(call, f"Error renaming droplet ({identity})", actions, type="rename", name=inputs["name"])
        old, new = set(state.get("tags") or ()), set(inputs.get("tags") or ())
        resources = [{"resource_id": identity, "resource_type": "droplet"}]
        for tag in sorted(old - new):
            await ask(call, "Error updating tags", f"DELETE /v2/tags/{tag}/resources", resources=resources)
        for tag in sorted(new - old):
            await ask(call, "Error updating tags", "POST /v2/tags", name=tag)
            await ask(call, "Error updating tags", f"POST /v2/tags/{tag}/resources", resources=resources)
        return self._shown(await ask(call, "Error retrieving droplet", f"GET /v2/droplets/{identity}"))

    @staticmethod
    async def _resize(call: Call, identity: str, inputs: dict[str, Any]) -> None:
        """Off, another size, and on again, whether that went well or not."""
        actions = f"POST /v2/droplets/{identity}/actions"
        await ask(call, f"Error powering off droplet ({identity})", actions, type="power_off")
        wanted = {"type": "resize", "size": inputs["size"].lower(), "disk": inputs["resizeDisk"]}
        try:
            await ask(call, f"Error resizing droplet ({identity})", actions, **wanted)
        finally:
            await ask(call, f"Error powering on droplet ({identity}) after resize", actions, type="power_on")

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Destroys; one that is gone already is no failure."""
        try:
            await ask(call, "Error deleting droplet", f"DELETE /v2/droplets/{identity}")
        except RequestError as error:
            if error.status != "404":
                raise

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Reads."""
        answer = await seen(call, "Error retrieving droplet", f"GET /v2/droplets/{identity}")
        return answer and self._shown(answer)
