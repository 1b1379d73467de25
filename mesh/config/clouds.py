"""Checks of the machines in clouds: each by itself, its networks, what two share, and who may reach them."""

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network

from mesh.config.digitalocean import DigitalOceanPart
from mesh.config.draft import Draft, Within
from mesh.config.faults import Found, Loc, listed, place, shown
from mesh.config.parts import CloudPart
from mesh.config.schema import CLOUDS, KINDS, SitePart
from mesh.config.values import is_private
from mesh.model import IPNetwork


def kinds(draft: Draft, site: str) -> list[str]:
    """The kinds that were written of a site, faulty ones included."""
    written = draft.names("sites", site)
    return [kind for kind in KINDS if kind in written and not draft.empty("sites", site, kind)]


def check(draft: Draft) -> Iterator[Found]:
    """Yields the faults of every site in a cloud, and of `operators` and `sends_from` where there is one."""
    for name, site in draft.config.sites.items():
        for kind in CLOUDS:
            if (part := getattr(site, kind)) is not None:
                loc: Loc = ("sites", name, kind)
                for inner, message in part.check(Within(draft, loc)):
                    yield (*loc, *inner), message
        if cloud := site.cloud:
            if not draft.misses("sites", name, "endpoint"):
                yield ("sites", name, "endpoint"), f"is given by {cloud.cloud}; leave it out"
            for label in site.networks:
                yield from _check_network(name, site, label, cloud)
    made = [name for name in draft.config.sites if any(kind in CLOUDS for kind in kinds(draft, name))]
    if made:
        yield from _check_reach(draft, made)
    yield from _check_tables(draft)
    yield from _check_ranges(draft)


def _check_network(name: str, site: SitePart, label: str, cloud: CloudPart) -> Iterator[Found]:
    loc = ("sites", name, "networks", label, "cidr")
    for prefix in site.networks[label].cidr or ():
        if prefix.version == 6 and cloud.without_ipv6:
            yield loc, f"{prefix} is IPv6, and {cloud.without_ipv6}"
        elif cloud.vpc_range and prefix.version == 4 and not prefix.subnet_of(cloud.vpc_range):
            vpc = place(("sites", name, cloud.kind, "vpc_cidr"))
            yield loc, f"{prefix} lies outside {vpc} ({cloud.vpc_range}); name the VPC's range, or a part of it"


def _check_reach(draft: Draft, made: list[str]) -> Iterator[Found]:
    """Yields the faults of addresses that machines in clouds are reached from; they have IPv4 addresses."""
    named = listed(made)
    operators = draft.config.operators or ()
    if draft.misses("operators"):
        yield (
            ("operators",),
            f"is missing; machines in clouds ({named}) take SSH from nowhere else: name the prefixes that people and"
            " CI come from, for example 192.0.2.0/24",
        )
    elif operators and not draft.spoilt("operators") and all(map(_unseen, operators)):
        yield (
            ("operators",),
            f"has no public IPv4 prefix, and machines in clouds ({named}) are reached by IPv4, over the internet; add"
            " the prefixes that people and CI have there",
        )
    for name, site in draft.config.sites.items():
        sends_from = (site.colo.sends_from if site.colo else None) or ()
        loc = ("sites", name, "colo", "sends_from")
        if not sends_from or draft.spoilt(*loc):
            continue
        private = [address for address in sends_from if is_private(ip_network(address))]
        for address in private:
            yield (
                loc,
                f"{address} is private, and no packet reaches machines in clouds ({named}) from it; give the address"
                " that the host has on the internet, or leave it out where that is not fixed",
            )
        if not private and all(address.version == 6 for address in sends_from):
            yield loc, f"has no IPv4 address, and machines in clouds ({named}) are reached by IPv4; add it"


def _unseen(prefix: IPNetwork) -> bool:
    """True where no machine in a cloud is reached from there."""
    return prefix.version == 6 or is_private(prefix)


def _check_tables(draft: Draft) -> Iterator[Found]:
    """Yields a fault for each route table of two sites: it has one route to a prefix, to one gateway."""
    owners: dict[str, str] = {}
    for name, site in draft.config.sites.items():
        for table in (site.aws.route_tables if site.aws else None) or ():
            if (owner := owners.setdefault(table, name)) != name:
                yield (
                    ("sites", name, "aws", "route_tables"),
                    f"{shown(table)} is one of {place(('sites', owner))} too, and would lead to two gateways; list it"
                    " at one site",
                )


def _check_ranges(draft: Draft) -> Iterator[Found]:
    """Yields a fault for each new VPC that overlaps another one in the same account at DigitalOcean, which refuses it.

    Source: "Create a New VPC" in its API reference. Whether two tokens that are encrypted are of one account is
    unknown.
    """
    accounts: dict[str | None, list[tuple[IPv4Network, str]]] = defaultdict(list)
    for name, site in draft.config.sites.items():
        part = site.digitalocean or DigitalOceanPart()
        unknown = part.token.sealed if part.token else draft.spoilt("sites", name, "digitalocean", "token")
        if part.vpc_cidr and not unknown:
            accounts[part.token.reveal() if part.token else None].append((part.vpc_cidr, name))
    for ranges in accounts.values():
        outer: tuple[IPv4Network, str] | None = None
        for inner in sorted(ranges, key=lambda each: (each[0].network_address, each[0].prefixlen)):
            if outer and inner[0].subnet_of(outer[0]):
                yield (
                    ("sites", inner[1], "digitalocean", "vpc_cidr"),
                    f"{inner[0]} overlaps {place(('sites', outer[1], 'digitalocean', 'vpc_cidr'))} ({outer[0]}) in the"
                    " same account, which DigitalOcean refuses; give one of them another range",
                )
            else:
                outer = inner
