"""What the config takes for granted in the accounts: the VPCs that are there already, around the sites' networks."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from lab.clouds.aws import AwsAccount
from lab.clouds.digitalocean import DigitalOceanAccount
from lab.namespaces import LabError
from lab.topology import CloudSite, LanHost
from mesh.model import ExistingVpc, IPAddress, IPNetwork

# A VPC without a network of the mesh has what the clouds' default ones have.
_AWS = IPv4Network("172.31.0.0/16")
_DIGITAL_OCEAN = IPv4Network("10.108.0.0/20")
_SMALLEST = 28  # the longest prefix of a VPC, in both clouds


def seed_aws(account: AwsAccount, sites: Iterable[CloudSite], hosts: Sequence[LanHost]) -> None:
    """Puts the existing VPCs of these sites there, with the subnets and route tables that they name.

    Nobody gets an address of `hosts`. Raises LabError where two sites name different subnets of one VPC, since the
    config does not say which of them is what.
    """
    sharing: dict[tuple[str, str], dict[CloudSite, ExistingVpc]] = {}
    for site in sites:
        if isinstance(site.kind.vpc, ExistingVpc):
            sharing.setdefault((site.kind.region, site.kind.vpc.id), {})[site] = site.kind.vpc
    for (region, identity), named in sharing.items():
        subnets = sorted({vpc.subnet for vpc in named.values()})
        if len(subnets) > 1:
            raise LabError(
                f"the lab has one subnet for gateways in {identity}, and cannot have {' and '.join(subnets)}"
            )
        cidrs = _blocks(named)
        if not any(cidr.version == 4 for cidr in cidrs):
            cidrs.insert(0, _AWS)
        tables = list(dict.fromkeys(table for vpc in named.values() for table in vpc.route_tables))
        account.seed(region, identity, cidrs, subnets[0], tables=tables, reserved=_taken(named, hosts))


def seed_digital_ocean(account: DigitalOceanAccount, sites: Iterable[CloudSite], hosts: Sequence[LanHost]) -> None:
    """Puts the existing VPCs of these sites there, each as large as their networks need; `hosts` as above."""
    sharing: dict[tuple[str, str], list[CloudSite]] = {}
    for site in sites:
        if isinstance(site.kind.vpc, str):
            sharing.setdefault((site.kind.region, site.kind.vpc), []).append(site)
    for (region, identity), named in sharing.items():
        around = [cidr for cidr in _blocks(named) if isinstance(cidr, IPv4Network)] or [_DIGITAL_OCEAN]
        whole = around[0]
        while not all(cidr.subnet_of(whole) for cidr in around):
            whole = whole.supernet()
        account.seed(identity, str(whole), region, [str(address) for address in _taken(named, hosts)])


def _blocks(sites: Iterable[CloudSite]) -> list[IPNetwork]:
    """The networks' prefixes, none inside another; of one that is too small for a VPC, what is around it."""
    found: dict[IPNetwork, None] = {}
    for cidr in (cidr for site in sites for network in site.networks for cidr in network.cidrs):
        small = isinstance(cidr, IPv4Network) and cidr.prefixlen > _SMALLEST
        found[cidr.supernet(new_prefix=_SMALLEST) if small else cidr] = None
    return [cidr for cidr in found if not any(_contains(other, cidr) for other in found)]


def _contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    return outer != inner and outer.version == inner.version and inner.network_address in outer


def _taken(sites: Iterable[CloudSite], hosts: Iterable[LanHost]) -> list[IPAddress]:
    names = {str(network) for site in sites for network in site.networks}
    return [address.ip for host in hosts if host.network in names for address in host.addresses]
