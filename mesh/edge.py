"""What the network around a gateway has to know: the routes that lead to it, and the flows that its hosts open by it.

For a cloud's route tables and firewall, and for the routers of networks whose return routes are kept by hand.
"""

from dataclasses import dataclass

from mesh.model import IPNetwork, Network
from mesh.plan import Flow, SitePlan


@dataclass(frozen=True, slots=True)
class Edge:
    """Of one network: `routes` are the other sites' prefixes that its hosts have to send to the gateway.

    `opens` are the flows that its hosts may open through the tunnel, in the order of the rules.
    """

    network: Network
    routes: tuple[IPNetwork, ...]
    opens: tuple[Flow, ...]


def edges(plan: SitePlan) -> tuple[Edge, ...]:
    """The edge of each network of a site, in the site's order.

    A network with masquerade needs no routes for the flows that come to it: to its hosts, they come from the gateway.
    """
    return tuple(_edge(plan, network) for network in plan.site.networks)


def _edge(plan: SitePlan, network: Network) -> Edge:
    opens = tuple(flow for flow in plan.firewall.forward if flow.opener == str(network))
    opened = (flow for flow in plan.firewall.forward if flow.opened == str(network) and not network.masquerade)
    prefixes = {*(flow.destination for flow in opens), *(flow.source for flow in opened)}
    order = sorted(prefixes, key=lambda prefix: (prefix.version, int(prefix.network_address), prefix.prefixlen))
    return Edge(network, tuple(order), opens)
