"""Puts in place what the accounts declare: a router for each VPC, machines, links, and every change by difference."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.clouds import placing, routers, state
from lab.clouds.boot import boot
from lab.clouds.model import CloudMachine, Link, Vpc
from lab.clouds.placing import End
from lab.namespaces import LabError, Namespace, Process, launch
from lab.topology import CloudSite, LanHost
from mesh.model import IPAddress, SiteName

# A machine in a cloud takes a while until it is on its network at all.
_BOOT_SECONDS = 0.5
_SECONDS_FOR_BOOTS = 60.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the lab a fabric is tied to: its directory and keeper, the internet, and the hosts in cloud networks.

    `hosts` pairs each host with its namespace; `names` are the config's DNS names.
    """

    directory: Path
    keeper: Process
    internet: Namespace
    sites: tuple[CloudSite, ...]
    hosts: tuple[tuple[LanHost, Namespace], ...]
    names: Mapping[str, IPAddress]


class Fabric:
    """The network of all VPCs. One thread at a time changes it; machines boot in threads of their own."""

    def __init__(self, around: Surroundings, log: Callable[[str], None]) -> None:
        """Takes up what is in place in this lab already. `log` gets a sentence for each machine that does not boot."""
        self._around = around
        self._log = log
        self._path = around.directory / "fabric.json"
        self._state = state.load(self._path)
        self._wanted: tuple[Vpc, ...] = ()
        self._lock = threading.RLock()
        self._boots: list[threading.Thread] = []

    def apply(self, vpcs: Sequence[Vpc]) -> None:
        """Makes the network what the accounts declare now; what is the same already is left alone, flows included.

        Machines that are new begin to boot. Raises LabError where the lab cannot follow; then nothing was changed, or
        the next call finishes it.
        """
        with self._lock:
            self._wanted = tuple(vpcs)
            self._reconcile()
            for machine in _machines(self._wanted):
                if machine.id not in self._state.machines and not self._booting(machine.id):
                    thread = threading.Thread(target=self._boot, args=(machine,), name=machine.id, daemon=True)
                    self._boots = [each for each in self._boots if each.is_alive()] + [thread]
                    thread.start()

    def resume(self, vpcs: Sequence[Vpc]) -> None:
        """Like `apply`, after another process: a machine whose boot was cut short boots anew."""
        with self._lock:
            for name, machine in list(self._state.machines.items()):
                if not machine.booted:
                    self._end_machine(name)
            self.apply(vpcs)

    def settle(self) -> None:
        """Waits until every machine has booted, or has failed to."""
        end = time.monotonic() + _SECONDS_FOR_BOOTS
        for thread in list(self._boots):
            thread.join(max(0.0, end - time.monotonic()))

    def gateway(self, site: SiteName | str) -> Namespace:
        """The namespace of a site's present gateway. Raises LabError where there is none."""
        with self._lock:
            found = [each for each in _machines(self._wanted) if each.site == site and each.id in self._state.machines]
            if not found:
                raise LabError(f"{site} has no gateway in its cloud now")
            return self._state.machines[found[-1].id].place.namespace

    def router(self, vpc: str) -> Namespace:
        """The namespace of a VPC's router. Raises KeyError where there is none."""
        return self._state.routers[vpc].place.namespace

    def gateway_links(self, site: SiteName | str) -> tuple[Link, ...]:
        """The links of a site's present gateway into its VPC; none where there is no gateway."""
        with self._lock:
            found = [(vpc, each) for vpc in self._wanted for each in vpc.machines if each.site == site]
            return tuple(link for vpc, each in found[-1:] for link in each.links if routers.inside(vpc, link))

    def _reconcile(self) -> None:
        around, there = self._around, self._state
        there.vpcs = placing.vpcs_of_sites(self._wanted, around.sites, there.vpcs)
        try:
            for name in there.machines.keys() - {machine.id for machine in _machines(self._wanted)}:
                self._end_machine(name)
            for name in there.routers.keys() - {vpc.id for vpc in self._wanted}:
                self._end_router(name)
            for vpc in self._wanted:
                self._bring_up(vpc, dict(self._ends(vpc)))
        finally:
            there.save(self._path)

    def _ends(self, vpc: Vpc) -> Iterator[tuple[str, tuple[End, Namespace, CloudMachine | None]]]:
        """The links that a VPC's router has to have: those of machines that are there, and of hosts in its networks."""
        for machine in vpc.machines:
            present = self._state.machines.get(machine.id)
            if present:
                for link in machine.links:
                    end = End(machine.id, link, default=link.internet)
                    yield f"{machine.id}/{link.interface}", (end, present.place.namespace, machine)
        sites = {site for site, name in self._state.vpcs.items() if name == vpc.id}
        for host, namespace in self._around.hosts:
            lies = placing.host_end(vpc, host) if host.network.partition(".")[0] in sites else None
            if lies:
                yield host.role, (lies, namespace, None)

    def _bring_up(self, vpc: Vpc, ends: Mapping[str, tuple[End, Namespace, CloudMachine | None]]) -> None:
        there = self._state
        forms = {key: _form(vpc, end, namespace) for key, (end, namespace, _) in ends.items()}
        router = there.routers.get(vpc.id)
        known = router.ports if router else {}
        kept = {key: port for key, port in known.items() if forms.get(key) == port[1]}
        ports = {key: kept.get(key) or (f"p{there.number()}", form) for key, form in forms.items()}
        numbers = {name: (router.numbers if router else {}).get(name) or 1000 + there.number() for name in vpc.tables}
        plan = routers.plan(
            vpc,
            [_port(ports[key][0], end, machine) for key, (end, _, machine) in ends.items()],
            numbers,
        )
        router = router or self._new_router(vpc.id)
        inner = router.place.namespace
        inner.ip([f"link del {name}" for key, (name, _) in known.items() if key not in kept], check=False)
        router.ports, router.numbers = kept, numbers
        # Chains before links: no packet finds a port without them.
        for program, text in plan.tables.items():
            if router.tables.get(program) != text:
                inner.run([program, "-w"], input=text)
                router.tables[program] = text
        self._translate(router, plan)
        for key, (end, namespace, _) in ends.items():
            if key not in kept:
                namespace.ip([f"link del {end.link.interface}"], check=False)
                inner.ip([*placing.router_side(vpc, ports[key][0], end, namespace.pid)])
                # Other than most settings, this one has no default that a new link could take over.
                inner.run(["sysctl", "-qw", f"net.ipv4.neigh.{ports[key][0]}.proxy_delay=0"])
                namespace.ip([*placing.machine_side(vpc, end)])
                router.ports = {**router.ports, key: ports[key]}
        self._route(router, plan)

    def _new_router(self, vpc: str) -> state.Router:
        around = self._around
        made = state.place(launch(around.keeper, around.directory, f"vpc-{vpc}", "router", vpc))
        router = state.Router(made, f"cloud{self._state.number()}")
        self._state.routers[vpc] = router
        # One that a killed process had made and not noted.
        around.internet.ip([f"link del {router.uplink}"], check=False)
        around.internet.ip([*placing.internet_side(router.uplink, made.pid)])
        made.namespace.ip([*placing.uplink()])
        return router

    def _translate(self, router: state.Router, plan: routers.Plan) -> None:
        """What the chains translate is in place; here, flows that were translated otherwise are forgotten."""
        changed = {outer for outer, _ in {*router.nat} ^ plan.nat}
        for outer in sorted(changed):
            for direction in ("--orig-dst", "--reply-dst"):
                # It fails where there is none.
                router.place.namespace.run(["conntrack", "-D", direction, outer], check=False)
        router.nat = sorted(plan.nat)

    def _route(self, router: state.Router, plan: routers.Plan) -> None:
        inner, internet = router.place.namespace, self._around.internet
        for family in ("-4", "-6"):
            inner.ip([f"rule add {line}" for line in sorted(plan.rules - {*router.rules})], family)
            inner.ip([f"rule del {line}" for line in sorted({*router.rules} - plan.rules)], family, check=False)
        inner.ip([f"route replace {line}" for line in sorted(plan.routes - {*router.routes})])
        # What was replaced is gone; in IPv6 it would take the new route along.
        kept = {routers.target(line) for line in plan.routes}
        inner.ip([f"route del {line}" for line in router.routes if routers.target(line) not in kept], check=False)
        internet.ip(
            [f"route del {line}" for line in placing.public({*router.public} - plan.public, router.uplink)], check=False
        )
        internet.ip([f"route replace {line}" for line in placing.public(plan.public - {*router.public}, router.uplink)])
        router.rules, router.routes, router.public = sorted(plan.rules), sorted(plan.routes), sorted(plan.public)

    def _end_router(self, vpc: str) -> None:
        router = self._state.routers.pop(vpc)
        self._around.internet.ip([f"link del {router.uplink}"], check=False)
        # The kernel would take them away as well, but some time after the namespace.
        router.place.namespace.ip([f"link del {name}" for name, _ in router.ports.values()], check=False)
        router.place.end()

    def _end_machine(self, name: str) -> None:
        self._state.machines.pop(name).place.end()

    def _booting(self, name: str) -> bool:
        return any(thread.name == name and thread.is_alive() for thread in self._boots)

    def _is_wanted(self, machine: CloudMachine) -> bool:
        return any(each.id == machine.id for each in _machines(self._wanted))

    def _boot(self, machine: CloudMachine) -> None:
        """From nothing to a machine that lets its users in; whatever happens to it meanwhile."""
        time.sleep(_BOOT_SECONDS)
        try:
            with self._lock:
                if not self._is_wanted(machine):
                    return
                around = self._around
                name = f"gw-{machine.id}"
                made = state.place(launch(around.keeper, around.directory, name, "gateway", machine.hostname))
                self._state.machines[machine.id] = state.Machine(made)
                self._reconcile()
            boot(made.namespace, machine, around.names)
        except (LabError, OSError) as error:
            if self._is_wanted(machine):
                self._log(f"{machine.hostname} ({machine.id}) does not boot: {error}")
        with self._lock:
            if machine.id in self._state.machines:
                self._state.machines[machine.id].booted = True
                self._state.save(self._path)


def _machines(vpcs: Sequence[Vpc]) -> list[CloudMachine]:
    return [machine for vpc in vpcs for machine in vpc.machines]


def _port(name: str, end: End, machine: CloudMachine | None) -> routers.Port:
    return routers.Port(name, end.link, machine.id, machine.site) if machine else routers.Port(name, end.link)


def _form(vpc: Vpc, end: End, namespace: Namespace) -> str:
    """The same for links that are alike; what filters and routes them may differ."""
    told = (namespace.pid, *placing.router_side(vpc, "", end, 0), *placing.machine_side(vpc, end))
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
