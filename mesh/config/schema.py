"""The form of the stack config: its keys, their types, defaults and descriptions, as pydantic models.

The models hold what can be said of one value by itself. What needs the whole config, required keys among it, is in
mesh/config/: checks.py, addresses.py, overlaps.py and grants.py, so that one report has everything.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic import model_validator as validates

from mesh.config import credentials, values
from mesh.config.faults import is_sealed
from mesh.model import IPAddress, IPNetwork, Secret

# What a site can be; exactly one of these keys is given.
KINDS = ("colo",)


def _unsealed(value: object) -> object:
    if is_sealed(value):
        raise ValueError("is encrypted as a whole; encrypt only the values in it that are secret")
    return value


def _listed(value: object) -> object:
    """One value or a list of them, as a tuple."""
    if not isinstance(value, list):
        return (value,)
    if not value:
        raise ValueError("is an empty list; leave the key out, or give it a value")
    return tuple(value)


def _items(value: object) -> object:
    return tuple(value) if isinstance(value, list) else _unsealed(value)


def _filled(found: tuple[object, ...]) -> object:
    """What is left of a list without its empty places, which kept the numbers of the others right until now."""
    return tuple(value for value in found if value is not None)


def _or_empty(check: Callable[[object], object]) -> PlainValidator:
    return PlainValidator(lambda value: None if value is None else check(value))


def _secret(check: Any, value: object, info: ValidationInfo) -> Secret:
    found: Secret = check(value, stack_file=bool(info.context and info.context["stack_file"]))
    return found


def _scalar(check: Any, schema: str, **more: object) -> tuple[PlainValidator, WithJsonSchema]:
    return PlainValidator(check), WithJsonSchema({"type": schema, **more})


def _whole(first: int, last: int) -> tuple[PlainValidator, WithJsonSchema]:
    check = partial(values.number, first=first, last=last)
    return PlainValidator(check), WithJsonSchema({"type": "integer", "minimum": first, "maximum": last})


def _many(title: str) -> WithJsonSchema:
    text = {"type": "string"}
    return WithJsonSchema({"title": title, "anyOf": [text, {"type": "array", "items": text, "minItems": 1}]})


def _secret_schema(title: str) -> WithJsonSchema:
    sealed = {"type": "object", "properties": {"secure": {"type": "string"}}, "required": ["secure"]}
    return WithJsonSchema({"title": title, "anyOf": [{"type": "string"}, sealed]})


Flag: TypeAlias = Annotated[bool, *_scalar(values.flag, "boolean")]
Port: TypeAlias = Annotated[int, *_whole(1, 65535)]
Mtu: TypeAlias = Annotated[int, *_whole(576, 9000)]
Keepalive: TypeAlias = Annotated[int, *_whole(0, 65535)]
TunnelInterface: TypeAlias = Annotated[
    str, *_scalar(values.tunnel_interface, "string", title="interface name", maxLength=15)
]
Interface: TypeAlias = Annotated[str, *_scalar(values.interface, "string", title="interface name", maxLength=15)]
User: TypeAlias = Annotated[str, *_scalar(values.user, "string", title="user name")]
Host: TypeAlias = Annotated[str, *_scalar(values.host, "string", title="address or DNS name")]
HostKey: TypeAlias = Annotated[str, *_scalar(credentials.host_key, "string", title="public key")]
EndpointText: TypeAlias = Annotated[values.EndpointText, *_scalar(values.endpoint, "string", title="host:port")]
WireGuardKey: TypeAlias = Annotated[
    Secret, PlainValidator(partial(_secret, credentials.wireguard_key)), _secret_schema("secret")
]
SshKey: TypeAlias = Annotated[Secret, PlainValidator(partial(_secret, credentials.ssh_key)), _secret_schema("secret")]
Prefixes: TypeAlias = Annotated[
    tuple[Annotated[IPNetwork, _or_empty(values.prefix)], ...],
    BeforeValidator(_listed),
    AfterValidator(_filled),
    _many("CIDR, or a list"),
]
Addresses: TypeAlias = Annotated[
    tuple[Annotated[IPAddress, _or_empty(values.address)], ...],
    BeforeValidator(_listed),
    AfterValidator(_filled),
    _many("address, or a list"),
]
Resolvers: TypeAlias = Annotated[
    tuple[Annotated[IPAddress, _or_empty(values.resolver)], ...],
    BeforeValidator(_listed),
    AfterValidator(_filled),
    _many("address, or a list"),
]
# An empty place is a fault that is reported by mesh/config/grants.py.
Selectors: TypeAlias = Annotated[
    tuple[Annotated[str, PlainValidator(partial(values.text, what="a site or site.network"))] | None, ...],
    BeforeValidator(_listed),
    _many("selector, or a list"),
]


class Part(BaseModel):
    """A mapping of the config. A key without a value counts as left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @validates(mode="before")
    @classmethod
    def _without_empty_values(cls, data: object) -> object:
        if data is None:
            return {}
        if isinstance(data, dict):
            _unsealed(data)
            return {key: value for key, value in data.items() if value is not None}
        return data


def required(description: str, default: object = None, **more: Any) -> Any:
    """A field that the checks demand; the model itself does without, so that other faults are still found."""
    return Field(default=default, description=description, json_schema_extra={"required": True}, **more)


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
        description="MTU of the tunnel. 1420 fits a path of 1500; take off what the path lacks (PPPoE: 1412)."
        " With IPv6 anywhere in the mesh at least 1280.",
    )
    persistent_keepalive: Keepalive = Field(
        default=25, description="Seconds between packets that keep mappings of NAT alive; 0 switches them off."
    )


class ProxyPart(Part):
    """A bastion: the SSH connection to a host goes through it."""

    host: Host | None = required("Where the bastion is reached by SSH.")
    port: Port = Field(default=22, description="Its SSH port.")
    user: User = Field(default="root", description="The user to log in as.")
    host_key: HostKey | None = required("Its SSH host key, as for a colo.")
    private_key: SshKey | None = Field(
        default=None, description="SSH key for the bastion. Default: `ssh.private_key`, or else the SSH agent's keys."
    )


class SshPart(Part):
    """Defaults for the SSH connection to every colo."""

    user: User | None = Field(
        default=None,
        description="The user to log in as; other than root it needs sudo without password. Default: `root`.",
    )
    port: Port | None = Field(default=None, description="The SSH port. Default: 22.")
    private_key: SshKey | None = Field(
        default=None,
        description="SSH key, without passphrase. Default: the SSH agent's keys. Set it by `pulumi config set --path"
        " --secret 'wireguard-mesh:ssh.private_key' < FILE`.",
    )
    proxy: ProxyPart | None = Field(default=None, description="A bastion before every colo that names none of its own.")


class ColoPart(Part):
    """A host that exists already and is only configured, over SSH."""

    host: Host | None = required(
        "Where the host is reached by SSH. It may differ from the endpoint's address: a private one behind a bastion."
    )
    host_key: HostKey | None = required(
        "The host's SSH host key, one line of `/etc/ssh/ssh_host_ed25519_key.pub`. Ed25519 and ECDSA are taken; RSA is"
        " refused, since pulumi-command offers no rsa-sha2 for a pinned key."
    )
    user: User | None = Field(default=None, description="The user to log in as. Default: `ssh.user`, or else `root`.")
    port: Port | None = Field(default=None, description="The SSH port. Default: `ssh.port`, or else 22.")
    private_key: SshKey | None = Field(
        default=None, description="SSH key of this host. Default: `ssh.private_key`, or else the SSH agent's keys."
    )
    proxy: ProxyPart | None = Field(
        default=None, description="The bastion before this host. Default: `ssh.proxy`, or else none."
    )


class NetworkPart(Part):
    """A network behind a site's host."""

    cidr: Prefixes | None = required("The network's prefix; or two, IPv4 and IPv6.")
    interface: Interface | None = required("The host's interface that leads to the network.")
    masquerade: Flag = Field(
        default=False,
        description="Let flows from the tunnel appear to come from the host itself. For networks whose hosts have no"
        " route back through this host, as behind libvirt's `virbr0`.",
    )


class SitePart(Part):
    """A site: one host that is an endpoint of the mesh, and the networks behind it."""

    address: Addresses | None = required(
        "The site's own address in the tunnel, one for each network of `mesh.tunnel`. Written, not invented: adding or"
        " removing a site renumbers nobody. Left out, the error names the next free one."
    )
    endpoint: EndpointText | None = Field(
        default=None,
        description="Where the other sites send WireGuard's packets: `host`, `host:port` or `[IPv6]:port`."
        " Default: `colo.host` and the site's `listen_port`.",
    )
    listen_port: Port | None = Field(
        default=None, description="The UDP port on which this site listens. Default: `mesh.listen_port`."
    )
    dns: Resolvers | None = Field(
        default=None,
        description="Resolvers that wg-quick sets on this host while the tunnel is up, in place of all others; the host"
        " needs `resolvconf`. One at another site takes a grant from this site itself, not from its networks.",
    )
    private_key: WireGuardKey | None = Field(
        default=None,
        description="A WireGuard key that the host has already. Default: one is made and kept in the stack's state,"
        " encrypted. Set it by `pulumi config set --path --secret 'wireguard-mesh:sites.NAME.private_key'`.",
    )
    colo: ColoPart | None = required("The site's kind: a host that exists already.")
    networks: Annotated[dict[str, NetworkPart], BeforeValidator(_unsealed)] = Field(
        default={},
        description="The networks behind the host, by name. Nobody reaches them without a grant in `access`.",
    )


class GrantPart(Part):
    """A grant: the hosts in `from` may open flows to those in `to`. Replies pass; nothing else does."""

    source: Selectors | None = required(
        "Who may open flows: `site.network`, or `site` for the host itself.", alias="from"
    )
    destination: Selectors | None = required(
        "To whom: `site.network`, or `site` for the host itself (not the hosts behind it).", alias="to"
    )


class StackPart(Part):
    """The stack config, in the namespace `wireguard-mesh`."""

    mesh: MeshPart = required("What all sites share.", MeshPart())
    ssh: SshPart = Field(default=SshPart(), description="Defaults for the SSH connection to every colo.")
    sites: Annotated[dict[str, SitePart], BeforeValidator(_unsealed)] = required(
        "The sites, by name. A name is a DNS label in lower case.", {}
    )
    access: Annotated[tuple[GrantPart, ...], BeforeValidator(_items)] = Field(
        default=(),
        description="Who may open flows to whom. What no grant names is blocked, in both directions of every tunnel.",
    )
