"""The form of a colo in the stack config: a host that exists already, and the SSH connection to it."""

from pydantic import Field

from mesh.config.forms import Addresses, Flag, Host, HostKey, Port, SshKey, User
from mesh.config.parts import Part, required


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
        description="SSH key, without passphrase, which also opens the machines in clouds. Default: the SSH agent's"
        " keys; machines in clouds take one that is made, and kept in the stack's state, encrypted. Each of these knows"
        " the key that it was made with: whoever changes, adds or removes it raises the `generation` of every site in"
        " a cloud in the same change. Set it by"
        " `pulumi config set --path --secret 'wireguard-mesh:ssh.private_key' < FILE`.",
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
    sends_from: Addresses | None = Field(
        default=None,
        description="The addresses that the host's packets come from, as others see them; machines in clouds let in"
        " WireGuard's packets from these only, so that where there are some, these are public. Default: the endpoint's,"
        " where that is a public IPv4 address; otherwise all machines in clouds let them in from anywhere.",
    )
    adopt: Flag = Field(
        default=False,
        description="Take over an interface of the mesh's name that was set up on this host by hand, with wg-quick, in"
        " place of refusing the host. Give the site the `private_key` and `listen_port` that the interface has. Once it"
        " is taken over, this says nothing any more.",
    )
