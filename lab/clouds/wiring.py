"""Makes the kernel's network what the VPCs' plans say, by difference, and again wherever it was killed half-way."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.clouds import placing, routers, state
from lab.clouds.model import CloudMachine, Vpc
from lab.clouds.placing import End
from lab.namespaces import LabError, Namespace, Process, launch
from lab.topology import CloudSite, LanHost
from mesh.model import IPAddress

# What all of the fabric's namespaces begin with: no other role in a lab does.
ROLE = "cloud-"


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


@dataclass(frozen=True, slots=True)
class _Wire:
    """A link that a router has to have: to what it leads, and where that is."""

    end: End
    machine: CloudMachine | None
    site: str | None
    namespace: Namespace | None

    def port(self, name: str) -> routers.Port:
        return routers.Port(name, self.end.link, self.machine.id if self.machine else None, self.site)

    def form(self, vpc: Vpc) -> str:
        """The same for links that are alike; what filters and routes them may differ."""
        at = self.namespace and (self.namespace.holder.pid, self.namespace.holder.started)
        told = (at, *placing.router_side(vpc, "", self.end, 0), *placing.machine_side(vpc, self.end))
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a VPC's router is to be: its links by name, with the name and form of each, and all that goes with them."""

    vpc: Vpc
    wires: Mapping[str, _Wire]
    ports: Mapping[str, tuple[str, str]]
    numbers: Mapping[str, int]
    plan: routers.Plan


class Wiring:
    """The routers of all VPCs, and the links to what is there. For one thread at a time."""

    def __init__(self, around: Surroundings, there: state.State, save: Callable[[], None]) -> None:
        self._around = around
        self._state = there
        self._save = save

    def check(self, wanted: Sequence[Vpc]) -> None:
        """Raises LabError where these could not be had, whatever is there now."""
        sites = placing.vpcs_of_sites(wanted, self._around.sites, self._state.vpcs)
        for vpc in wanted:
            wires = dict(self._wires(vpc, sites, [*vpc.machines]))
            for wire in wires.values():
                wire.form(vpc)
            names = [*vpc.tables, *_gateways(wires)]
            ports = [wire.port(f"p{number}") for number, wire in enumerate(wires.values())]
            routers.plan(vpc, ports, {name: 1000 + number for number, name in enumerate(names)})

    def reconcile(self, wanted: Sequence[Vpc]) -> None:
        """Makes the routers those of these VPCs. What is as it should be already is not touched.

        Raises LabError where one could not be had whole: the others are, and the next call tries that one again.
        """
        there = self._state
        for gone in [name for name, router in there.routers.items() if not (router.linked and router.place.alive)]:
            self._end_router(gone)
        there.vpcs = placing.vpcs_of_sites(wanted, self._around.sites, there.vpcs)
        drafts = [self._draft(vpc) for vpc in wanted]
        unsure, there.unsure = there.unsure, True
        known = {name: replace(router) for name, router in there.routers.items()}
        for draft in drafts:
            if router := there.routers.get(draft.vpc.id):
                _announce(router, draft)
        self._save()
        for name in there.routers.keys() - {vpc.id for vpc in wanted}:
            self._end_router(name)
        failed: list[LabError] = []
        for draft in drafts:
            try:
                self._bring_up(draft, known.get(draft.vpc.id), unsure=unsure)
            except LabError as error:
                failed.append(error)
        there.unsure = bool(failed)
        self._save()
        if failed:
            raise failed[0]

    def _wires(
        self, vpc: Vpc, vpcs: Mapping[str, str], machines: Sequence[CloudMachine]
    ) -> Iterator[tuple[str, _Wire]]:
        """The links to machines, and to the lab's own hosts in the VPC's networks."""
        for machine in machines:
            present = self._state.machines.get(machine.id)
            for link in machine.links:
                end = End(machine.id, link, default=link.internet)
                namespace = present.place.namespace if present else None
                yield f"{machine.id}/{link.interface}", _Wire(end, machine, machine.site, namespace)
        for host, namespace in self._around.hosts:
            site = host.network.partition(".")[0]
            lies = placing.host_end(vpc, host) if vpcs.get(site) == vpc.id else None
            if lies:
                yield host.role, _Wire(lies, None, site, namespace)

    def _draft(self, vpc: Vpc) -> _Draft:
        there = self._state
        present = [machine for machine in vpc.machines if machine.id in there.machines]
        wires = dict(self._wires(vpc, there.vpcs, present))
        router = there.routers.get(vpc.id)
        known = router.ports if router else {}
        ports = {}
        for key, wire in wires.items():
            form = wire.form(vpc)
            ports[key] = known[key] if key in known and known[key][1] == form else (f"p{there.number()}", form)
        names = [*vpc.tables, *_gateways(wires)]
        numbers = {name: (router.numbers if router else {}).get(name) or 1000 + there.number() for name in names}
        plan = routers.plan(vpc, [wire.port(ports[key][0]) for key, wire in wires.items()], numbers)
        return _Draft(vpc, wires, ports, numbers, plan)

    def _bring_up(self, draft: _Draft, known: state.Router | None, *, unsure: bool) -> None:
        plan = draft.plan
        router = self._state.routers.get(draft.vpc.id)
        if router is None:
            router, known = self._new_router(draft.vpc.id), None
            _announce(router, draft)
            self._save()
        # What of it is there for sure; of the rest it may be, and is removed where it should not.
        sure = known if known is not None and not unsure else replace(router, rules=[], routes=[], nat=[], public=[])
        inner = router.place.namespace
        inner.ip([f"link del {name}" for name in router.old], check=False)
        router.old = []
        # Chains before links: no packet finds a port without them.
        for program, text in plan.tables.items():
            if unsure or router.tables.get(program) != text:
                inner.run([program, "-w"], input=text)
                router.tables[program] = text
        changed = {outer for outer, _ in {*sure.nat} ^ {*router.nat} | {*sure.nat} ^ plan.nat}
        self._forget_flows(inner, changed)
        for key, wire in draft.wires.items():
            if router.ports[key] != draft.ports[key]:
                self._link(draft.vpc, inner, draft.ports[key][0], wire)
                router.ports[key] = draft.ports[key]
        self._route(router, plan, sure)
        router.nat = sorted(plan.nat)

    def _new_router(self, vpc: str) -> state.Router:
        around = self._around
        made = state.place(launch(around.keeper, around.directory, f"{ROLE}{vpc}", "router", vpc))
        router = self._state.routers[vpc] = state.Router(made, f"cloud{self._state.number()}")
        self._save()
        around.internet.ip([*placing.internet_side(router.uplink, made.pid)])
        made.namespace.ip([*placing.uplink()])
        router.linked = True
        return router

    def _link(self, vpc: Vpc, inner: Namespace, port: str, wire: _Wire) -> None:
        if wire.namespace is None:
            raise LabError(f"{wire.end.role} is not there")
        wire.namespace.ip([f"link del {wire.end.link.interface}"], check=False)
        inner.ip([*placing.router_side(vpc, port, wire.end, wire.namespace.pid)])
        # Other than most settings, this one has no default that a new link could take over.
        inner.run(["sysctl", "-qw", f"net.ipv4.neigh.{port}.proxy_delay=0"])
        wire.namespace.ip([*placing.machine_side(vpc, wire.end)])

    def _forget_flows(self, inner: Namespace, changed: set[str]) -> None:
        """What the chains translate is in place; here, flows that were translated otherwise are forgotten."""
        for outer in sorted(changed):
            # Those from outside to it, and those that left with it.
            for direction in ("--orig-dst", "--reply-dst"):
                # It fails where there is none.
                inner.run(["conntrack", "-D", direction, outer], check=False)

    def _route(self, router: state.Router, plan: routers.Plan, sure: state.Router) -> None:
        inner, internet = router.place.namespace, self._around.internet
        # One that may be there already, or twice, is there once afterwards.
        again = sorted({*router.rules} - {*sure.rules})
        missing = sorted(plan.rules - {*sure.rules})
        for family in ("-4", "-6"):
            inner.ip([f"rule del {line}" for line in again], family, check=False)
            inner.ip([f"rule add {line}" for line in missing], family)
            inner.ip([f"rule del {line}" for line in sorted({*sure.rules} - plan.rules)], family, check=False)
        inner.ip([f"route replace {line}" for line in sorted(plan.routes - {*sure.routes})])
        # What was replaced is gone; in IPv6 it would take the new route along.
        kept = {routers.target(line) for line in plan.routes}
        inner.ip([f"route del {line}" for line in router.routes if routers.target(line) not in kept], check=False)
        uplink = router.uplink
        internet.ip(
            [f"route del {line}" for line in placing.public({*router.public} - plan.public, uplink)], check=False
        )
        internet.ip([f"route replace {line}" for line in placing.public(plan.public - {*sure.public}, uplink)])
        router.rules, router.routes, router.public = sorted(plan.rules), sorted(plan.routes), sorted(plan.public)

    def _end_router(self, vpc: str) -> None:
        router = self._state.routers[vpc]
        self._around.internet.ip([f"link del {router.uplink}"], check=False)
        if router.place.alive:
            # The kernel would take them away as well, but some time after the namespace.
            router.place.namespace.ip([f"link del {name}" for name, _ in router.ports.values()], check=False)
        router.place.end()
        del self._state.routers[vpc]


def _announce(router: state.Router, draft: _Draft) -> None:
    """Notes what may be in the router from now on, besides what is."""
    plan = draft.plan
    going = [name for key, (name, _) in router.ports.items() if draft.ports.get(key, ("",))[0] != name]
    coming = [name for key, (name, form) in draft.ports.items() if router.ports.get(key) != (name, form)]
    router.old = sorted({*router.old, *going, *coming})
    router.ports = {key: port if port == router.ports.get(key) else (port[0], "") for key, port in draft.ports.items()}
    router.numbers = dict(draft.numbers)
    router.rules = sorted({*router.rules, *plan.rules})
    router.routes = sorted({*router.routes, *plan.routes})
    router.public = sorted({*router.public, *plan.public})
    router.nat = sorted({*router.nat, *plan.nat})


def _gateways(wires: Mapping[str, _Wire]) -> list[str]:
    """The names of the routing tables that lead to the sites' gateways."""
    return sorted({routers.way_to(wire.site) for wire in wires.values() if wire.site})
