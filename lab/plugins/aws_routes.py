"""The stand-ins for AWS's routes: RouteTable, RouteTableAssociation and Route."""

import zlib
from collections.abc import Mapping
from typing import Any, ClassVar

from lab.plugins.aws_bridged import REGION, TAGS, Ec2, Ec2Error, ask, differing
from lab.plugins.aws_validation import cidr
from lab.plugins.bridged import Input
from lab.plugins.calls import Call


class RouteTable(Ec2):
    """`aws:ec2/routeTable:RouteTable`: vpc_route_table.go; its routes are resources of their own here."""

    noun, resource, identity = "Route Table", "route-table", "RouteTableId"
    creates, deletes = "CreateRouteTable", "DeleteRouteTable"
    inputs = (Input("vpcId", required=True, replaces=True), TAGS, REGION)
    outputs = ("arn", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {"vpcId": "VpcId", "tags": "Tags"}


class RouteTableAssociation(Ec2):
    """`aws:ec2/routeTableAssociation:RouteTableAssociation`: vpc_route_table_association.go.

    Another table is an update, after which the association has another id; that one is kept in the state here, since
    no plugin can change the id that the engine has.
    """

    noun, identity = "Route Table Association", "AssociationId"
    creates, deletes = "AssociateRouteTable", "DisassociateRouteTable"
    inputs = (Input("routeTableId", required=True), Input("subnetId", required=True, replaces=True), REGION)
    outputs = ("associationId",)
    names: ClassVar[Mapping[str, str]] = {
        "routeTableId": "RouteTableId",
        "subnetId": "SubnetId",
        "associationId": "AssociationId",
    }

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """There are no tags."""
        if not differing(state, inputs, "routeTableId"):
            return {}
        item = await ask(
            inputs["region"],
            f"updating {self.noun} ({identity})",
            "ReplaceRouteTableAssociation",
            AssociationId=state["associationId"],
            RouteTableId=inputs["routeTableId"],
        )
        return self.told(item, inputs["region"])

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """By the id that it has now."""
        return await super().look(call, state.get("associationId", identity), state)

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:
        """By the id that it has now."""
        await super().remove(call, state.get("associationId", identity), state)


class Route(Ec2):
    """`aws:ec2/route:Route`: vpc_route.go. Another target is an update, another destination a replacement."""

    noun = "Route"
    inputs = (
        Input("routeTableId", required=True, replaces=True),
        Input("destinationCidrBlock", replaces=True, validate=cidr(4)),
        Input("destinationIpv6CidrBlock", replaces=True, validate=cidr(6)),
        Input("gatewayId"),
        Input("networkInterfaceId", computed=True),
        REGION,
    )
    outputs = ("origin",)
    exactly_one_of = (("destinationCidrBlock", "destinationIpv6CidrBlock"), ("gatewayId", "networkInterfaceId"))

    def _parameters(self, inputs: dict[str, Any], *, target: bool) -> dict[str, Any]:
        found = {
            "RouteTableId": inputs["routeTableId"],
            "DestinationCidrBlock": inputs.get("destinationCidrBlock") or None,
            "DestinationIpv6CidrBlock": inputs.get("destinationIpv6CidrBlock") or None,
        }
        if target:
            found["GatewayId"] = inputs.get("gatewayId") or None
            found["NetworkInterfaceId"] = inputs.get("networkInterfaceId") or None
        return found

    def _named(self, inputs: dict[str, Any]) -> tuple[str, str]:
        destination = inputs.get("destinationCidrBlock") or inputs.get("destinationIpv6CidrBlock") or ""
        return destination, f"Route in Route Table ({inputs['routeTableId']}) with destination ({destination})"

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The id is the provider's own (RouteCreateID)."""
        destination, named = self._named(inputs)
        await ask(inputs["region"], f"creating {named}", "CreateRoute", **self._parameters(inputs, target=True))
        identity = f"r-{inputs['routeTableId']}{zlib.crc32(destination.encode())}"
        return identity, await self.look(call, identity, inputs) or {}

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """By its table."""
        destination, named = self._named(state)
        try:
            table = await ask(state["region"], f"reading {named}", "Describe", ResourceId=state["routeTableId"])
        except Ec2Error as error:
            if error.refusal.endswith("NotFound"):
                return None
            raise
        for route in table["Routes"]:
            if route["Destination"] == destination:
                gateway, interface = route.get("GatewayId", ""), route.get("NetworkInterfaceId", "")
                return {"gatewayId": gateway, "networkInterfaceId": interface, "origin": "CreateRoute"}
        return None

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Another target."""
        _, named = self._named(inputs)
        await ask(inputs["region"], f"updating {named}", "ReplaceRoute", **self._parameters(inputs, target=True))
        return await self.look(call, identity, inputs) or {}

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """By its destination."""
        await self.gone(identity, state["region"], "DeleteRoute", **self._parameters(state, target=False))
