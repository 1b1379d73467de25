"""Checks of the tunnel's networks and of the sites' own addresses in them."""

from collections.abc import Iterator

from mesh.config.draft import Draft
from mesh.config.faults import Found, place
from mesh.model import IPAddress, IPNetwork


class _Plan:
    """Which address belongs to whom, and which is the next free one. One is never offered twice."""

    def __init__(self, tunnel: tuple[IPNetwork, ...], taken: set[IPAddress]) -> None:
        self._tunnel = tunnel
        self._taken = taken
        self._free = {network: _usable(network) for network in tunnel}

    def network_of(self, address: IPAddress) -> IPNetwork | None:
        return next((net for net in self._tunnel if net.version == address.version and address in net), None)

    def way_out(self, network: IPNetwork) -> str:
        free = next((a for a in self._free[network] if a not in self._taken), None)
        return f"the next free address is {free}" if free else f"{network} is full; give mesh.tunnel a larger network"


def check(draft: Draft) -> Iterator[Found]:
    """Yields the faults of `mesh.tunnel` and of every site's `address`."""
    if draft.misses("mesh", "tunnel"):
        yield ("mesh", "tunnel"), "is missing; give the network of the tunnel's own addresses, for example 10.99.0.0/24"
    tunnel = draft.config.mesh.tunnel or ()
    if len({network.version for network in tunnel}) < len(tunnel):
        listed = ", ".join(str(network) for network in tunnel)
        yield ("mesh", "tunnel"), f"{listed}: at most one network of each family, IPv4 and IPv6"
    elif tunnel:
        yield from _check_sites(draft, tunnel)


def _check_sites(draft: Draft, tunnel: tuple[IPNetwork, ...]) -> Iterator[Found]:
    sites = draft.config.sites
    plan = _Plan(tunnel, {address for site in sites.values() for address in site.address or ()})
    owners: dict[IPAddress, str] = {}
    for name, site in sites.items():
        loc = ("sites", name, "address")
        covered: dict[IPNetwork, IPAddress] = {}
        displaced: set[int] = set()
        for address in site.address or ():
            network = plan.network_of(address)
            if network is None:
                displaced.add(address.version)
                candidates = [net for net in tunnel if net.version == address.version] or list(tunnel)
                listed = ", ".join(str(net) for net in tunnel)
                yield loc, f"{address} lies outside mesh.tunnel ({listed}); {plan.way_out(candidates[0])}"
            elif network in covered:
                yield loc, f"{covered[network]} and {address} are both in {network}; one address for each network"
            elif reason := _unusable(address, network):
                yield loc, f"{address} is {reason} of {network}; {plan.way_out(network)}"
            elif address in owners:
                yield loc, f"{address} is taken by {place(('sites', owners[address]))}; {plan.way_out(network)}"
            if network is not None:
                covered[network] = address
                owners.setdefault(address, name)
        if draft.spoilt(*loc):
            continue  # one of its addresses could not be read: which are missing is unknown
        for network in tunnel:
            if network not in covered and network.version not in displaced:
                if draft.misses(*loc):
                    yield loc, f"is missing; {plan.way_out(network)}"
                elif site.address is not None:
                    yield loc, f"there is no address in {network}; {plan.way_out(network)}"


def _usable(network: IPNetwork) -> Iterator[IPAddress]:
    """Addresses that a site may have, in ascending order; lazily, since an IPv6 network has 2**64 of them."""
    first, last = int(network.network_address), int(network.broadcast_address)
    for number in range(first, last + 1):
        address = type(network.network_address)(number)
        if _unusable(address, network) is None:
            yield address


def _unusable(address: IPAddress, network: IPNetwork) -> str | None:
    """Why no site may have this address: RFC 1122, 3.2.1.3; RFC 3021; RFC 4291, 2.6.1; RFC 6164."""
    if network.max_prefixlen - network.prefixlen < 2:
        return None
    if address == network.network_address:
        return "the network's address" if network.version == 4 else "the routers' anycast address"
    return "the broadcast address" if network.version == 4 and address == network.broadcast_address else None
