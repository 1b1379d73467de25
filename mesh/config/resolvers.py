"""Checks of the resolvers that lie behind a tunnel: the host that asks them takes a grant of its own."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mesh.config.advertised import own_and_known
from mesh.config.draft import Draft
from mesh.config.faults import Found
from mesh.config.schema import SitePart
from mesh.config.selectors import Selection
from mesh.model import IPAddress, IPNetwork, Service

_DNS = Service("udp", 53, 53)


def check(draft: Draft, selection: Selection) -> Iterator[Found]:
    """Yields a fault for each resolver in another site that this site's host may not reach, or not by that address.

    wg-quick makes them the host's only resolvers, so that the host would be left without DNS. A grant to its networks
    does not help: the host asks from its tunnel address.
    """
    config = draft.config
    asking = {name: site for name, site in config.sites.items() if site.dns}
    allowed: dict[str, set[str]] = defaultdict(set)
    unsure: set[str] = set()
    for grant in config.access:
        askers = asking.keys() & selection.parties(grant.source or ())
        if not askers or not (grant.services is None or any(each and each.contains(_DNS) for each in grant.services)):
            continue
        selectors = grant.destination or (None,)
        if not selection.sure(selectors):
            unsure |= askers  # a fault already: whether it was meant for the resolver is unknown
        opened = selection.parties(selectors)
        for name in askers:
            allowed[name].update(opened)
    owners: dict[IPAddress, tuple[str, str] | None] = {}
    translated = list(_translated(draft))
    for name, site in asking.items():
        for resolver in dict.fromkeys(site.dns or ()):
            if resolver not in owners:
                owners[resolver] = _owner(draft, resolver)
            owner = owners[resolver]
            messages = list(_misnamed(name, resolver, translated))
            if not messages and owner and name not in unsure:
                messages = list(_unreachable(name, site, resolver, owner, allowed[name]))
            for message in messages:
                yield ("sites", name, "dns"), message


@dataclass(frozen=True, slots=True)
class _Translated:
    """A network of which its own site and the others know different prefixes."""

    site: str
    name: str
    own: IPNetwork
    known: IPNetwork


def _translated(draft: Draft) -> Iterator[_Translated]:
    for site, part in draft.config.sites.items():
        for label in part.networks:
            for own, known in own_and_known(draft, site, label):
                if known is not None and known != own:
                    yield _Translated(site, f"{site}.{label}", own, known)


def _misnamed(name: str, resolver: IPAddress, translated: Sequence[_Translated]) -> Iterator[str]:
    """What is wrong with a resolver that is named by an address by which only others know it.

    One in another site's real prefix is no fault: the same prefix may be in use beside the mesh, at its provider.
    """
    if any(network.site == name and resolver in network.own for network in translated):
        return  # the site's own, whoever else has the same prefix
    for network in translated:
        if network.site == name and resolver in network.known:
            other = _moved(resolver, network.known, network.own)
            yield (
                f"{resolver} is what other sites know an address of {network.name} as, and {name} itself does not; name"
                f" {other}"
            )


def _moved(address: IPAddress, source: IPNetwork, destination: IPNetwork) -> IPAddress:
    return destination[int(address) - int(source.network_address)]


def _owner(draft: Draft, address: IPAddress) -> tuple[str, str] | None:
    """The site that an address belongs to, and the selector: of its network, or of itself for its tunnel address."""
    for name, site in draft.config.sites.items():
        if address in (site.address or ()):
            return name, name
        for label in site.networks:
            if any(known is not None and address in known for _, known in own_and_known(draft, name, label)):
                return name, f"{name}.{label}"
    return None


def _unreachable(
    name: str, site: SitePart, resolver: IPAddress, owner: tuple[str, str], allowed: set[str]
) -> Iterator[str]:
    host, selector = owner
    if host == name:
        return
    where = f"{resolver} is an address of {host}" if selector == host else f"{resolver} lies in {selector}"
    # Whether an address in a network is the site's own or another host's is not written in the config.
    if allowed.isdisjoint(owner):
        way_out = f"grant {{from: {name}, to: {host}, ports: [udp/53, tcp/53]}}"
        if selector != host:
            way_out += f" if it is the address of {host} itself, or else the same to {selector}"
        yield f"{where}, and no grant lets {name} itself reach it; {way_out}"
    elif site.address and all(address.version != resolver.version for address in site.address):
        family = f"IPv{resolver.version}"
        yield f"{where}, and {name} has no {family} address in the tunnel to reach it from; name one of another family"
