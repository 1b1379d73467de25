"""The lab's world: every site's gateway, hosts behind it, an operator, and an isolated internet between them.

                      operator
                         |
      gw-nyc ------- internet ------- gw-ams        each line is a veth pair; nothing leads to the machine itself
        | virbr0       |   |            | lan
    lan-nyc.virbr0     |  bastion-1   lan-ams.lan
                       |
       the router of a VPC, once an account has one (lab/clouds): gateways and hosts in clouds are linked to it

Each is a network namespace held by a process; all these processes live under one (namespaces.Keeper), so that its end
is the end of every process, network and mount of the lab.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from lab import gateway, links, registry
from lab.clouds.pool import Pool
from lab.clouds.server import Clouds
from lab.clouds.wiring import Surroundings
from lab.namespaces import Keeper, Kind, LabError, Namespace, Process, launch
from lab.topology import Machine, Topology, lay_out, with_gateways
from mesh.model import Mesh, Network, SiteName

_T = TypeVar("_T")
_U = TypeVar("_U")


class World:
    """One lab. As a context manager it is started on entry and stopped on exit, whatever happens between."""

    def __init__(self, mesh: Mesh, identity: str, directory: Path = registry.BASE, *, persistent: bool = False) -> None:
        """Nothing is started yet. `directory` is where all labs of this machine have theirs."""
        self.mesh = mesh
        self.identity = identity
        self.persistent = persistent
        self._laid_out: Topology = lay_out(mesh)
        self._clouds: Clouds | None = None
        self._base = directory
        self._claim: registry.Claim | None = None
        self._keeper: Keeper | None = None
        self._namespaces: dict[str, Namespace] = {}
        self._host_keys: dict[str, str] = {}

    @property
    def path(self) -> Path:
        """The lab's own directory; it is gone with the lab."""
        return self._base / self.identity

    @property
    def topology(self) -> Topology:
        """What is in the lab; for networks in clouds, with the addresses that the gateway has there now."""
        if self._clouds is None:
            return self._laid_out
        return with_gateways(self._laid_out, self._clouds.gateway_addresses)

    @property
    def clouds(self) -> Clouds | None:
        """The clouds, where the mesh has sites in any, while the lab runs."""
        return self._clouds

    def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Ends the labs of killed owners, then builds this one. `progress` gets a sentence for each step.

        A persistent lab stays when this process ends. Any other is ended by `stop`; if this process is killed, it ends
        at once, and the next start removes its files. Whatever goes wrong, an interrupt included, nothing is left.
        Raises LabError.
        """
        if os.geteuid() != 0:
            raise LabError("the lab makes network namespaces and mounts, and only root may do that")
        self._claim = registry.create(self._base, self.identity)
        try:
            self._build(self._claim, progress)
        except BaseException:
            self.stop()
            raise

    def _build(self, claim: registry.Claim, progress: Callable[[str], None]) -> None:
        self._keeper = keeper = Keeper(self.identity)
        claim.record(keeper.processes)
        keys = self._make_keys()
        topology = self.topology
        kinds: dict[str, tuple[Kind, str]] = {
            "internet": ("internet", "internet"),
            "operator": ("operator", "operator"),
        }
        kinds |= {machine.role: ("gateway", machine.hostname) for machine in topology.machines}
        kinds |= {host.role: ("host", host.hostname) for host in topology.hosts}
        progress(_counted(topology))

        def make(role: str) -> Namespace:
            kind, hostname = kinds[role]
            return launch(keeper.processes[0], self.path, role, kind, hostname)

        self._namespaces = dict(zip(kinds, _each(make, kinds), strict=True))
        pids = {role: namespace.pid for role, namespace in self._namespaces.items()}
        holders = {role: (space.holder.pid, space.holder.started) for role, space in self._namespaces.items()}
        (self.path / "namespaces.json").write_text(json.dumps(holders))
        progress("links, addresses and routes")
        self.internet.ip([*links.internet(topology, pids)])
        self.operator.ip([*links.uplink("eth0", topology.operator)])
        _each(lambda machine: self._wire(machine, pids), topology.machines)
        wired = [host for host in topology.hosts if not host.in_cloud]
        _each(lambda host: self._namespaces[host.role].ip([*links.lan_host(host)]), wired)
        progress("names, users and SSH servers")
        gateway.resolve_names(self.operator, "operator", topology.names)
        _each(lambda machine: self._serve(machine, keys[machine.role]), topology.machines)
        self._open_clouds(keeper.processes[0])
        if self.persistent:
            (self.path / "topology").write_text(topology.digest)
            keeper.stay()
            claim.keep()

    def _open_clouds(self, keeper: Process) -> None:
        topology = self._laid_out
        if topology.clouds:
            hosts = tuple((host, self._namespaces[host.role]) for host in topology.hosts if host.in_cloud)
            around = Surroundings(self.path, keeper, self.internet, topology.clouds, hosts, topology.names)
            self._clouds = Clouds(around, {cloud: Pool(network) for cloud, network in topology.pools.items()})

    def _make_keys(self) -> dict[str, gateway.KeyPair]:
        operator = gateway.new_key_pair()
        (self.path / "operator_key").touch(mode=0o600)
        (self.path / "operator_key").write_text(operator.private)
        (self.path / "operator_key.pub").write_text(f"{operator.public}\n")
        keys = {machine.role: gateway.new_key_pair() for machine in self.topology.machines}
        self._host_keys = {role: key.public for role, key in keys.items()}
        (self.path / "host_keys.json").write_text(json.dumps(self._host_keys))
        return keys

    def _wire(self, machine: Machine, pids: Mapping[str, int]) -> None:
        hosts = tuple(host for host in self.topology.hosts if host.gateway == machine.role)
        commands = [*links.uplink(machine.uplink, machine.addresses), *links.bridges(machine, hosts, pids)]
        self._namespaces[machine.role].ip(commands)

    def _serve(self, machine: Machine, host_key: gateway.KeyPair) -> None:
        namespace = self._namespaces[machine.role]
        gateway.resolve_names(namespace, machine.hostname, self.topology.names)
        # Root as well, as hosts have it where another user is to log in from some day on.
        authorized = {user: [self.operator_public_key] for user in ("root", *machine.users)}
        gateway.start_sshd(namespace, machine.ports, authorized, host_key.private)

    def new_host_key(self, site: SiteName | str) -> None:
        """Gives a site's machine another SSH host key, as a reinstallation would; sshd starts anew with it."""
        key = gateway.new_key_pair()
        self._host_keys[f"gw-{site}"] = key.public
        gateway.replace_host_key(self.host(site), key.private)

    @classmethod
    def attach(cls, mesh: Mesh, identity: str, directory: Path = registry.BASE) -> Self | None:
        """A persistent lab that is there already, or None. Until `release`, nobody else can use or stop it.

        `fits` says whether it is the world of this mesh. Raises InUseError where another process has it.
        """
        claim = registry.join(directory, identity)
        if claim is None:
            return None
        world = cls(mesh, identity, directory, persistent=True)
        world._claim = claim
        try:
            if world.fits:
                world._take_up()
        except BaseException:
            world.release()
            raise
        return world

    def _take_up(self) -> None:
        told: dict[str, tuple[int, int]] = json.loads((self.path / "namespaces.json").read_text())
        private = {"operator"} | {role for role in told if role.startswith(("gw-", "bastion-"))}
        self._namespaces = {role: Namespace(role, Process(*holder), role in private) for role, holder in told.items()}
        self._host_keys = json.loads((self.path / "host_keys.json").read_text())
        self._open_clouds(registry.keeper(self.path))

    @property
    def fits(self) -> bool:
        """False where a lab that was attached was built for other sites, networks or addresses, or kept otherwise.

        It can be stopped then, and nothing else.
        """
        digest = self.path / "topology"
        return digest.exists() and digest.read_text() == self._laid_out.digest

    def release(self) -> None:
        """Lets go of a persistent lab, which stays. A machine that still boots does so anew when it is attached."""
        self._close_clouds()
        if self._claim:
            self._claim.release()
            self._claim = None
        if self._keeper:
            self._keeper.close()
            self._keeper = None

    def stop(self) -> None:
        """Ends the lab: no namespace, process, mount or file of it is left. Does nothing where it is ended already.

        Raises LabError where another process uses the same lab.
        """
        if self._claim is None:
            return
        self._close_clouds()
        self._claim.end()
        self._claim = None
        if self._keeper:
            self._keeper.close()
            self._keeper.wait()
            self._keeper = None
        self._namespaces = {}

    def _close_clouds(self) -> None:
        """From here on nothing of this process works on the lab's machines or files."""
        if self._clouds:
            self._clouds.close()
            self._clouds = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def host(self, site: SiteName | str) -> Namespace:
        """A site's gateway; in a cloud, the present one. Raises KeyError where there is no such site.

        Raises LabError where the site's cloud has no gateway for it now.
        """
        if self._clouds and any(cloud.site == site for cloud in self._laid_out.clouds):
            return self._clouds.gateway(site)
        return self._namespaces[f"gw-{site}"]

    def lan(self, network: Network | str) -> Namespace:
        """The host in a network, by the network or its full name `site.network`. Raises KeyError."""
        return self._namespaces[f"lan-{network}"]

    @property
    def operator(self) -> Namespace:
        """Where the engine runs: its own network, names and processes; all other files are the machine's."""
        return self._namespaces["operator"]

    @property
    def internet(self) -> Namespace:
        """The router between all machines with a public address, and the operator."""
        return self._namespaces["internet"]

    def operator_command(self, argv: Sequence[str], directory: Path | None = None) -> list[str]:
        """The command line that runs `argv` as the operator in `directory` (default: the current one).

        Streams and environment are the caller's. What it starts ends with the lab at the latest.
        """
        return self.operator.command(["env", f"--chdir={directory or Path.cwd()}", *argv])

    @property
    def operator_key_path(self) -> Path:
        """The private SSH key that opens every machine of the lab, in OpenSSH's format."""
        return self.path / "operator_key"

    @property
    def operator_public_key(self) -> str:
        """The public part of the operator's key, one line."""
        return (self.path / "operator_key.pub").read_text().strip()

    def host_keys(self) -> dict[str, str]:
        """For each host in the config, gateway or bastion, the public host key that its machine has in the lab."""
        return {host: self._host_keys[role] for host, role in self.topology.access.items()}


def _each(verb: Callable[[_T], _U], items: Iterable[_T]) -> list[_U]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(verb, items))


def _counted(topology: Topology) -> str:
    bastions = sum(machine.site is None for machine in topology.machines)
    counts = [("gateway", len(topology.machines) - bastions), ("bastion", bastions), ("host", len(topology.hosts))]
    counts.append(("cloud site", len(topology.clouds)))
    return ", ".join(f"{number} {what}{'s' * (number != 1)}" for what, number in counts if number) + " and an operator"
