"""Meshes for tests: builders that read like the stack config, and strategies for random valid ones."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from mesh.model import (
    Colo,
    Endpoint,
    Grant,
    IPNetwork,
    Mesh,
    Network,
    Party,
    Service,
    Site,
    SiteName,
    Ssh,
)

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPMyRTpaEPZQG2yDxVGQHr6gM6jPj5zYh3ZyQxS1XQ0b"

_NetworkOf = Callable[[SiteName], Network]


def network(name: str, *cidrs: str, interface: str | None = None, masquerade: bool = False) -> _NetworkOf:
    """A network, to be handed to `site`; its interface has its name unless told otherwise."""
    prefixes = tuple(ip_network(cidr) for cidr in cidrs)
    return lambda site_name: Network(site_name, name, prefixes, interface or name, masquerade)


def site(
    name: str, addresses: str | Sequence[str], *networks: _NetworkOf, endpoint: str, dns: Sequence[str] = ()
) -> Site:
    """A colo with the default ports. `addresses` are its own in the tunnel, `endpoint` its public one."""
    site_name = SiteName(name)
    return Site(
        name=site_name,
        addresses=tuple(ip_address(address) for address in ([addresses] if isinstance(addresses, str) else addresses)),
        endpoint=Endpoint(endpoint, 51820),
        listen_port=51820,
        kind=Colo(Ssh(host=endpoint, port=22, user="root", host_key=HOST_KEY)),
        networks=tuple(build(site_name) for build in networks),
        dns=tuple(ip_address(address) for address in dns),
    )


def service(text: str) -> Service:
    """`tcp/443`, `udp/8000-8100` or `icmp`."""
    protocol, _, ports = text.partition("/")
    first, _, last = ports.partition("-")
    match protocol:
        case "tcp" | "udp":
            return Service(protocol, int(first), int(last or first))
        case "icmp":
            return Service(protocol)
    raise ValueError(text)


def party(sites: Sequence[Site], selector: str) -> Party:
    """The site or network that `nyc` or `nyc.virbr0` means."""
    site_name, _, network_name = selector.partition(".")
    (owner,) = (each for each in sites if each.name == site_name)
    if not network_name:
        return owner
    (found,) = (each for each in owner.networks if each.name == network_name)
    return found


def mesh(
    *sites: Site,
    access: Sequence[tuple[str, str, str]] = (),
    tunnel: Sequence[str] = ("10.99.0.0/24",),
    persistent_keepalive: int = 25,
) -> Mesh:
    """A mesh of these sites. A grant is three words lists: `("ams.lan sfo.lan", "nyc.virbr0", "tcp/443")`."""
    return Mesh(
        tunnel=tuple(ip_network(cidr) for cidr in tunnel),
        interface="wg0",
        mtu=1420,
        persistent_keepalive=persistent_keepalive,
        sites=sites,
        access=tuple(
            Grant(
                sources=tuple(party(sites, selector) for selector in sources.split()),
                destinations=tuple(party(sites, selector) for selector in destinations.split()),
                services=tuple(service(text) for text in services.split()),
            )
            for sources, destinations, services in access
        ),
    )


def familiar() -> Mesh:
    """Two sites may open flows to nyc's LAN and not the other way; ams and fra reach each other, on IPv6 as well."""
    return mesh(
        site(
            "nyc",
            "10.99.0.1",
            network("virbr0", "192.168.122.0/24", masquerade=True),
            endpoint="203.0.113.10",
            dns=["192.168.122.1"],
        ),
        site(
            "ams", "10.99.0.2", network("lan", "10.20.0.0/24", "fd20::/64", interface="br0"), endpoint="198.51.100.20"
        ),
        site("sfo", "10.99.0.3", network("lan", "10.30.0.0/24", interface="br0"), endpoint="198.51.100.30"),
        site("fra", "10.99.0.4", network("lan", "10.40.0.0/24", "fd40::/64", interface="eth1"), endpoint="2001:db8::4"),
        access=[
            ("ams.lan sfo.lan", "nyc.virbr0", ""),
            ("ams.lan", "fra.lan", ""),
            ("fra.lan", "ams.lan", ""),
        ],
    )


_TUNNELS = {4: ip_network("10.99.0.0/24"), 6: ip_network("fd99::/64")}
# The last one makes the comment of a rule as long as names can make it.
_SITE_NAMES = ("nyc", "ams", "sfo", "fra-1", "use1", "x" * 63)
_NETWORK_NAMES = ("lan", "vpc", "n" * 63)


@st.composite
def meshes(draw: st.DrawFn, min_sites: int = 2, max_sites: int = 5) -> Mesh:
    """A valid mesh: no prefix overlaps another site's or the tunnel; grants are anything between any parties."""
    families = draw(st.sampled_from([(4,), (6,), (4, 6)]))
    count = draw(st.integers(min_sites, max_sites))
    names = draw(st.permutations(_SITE_NAMES))[:count]
    sites = [draw(_sites(name, index, families)) for index, name in enumerate(names, 1)]
    parties: list[Party] = [*sites, *(each for one in sites for each in one.networks)]
    return Mesh(
        tunnel=tuple(_TUNNELS[family] for family in families),
        interface=draw(st.sampled_from(["wg0", "mesh-1", "w" * 15])),
        mtu=1420,
        persistent_keepalive=draw(st.sampled_from([0, 25])),
        sites=tuple(sites),
        access=tuple(draw(st.lists(_grants(parties), max_size=5))),
    )


def services() -> st.SearchStrategy[Service]:
    """Any protocol, port and range of ports."""
    ports = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted)
    ranged = st.builds(lambda protocol, range_: Service(protocol, *range_), st.sampled_from(["tcp", "udp"]), ports)
    return st.one_of(st.just(Service("icmp")), ranged)


@st.composite
def _sites(draw: st.DrawFn, name: str, index: int, families: Sequence[int]) -> Site:
    site_name = SiteName(name)
    network_names = draw(st.lists(st.sampled_from(_NETWORK_NAMES), unique=True, max_size=3))
    return Site(
        name=site_name,
        addresses=tuple(_TUNNELS[family][index] for family in families),
        endpoint=Endpoint(
            draw(st.sampled_from([f"203.0.113.{index}", f"2001:db8::{index}", f"{name}.example"])), 51820
        ),
        listen_port=draw(st.sampled_from([51820, 443])),
        kind=Colo(Ssh(host=f"203.0.113.{index}", port=22, user="root", host_key=HOST_KEY)),
        networks=tuple(draw(_networks(site_name, each, index, number)) for number, each in enumerate(network_names)),
    )


@st.composite
def _networks(draw: st.DrawFn, site_name: SiteName, name: str, index: int, number: int) -> Network:
    family4: IPNetwork = ip_network(
        draw(st.sampled_from([f"10.{index}.{number * 16}.0/20", f"10.{index}.{number}.7/32"]))
    )
    family6: IPNetwork = ip_network(
        draw(st.sampled_from([f"fd00:{index}:{number}::/48", f"fd00:{index}:{number}::7/128"]))
    )
    cidrs = draw(st.sampled_from([(family4,), (family6,), (family4, family6)]))
    return Network(site_name, name, cidrs, f"eth{number}", draw(st.booleans()))


def _grants(parties: Sequence[Party]) -> st.SearchStrategy[Grant]:
    sides = st.lists(st.sampled_from(parties), min_size=1, max_size=3).map(tuple)
    return st.builds(Grant, sides, sides, st.lists(services(), max_size=2).map(tuple))
