"""A stand-in for an account of AWS: the part of EC2 that a gateway needs, with the refusals that EC2 has for it.

It is worth something only where it says no: each refusal is a row of tests/lab/clouds/refusals_aws.py, with its source.
Of EC2 it leaves out time: what it accepts is done when it answers.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from lab.clouds import (
    aws_addresses,
    aws_groups,
    aws_images,
    aws_instances,
    aws_networks,
    aws_region,
    aws_routes,
    aws_vpc,
)
from lab.clouds.api import ApiError
from lab.clouds.aws_region import Action, Item, Region
from lab.clouds.aws_region_list import NO_SUCH_HOST, REGIONS, no_such_host
from lab.clouds.model import Vpc
from lab.clouds.pool import Pool
from mesh.model import Image, IPAddress, IPNetwork

ACTIONS: Mapping[str, Action] = {
    name: action
    for module in (aws_region, aws_vpc, aws_routes, aws_groups, aws_addresses, aws_images, aws_instances)
    for name, action in module.ACTIONS.items()
}


class AwsAccount:
    """The account. `state` is plain JSON, which whoever made the account keeps; regions know nothing of each other."""

    def __init__(self, state: dict[str, Any], pool: Pool) -> None:
        self._regions: dict[str, Item] = state.setdefault("regions", {})
        self._published: dict[str, list[str]] = state.setdefault("published", {})
        self._pool = pool

    def call(self, action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Does one action of EC2 in the region that is among the arguments, and gives its answer.

        The parameters are named as in the EC2 API Reference; where a request there has a list of permissions, volumes
        or instances, it has one here. Raises ApiError where EC2 would refuse.
        """
        given = dict(arguments)
        region = self._region(str(given.pop("region", "")))
        if action not in ACTIONS:
            raise ApiError("InvalidAction", f"The action {action} is not valid for this web service.")
        return dict(ACTIONS[action](region, given))

    def _region(self, name: str) -> Region:
        if name not in REGIONS:
            raise ApiError(NO_SUCH_HOST, no_such_host("ec2", name))
        state = self._regions.setdefault(name, {})
        return Region(name, state, published=self._published, pool=self._pool, taken=self._taken)

    def _taken(self) -> Collection[str]:
        return {
            address["PublicIp"] for state in self._regions.values() for address in state.get("addresses", {}).values()
        }

    def _all(self) -> list[Region]:
        return [self._region(name) for name in self._regions]

    def networks(self) -> tuple[Vpc, ...]:
        """What the fabric has to enforce."""
        return tuple(vpc for region in self._all() for vpc in aws_networks.networks(region))

    def contents(self) -> dict[str, list[str]]:
        """What is left in the account, by kind: nothing that was seeded or comes with a VPC.

        A route that was added to a seeded table is a kind of its own, as in `rtb-1 10.1.0.0/16`.
        """
        found: dict[str, list[str]] = {}
        for region in self._all():
            seeded = region.state.get("seeded", ())
            for kind in aws_region.KINDS:
                for identity, item in region.of(kind).items():
                    if identity not in seeded and not _comes_with_vpc(region, item):
                        found.setdefault(kind, []).append(identity)
            for table in region.of("tables").values():
                for route in table["Routes"] if table["RouteTableId"] in seeded else ():
                    if "Seeded" not in route:
                        found.setdefault("routes", []).append(f"{table['RouteTableId']} {route['Destination']}")
        return found

    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self.contents()

    def publish(self, image: Image, date: str) -> None:
        """Makes a newer image of that name available, everywhere: `date` is as in 20260102."""
        self._published.setdefault(image, []).append(date)

    def seed(
        self,
        region: str,
        vpc: str,
        cidrs: Sequence[IPNetwork],
        subnet: str,
        *,
        tables: Sequence[str] = (),
        reserved: Collection[IPAddress] = (),
    ) -> None:
        """Puts a VPC there that is nobody's work, once: with an internet gateway, and default routes to it.

        `subnet` is the one of the first IPv4 block; further blocks have a subnet each, and IPv6 blocks lie in the same
        ones in turn. The subnets follow the tables in turn, and the last one from there on; without tables, the main
        one. Nobody gets a `reserved` address.
        """
        there = self._region(region)
        if vpc in there.of("vpcs"):
            return
        before = {identity for kind in aws_region.KINDS for identity in there.of(kind)}
        texts = [str(cidr) for cidr in cidrs]
        aws_vpc.add_vpc(there, texts, {"Reserved": [str(address) for address in reserved]}, vpc)
        gateway = there.add("gateways", {"VpcId": vpc})["InternetGatewayId"]
        for table in tables:
            there.add("tables", {"VpcId": vpc, "Routes": []}, table)
        for item in there.where("tables", VpcId=vpc):
            for default in ("0.0.0.0/0", "::/0") if any(":" in text for text in texts) else ("0.0.0.0/0",):
                item["Routes"].append({"Destination": default, "GatewayId": gateway, "Seeded": True})
        ipv4, ipv6 = ([text for text in texts if (":" in text) is version6] for version6 in (False, True))
        for index, (inner, inner6) in enumerate(zip_longest(ipv4, ipv6[: len(ipv4)])):
            blocks = {"CidrBlock": inner, "Ipv6CidrBlock": inner6, "AvailabilityZone": f"{region}{aws_region.ZONES[0]}"}
            made = there.add("subnets", {"VpcId": vpc, **blocks}, None if index else subnet)
            if tables:
                follows = {"RouteTableId": tables[min(index, len(tables) - 1)], "SubnetId": made["SubnetId"]}
                there.add("table_associations", follows)
        after = [identity for kind in aws_region.KINDS for identity in there.of(kind)]
        there.state.setdefault("seeded", []).extend(identity for identity in after if identity not in before)


def _comes_with_vpc(region: Region, item: Item) -> bool:
    """Whether a thing is there as long as its VPC is, and goes with it."""
    if item.get("Main") or item.get("GroupName") == "default":
        return True
    group = region.of("groups").get(item.get("GroupId", ""), {})
    return "SecurityGroupRuleId" in item and group.get("GroupName") == "default"
