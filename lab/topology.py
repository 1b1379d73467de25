"""What a mesh needs of the lab: machines, their addresses, bridges, links and names. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import TypeAlias

from lab.namespaces import LabError
from mesh.model import IPAddress, IPNetwork, Mesh, Network, Site, SiteName, Ssh

IPInterface: TypeAlias = IPv4Interface | IPv6Interface

# The addresses that the isolated internet has on every link to a machine, and those that a gateway has on the bridge of
# a network that has no room for one.
ROUTER = (ip_address("169.254.0.1"), ip_address("fe80::1"))
UNNUMBERED = (ip_address("169.254.0.2"), ip_address("fe80::2"))

# Where addresses come from that the config does not say: set aside for benchmarks, shared and private use
# (RFC 2544, RFC 6598, RFC 5180, RFC 4193). The first that overlaps nothing of the mesh is taken.
_SPARE: tuple[IPNetwork, ...] = tuple(
    ip_network(text) for text in ("198.18.0.0/15", "100.64.0.0/10", "2001:2::/48", "fd77:6d:6c61::/48")
)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network's interface on its gateway, with the gateway's own addresses in the network."""

    name: str
    addresses: tuple[IPInterface, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with sshd: a site's gateway, or a bastion (`site` None).

    `addresses` are those it has on `uplink`, its interface to the internet; `inside` are those that the config gives it
    for SSH in its own networks (a bastion leads there). sshd listens at every one of `ports` and lets every one of
    `users` in.
    """

    role: str
    hostname: str
    site: SiteName | None
    uplink: str
    addresses: tuple[IPAddress, ...]
    inside: tuple[IPAddress, ...]
    bridges: tuple[Bridge, ...]
    ports: tuple[int, ...]
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LanHost:
    """A machine in a network behind a gateway, reached from the gateway through `port` of `bridge`."""

    role: str
    hostname: str
    network: str
    gateway: str
    bridge: str
    port: str
    addresses: tuple[IPInterface, ...]
    routers: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything in the lab. `names` are the config's DNS names; `access` gives the role of each host in the config."""

    machines: tuple[Machine, ...]
    hosts: tuple[LanHost, ...]
    operator: tuple[IPAddress, ...]
    names: Mapping[str, IPAddress]
    access: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The same for equal topologies only."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    def lan_host(self, network: str) -> LanHost:
        """The host in a network, by its full name `site.network`. Raises KeyError where there is none."""
        for host in self.hosts:
            if host.network == network:
                return host
        raise KeyError(network)


def lay_out(mesh: Mesh) -> Topology:
    """The lab's topology for a mesh.

    Every machine has an address of each family that any public address of the mesh is of, so that a machine with only
    an IPv6 address can send to one with only an IPv4 address, as one behind a provider's NAT could.
    Raises LabError where two machines would need the same address.
    """
    drafts = _machines(mesh)
    access = {host: draft.role for draft in drafts for host in draft.hosts}
    literals = [address for host in access if (address := _literal(host))]
    families = [4, 6] if any(address.version == 6 for address in literals) else [4]
    spare = {family: _spare(mesh, family, literals) for family in (4, 6)}
    operator = tuple(next(spare[family]) for family in families)
    names: dict[str, IPAddress] = {}
    machines: list[Machine] = []
    hosts: list[LanHost] = []
    for draft in drafts:
        taken = {mesh.interface, *(network.interface for network in draft.networks)}
        inside = [address for address in draft.literals if any(address in cidr for cidr in draft.cidrs)]
        addresses = [address for address in draft.literals if address not in inside]
        named = [host for host in draft.hosts if not _literal(host)]
        missing = [family for family in families if not any(address.version == family for address in addresses)]
        fresh = [next(spare[family]) for family in ([4] if named and 4 not in missing else []) + missing]
        for host in named:
            names[host] = next(address for address in fresh if address.version == 4)
        bridges = {network.interface: Bridge(network.interface, ()) for network in draft.networks}
        for network in draft.networks:
            router, lan_host = _lan(network, draft.role, inside, _unused("port", taken))
            known = bridges[network.interface]
            bridges[network.interface] = Bridge(known.name, (*known.addresses, *router))
            hosts.append(lan_host)
            taken.add(lan_host.port)
        machines.append(
            Machine(
                role=draft.role,
                hostname=draft.hostname,
                site=draft.site,
                uplink=_unused("eth", taken),
                addresses=(*addresses, *fresh),
                inside=tuple(inside),
                bridges=tuple(bridges.values()),
                ports=tuple(dict.fromkeys(draft.ports)),
                users=tuple(dict.fromkeys(draft.users)),
            )
        )
    return Topology(tuple(machines), tuple(hosts), operator, names, access)


@dataclass(slots=True)
class _Draft:
    role: str
    hostname: str
    site: SiteName | None
    networks: tuple[Network, ...]
    hosts: list[str]
    ports: list[int] = field(default_factory=list)
    users: list[str] = field(default_factory=list)

    @property
    def cidrs(self) -> list[IPNetwork]:
        return [cidr for network in self.networks for cidr in network.cidrs]

    @property
    def literals(self) -> list[IPAddress]:
        return [address for host in self.hosts if (address := _literal(host))]


def _machines(mesh: Mesh) -> list[_Draft]:
    """Gateways first, then the bastions that are not gateways themselves."""
    drafts: list[_Draft] = []
    by_host: dict[str, _Draft] = {}
    for site in mesh.sites:
        draft = _Draft(f"gw-{site.name}", site.name, site.name, site.networks, _public_hosts(site))
        draft.ports.append(site.kind.ssh.port)
        draft.users.append(site.kind.ssh.user)
        for host in draft.hosts:
            if host in by_host:
                raise LabError(f"{host} is the address of both {by_host[host].site} and {site.name}")
            by_host[host] = draft
        drafts.append(draft)
    for proxy in _proxies(mesh):
        if proxy.host not in by_host:
            number = len(drafts) - len(mesh.sites) + 1
            by_host[proxy.host] = _Draft(f"bastion-{number}", f"bastion-{number}", None, (), [proxy.host])
            drafts.append(by_host[proxy.host])
        by_host[proxy.host].ports.append(proxy.port)
        by_host[proxy.host].users.append(proxy.user)
    return drafts


def _public_hosts(site: Site) -> list[str]:
    """The endpoint's first: it is the address that the gateway sends from."""
    return list(dict.fromkeys([site.endpoint.host, site.kind.ssh.host]))


def _proxies(mesh: Mesh) -> Iterator[Ssh]:
    for site in mesh.sites:
        proxy = site.kind.ssh.proxy
        while proxy:
            yield proxy
            proxy = proxy.proxy


def _literal(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _spare(mesh: Mesh, family: int, used: Iterable[IPAddress]) -> Iterator[IPAddress]:
    networks = [network for site in mesh.sites for network in site.networks]
    prefixes = [*mesh.tunnel, *(cidr for network in networks for cidr in (*network.cidrs, *network.advertise_as))]
    taken = set(used)
    for pool in _SPARE:
        if pool.version == family and not any(_overlap(pool, prefix) for prefix in prefixes):
            yield from (address for address in (pool[index] for index in range(1, 65536)) if address not in taken)
    raise LabError(f"the mesh leaves no IPv{family} addresses for the lab itself; free one of {_pools(family)}")


def _pools(family: int) -> str:
    return ", ".join(str(pool) for pool in _SPARE if pool.version == family)


def _overlap(a: IPNetwork, b: IPNetwork) -> bool:
    if isinstance(a, IPv4Network) and isinstance(b, IPv4Network):
        return a.overlaps(b)
    return isinstance(a, IPv6Network) and isinstance(b, IPv6Network) and a.overlaps(b)


def _unused(stem: str, taken: Iterable[str]) -> str:
    names = (f"{stem}{number}" for number in range(1000))
    return next(name for name in names if name not in set(taken))


def _lan(
    network: Network, gateway: str, inside: Iterable[IPAddress], port: str
) -> tuple[tuple[IPInterface, ...], LanHost]:
    """The gateway's own addresses in a network, and the host in it.

    The gateway has the first address of each prefix, or the one that the config gives it there; the host has the tenth,
    or the next that is free. A prefix of one address is the host's, and the gateway has its link's address instead.
    """
    routers: list[IPInterface] = []
    addresses: list[IPInterface] = []
    for cidr in network.cidrs:
        size = cidr.num_addresses
        if size == 1:
            router = next(address for address in UNNUMBERED if address.version == cidr.version)
            routers.append(ip_interface(f"{router}/{cidr.max_prefixlen}"))
            addresses.append(ip_interface(str(cidr)))
            continue
        given = [address for address in inside if address in cidr]
        router = given[0] if given else cidr[1 if size > 2 else 0]
        usable = (cidr[index] for index in (10, 1, 2, 3, 0) if index < (size - 1 if size > 2 else size))
        host = next(address for address in usable if address != router)
        routers.append(ip_interface(f"{router}/{cidr.prefixlen}"))
        addresses.append(ip_interface(f"{host}/{cidr.prefixlen}"))
    host_name = f"{network.name}.{network.site}"
    lan_host = LanHost(
        role=f"lan-{network}",
        hostname=host_name,
        network=str(network),
        gateway=gateway,
        bridge=network.interface,
        port=port,
        addresses=tuple(addresses),
        routers=tuple(router.ip for router in routers),
    )
    return tuple(routers), lan_host
