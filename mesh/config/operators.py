"""Checks that the tunnels take nobody away who looks after the hosts by SSH."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from mesh.config.advertised import own_and_known
from mesh.config.colo import ColoPart, SshPart
from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, listed
from mesh.config.schema import GrantPart, SitePart
from mesh.config.selectors import Selection, sites_by_version
from mesh.model import IPNetwork, Service

_LOC: Loc = ("operators",)


@dataclass(slots=True)
class _Within:
    """A party whose prefix an operator's overlaps, and the sites that send what goes there into the tunnel.

    `granted` are those sites to which the party may open SSH.
    """

    name: str
    site: str
    version: int
    where: str
    wider: bool
    reaching: set[str] = field(default_factory=set)
    granted: set[str] = field(default_factory=set)


class _Host(NamedTuple):
    """Where SSH reaches a host; `chosen` False where its cloud chooses that."""

    version: int
    address: str
    chosen: bool


def check(draft: Draft, selection: Selection) -> Iterator[Found]:
    """Yields a fault for each party in which operators are, and which may not open SSH to sites that grants join it to.

    Such a site answers through the tunnel, so that SSH passes by a grant to the site itself, or not at all. Nor does it
    pass to an address outside the mesh: the site drops what comes from there beside the tunnel, whatever is granted.
    """
    config = draft.config
    if draft.spoilt("access") or not all(
        selection.sure((*(grant.source or ()), *(grant.destination or ()))) for grant in config.access
    ):
        return  # a fault already: which grant was meant for the operators is unknown
    ssh = {name: _ssh(site, config.ssh) for name, site in config.sites.items()}
    outside = dict(_outside(draft))
    made = {name for name, site in config.sites.items() if site.cloud}  # reached beside the tunnel, and by IPv4 only
    for operators in config.operators or ():
        if operators.prefixlen == 0:
            continue  # who is anywhere is in no place that could be told
        found = list(_within(draft, operators))
        for party in found:
            if party.name == party.site:
                party.reaching = set(config.sites) - {party.site}
        for grant in config.access:
            _follow(grant, selection, ssh, {party.name: party for party in found})
        for party in found:
            beside = {site for site in party.reaching & outside.keys() if outside[site].version == party.version}
            yield from _beside(operators, party, {site: outside[site] for site in sorted(beside)})
            party.reaching -= beside | made
            yield from _missing(operators, party, ssh)
        unknown = draft.spoilt("sites") or any(party.name == party.site for party in found)
        for tunnel in config.mesh.tunnel or ():
            if _overlap(tunnel, operators) and not unknown:
                yield (
                    _LOC,
                    f"{operators} overlaps mesh.tunnel ({tunnel}), where nobody but the sites has an address, and none"
                    " is in both; name the prefix that SSH comes from, as the hosts see it",
                )


def _within(draft: Draft, operators: IPNetwork) -> Iterator[_Within]:
    for name, site in draft.config.sites.items():
        for address in site.address or ():
            if address in operators:
                wider = operators.prefixlen < operators.max_prefixlen
                yield _Within(name, name, address.version, f"{name}'s address in the tunnel, {address}", wider)
        for label in site.networks:
            party = f"{name}.{label}"
            for own, known in own_and_known(draft, name, label):
                if known and _overlap(known, operators):
                    value = f"{own}" if own == known else f"{own}, advertised as {known}"
                    wider = operators.prefixlen < known.prefixlen
                    yield _Within(party, name, known.version, f"{party} ({value})", wider)


def _follow(grant: GrantPart, selection: Selection, ssh: dict[str, Service], found: dict[str, _Within]) -> None:
    """Adds what one grant says of the parties found."""
    sources, destinations = (dict.fromkeys(selection.parties(side or ())) for side in (grant.source, grant.destination))
    opening = [selection.known[name] for name in sources if name in selection.known]
    opened = [selection.known[name] for name in destinations if name in selection.known]
    here = sites_by_version((party.site, party.opens) for party in opening)
    there = sites_by_version((party.site, party.reached) for party in opened)
    for name in found.keys() & sources.keys():
        party = found[name]
        party.reaching |= there[party.version] - {party.site}
        party.granted |= {
            site
            for site in ssh.keys() & destinations.keys()
            if grant.services is None or any(each and each.contains(ssh[site]) for each in grant.services)
        }
    # A grant to a site takes the prefixes of all its networks along: it has an address in each.
    for party in found.values():
        if party.name in destinations or party.site in destinations:
            party.reaching |= here[party.version] - {party.site}


def _outside(draft: Draft) -> Iterator[tuple[str, _Host]]:
    """The sites whose hosts SSH reaches at an address that no tunnel leads to, and those addresses.

    Not those behind a bastion, which is what such a host sees, nor those of which a fault leaves that unknown. A
    machine in a cloud has an IPv4 address that the cloud gives.
    """
    for name, site in draft.config.sites.items():
        if site.cloud and not draft.spoilt("sites", name):
            yield name, _Host(4, f"an address that {site.cloud.cloud} gives", chosen=False)
            continue
        colo = site.colo or ColoPart()
        if colo.proxy or draft.config.ssh.proxy or draft.spoilt("sites", name) or draft.spoilt("ssh"):
            continue
        try:
            address = ip_address(colo.host or "")
        except ValueError:
            continue  # a name, whose address is not known here
        prefixes = [known for label in site.networks for _, known in own_and_known(draft, name, label)]
        if not any(known is None or address in known for known in prefixes):
            yield name, _Host(address.version, str(address), chosen=True)


def _beside(operators: IPNetwork, party: _Within, hosts: dict[str, _Host]) -> Iterator[Found]:
    if hosts:
        named = listed([f"{site} ({host.address})" for site, host in hosts.items()])
        verb = "are" if len(hosts) > 1 else "is"
        instead = "reach the host at an address of a granted network, or "
        yield (
            _LOC,
            f"{operators} overlaps {party.where}: {named} {verb} not reached by the tunnel, and packets from"
            f" {operators} beside it are dropped; {instead if any(host.chosen for host in hosts.values()) else ''}"
            "name the prefix that the host really sees",
        )


def _missing(operators: IPNetwork, party: _Within, ssh: dict[str, Service]) -> Iterator[Found]:
    lacking: dict[Service, list[str]] = defaultdict(list)
    for site in sorted(party.reaching - party.granted):
        lacking[ssh[site]].append(site)
    for service, sites in lacking.items():
        named = listed(sites)
        target = f"[{named}]" if len(sites) > 1 else named
        instead = ", or name narrower prefixes, without that one" if party.wider else ""
        yield (
            _LOC,
            f"{operators} overlaps {party.where}: {named} would answer SSH from there through the tunnel, and no grant"
            f" lets {party.name} open {service} there; grant {{from: {party.name}, to: {target}, ports: {service}}}"
            f"{instead}",
        )


def _ssh(site: SitePart, defaults: SshPart) -> Service:
    port = (site.colo.port if site.colo else None) or defaults.port or 22
    return Service("tcp", port, port)


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.network_address in other or other.network_address in one
