"""The mesh as data: sites, their networks and who may open flows to whom, after every check has passed."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, NewType, TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network
Family: TypeAlias = Literal[4, 6]

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
    """Where peers send WireGuard's packets: an address or a DNS name, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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
    """A machine that exists already and is only configured."""

    ssh: Ssh


@dataclass(frozen=True, slots=True)
class Network:
    """A network behind a gateway: its prefixes, at most one of each family, and the interface that leads to it."""

    site: SiteName
    name: str
    cidrs: tuple[IPNetwork, ...]
    interface: str
    masquerade: bool = False

    def __str__(self) -> str:
        return f"{self.site}.{self.name}"


@dataclass(frozen=True, slots=True)
class Site:
    """One gateway and the networks behind it. `addresses` are its own in the tunnel, one for each tunnel network."""

    name: SiteName
    addresses: tuple[IPAddress, ...]
    endpoint: Endpoint
    listen_port: int
    kind: Colo
    networks: tuple[Network, ...] = ()
    dns: tuple[IPAddress, ...] = ()
    private_key: Secret | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Service:
    """A protocol, and for TCP and UDP a range of destination ports, both ends included."""

    protocol: Literal["tcp", "udp", "icmp"]
    first: int = 0
    last: int = 0


# A side of a grant: a site (every address that its gateway owns) or one network behind it.
Party: TypeAlias = Site | Network


@dataclass(frozen=True, slots=True)
class Grant:
    """`sources` may open flows to `destinations`; replies pass, nothing else does. No services means all."""

    sources: tuple[Party, ...]
    destinations: tuple[Party, ...]
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Mesh:
    """A whole environment. `sites` are in the order of their names, which every text and output keeps."""

    tunnel: tuple[IPNetwork, ...]
    interface: str
    mtu: int
    persistent_keepalive: int
    sites: tuple[Site, ...]
    access: tuple[Grant, ...]

    def site(self, name: str) -> Site:
        """The site of that name. Raises KeyError where there is none."""
        for site in self.sites:
            if site.name == name:
                return site
        raise KeyError(name)
