"""Checks that no prefix of the mesh lies in another, and that no host that must be reached outside lies in one."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal

from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, place
from mesh.config.schema import ProxyPart
from mesh.model import IPNetwork

# RFC 1918, RFC 6598, RFC 4193.
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A prefix of the config; for a host, the prefix of its single address. `number` is its turn in the file."""

    role: Literal["tunnel", "network", "endpoint", "ssh"]
    loc: Loc
    prefix: IPNetwork
    site: str | None
    number: int

    @property
    def named(self) -> str:
        value = self.prefix if self.role in {"tunnel", "network"} else self.prefix.network_address
        return f"{place(self.loc)} ({value})"


def check(draft: Draft) -> Iterator[Found]:
    """Yields the faults of prefixes that overlap. Takes n log n steps for n prefixes."""
    entries = list(_entries(draft))
    for family in (4, 6):
        # An outer prefix comes before those within it; prefixes that overlap are always nested.
        ordered = sorted(
            (entry for entry in entries if entry.prefix.version == family),
            key=lambda entry: (
                int(entry.prefix.network_address),
                entry.prefix.prefixlen,
                entry.role in {"endpoint", "ssh"},
            ),
        )
        around: list[_Entry] = []
        for entry in ordered:
            while around and int(around[-1].prefix.broadcast_address) < int(entry.prefix.network_address):
                around.pop()
            yield from _conflicts(around, entry)
            if entry.role in {"tunnel", "network"}:
                around.append(entry)


def _conflicts(around: list[_Entry], inner: _Entry) -> Iterator[Found]:
    networks = [entry for entry in (around[:1] + around[-1:] if len(around) > 1 else around) if entry.role == "network"]
    # The tunnel has at most one network of a family, so that this finds it at any depth.
    tunnel = next((entry for entry in around if entry.role == "tunnel"), None)
    if inner.role in {"endpoint", "ssh"}:
        if tunnel:
            yield inner.loc, f"{inner.prefix.network_address} lies in {tunnel.named}; give one of them another address"
        for outer in dict.fromkeys(networks):
            if message := _captures(outer, inner):
                yield outer.loc, message
        return
    for outer in dict.fromkeys(networks if tunnel is None else [*networks, tunnel]):
        if outer.loc == inner.loc:
            continue  # two prefixes of one family in one network are a fault already
        roles = {outer.role, inner.role}
        if "tunnel" in roles:
            network, other = (outer, inner) if outer.role == "network" else (inner, outer)
            yield network.loc, f"{network.prefix} overlaps {other.named}; give one of them another prefix"
        else:
            first, second = sorted((outer, inner), key=lambda entry: entry.number)
            way_out = "renumber one of them"
            if first.site == second.site:
                way_out = (
                    "a grant to a network holds for all of it, so give the hosts that need other grants a prefix of"
                    " their own that does not overlap"
                )
            yield second.loc, f"{second.prefix} overlaps {first.named}; {way_out}"


def _captures(outer: _Entry, host: _Entry) -> str | None:
    if host.role == "endpoint":
        return (
            f"{outer.prefix} contains the endpoint {host.named}: its packets would be routed into the tunnel that they"
            " carry; leave that address out of the network, or give the site another 'endpoint'"
        )
    if host.site == outer.site and any(host.prefix.network_address in private for private in _PRIVATE):
        return None  # the host's own address in its LAN: who reaches it by SSH is in that LAN as well
    return (
        f"{outer.prefix} contains {host.named}: SSH to it would be routed into the tunnel;"
        " leave that address out of the network, or reach the host at another one"
    )


def _entries(draft: Draft) -> Iterator[_Entry]:
    config = draft.config
    number = 0
    for prefix in config.mesh.tunnel or ():
        yield _Entry("tunnel", ("mesh", "tunnel"), prefix, None, number)
    if config.ssh.proxy:
        yield from _host("ssh", ("ssh", "proxy", "host"), config.ssh.proxy.host, None)
    for name, site in config.sites.items():
        if site.endpoint:
            yield from _host("endpoint", ("sites", name, "endpoint"), site.endpoint.host, name)
        if site.colo:
            role: Literal["endpoint", "ssh"] = "ssh" if not draft.misses("sites", name, "endpoint") else "endpoint"
            yield from _host(role, ("sites", name, "colo", "host"), site.colo.host, name)
            proxy = site.colo.proxy or ProxyPart()
            yield from _host("ssh", ("sites", name, "colo", "proxy", "host"), proxy.host, name)
        for label, network in site.networks.items():
            for prefix in network.cidr or ():
                number += 1
                yield _Entry("network", ("sites", name, "networks", label, "cidr"), prefix, name, number)


def _host(role: Literal["endpoint", "ssh"], loc: Loc, host: str | None, site: str | None) -> Iterator[_Entry]:
    try:
        prefix = ip_network(ip_address(host or ""))
    except ValueError:
        return  # a name, whose address is not known here
    yield _Entry(role, loc, prefix, site, 0)
