"""Meshes for tests: builders that read like the stack config, and strategies for random valid ones."""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Literal

from hypothesis import strategies as st

from mesh.model import (
    Colo,
    Endpoint,
    Grant,
    IPNetwork,
    Kind,
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


def network(
    name: str,
    *cidrs: str,
    interface: str | None = None,
    masquerade: bool = False,
    advertise_as: Sequence[str] = (),
    return_route: Literal["manual"] | None = "manual",
) -> _NetworkOf:
    """A network, to be handed to `site`; its interface has its name, and its hosts a route back, unless told otherwise.

    `advertise_as` has at most one prefix of each family.
    """
    return lambda site_name: Network(
        site=site_name,
        name=name,
        cidrs=tuple(ip_network(cidr) for cidr in cidrs),
        interface=interface or name,
        masquerade=masquerade,
        advertise_as=tuple(ip_network(prefix) for prefix in advertise_as),
        return_route=return_route,
    )


def site(
    name: str,
    addresses: str | Sequence[str],
    *networks: _NetworkOf,
    endpoint: str | None,
    dns: Sequence[str] = (),
    mtu: int = 1420,
    kind: Kind | None = None,
) -> Site:
    """A site with the default ports. `addresses` are its own in the tunnel.

    `endpoint` is the public one of a colo, which sends from there; without one, `kind` is a machine in a cloud.
    """
    site_name = SiteName(name)
    return Site(
        name=site_name,
        addresses=tuple(ip_address(address) for address in ([addresses] if isinstance(addresses, str) else addresses)),
        endpoint=Endpoint(endpoint, 51820),
        listen_port=51820,
        kind=kind or _colo(endpoint or ""),
        networks=tuple(build(site_name) for build in networks),
        dns=tuple(ip_address(address) for address in dns),
        mtu=mtu,
    )


def _colo(host: str) -> Colo:
    named = not re.fullmatch(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:]*", host)
    sends_from = () if named else (ip_address(host),)
    return Colo(Ssh(host=host, port=22, user="root", host_key=HOST_KEY), sends_from)


def service(text: str) -> Service:
    """`tcp/443`, `udp/8000-8100`, `tcp` for all of its ports, or `icmp`."""
    protocol, _, ports = text.partition("/")
    first, _, last = ports.partition("-")
    match protocol:
        case "tcp" | "udp":
            return Service(protocol, int(first or 0), int(last or first or 65535))
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
_SITE_NAMES = ("nyc", "ams", "sfo", "fra-1", "use1", "sgp", "lon", "blr", "tor", "syd", "mad2", "x" * 63)
_NETWORK_NAMES = ("lan", "vpc", "virbr0", "n" * 63)


@st.composite
def meshes(draw: st.DrawFn, min_sites: int = 2, max_sites: int = 5) -> Mesh:
    """A valid mesh of at most 12 sites; grants are anything between any parties, in any order.

    No prefix overlaps another one, the tunnel included. Where a network is advertised as something else, its own prefix
    can be another site's as well.
    """
    families = draw(st.sampled_from([(4,), (6,), (4, 6)]))
    count = draw(st.integers(min_sites, max_sites))
    granted = draw(st.integers(0, max(5, count)))
    names = draw(st.permutations(_SITE_NAMES))[:count]
    sites = [draw(_sites(name, index, families)) for index, name in enumerate(names, 1)]
    parties: list[Party] = [*sites, *(each for one in sites for each in one.networks)]
    return Mesh(
        tunnel=tuple(_TUNNELS[family] for family in families),
        interface=draw(st.sampled_from(["wg0", "mesh-1", "w" * 15])),
        persistent_keepalive=draw(st.sampled_from([0, 25])),
        sites=tuple(sites),
        access=tuple(draw(_grants(parties)) for _ in range(granted)),
    )


def services() -> st.SearchStrategy[Service]:
    """Any protocol, port and range of ports, also all ports of a protocol."""
    numbers = st.one_of(st.sampled_from([1, 22, 80, 443, 8000, 65535]), st.integers(1, 65535))
    ports = st.one_of(
        st.just([0, 65535]), numbers.map(lambda port: [port, port]), st.tuples(numbers, numbers).map(sorted)
    )
    ranged = st.builds(lambda protocol, range_: Service(protocol, *range_), st.sampled_from(["tcp", "udp"]), ports)
    return st.one_of(st.just(Service("icmp")), ranged)


@st.composite
def _sites(draw: st.DrawFn, name: str, index: int, families: Sequence[int]) -> Site:
    site_name = SiteName(name)
    network_names = draw(st.lists(st.sampled_from(_NETWORK_NAMES), unique=True, max_size=4))
    return Site(
        name=site_name,
        addresses=tuple(_TUNNELS[family][index] for family in families),
        endpoint=Endpoint(
            draw(st.sampled_from([f"203.0.113.{index}", f"2001:db8::{index}", f"{name}.example"])), 51820
        ),
        listen_port=draw(st.sampled_from([51820, 443])),
        kind=Colo(Ssh(host=f"203.0.113.{index}", port=22, user="root", host_key=HOST_KEY)),
        networks=tuple(draw(_networks(site_name, each, index, number)) for number, each in enumerate(network_names)),
        mtu=draw(st.sampled_from([1420, 1412, 1280])),
    )


# What a network has, for site I's network number N: its own prefixes, the same that others may have as well, and what
# they are advertised as.
_OWN = ("10.{i}.{n}.0/24", "10.{i}.{n}.7/32", "fd00:{i}:{n}::/48", "fd00:{i}:{n}::7/128")
_SHARED = ("192.168.{n}.0/24", "192.168.{n}.7/32", "fd22:{n}::/48", "fd22:{n}::7/128")
_ADVERTISED = ("10.{o}.{n}.0/24", "10.{o}.{n}.7/32", "fd01:{i}:{n}::/48", "fd01:{i}:{n}::7/128")


@st.composite
def _networks(draw: st.DrawFn, site_name: SiteName, name: str, index: int, number: int) -> Network:
    cidrs: list[IPNetwork] = []
    advertise_as: list[IPNetwork] = []
    for form in draw(st.sampled_from([(0,), (1,), (2,), (3,), (0, 2), (1, 3)])):
        places = {"i": index, "o": index + 200, "n": number}
        own = draw(st.sampled_from([_OWN, _OWN, _SHARED]))
        if own is _SHARED or draw(st.integers(0, 3)) == 0:
            advertise_as.append(ip_network(_ADVERTISED[form].format(**places)))
        cidrs.append(ip_network(own[form].format(**places)))
    masquerade = draw(st.booleans())
    return Network(
        site=site_name,
        name=name,
        cidrs=tuple(cidrs),
        interface=f"eth{draw(st.integers(0, number))}",
        masquerade=masquerade,
        advertise_as=tuple(advertise_as),
        return_route=draw(st.sampled_from(["manual", None])) if masquerade else "manual",
    )


def _grants(parties: Sequence[Party]) -> st.SearchStrategy[Grant]:
    sides = st.lists(st.sampled_from(parties), min_size=1, max_size=3).map(tuple)
    return st.builds(Grant, sides, sides, st.lists(services(), max_size=2).map(tuple))
