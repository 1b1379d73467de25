"""Checks of the config as a whole: what is missing, names, interfaces, MTU, and what two sites cannot share."""

import re
from collections.abc import Callable, Hashable, Iterator

from mesh.config import addresses, advertised, clouds, grants, operators, overlaps, probes, resolvers, returns
from mesh.config.colo import ColoPart, ProxyPart
from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, place
from mesh.config.schema import CLOUDS, NetworkPart, SitePart
from mesh.config.selectors import Selection, check_groups, check_name
from mesh.model import IPNetwork

_HOST_KEY = "is missing; give the host's public key, one line of /etc/ssh/ssh_host_ed25519_key.pub on that host"
# In components/aws.py: the one resource with two sites' names, which could be that of two resources otherwise.
_RULE = re.compile("-in-udp-[0-9]+-from-")
_LEAST_MTU_OF_IPV6 = 1280  # RFC 8200, 5


def check_all(draft: Draft, selection: Selection) -> Iterator[Found]:
    """Yields every fault that takes more than one value to see."""
    alone: tuple[Callable[[Draft], Iterator[Found]], ...] = (
        addresses.check,
        _check_mtu,
        _check_proxy_default,
        _check_sites,
        clouds.check,
        _check_shared,
        advertised.check,
        overlaps.check,
        probes.check,
    )
    selecting: tuple[Callable[[Draft, Selection], Iterator[Found]], ...] = (
        check_groups,
        grants.check,
        resolvers.check,
        returns.check,
        operators.check,
    )
    for check in alone:
        yield from check(draft)
    for check_selected in selecting:
        yield from check_selected(draft, selection)


def _check_sites(draft: Draft) -> Iterator[Found]:
    if draft.misses("sites") or draft.raw.get("sites") == {}:
        yield ("sites",), "there is none; a mesh begins with one site"
    for name in draft.names("sites"):
        yield from check_name(draft, ("sites", name), "site")
        if _RULE.search(name):
            yield (
                ("sites", name),
                "reads like the name of a firewall's rule, SITE-in-udp-PORT-from-SITE; take another one",
            )
    for name, site in draft.config.sites.items():
        yield from _check_kind(draft, name, site)
        if site.private_key and site.key_generation:
            yield (
                ("sites", name, "key_generation"),
                "is for a key that the program makes, and the site has a 'private_key'; change that, or leave this out",
            )
        networks: Loc = ("sites", name, "networks")
        for label in draft.names(*networks):
            yield from check_name(draft, (*networks, label), "network")
        for label, network in site.networks.items():
            yield from _check_network(draft, (*networks, label), site, network)


def _check_kind(draft: Draft, name: str, site: SitePart) -> Iterator[Found]:
    loc: Loc = ("sites", name)
    kinds = clouds.kinds(draft, name)
    if not kinds and loc not in draft.faulty:
        yield (
            loc,
            "is of no kind; give it 'colo', with the 'host' and 'host_key' of a host that exists, or 'aws' or"
            " 'digitalocean' for a machine that is to be made",
        )
    elif len(kinds) > 1:
        named = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
        yield loc, f"is of {len(kinds)} kinds, {named}; a site is one machine, so keep one of them"
    if site.colo:
        yield from _check_ssh(draft, ("sites", name, "colo"))
        if site.colo.proxy:
            yield from _check_ssh(draft, ("sites", name, "colo", "proxy"))


def _check_proxy_default(draft: Draft) -> Iterator[Found]:
    if draft.config.ssh.proxy:
        yield from _check_ssh(draft, ("ssh", "proxy"))


def _check_ssh(draft: Draft, loc: Loc) -> Iterator[Found]:
    if draft.misses(*loc, "host"):
        yield (*loc, "host"), "is missing; give the address or DNS name for SSH"
    if draft.misses(*loc, "host_key"):
        yield (*loc, "host_key"), _HOST_KEY


def _check_network(draft: Draft, loc: Loc, site: SitePart, network: NetworkPart) -> Iterator[Found]:
    if draft.misses(*loc, "cidr"):
        yield (*loc, "cidr"), "is missing; give the network's prefix, for example 10.20.0.0/24"
    made = any(kind in CLOUDS for kind in clouds.kinds(draft, str(loc[1])))  # its cloud says which interface
    if draft.misses(*loc, "interface") and not made:
        yield (*loc, "interface"), "is missing; give the host's interface that leads to the network, for example eth1"
    prefixes = network.cidr or ()
    if len({prefix.version for prefix in prefixes}) < len(prefixes):
        listed = ", ".join(str(prefix) for prefix in prefixes)
        yield (*loc, "cidr"), f"{listed}: at most one prefix of each family; make the other a network of its own"
    interface = site.interface_of(network)
    if interface and interface == draft.config.mesh.interface:
        yield (*loc, "interface"), f"'{interface}' is the tunnel's own interface (mesh.interface)"


def _check_mtu(draft: Draft) -> Iterator[Found]:
    """Yields a fault for each MTU with which a site could not send IPv6, and one for the mesh's, at the first site."""
    mesh = draft.config.mesh
    inherited = False
    for name, site in draft.config.sites.items():
        if (site.mtu or mesh.mtu) >= _LEAST_MTU_OF_IPV6 or draft.spoilt("sites", name, "mtu"):
            continue
        users: dict[Loc, tuple[IPNetwork, ...] | None] = {("mesh", "tunnel"): mesh.tunnel}
        users |= {("sites", name, "networks", label): net.cidr for label, net in site.networks.items()}
        user = next((loc for loc, found in users.items() if any(prefix.version == 6 for prefix in found or ())), None)
        if user and (site.mtu or not inherited):
            inherited |= site.mtu is None
            loc: Loc = ("sites", name, "mtu") if site.mtu else ("mesh", "mtu")
            yield (
                loc,
                f"{site.mtu or mesh.mtu} is too small for IPv6, which {place(user)} has; it takes at least"
                f" {_LEAST_MTU_OF_IPV6}",
            )


def _check_shared(draft: Draft) -> Iterator[Found]:
    """Yields what belongs to two sites and can belong to one only."""
    config = draft.config
    endpoints: dict[Hashable, str] = {}
    hosts: dict[Hashable, str] = {}
    keys: dict[Hashable, str] = {}
    for name, site in config.sites.items():
        colo = site.colo or ColoPart()
        host = site.endpoint.host if site.endpoint else colo.host
        port = (site.endpoint.port if site.endpoint else None) or site.listen_port or config.mesh.listen_port
        where = "endpoint" if site.endpoint else "colo.host"
        if host and (owner := endpoints.setdefault((host, port), name)) != name:
            way_out = "give one of them another address, or another 'listen_port'"
            yield (
                ("sites", name, *where.split(".")),
                f"{host}, port {port}, is the endpoint of {place(('sites', owner))} too; {way_out}",
            )
        proxy = colo.proxy or config.ssh.proxy or ProxyPart()
        ssh_port = colo.port or config.ssh.port or 22
        reached = (colo.host, ssh_port, proxy.host, proxy.port)
        if colo.host and (owner := hosts.setdefault(reached, name)) != name:
            yield (
                ("sites", name, "colo", "host"),
                f"{colo.host}, port {ssh_port}, is the host of {place(('sites', owner))} too; one site a host",
            )
        if site.private_key and not site.private_key.sealed:
            owner = keys.setdefault(site.private_key.reveal(), name)
            if owner != name:
                yield (
                    ("sites", name, "private_key"),
                    f"is the key of {place(('sites', owner))} too; every site needs one of its own",
                )
