"""What is asked about: who opens flows and to whom, and the texts that every site gets."""

from dataclasses import dataclass
from ipaddress import ip_network

from mesh.model import IPNetwork, Mesh, SiteName


@dataclass(frozen=True, slots=True)
class Point:
    """Who opens flows and to whom: a network behind a gateway or, without an `interface`, the gateway itself.

    A gateway opens flows from its `prefixes`, the tunnel addresses; as a destination it is them and every address that
    it may have in the networks behind it.

    `routes_back` is False where the hosts answer only to addresses of their own network, so that who comes from
    elsewhere needs masquerade. `advertised` is what other sites know each of `prefixes` as, in the same order and of
    the same sizes; empty means as they are.
    """

    name: str
    site: SiteName
    prefixes: tuple[IPNetwork, ...]
    interface: str = ""
    routes_back: bool = True
    advertised: tuple[IPNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteTexts:
    """What one site gets: its wg-quick file and its rules in iptables-restore syntax, one for each family.

    Peers are told apart by `public_key` where it is given (the texts then hold real keys), otherwise by the comment
    line before their section.
    """

    conf: str
    rules_v4: str
    rules_v6: str
    interface: str = "wg0"
    public_key: str = ""


def points(mesh: Mesh) -> tuple[Point, ...]:
    """Every gateway (by its tunnel addresses) and every network of a mesh, in the mesh's order.

    Hosts answer by themselves where somebody else sees to the route back; where the mesh says that their gateway
    masquerades, nobody does.
    """
    found: list[Point] = []
    for site in mesh.sites:
        found.append(Point(site.name, site.name, tuple(ip_network(address) for address in site.addresses)))
        found += [
            Point(
                name=str(network),
                site=site.name,
                prefixes=network.cidrs,
                interface=network.interface,
                routes_back=(network.return_route is not None or site.routed) and not network.masquerade,
                advertised=network.advertised,
            )
            for network in site.networks
        ]
    return tuple(found)
