"""What a mesh needs of the lab: machines, their addresses, bridges, links and names. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_address, ip_interface
from typing import TypeAlias

from lab.addresses import Spare
from lab.namespaces import LabError
from mesh.model import Aws, Colo, DigitalOcean, IPAddress, IPNetwork, Mesh, Network, Site, SiteName, Ssh

IPInterface: TypeAlias = IPv4Interface | IPv6Interface

# The addresses that the isolated internet has on every link to a machine, and those that a gateway has on the bridge of
# a network that has no room for one.
ROUTER = (ip_address("169.254.0.1"), ip_address("fe80::1"))
UNNUMBERED = (ip_address("169.254.0.2"), ip_address("fe80::2"))

# Of what a lab that stays keeps in its files: another one is built anew.
_FORMAT = 2


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
    """A machine in a network behind a gateway, reached from the gateway through `port` of `bridge`.

    `routers` are the gateway's own addresses in the network. In a cloud the gateway is not there from the start: there
    `routers` is empty until it is known, there is no `port`, and `bridge` names the host's own interface into the VPC.
    """

    role: str
    hostname: str
    network: str
    gateway: str
    bridge: str
    port: str
    addresses: tuple[IPInterface, ...]
    routers: tuple[IPAddress, ...]

    @property
    def in_cloud(self) -> bool:
        """True where a cloud's fabric, and no bridge of the gateway, leads to it."""
        return not self.port


@dataclass(frozen=True, slots=True)
class CloudSite:
    """A site whose gateway a cloud makes, and what has to be there for it before: an existing VPC, in `kind`."""

    site: SiteName
    kind: Aws | DigitalOcean
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything in the lab. `names` are the config's DNS names; `access` gives the role of each host in the config.

    `clouds` are the sites in clouds, which have no machine here; `pools` are the public addresses that each cloud gives
    out.
    """

    machines: tuple[Machine, ...]
    hosts: tuple[LanHost, ...]
    operator: tuple[IPAddress, ...]
    names: Mapping[str, IPAddress]
    access: Mapping[str, str]
    clouds: tuple[CloudSite, ...] = ()
    pools: Mapping[str, IPv4Network] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The same for equal topologies only. What a machine in a cloud is to be like is no part of it."""
        clouds = [(site.site, site.kind.region, site.kind.vpc) for site in self.clouds]
        bare = repr((_FORMAT, replace(self, clouds=()), clouds))
        return hashlib.sha256(bare.encode()).hexdigest()[:16]

    def lan_host(self, network: str) -> LanHost:
        """The host in a network, by its full name `site.network`. Raises KeyError where there is none."""
        for host in self.hosts:
            if host.network == network:
                return host
        raise KeyError(network)


def lay_out(mesh: Mesh) -> Topology:
    """The lab's topology for a mesh.

    Every machine has an address of each family that any public address of the mesh is of, so that a machine with only
    an IPv6 address can send to one with only an IPv4 address, as one behind a provider's NAT could. The operator has
    addresses out of the mesh's `operators`, where it says any.
    Raises LabError where two machines would need the same address.
    """
    drafts = _machines(mesh)
    access = {host: draft.role for draft in drafts for host in draft.hosts}
    literals = [address for host in access if (address := _literal(host))]
    families = [4, 6] if any(address.version == 6 for address in literals) else [4]
    spare = Spare(mesh, literals)
    operator = tuple(spare.operator(family) for family in families)
    names: dict[str, IPAddress] = {}
    machines: list[Machine] = []
    hosts: list[LanHost] = []
    for draft in drafts:
        if draft.in_cloud:
            hosts.extend(_cloud_host(network) for network in draft.networks)
            continue
        taken = {mesh.interface, *(network.interface for network in draft.networks)}
        inside = [address for address in draft.literals if any(address in cidr for cidr in draft.cidrs)]
        addresses = [address for address in draft.literals if address not in inside]
        named = [host for host in draft.hosts if not _literal(host)]
        missing = [family for family in families if not any(address.version == family for address in addresses)]
        fresh = [spare.next(family) for family in ([4] if named and 4 not in missing else []) + missing]
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
    clouds = tuple(
        CloudSite(site.name, site.kind, site.networks) for site in mesh.sites if not isinstance(site.kind, Colo)
    )
    pools = spare.clouds("aws", "digitalocean") if clouds else {}
    return Topology(tuple(machines), tuple(hosts), operator, names, access, clouds, pools)


@dataclass(slots=True)
class _Draft:
    role: str
    hostname: str
    site: SiteName | None
    networks: tuple[Network, ...]
    hosts: list[str]
    ports: list[int] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    in_cloud: bool = False

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
        if not isinstance(site.kind, Colo):
            drafts.append(_Draft(f"gw-{site.name}", site.name, site.name, site.networks, [], in_cloud=True))
            continue
        draft = _Draft(f"gw-{site.name}", site.name, site.name, site.networks, _public_hosts(site, site.kind))
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


def _public_hosts(site: Site, colo: Colo) -> list[str]:
    """The endpoint's first: it is the address that the gateway sends from."""
    return list(dict.fromkeys([site.endpoint.host or colo.ssh.host, colo.ssh.host]))


def _proxies(mesh: Mesh) -> Iterator[Ssh]:
    for site in mesh.sites:
        proxy = site.kind.ssh.proxy if isinstance(site.kind, Colo) else None
        while proxy:
            yield proxy
            proxy = proxy.proxy


def _literal(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


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


def with_gateways(topology: Topology, addresses: Callable[[SiteName], Iterable[IPAddress]]) -> Topology:
    """The same, with what gateways in clouds have as `addresses` in their VPCs as the routers of the hosts there."""
    routers = {f"gw-{site.site}": tuple(addresses(site.site)) for site in topology.clouds}
    hosts = (replace(host, routers=routers[host.gateway]) if host.in_cloud else host for host in topology.hosts)
    return replace(topology, hosts=tuple(hosts))


def _cloud_host(network: Network) -> LanHost:
    """The host in a network of a cloud: the tenth address, or the only one."""
    addresses = (ip_interface(f"{cidr[min(10, cidr.num_addresses - 1)]}/{cidr.prefixlen}") for cidr in network.cidrs)
    return LanHost(
        role=f"lan-{network}",
        hostname=f"{network.name}.{network.site}",
        network=str(network),
        gateway=f"gw-{network.site}",
        bridge=network.interface,
        port="",
        addresses=tuple(addresses),
        routers=(),
    )
