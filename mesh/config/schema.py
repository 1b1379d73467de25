"""The form of the stack config: its keys, their types, defaults and descriptions, as pydantic models.

The models hold what can be said of one value by itself. What needs the whole config, required keys among it, is in
the other modules of mesh/config/, which checks.py calls, so that one report has everything.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mesh.config.aws import AwsPart
from mesh.config.colo import ColoPart, SshPart
from mesh.config.digitalocean import DigitalOceanPart
from mesh.config.forms import (
    Address,
    Addresses,
    EndpointText,
    Expectation,
    Flag,
    Generation,
    Groups,
    Interface,
    Keepalive,
    Mtu,
    Operators,
    Port,
    Prefixes,
    ProbedService,
    Reapply,
    Resolvers,
    ReturnRoute,
    Selectors,
    Services,
    SiteReference,
    TunnelInterface,
    WireGuardKey,
    Within,
    items,
    unsealed,
)
from mesh.config.parts import CloudPart, Part, required

# What a site can be; exactly one of these keys is given.
CLOUDS = (AwsPart.kind, DigitalOceanPart.kind)
KINDS = ("colo", *CLOUDS)


class MeshPart(Part):
    """What all sites share."""

    tunnel: Prefixes | None = required(
        "The network of the tunnel's own addresses, of which each site has one; or two networks, IPv4 and IPv6."
        " It must overlap no network of a site."
    )
    interface: TunnelInterface = Field(default="wg0", description="The WireGuard interface on every host.")
    listen_port: Port = Field(
        default=51820, description="The UDP port on which every site listens, unless it says otherwise."
    )
    mtu: Mtu = Field(
        default=1420,
        description="MTU of the tunnel at every site that says nothing else. 1420 fits a path of 1500; take off what"
        " the path lacks (PPPoE: 1412). Where there is IPv6 at least 1280.",
    )
    persistent_keepalive: Keepalive = Field(
        default=25, description="Seconds between packets that keep mappings of NAT alive; 0 switches them off."
    )
    confirm_within: Within | None = Field(
        default=None,
        description="Seconds that a host waits for a change to be confirmed, before it goes back by itself. The engine"
        " confirms when all sites have applied. Default: 120, or 3 for each site where that is more.",
    )
    preshared_generation: Generation = Field(
        default=1,
        description="Another number changes all preshared keys, in one `up` and without a lost packet. No site may be"
        " paused then.",
    )


class NetworkPart(Part):
    """A network behind a site's host."""

    cidr: Prefixes | None = required("The network's prefix; or two, IPv4 and IPv6.")
    interface: Interface | None = Field(
        default=None,
        description="The host's interface that leads to the network. At a colo it has to be named. Default: `ens5` on"
        " AWS, `eth1` on DigitalOcean.",
    )
    masquerade: Flag = Field(
        default=False,
        description="Let flows from the tunnel appear to come from the host itself. For networks whose hosts have no"
        " route back through this host, as behind libvirt's `virbr0`. On DigitalOcean, which has no route tables, the"
        " default is `true` where there is no `return_route`.",
    )
    return_route: ReturnRoute | None = Field(
        default=None,
        description="`manual`: the network's hosts send their answers to other sites through this host, because it is"
        " their router, or because their router was given routes through it (the output `SITE.routes` lists them). A"
        " network that others may open flows to has this or `masquerade`. On AWS the route tables do it; on"
        " DigitalOcean the other droplets take the routes of the output `SITE.cloud_init`.",
    )
    advertise_as: Prefixes | None = Field(
        default=None,
        description="The prefix by which all other sites know the network, for a `cidr` that another site has as well."
        " Of the same size: addresses are translated one to one, in both directions. Or two, IPv4 and IPv6.",
    )


class SitePart(Part):
    """A site: one host that is an endpoint of the mesh, and the networks behind it."""

    address: Addresses | None = required(
        "The site's own address in the tunnel, one for each network of `mesh.tunnel`. Written, not invented: adding or"
        " removing a site renumbers nobody. Left out, the error names the next free one."
    )
    colo: ColoPart | None = Field(
        default=None, description="A host that exists already. Every site has one of `colo`, `aws` and `digitalocean`."
    )
    aws: AwsPart | None = Field(default=None, description="An instance on AWS, which is made.")
    digitalocean: DigitalOceanPart | None = Field(default=None, description="A droplet at DigitalOcean, which is made.")
    networks: Annotated[dict[str, NetworkPart], BeforeValidator(unsealed)] = Field(
        default={},
        description="The networks behind the host, by name. Nobody reaches them without a grant in `access`.",
    )
    endpoint: EndpointText | None = Field(
        default=None,
        description="Where the other sites send WireGuard's packets: `host`, `host:port` or `[IPv6]:port`."
        " Default: `colo.host` and the site's `listen_port`."
        " A machine in a cloud has the address that the cloud gives.",
    )
    listen_port: Port | None = Field(
        default=None, description="The UDP port on which this site listens. Default: `mesh.listen_port`."
    )
    mtu: Mtu | None = Field(
        default=None,
        description="MTU of the tunnel at this site, for a path that takes less (or more) than those of the others. A"
        " link has the lower one of its two ends. At least 1280 where the tunnel or a network of the site has IPv6."
        " Default: `mesh.mtu`.",
    )
    dns: Resolvers | None = Field(
        default=None,
        description="Resolvers that wg-quick sets on this host while the tunnel is up, in place of all others; the host"
        " needs `resolvconf`. One at another site takes a grant from this site itself, not from its networks, and is"
        " named by the address that its network is advertised as.",
    )
    private_key: WireGuardKey | None = Field(
        default=None,
        description="A WireGuard key that the host has already. Default: one is made and kept in the stack's state,"
        " encrypted. Set it by `pulumi config set --path --secret 'wireguard-mesh:sites.NAME.private_key'`.",
    )
    key_generation: Generation | None = Field(
        default=None,
        description="Another number gives the site another WireGuard key, in one `up`; the others take it over while"
        " flows go on. None of them may be paused then. Default: 1. Not for a site with a `private_key`.",
    )
    paused: Flag = Field(
        default=False,
        description="`true`: nothing is done on the site's host, whatever changes, and nothing is dialled there; for a"
        " host that is down. Taken out of the config after an `up`, the site is removed without being dialled.",
    )
    reapply: Reapply = Field(
        default=0,
        description="Another number does everything again on the site's host: for one that was emptied, or that"
        " somebody changed by hand.",
    )

    @property
    def cloud(self) -> CloudPart | None:
        """What describes a machine in a cloud; None for a colo, and where the kind is in doubt."""
        found = [part for kind in CLOUDS if (part := getattr(self, kind)) is not None]
        return found[0] if len(found) == 1 and self.colo is None else None

    def interface_of(self, network: NetworkPart) -> str | None:
        """The interface that leads to a network, None where a colo's is missing."""
        return network.interface or (self.cloud.interface if self.cloud else None)

    def masquerades(self, network: NetworkPart) -> bool:
        """Whether a network masquerades: as written, or as its kind does where nothing is said of answers."""
        said = "masquerade" in network.model_fields_set or network.return_route is not None
        return network.masquerade if said or self.cloud is None else self.cloud.masquerades


class GrantPart(Part):
    """A grant: the hosts in `from` may open flows to those in `to`. Replies pass; nothing else does."""

    source: Selectors | None = required("Who may open flows.", alias="from")
    destination: Selectors | None = required(
        "To whom. `site` is the host itself, by every address that it owns, and not the hosts behind it.", alias="to"
    )
    services: Services | None = Field(
        default=None,
        alias="ports",
        description="What may be opened: `tcp/443`, `udp/8000-8100`, `tcp` or `udp` for all of its ports, `icmp`."
        " Default: everything.",
    )


class AssertionPart(Part):
    """What has to hold whatever `access` says. A config that breaks one is refused, with the grant at fault."""

    source: Selectors | None = required("From where.", alias="from")
    destination: Selectors | None = required("To where.", alias="to")
    services: Services | None = Field(
        default=None, alias="ports", description="What it is about, as in a grant. Default: everything."
    )
    expect: Expectation | None = required(
        "`deny`: no host in `from` may open any of it to any in `to`. `allow`: every one may open all of it to every"
        " one. Echo between the hosts themselves passes always, and counts for neither."
    )


class ProbePart(Part):
    """What `meshctl verify` tries besides, after an `up`: hosts behind the sites, which only you know of."""

    source: SiteReference | None = required("The site whose host tries it.", alias="from")
    address: Address | None = required(
        "An address at another site, as this one knows it: in a network there, or its tunnel address. At a host in a"
        " network something has to listen on the port, or to refuse it.",
        alias="to",
    )
    service: ProbedService | None = required("`tcp/443`, one port; or `icmp`, an echo.", alias="port")
    expect: Expectation | None = required(
        "`allow`: it opens, or is refused by the host itself. `deny`: nothing comes back. The grants have to say the"
        " same; a probe that they contradict is a fault."
    )


class StackPart(Part):
    """The stack config, in the namespace `wireguard-mesh`."""

    mesh: MeshPart = required("What all sites share.", MeshPart())
    ssh: SshPart = Field(default=SshPart(), description="Defaults for the SSH connection to every colo.")
    operators: Operators | None = Field(
        default=None,
        description="Where SSH connections to the hosts come from (people, CI), as the hosts see them. Machines in"
        " clouds take SSH from nowhere else, so that a mesh with one of these has it, a public IPv4 prefix included;"
        " `0.0.0.0/0` is taken, and warned of. A config whose grants would cut these off is refused: a host takes no"
        " packet from a network that it is joined to but by the tunnel.",
    )
    sites: Annotated[dict[str, SitePart], BeforeValidator(unsealed)] = required(
        "The sites, by name. A name is a DNS label in lower case.", {}
    )
    groups: Groups = Field(
        default={},
        description="Lists of selectors by a name, which is a selector as well. A group may name other groups.",
    )
    access: Annotated[tuple[GrantPart, ...], BeforeValidator(items)] = Field(
        default=(),
        description="Who may open flows to whom. What no grant names is blocked, in both directions of every tunnel.",
    )
    assertions: Annotated[tuple[AssertionPart, ...], BeforeValidator(items)] = Field(
        default=(), alias="assert", description="What has to hold whatever the grants say."
    )
    probes: Annotated[tuple[ProbePart, ...], BeforeValidator(items)] = Field(
        default=(), description="What `meshctl verify` tries beside the sites' own hosts, of which it knows by itself."
    )
