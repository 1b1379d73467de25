"""Where the lab's own hosts lie in the clouds' VPCs, and how an end of a link comes up. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_interface

from lab.clouds.model import Link, Vpc
from lab.clouds.routers import UPLINK, inside, own_end
from lab.topology import ROUTER, UNNUMBERED, CloudSite, IPInterface, LanHost
from mesh.model import ExistingVpc, IPAddress, IPNetwork, NewVpc


@dataclass(frozen=True, slots=True)
class End:
    """What leads from a router into a namespace, by the role of that one; `default`: its default routes go there."""

    role: str
    link: Link
    default: bool


def vpcs_of_sites(vpcs: Sequence[Vpc], sites: Iterable[CloudSite], known: Mapping[str, str]) -> dict[str, str]:
    """The id of each site's VPC, where it is there: the one that the config names, or the one that has its gateway.

    `known` says what was so before: a VPC stays the site's when its gateway is gone.
    """
    there = {vpc.id for vpc in vpcs}
    gateways = {machine.site: vpc.id for vpc in vpcs for machine in vpc.machines}
    found: dict[str, str] = {}
    for site in sites:
        match site.kind.vpc:
            case ExistingVpc(id=name):
                place: str | None = name
            case NewVpc():
                place = gateways.get(site.site, known.get(site.site))
            case name:
                place = name
        if place is not None and place in there:
            found[site.site] = place
    return found


def host_end(vpc: Vpc, host: LanHost) -> End | None:
    """The link of a host that lies in a VPC; None where a VPC that has subnets has none for it, and no gateway either.

    In a VPC with route tables its default routes are the router's, and the tables decide; in one without, a host has no
    route beyond the VPC but what it is told. A network beside the gateway's subnet is one that somebody added and gave
    the gateway's route table, as docs/clouds.md tells whoever fills a VPC that was made.
    """
    vpc = replace(vpc, subnets=(*vpc.subnets, *_added(vpc, host)))
    tables = {table for subnet, table in vpc.subnets if any(address.ip in subnet for address in host.addresses)}
    addresses = tuple(address for each in host.addresses if (address := _in_subnet(vpc, each)))
    if not addresses or (vpc.cloud == "aws" and not tables):
        return None
    link = Link(host.bridge, addresses, internet=False, table=next(iter(tables), None))
    return End(host.role, link, default=vpc.cloud == "aws")


def _added(vpc: Vpc, host: LanHost) -> Iterator[tuple[IPNetwork, str | None]]:
    site = host.network.partition(".")[0]
    tables = [link.table for machine in vpc.machines if machine.site == site for link in machine.links if link.table]
    for address in host.addresses if tables else ():
        known = any(address.ip in subnet for subnet, _ in vpc.subnets)
        if not known and any(address.ip in cidr for cidr in vpc.cidrs):
            yield address.network, tables[0]


def _in_subnet(vpc: Vpc, address: IPInterface) -> IPInterface | None:
    """With the prefix length that the host's own subnet has, or, where there is no such thing, the VPC."""
    around = [prefix for prefix in ([subnet for subnet, _ in vpc.subnets] or vpc.cidrs) if address.ip in prefix]
    return ip_interface(f"{address.ip}/{around[0].prefixlen}") if around else None


def router_side(vpc: Vpc, port: str, end: End, pid: int) -> Iterator[str]:
    """For the router: the link to the namespace of process `pid`, and its own addresses on it."""
    yield f"link add name {port} type veth peer name {end.link.interface} netns {pid}"
    for address in own_end(vpc, end.link):
        yield f"addr add {address}/{address.max_prefixlen} dev {port}{_nodad(address)}"
    yield f"link set {port} up"


def machine_side(vpc: Vpc, end: End) -> Iterator[str]:
    """For a machine or host: its addresses on the link, the routes to its neighbours and, if wanted, to all others."""
    interface = end.link.interface
    yield "link set lo up"
    for address in end.link.addresses:
        # IPv6 has no proxy for all of a subnet: its neighbours are reached by way of the router.
        apart = " noprefixroute" if address.version == 6 else ""
        yield f"addr add {address} dev {interface}{_nodad(address.ip)}{apart}"
    yield f"link set {interface} up"
    routers = {router.version: router for router in own_end(vpc, end.link)}
    for address in inside(vpc, end.link):
        if address.version == 6 and address.network.prefixlen < 128:
            yield f"route add {address.network} via {routers[6]} dev {interface} onlink"
    if end.default:
        for version in sorted({address.version for address in end.link.addresses}):
            yield f"route add default via {routers[version]} dev {interface} onlink"


def internet_side(port: str, pid: int) -> Iterator[str]:
    """For the isolated internet: its link to the router of process `pid`."""
    yield f"link add name {port} type veth peer name {UPLINK} netns {pid}"
    yield from (f"addr add {router}/{router.max_prefixlen} dev {port}{_nodad(router)}" for router in ROUTER)
    yield f"link set {port} up"


def uplink() -> Iterator[str]:
    """For a router: its end of that link, and its own way out."""
    yield "link set lo up"
    for own in UNNUMBERED:
        yield f"addr add {own}/{own.max_prefixlen} dev {UPLINK}{_nodad(own)}"
    yield f"link set {UPLINK} up"
    yield from (f"route add default via {router} dev {UPLINK} onlink" for router in ROUTER)


def public(addresses: Iterable[str], port: str) -> list[str]:
    """For the isolated internet: the routes to public addresses that are a router's, as arguments of ip(8)."""
    found = []
    for address in sorted(addresses):
        own = next(own for own in UNNUMBERED if own.version == ip_interface(address).version)
        found.append(f"{address}/{own.max_prefixlen} via {own} dev {port} onlink")
    return found


def _nodad(address: IPAddress) -> str:
    return " nodad" if address.version == 6 else ""
