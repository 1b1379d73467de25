"""The mesh as data: sites, their networks and who may open flows to whom, after every check has passed."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, NewType, TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network
Family: TypeAlias = Literal[4, 6]
Architecture: TypeAlias = Literal["arm64", "x86_64"]
Image: TypeAlias = Literal["debian-12", "ubuntu-24.04"]

SiteName = NewType("SiteName", str)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must not be shown. `reveal` gives it; nothing else does.

    `Secret(None)` stands for a value that is encrypted and was not decrypted (`meshctl check` needs no passphrase).
    """

    _value: str | None = field(repr=False)

    def reveal(self) -> str:
        """The value itself. Raises ValueError where it was never decrypted."""
        if self._value is None:
            raise ValueError("this secret is still encrypted")
        return self._value

    @property
    def sealed(self) -> bool:
        """True where the value is encrypted and unknown here."""
        return self._value is None

    def __repr__(self) -> str:
        return "Secret(<secret>)"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where peers send WireGuard's packets: an address or a DNS name, and a UDP port.

    `host` None stands for the address that a cloud gives, which is known once it is made.
    """

    host: str | None
    port: int

    def at(self, host: str) -> str:
        """`host:port` or `[IPv6]:port`; `host` is what stands for an address that is not known here."""
        known = self.host or host
        return f"[{known}]:{self.port}" if ":" in known else f"{known}:{self.port}"


@dataclass(frozen=True, slots=True)
class Ssh:
    """How to reach a host by SSH. `private_key` None means the agent's keys; `proxy` is the bastion before it."""

    host: str
    port: int
    user: str
    host_key: str
    private_key: Secret | None = None
    proxy: "Ssh | None" = None


@dataclass(frozen=True, slots=True)
class Colo:
    """A machine that exists already and is only configured.

    `sends_from` are the addresses that its packets come from, as others see them; none where that is not known. With
    `adopt` an interface that was set up there by hand is taken over.
    """

    ssh: Ssh
    sends_from: tuple[IPAddress, ...] = ()
    adopt: bool = False


@dataclass(frozen=True, slots=True)
class ExistingVpc:
    """A VPC on AWS that is there: the gateway's subnet, and the route tables that get the routes to other sites."""

    id: str
    subnet: str
    route_tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewVpc:
    """A VPC to be made."""

    cidr: IPv4Network


@dataclass(frozen=True, slots=True)
class Aws:
    """An instance on AWS that is to be made. A raised `generation` replaces it.

    `profile` and `role` (an ARN to assume) say whose account it is in; neither means the environment's credentials.
    """

    region: str
    vpc: ExistingVpc | NewVpc
    instance_type: str = "t4g.nano"
    architecture: Architecture = "arm64"
    image: Image = "debian-12"
    generation: int = 1
    profile: str | None = None
    role: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DigitalOcean:
    """A droplet that is to be made. A raised `generation` replaces it. `vpc` is the UUID of one that is there.

    With `reserved_address` peers send to one that outlives the droplet, which still sends from its own. `token` None
    means the environment's.
    """

    region: str
    vpc: str | NewVpc
    size: str = "s-1vcpu-512mb-10gb"
    image: Image = "debian-12"
    generation: int = 1
    reserved_address: bool = False
    token: Secret | None = None
    tags: tuple[str, ...] = ()


# What a site's gateway is.
Kind: TypeAlias = Colo | Aws | DigitalOcean


@dataclass(frozen=True, slots=True)
class Network:
    """A network behind a gateway: its prefixes, at most one of each family, and the interface that leads to it.

    `advertise_as` has prefixes of the same sizes, by which all other sites know it; a family that is not in it is known
    as it is. `return_route` "manual" says that its hosts send answers to other sites through this gateway.
    """

    site: SiteName
    name: str
    cidrs: tuple[IPNetwork, ...]
    interface: str
    masquerade: bool = False
    advertise_as: tuple[IPNetwork, ...] = ()
    return_route: Literal["manual"] | None = None

    @property
    def advertised(self) -> tuple[IPNetwork, ...]:
        """What other sites know each of `cidrs` as, in the same order."""
        known = {prefix.version: prefix for prefix in self.advertise_as}
        return tuple(known.get(cidr.version, cidr) for cidr in self.cidrs)

    def __str__(self) -> str:
        return f"{self.site}.{self.name}"


@dataclass(frozen=True, slots=True)
class Site:
    """One gateway and the networks behind it. `addresses` are its own in the tunnel, one for each tunnel network.

    `mtu` is the tunnel's at this gateway, in bytes; a link has the lower one of both ends. A raised `key_generation`
    gives it another key. While it is `paused` nothing is done on its host; a changed `reapply` does all of it again.
    """

    name: SiteName
    addresses: tuple[IPAddress, ...]
    endpoint: Endpoint
    listen_port: int
    kind: Kind
    networks: tuple[Network, ...] = ()
    dns: tuple[IPAddress, ...] = ()
    private_key: Secret | None = None
    mtu: int = 1420
    key_generation: int = 1
    paused: bool = False
    reapply: int = 0

    @property
    def adopts(self) -> bool:
        """True where an interface that was set up by hand on its host is taken over."""
        return isinstance(self.kind, Colo) and self.kind.adopt

    @property
    def routed(self) -> bool:
        """True where route tables of the cloud send to the gateway what hosts behind it have for other sites."""
        return isinstance(self.kind, Aws) and (isinstance(self.kind.vpc, NewVpc) or bool(self.kind.vpc.route_tables))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Service:
    """A protocol, and for TCP and UDP a range of destination ports, both ends included; 0 to 65535 is all of them."""

    protocol: Literal["tcp", "udp", "icmp"]
    first: int = 0
    last: int = 0

    def contains(self, other: "Service") -> bool:
        """True where every packet of the other is one of this."""
        return self.protocol == other.protocol and self.first <= other.first and other.last <= self.last

    def __str__(self) -> str:
        first = max(self.first, 1)  # port 0 is no port that could be written
        if self.protocol == "icmp" or (first, self.last) == (1, 65535):
            return self.protocol
        return f"{self.protocol}/{first}" + (f"-{self.last}" if self.last > first else "")


# A side of a grant: a site (every address that its gateway owns) or one network behind it.
Party: TypeAlias = Site | Network


@dataclass(frozen=True, slots=True)
class Grant:
    """`sources` may open flows to `destinations`; replies pass, nothing else does. No services means all."""

    sources: tuple[Party, ...]
    destinations: tuple[Party, ...]
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Assertion:
    """What the user wants to hold whatever the grants say: from every source to every destination.

    `expect` "deny": none of the services may pass; "allow": all of them. No services means all.
    """

    sources: tuple[Party, ...]
    destinations: tuple[Party, ...]
    services: tuple[Service, ...]
    expect: Literal["allow", "deny"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What `meshctl verify` tries besides: a site's host opens one port of TCP, or sends an echo, to an address.

    The address is one at another site, as this one knows it.
    """

    source: SiteName
    address: IPAddress
    service: Service
    expect: Literal["allow", "deny"]


@dataclass(frozen=True, slots=True)
class Mesh:
    """A whole environment. `sites` are in the order of their names, which every text and output keeps.

    `operators` are the prefixes that SSH connections to the hosts come from. `operator_key` is the SSH key that opens
    machines in clouds; None: one is made. A host waits `confirm_within` seconds for a change to be confirmed. A raised
    `preshared_generation` changes all preshared keys.
    """

    tunnel: tuple[IPNetwork, ...]
    interface: str
    persistent_keepalive: int
    sites: tuple[Site, ...]
    access: tuple[Grant, ...]
    assertions: tuple[Assertion, ...] = ()
    operators: tuple[IPNetwork, ...] = ()
    operator_key: Secret | None = None
    confirm_within: int = 120
    preshared_generation: int = 1
    probes: tuple[Probe, ...] = ()

    def site(self, name: str) -> Site:
        """The site of that name. Raises KeyError where there is none."""
        for site in self.sites:
            if site.name == name:
                return site
        raise KeyError(name)
