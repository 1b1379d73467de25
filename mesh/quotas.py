"""What clouds take of one site by default: told beforehand where a mesh asks for more, and not halfway by the cloud."""

from collections import Counter
from collections.abc import Iterator

from mesh.cloud import Opening, openings, routes
from mesh.faults import Fault
from mesh.model import Aws, Colo, DigitalOcean, Mesh
from mesh.plan import SitePlan, plan

# Source: "Amazon VPC quotas" in the Amazon VPC user guide, for IPv4 and IPv6 each. Both can be raised; that of routes
# was 50 until June 2025.
_MOST_INBOUND, _MOST_ROUTES = 60, 500
# Source: "Firewalls Limits" in DigitalOcean's documentation: inbound and outbound rules together.
_MOST_RULES = 50
_OUTBOUND = 3  # TCP, UDP and ICMP
_EVERYTHING = {("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", 0, 0)}


def beyond(mesh: Mesh) -> Iterator[Fault]:
    """Yields what is more than the cloud of a site takes, with the place of what describes its machine."""
    if all(isinstance(site.kind, Colo) for site in mesh.sites):
        return
    for name, its in plan(mesh).items():
        if isinstance(its.site.kind, Aws):
            for message in _aws(mesh, its):
                yield Fault(f"sites.{name}.aws", message)
        elif isinstance(its.site.kind, DigitalOcean):
            rules = {rule for opening in openings(mesh, its) for rule in _rules(opening)}
            if (count := len(rules) + _OUTBOUND) > _MOST_RULES:
                yield Fault(
                    f"sites.{name}.digitalocean",
                    f"its firewall has {count} rules, and DigitalOcean takes {_MOST_RULES}; grant its networks fewer,"
                    " wider ranges of ports",
                )


def _aws(mesh: Mesh, its: SitePlan) -> Iterator[str]:
    inbound = Counter(4 if isinstance(each.source, str) else each.source.version for each in openings(mesh, its))
    routed = Counter(route.prefix.version for route in routes(its) if its.site.routed)
    for version in (4, 6):
        if inbound[version] > _MOST_INBOUND:
            yield (
                f"its security group lets IPv{version} in by {inbound[version]} rules, and AWS takes {_MOST_INBOUND} by"
                " default; have the quota 'Inbound or outbound rules per security group' raised, or name fewer, wider"
                " 'operators' and 'ports'"
            )
        if (count := routed[version] + 1) > _MOST_ROUTES:
            yield (
                f"each of its route tables has {count} routes of IPv{version}, the default one included, and AWS takes"
                f" {_MOST_ROUTES} by default; have the quota 'Routes per route table' raised, or grant it fewer, wider"
                " networks"
            )


def _rules(opening: Opening) -> set[tuple[str, int, int]]:
    """The rules of a firewall at DigitalOcean, which has one for all that may use it; other machines have another."""
    if isinstance(opening.source, str):
        return set()
    if opening.protocol is None:
        return _EVERYTHING
    return {(opening.protocol.removesuffix("v6"), opening.first, opening.last)}
