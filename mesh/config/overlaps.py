"""Checks that no prefix of the mesh lies in another, and that no host that must be reached outside lies in one."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import chain
from typing import Literal, TypeAlias

from mesh.config.advertised import own_and_known
from mesh.config.colo import ProxyPart
from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, place
from mesh.config.values import is_private
from mesh.model import IPNetwork

# A network that is advertised as something else has two prefixes: `real` is known at its own site only, and so may be
# another such network's elsewhere; `advertised` is known at all others. Those of a plain `network` are the same one.
# A `vpc` is what a cloud keeps to itself: packets to it, networks or not, never come to the gateway.
_Role: TypeAlias = Literal["tunnel", "network", "real", "advertised", "vpc", "endpoint", "ssh"]
_HOSTS = ("endpoint", "ssh")
_OTHER_PREFIX = "advertise it as another prefix"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A prefix of the config; for a host, the prefix of its single address. `number` is its turn in the file.

    `value` is how it is shown: `192.168.122.0/24, advertised as 10.202.0.0/24` for both prefixes of such a network.
    """

    role: _Role
    loc: Loc
    prefix: IPNetwork
    value: str
    site: str | None
    number: int = 0

    @property
    def named(self) -> str:
        return f"{place(self.loc)} ({self.value})"

    @property
    def subject(self) -> str:
        """At the head of a message."""
        return f"{self.value}," if "," in self.value else self.value


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
                # Of equal ones the real come first: one plain network among a hundred of them is one fault.
                entry.role in _HOSTS,
                entry.role != "real",
            ),
        )
        around = _Around()
        for entry in ordered:
            yield from chain.from_iterable(_conflict(outer, entry) for outer in around.concerning(entry))
            around.add(entry)


class _Around:
    """The prefixes around the present place of a walk over all of them, outermost first."""

    def __init__(self) -> None:
        self._known: list[_Entry] = []
        self._real: list[_Entry] = []
        self._real_of: dict[str | None, list[_Entry]] = defaultdict(list)
        self._vpcs: list[_Entry] = []

    def concerning(self, entry: _Entry) -> Iterator[_Entry]:
        """The outermost and the innermost of each sort that the entry must not lie in, and the tunnel."""
        start = int(entry.prefix.network_address)
        for stack in (self._known, self._real, self._real_of[entry.site], self._vpcs):
            while stack and int(stack[-1].prefix.broadcast_address) < start:
                stack.pop()
        found = _ends(self._known)
        # The tunnel has at most one network of a family, so that this finds it at any depth.
        found += [outer for outer in self._known if outer.role == "tunnel"]
        match entry.role:
            case "real":
                found += _ends(self._real_of[entry.site])
            case "endpoint":
                found += next(([outer] for outer in reversed(self._real) if outer.site != entry.site), [])
                found += self._vpcs[-1:]
            case "tunnel" | "network" | "advertised":
                found += _ends(self._real) + _ends(self._vpcs)
        return iter(dict.fromkeys(found))

    def add(self, entry: _Entry) -> None:
        if entry.role == "real":
            self._real.append(entry)
            self._real_of[entry.site].append(entry)
        elif entry.role == "vpc":
            self._vpcs.append(entry)
        elif entry.role not in _HOSTS:
            self._known.append(entry)


def _ends(stack: list[_Entry]) -> list[_Entry]:
    return stack[:1] + stack[-1:]


def _conflict(outer: _Entry, inner: _Entry) -> Iterator[Found]:
    if inner.role in _HOSTS:
        if outer.role == "tunnel":
            yield inner.loc, f"{inner.value} lies in {outer.named}; give one of them another address"
        elif message := _captures(outer, inner):
            yield outer.loc, message
        return
    if "vpc" in (outer.role, inner.role):
        yield from _kept(*((outer, inner) if outer.role == "vpc" else (inner, outer)))
        return
    if outer.loc[:4] == inner.loc[:4]:
        return  # two prefixes of one family in one network are a fault already
    # The fault is that of the one that is easiest to change: an advertised prefix, or else the later one in the file.
    first, second = sorted((outer, inner), key=lambda entry: (entry.role == "advertised", entry.number))
    if second.role == "advertised":
        way_out = _OTHER_PREFIX
    elif first.role == "tunnel":
        way_out = "give one of them another prefix"
    elif first.site == second.site:
        way_out = (
            "a grant to a network holds for all of it, so give the hosts that need other grants a prefix of their own"
            " that does not overlap"
        )
    elif first.role == second.role:
        way_out = "renumber one of them, or give both of them 'advertise_as'"
    else:
        first, second = sorted((outer, inner), key=lambda entry: entry.role == "network")
        way_out = "renumber it, or give it 'advertise_as' as well"
    yield second.loc, f"{second.subject} overlaps {first.named}; {way_out}"


def _kept(vpc: _Entry, other: _Entry) -> Iterator[Found]:
    if other.role == "tunnel":
        yield vpc.loc, f"{vpc.value} overlaps {other.named}; give one of them another prefix"
    elif other.site != vpc.site:
        way_out = _OTHER_PREFIX if other.role == "advertised" else "renumber it, or give it 'advertise_as'"
        yield other.loc, f"{other.subject} overlaps {vpc.named}, a VPC in which packets to it would stay; {way_out}"


def _captures(outer: _Entry, host: _Entry) -> str | None:
    way_out = _OTHER_PREFIX if outer.role == "advertised" else "leave that address out of the network"
    if outer.role in ("real", "vpc"):
        return (
            f"{outer.subject} contains the endpoint {host.named}: {outer.site} would look for it in that network, and"
            f" not outside; {way_out}, or give the site another 'endpoint'"
        )
    if host.role == "endpoint":
        return (
            f"{outer.subject} contains the endpoint {host.named}: its packets would be routed into the tunnel that they"
            f" carry; {way_out}, or give the site another 'endpoint'"
        )
    if outer.role == "network" and host.site == outer.site and is_private(host.prefix):
        return None  # the host's own address in its LAN: who reaches it by SSH is in that LAN as well
    return (
        f"{outer.subject} contains {host.named}: SSH to it would be routed into the tunnel;"
        f" {way_out}, or reach the host at another one"
    )


def _entries(draft: Draft) -> Iterator[_Entry]:
    config = draft.config
    number = 0
    for prefix in config.mesh.tunnel or ():
        yield _Entry("tunnel", ("mesh", "tunnel"), prefix, str(prefix), None)
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
        if (vpc := site.cloud and site.cloud.vpc_range) and not any(
            vpc in (network.cidr or ()) for network in site.networks.values()
        ):
            yield _Entry("vpc", ("sites", name, site.cloud.kind, "vpc_cidr"), vpc, str(vpc), name)
        for label in site.networks:
            loc: Loc = ("sites", name, "networks", label)
            for own, known in own_and_known(draft, name, label):
                number += 1
                if own == known:
                    yield _Entry("network", (*loc, "cidr"), own, str(own), name, number)
                    continue
                value = f"{own}, advertised as {known}" if known else str(own)
                yield _Entry("real", (*loc, "cidr"), own, value, name, number)
                if known:
                    yield _Entry("advertised", (*loc, "advertise_as"), known, value, name, number)


def _host(role: Literal["endpoint", "ssh"], loc: Loc, host: str | None, site: str | None) -> Iterator[_Entry]:
    try:
        prefix = ip_network(ip_address(host or ""))
    except ValueError:
        return  # a name, whose address is not known here
    yield _Entry(role, loc, prefix, str(prefix.network_address), site)
