"""What the router of a VPC has to do so that packets fare as the account declares: ports, routes, NAT and chains. Pure.

    internet --- inet | router of a VPC | p1 --- ens5 of a gateway
                                        | p2 --- a host in one of its networks

Every machine is on a link of its own, so that the router sees each packet and the sender's port: it decides by the port
which route table counts (`ip rule`), and answers ARP for all that lies elsewhere in the VPC.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from lab.clouds.model import INTERNET, Link, Vpc
from lab.namespaces import LabError
from lab.topology import ROUTER, UNNUMBERED, IPInterface
from mesh.model import IPAddress, IPNetwork

UPLINK = "inet"
# Routing tables: the VPC itself, what the internet may reach, the way out. Others are given numbers.
_VPC, _PUBLIC, _OUT = 100, 101, 102
# Not routed in the internet, whoever sends from them (RFC 1918, RFC 3927, RFC 4193).
_PRIVATE = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7")
)


@dataclass(frozen=True, slots=True)
class Port:
    """The router's end of a link. `machine` is whose link it is; None for a host that is not of the account's making.

    `site` is the one whose gateway that machine is, or in whose network the host is.
    """

    name: str
    link: Link
    machine: str | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A router's whole content; each part is compared with what is there. `routes` and `rules` are arguments of ip(8).

    `nat` pairs a public address with a machine's. `public` are the addresses that the internet sends here.
    """

    routes: frozenset[str]
    rules: frozenset[str]
    nat: frozenset[tuple[str, str]]
    public: frozenset[str]
    tables: Mapping[str, str]  # for iptables-restore and ip6tables-restore


def way_to(site: str) -> str:
    """The name of the routing table that leads to a site's gateway."""
    return f"the gateway of {site}"


def plan(vpc: Vpc, ports: Iterable[Port], numbers: Mapping[str, int]) -> Plan:
    """The content of a router with these ports. `numbers` has one for each of the VPC's route tables and `way_to`.

    Raises LabError where a route table sends a part of the VPC itself elsewhere, which this router does not.
    """
    ports = tuple(ports)
    for name, routes in vpc.tables.items():
        for prefix, _ in routes:
            if any(cidr.version == prefix.version and prefix.subnet_of(cidr) for cidr in vpc.cidrs):  # type: ignore[arg-type]
                raise LabError(
                    f"{name} has a route to {prefix}, inside {vpc.id} itself, and the lab follows none there"
                )
    translated = {pair for port in ports for pair in port.link.nat}
    public = {outer for outer, _ in translated}.union(*(_own_public(vpc, port.link) for port in ports))
    return Plan(
        routes=frozenset(_routes(vpc, ports, numbers)),
        rules=frozenset(_rules(vpc, ports, numbers)),
        nat=frozenset((str(outer), str(inner)) for outer, inner in translated),
        public=frozenset(map(str, public)),
        tables={
            "iptables-restore": f"{_nat(ports)}{_filter(vpc, ports, 4)}",
            "ip6tables-restore": _filter(vpc, ports, 6),
        },
    )


def target(route: str) -> tuple[str, str]:
    """The prefix and the table of a route: of two with the same ones the second replaces the first."""
    words = route.removeprefix("blackhole ").split()
    return words[0], words[-1]


def inside(vpc: Vpc, link: Link) -> list[IPInterface]:
    """The link's addresses in the VPC; none where it only leads to the internet."""
    return [address for address in link.addresses if _within(address.ip, vpc.cidrs)]


def own_end(vpc: Vpc, link: Link) -> list[IPAddress]:
    """The router's addresses on a link: the subnet's first, as clouds have it, or those of its own link out."""
    found = []
    members = inside(vpc, link)
    for router in UNNUMBERED:
        first = [
            address.network[1]
            for address in members
            if address.version == router.version == 4 and address.network.num_addresses > 2
        ]
        found.append(first[0] if first else router)
    return found


def _within(address: IPAddress, prefixes: Iterable[IPNetwork]) -> bool:
    return any(address in prefix for prefix in prefixes)


def _own_public(vpc: Vpc, link: Link) -> list[IPAddress]:
    """The link's addresses that the internet knows themselves. An IPv4 address in a VPC is never one."""
    if not link.internet:
        return []
    addresses = [address.ip for address in link.addresses if not _within(address.ip, _PRIVATE)]
    return [address for address in addresses if address.version == 6 or not _within(address, vpc.cidrs)]


def _routes(vpc: Vpc, ports: tuple[Port, ...], numbers: Mapping[str, int]) -> Iterator[str]:
    yield from (f"blackhole {cidr} table {_VPC}" for cidr in vpc.cidrs)
    for port in ports:
        for address in inside(vpc, port.link):
            yield f"{ip_network(address.ip)} dev {port.name} table {_VPC}"
        reached = {*(inner for _, inner in port.link.nat), *_own_public(vpc, port.link)}
        for each in reached:
            if _leads_out(vpc, port.link, each.version):
                yield f"{ip_network(each)} dev {port.name} table {_PUBLIC}"
    for router in ROUTER:
        yield _out(ip_network("0.0.0.0/0" if router.version == 4 else "::/0"), _OUT)
    for name, routes in vpc.tables.items():
        for prefix, target in routes:
            yield _by_table(vpc, ports, prefix, target, numbers[name])
    for site, gateway in _gateways(vpc, ports).items():
        for everything in (ip_network("0.0.0.0/0"), ip_network("::/0")):
            yield from _to(vpc, gateway, everything, numbers[way_to(site)])


def _out(prefix: IPNetwork, table: int) -> str:
    router = next(router for router in ROUTER if router.version == prefix.version)
    return f"{prefix} via {router} dev {UPLINK} onlink table {table}"


def _by_table(vpc: Vpc, ports: tuple[Port, ...], prefix: IPNetwork, target: str, table: int) -> str:
    if target == INTERNET:
        return _out(prefix, table)
    found = (line for port in ports if port.machine == target for line in _to(vpc, port, prefix, table))
    # A route to a machine that is not there stays in its table, and takes its packets to nowhere.
    return next(found, f"blackhole {prefix} table {table}")


def _to(vpc: Vpc, port: Port, prefix: IPNetwork, table: int) -> Iterator[str]:
    """By way of the machine's first address of the prefix's family, where it has any."""
    for address in inside(vpc, port.link):
        if address.version == prefix.version:
            yield f"{prefix} via {address.ip} dev {port.name} onlink table {table}"
            return


def _leads_out(vpc: Vpc, link: Link, version: int) -> bool:
    """Whether the table of the link's subnet has a way to the internet; where there are no tables, everything has."""
    if not vpc.subnets:
        return True
    routes = vpc.tables.get(link.table or "", ())
    return any(target == INTERNET and prefix.version == version for prefix, target in routes)


def _gateways(vpc: Vpc, ports: tuple[Port, ...]) -> dict[str, Port]:
    """Where there are no tables, what hosts in a site's networks send beyond the VPC goes to that site's gateway.

    Of two of one site the later one replaces the other.
    """
    if vpc.subnets:
        return {}
    return {port.site: port for port in ports if port.machine and port.site and inside(vpc, port.link)}


def _rules(vpc: Vpc, ports: tuple[Port, ...], numbers: Mapping[str, int]) -> Iterator[str]:
    yield f"pref 100 iif lo lookup {_VPC}"
    yield f"pref 100 iif {UPLINK} lookup {_PUBLIC}"
    for port in ports:
        member = bool(inside(vpc, port.link))
        if member:
            yield f"pref 100 iif {port.name} lookup {_VPC}"
        if port.link.table is not None:
            yield f"pref 200 iif {port.name} lookup {numbers[port.link.table]}"
        elif port.link.internet and not member:
            yield f"pref 200 iif {port.name} lookup {_OUT}"
        elif not vpc.subnets and port.machine is None and port.site:
            yield f"pref 200 iif {port.name} lookup {numbers[way_to(port.site)]}"
        yield f"pref 300 iif {port.name} blackhole"


def _nat(ports: tuple[Port, ...]) -> str:
    lines = []
    for port in ports:
        for outer, inner in port.link.nat:
            lines.append(f"-A PREROUTING -i {UPLINK} -d {outer} -j DNAT --to-destination {inner}")
            if outer == port.link.sends_as:
                lines.append(f"-A POSTROUTING -o {UPLINK} -s {inner} -j SNAT --to-source {outer}")
    chains = ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")
    return _table("nat", dict.fromkeys(chains, "ACCEPT"), lines)


def _table(name: str, chains: Mapping[str, str], lines: Iterable[str]) -> str:
    head = [f"*{name}", *(f":{chain} {policy} [0:0]" for chain, policy in chains.items())]
    return "".join(f"{line}\n" for line in (*head, *lines, "COMMIT"))


_ANSWERS = "-m conntrack --ctstate ESTABLISHED,RELATED"


def _filter(vpc: Vpc, ports: tuple[Port, ...], family: int) -> str:
    """A packet runs through the chains of the port that it comes from and of the one that it goes to; `-g` comes back
    to FORWARD, where it goes on.
    """
    chains = {"INPUT": "DROP", "FORWARD": "DROP", "OUTPUT": "ACCEPT", "outside": "-", "off": "-"}
    every, lines, outside = [], [], []
    if family == 6:
        lines.append("-A INPUT -p icmpv6 -j ACCEPT")
    for port in ports:
        for way, side, peer, rules in (
            ("from", "-i", "-d", port.link.egress),
            ("to", "-o", "-s", port.link.ingress),
        ):
            own = "-s" if way == "from" else "-d"
            checks, passes = f"{way}-{port.name}", f"{way}-{port.name}-rules"
            chains |= {checks: "-", passes: "-"}
            every.append(f"-A FORWARD {side} {port.name} -j {checks if port.link.up else 'off'}")
            if port.link.checked:
                addresses = [address.ip for address in port.link.addresses if address.version == family]
                lines += [f"-A {checks} {own} {address} -g {passes}" for address in addresses]
                lines.append(f"-A {checks} -j DROP")
            else:
                lines.append(f"-A {checks} -g {passes}")
            if rules is not None:
                lines.append(f"-A {passes} {_ANSWERS} -j RETURN")
                lines += [
                    f"-A {passes} {peer} {rule.prefix}{_service(rule.protocol, rule.first, rule.last)} -j RETURN"
                    for rule in rules
                    if rule.prefix.version == family and rule.protocol != ("icmpv6" if family == 4 else "icmp")
                ]
                lines.append(f"-A {passes} -j DROP")
        senders = [inner for outer, inner in port.link.nat if outer == port.link.sends_as]
        senders += _own_public(vpc, port.link)
        outside += [
            f"-A outside -i {port.name} -s {address} -j RETURN" for address in senders if address.version == family
        ]
    outside += [f"-A outside {_ANSWERS} -j RETURN", "-A outside -j DROP"]
    known = [f"-A FORWARD -i {name} -j ACCEPT" for name in (UPLINK, *(port.name for port in ports))]
    return _table(
        "filter", chains, [*every, f"-A FORWARD -o {UPLINK} -j outside", *known, "-A off -j DROP", *lines, *outside]
    )


def _service(protocol: str | None, first: int, last: int) -> str:
    match protocol:
        case None:
            return ""
        case "tcp" | "udp":
            return f" -p {protocol} --dport {first}:{last}"
        case _:
            return f" -p {protocol}"
