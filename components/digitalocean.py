"""A site on DigitalOcean: a droplet, its firewalls, and an address that outlives it where that is wanted."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import pulumi
from pulumi_digitalocean._inputs import FirewallInboundRuleArgs, FirewallOutboundRuleArgs
from pulumi_digitalocean.droplet import Droplet
from pulumi_digitalocean.firewall import Firewall
from pulumi_digitalocean.provider import Provider
from pulumi_digitalocean.reserved_ip import ReservedIp
from pulumi_digitalocean.reserved_ip_assignment import ReservedIpAssignment
from pulumi_digitalocean.ssh_key import SshKey
from pulumi_digitalocean.tag import Tag
from pulumi_digitalocean.vpc import Vpc

from components.firstcontact import FirstContact
from components.site import Ground, Machine
from mesh import cloud, cloudinit, sshkeys
from mesh.model import DigitalOcean, Image, NewVpc, SiteName
from mesh.plan import SitePlan

_IMAGES: Mapping[Image, str] = {"debian-12": "debian-12-x64", "ubuntu-24.04": "ubuntu-24-04-x64"}
_ANYWHERE = ["0.0.0.0/0", "::/0"]
_PORTS = "1-65535"


class DigitalOceanSite(pulumi.ComponentResource):
    """The machine of a site on DigitalOcean (`components.site.Machine`).

    A firewall counts for every droplet with the site's tag: it is there before the droplet.
    Peers send to the reserved address, if there is one; the droplet sends from its own in any case.
    """

    def __init__(self, plan: SitePlan, ground: Ground) -> None:
        site, ocean = plan.site, plan.site.kind
        if not isinstance(ocean, DigitalOcean):
            raise TypeError(f"{site} is not on DigitalOcean")
        super().__init__(
            "wireguard-mesh:index:DigitalOceanSite", site.name, None, pulumi.ResourceOptions(parent=ground.parent)
        )
        # Names and tags of DigitalOcean's have fewer characters than those of stacks. No site has a dot in its name, so
        # that this is no other one's.
        self._name, self._plan = f"{pulumi.get_stack()}.{site}".replace("_", "-"), plan
        tag = f"wireguard-mesh:{pulumi.get_stack().replace('.', ':')}:{site}"
        openings = cloud.openings(ground.mesh, plan)
        self._from_sites = [(opening, opening.source) for opening in openings if isinstance(opening.source, str)]
        provider = Provider(
            f"{site}-digitalocean",
            token=None if ocean.token is None else ocean.token.reveal(),  # the SDK makes a secret of it
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._options = partial(pulumi.ResourceOptions, parent=self, provider=provider)
        self._tag = Tag(f"{site}-tag", name=tag, opts=self._options())
        firewall = Firewall(
            f"{site}-firewall",
            name=self._name,
            tags=[self._tag.name],
            inbound_rules=_inbound(
                (opening, [str(opening.source)]) for opening in openings if not isinstance(opening.source, str)
            ),
            outbound_rules=[
                FirewallOutboundRuleArgs(protocol="tcp", port_range=_PORTS, destination_addresses=_ANYWHERE),
                FirewallOutboundRuleArgs(protocol="udp", port_range=_PORTS, destination_addresses=_ANYWHERE),
                FirewallOutboundRuleArgs(protocol="icmp", destination_addresses=_ANYWHERE),
            ],
            opts=self._options(),
        )
        first = FirstContact(site.name, ground.operator_key(), self, root=True)
        droplet = self._droplet(ocean, first, firewall)
        address: pulumi.Output[str] = droplet.ipv4_address
        self._needed: list[pulumi.Resource] = [firewall]
        if ocean.reserved_address:
            address = self._reserved(ocean, droplet)

        self.connection, self.first_connection = first.connections(address, "root")
        self.machine_id: pulumi.Input[str] = droplet.id
        # Another size turns the droplet off, and on again.
        self.boot: pulumi.Input[str] = pulumi.Output.concat(droplet.id, " ", droplet.size)
        self.address: pulumi.Input[str] = address
        self.sends_from: Sequence[pulumi.Input[str]] = (droplet.ipv4_address,)
        self.gone_with: pulumi.Resource | None = droplet
        self.shows: Mapping[str, pulumi.Output[str]] = {
            "address": address,
            "host_key": first.shown_host_key,
            **_cloud_init(plan, droplet),
        }
        self.register_outputs({})

    def join(self, others: Mapping[SiteName, Machine]) -> Sequence[pulumi.Resource]:
        """A second firewall, which adds what is open to the machines of other clouds.

        The first one cannot have it: theirs have this droplet's address in turn.
        """
        if not self._from_sites:
            return self._needed
        more = Firewall(
            f"{self._plan.site}-firewall-peers",
            name=f"{self._name}.peers",
            tags=[self._tag.name],
            inbound_rules=_inbound((opening, others[source].sends_from) for opening, source in self._from_sites),
            opts=self._options(),
        )
        return [*self._needed, more]

    def route(self, reached: Mapping[SiteName, pulumi.Resource]) -> None:
        """Nothing: DigitalOcean has no route tables. Its other droplets do what the output `cloud_init` says."""

    def _droplet(self, ocean: DigitalOcean, first: FirstContact, firewall: Firewall) -> Droplet:
        site = self._plan.site.name
        # Without any key DigitalOcean makes up a password for root, and mails it. Nobody has the private half of this
        # one: the operator's key comes by cloud-init, and may well be in the account already, which takes it only once.
        login = SshKey(
            f"{site}-login",
            name=self._name,
            public_key=sshkeys.public_key(sshkeys.generate()),
            opts=self._options(ignore_changes=["public_key"]),
        )
        return Droplet(
            f"{site}-gateway",
            # It becomes the hostname, which ends at the first dot, and with one DigitalOcean makes a PTR record of it.
            # Droplets may share a name.
            name=self._name.replace(".", "-"),
            region=ocean.region,
            size=ocean.size,
            image=_IMAGES[ocean.image],
            vpc_uuid=self._vpc(ocean),
            resize_disk=False,
            droplet_agent=False,
            ssh_keys=[login.id],
            user_data=first.user_data,
            tags=[self._tag.name, *ocean.tags],
            opts=self._options(
                # Two machines with one WireGuard key would take the peers from each other.
                delete_before_replace=True,
                depends_on=[firewall],
                replacement_trigger=ocean.generation,
                ignore_changes=["image", "user_data", "ssh_keys"],
                additional_secret_outputs=["user_data"],
                hooks=first.waiting,
            ),
        )

    def _vpc(self, ocean: DigitalOcean) -> pulumi.Input[str]:
        if not isinstance(ocean.vpc, NewVpc):
            return ocean.vpc
        cidr = str(ocean.vpc.cidr)
        return Vpc(
            f"{self._plan.site}-vpc",
            # All that replaces it is in its name, which is taken for as long as it is there: the new one is made first,
            # and where DigitalOcean refuses that, or will not let go of the old one, the gateway has lost nothing.
            name=f"{self._name}.{cidr.replace('/', '-')}.{ocean.region}",
            region=ocean.region,
            ip_range=cidr,
            opts=self._options(),
        ).id

    def _reserved(self, ocean: DigitalOcean, droplet: Droplet) -> pulumi.Output[str]:
        site = self._plan.site.name
        reserved = ReservedIp(f"{site}-address", region=ocean.region, opts=self._options())
        assigned = ReservedIpAssignment(
            f"{site}-address-of-gateway",
            ip_address=reserved.ip_address,
            droplet_id=droplet.id.apply(int),
            opts=self._options(),
        )
        self._needed.append(assigned)
        return reserved.ip_address


def _inbound(
    openings: Iterable[tuple[cloud.Opening, Sequence[pulumi.Input[str]]]],
) -> list[FirewallInboundRuleArgs]:
    """One rule for each protocol and range of ports, with all that may use it: a firewall has 50 rules at most."""
    grouped: dict[tuple[str, str | None], list[pulumi.Input[str]]] = {}
    for opening, sources in openings:
        for rule in _rules(opening):
            grouped.setdefault(rule, []).extend(sources)
    return [
        FirewallInboundRuleArgs(protocol=protocol, port_range=ports, source_addresses=sources)
        for (protocol, ports), sources in grouped.items()
    ]


def _rules(opening: cloud.Opening) -> tuple[tuple[str, str | None], ...]:
    match opening.protocol:
        case None:
            return ("tcp", _PORTS), ("udp", _PORTS), ("icmp", None)
        case "icmp" | "icmpv6":
            return (("icmp", None),)
        case protocol:
            first = max(opening.first, 1)
            return ((protocol, f"{first}-{opening.last}" if opening.last > first else str(first)),)


def _cloud_init(plan: SitePlan, droplet: Droplet) -> dict[str, pulumi.Output[str]]:
    """What the VPC's other droplets are told at their first boot, where they have anything to send to the gateway."""
    prefixes = tuple(route.prefix for route in cloud.routes(plan))
    if not prefixes:
        return {}
    return {"cloud_init": droplet.ipv4_address_private.apply(partial(cloudinit.routes, prefixes))}
