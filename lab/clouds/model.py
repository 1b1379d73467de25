"""What the accounts of the lab's clouds have declared, in words of neither: what the fabric enforces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lab.topology import IPInterface
from mesh.model import IPAddress, IPNetwork

Cloud: TypeAlias = Literal["aws", "digitalocean"]
Protocol: TypeAlias = Literal["tcp", "udp", "icmp", "icmpv6"]

INTERNET = "internet"  # as the target of a route


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a firewall lets pass: to (egress) or from (ingress) the prefix. `protocol` None is every one.

    `first` and `last` are the destination ports of TCP and UDP; for all others they say nothing.
    """

    protocol: Protocol | None
    first: int
    last: int
    prefix: IPNetwork


@dataclass(frozen=True, slots=True)
class Link:
    """A machine's interface towards the router of its VPC.

    `addresses` are those on the interface itself, with the prefix lengths that they have there. `internet`: the
    machine's default route goes by this one. `nat` pairs a public address with the one of the machine that it stands
    for: what comes to the public one goes there, and answers go back as they came. With `sends_as` what the machine
    opens itself leaves with that public address (an Elastic IP); without, with its own (a droplet).

    `checked`: nothing passes that is not from or to the machine's own addresses. `table` is the route table that
    decides where its packets go; None where the VPC has none, and every machine finds its own way. `ingress` and
    `egress` None: unfiltered; otherwise what they list passes, and answers to it. With `up` False, as every link of a
    machine that is stopped has it, nothing passes at all, whatever was open before.
    """

    interface: str
    addresses: tuple[IPInterface, ...]
    internet: bool
    nat: tuple[tuple[IPAddress, IPAddress], ...] = ()
    sends_as: IPAddress | None = None
    checked: bool = True
    table: str | None = None
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None
    up: bool = True


@dataclass(frozen=True, slots=True)
class CloudMachine:
    """A machine. `site` is the one whose gateway it is, None for any other; `users` can log in with its key.

    `keys` are the public SSH keys that the cloud itself hands over to it.
    """

    id: str
    site: str | None
    hostname: str
    users: tuple[str, ...]
    user_data: str = field(repr=False)
    links: tuple[Link, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def on(self) -> bool:
        """False while it is stopped: it keeps its disk. When it is on again it has booted anew."""
        return all(link.up for link in self.links)


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC. `tables` has for each route table its routes: to `INTERNET`, or to a machine by its id.

    `subnets` pairs each subnet with its route table (None: no routes but the VPC's own); a host that is not of the
    account's making lies in the one that holds its address. No subnets at all means that a VPC has no such thing.
    """

    id: str
    cloud: Cloud
    cidrs: tuple[IPNetwork, ...]
    machines: tuple[CloudMachine, ...] = ()
    tables: Mapping[str, tuple[tuple[IPNetwork, str], ...]] = field(default_factory=dict)
    subnets: tuple[tuple[IPNetwork, str | None], ...] = ()
