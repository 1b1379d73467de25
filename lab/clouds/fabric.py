"""Puts in place what the accounts declare: machines that boot, stop and end, and the network around them."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from lab.clouds import routers, state
from lab.clouds.boot import boot, boot_again
from lab.clouds.launching import Boot, call_off
from lab.clouds.model import CloudMachine, Link, Vpc
from lab.clouds.wiring import ROLE, Surroundings, Wiring
from lab.namespaces import LabError, Namespace, Process, end_all, launch, marked
from mesh.model import SiteName

_SECONDS_FOR_BOOTS = 60.0


class Fabric:
    """The network of all VPCs. One thread at a time changes it; machines boot in threads of their own."""

    def __init__(self, around: Surroundings, log: Callable[[str], None]) -> None:
        """Takes up what is in place in this lab already. `log` gets a sentence for each machine that does not boot."""
        self._around = around
        self._log = log
        self._path = around.directory / "fabric.json"
        self._state = state.load(self._path)
        self._wiring = Wiring(around, self._state, self._save)
        self._wanted: tuple[Vpc, ...] = ()
        self._lock = threading.RLock()
        self._boots: dict[str, Boot] = {}
        self._closed = False

    def apply(self, vpcs: Sequence[Vpc]) -> None:
        """Makes the network what the accounts declare now; what is the same already is left alone, flows included.

        Machines that are new, or were stopped, begin to boot. What cannot be had at all is refused before anything is
        done. Raises LabError where the lab cannot follow: a part may be in place then, until the next call, which can
        be one for what was there before.
        """
        self._wiring.check(vpcs)
        call_off(one for one in self._boots.values() if not _is_on(vpcs, one.machine))
        with self._lock:
            if self._closed:
                raise LabError("the lab is about to end, and its clouds with it")
            self._wanted = tuple(vpcs)
            try:
                self._follow()
            finally:
                self._begin_boots()

    def resume(self, vpcs: Sequence[Vpc]) -> None:
        """Like `apply`, after another process, wherever that was killed.

        A machine whose boot was cut short boots anew; what that process had begun and not noted is ended.
        """
        end_all(self._strays)
        for name, machine in list(self._state.machines.items()):
            if not machine.booted and not machine.installed:
                self._end_machine(name)
            elif not machine.booted:
                machine.on = False
        self.apply(vpcs)

    def settle(self) -> None:
        """Waits until every machine has booted, or has failed to; tells which ones take too long, and at what."""
        end = time.monotonic() + _SECONDS_FOR_BOOTS
        for each in list(self._boots.values()):
            if not each.join(end):
                name = f"{each.machine.hostname} ({each.machine.id})"
                self._log(f"{name} has not booted within {_SECONDS_FOR_BOOTS:g} s; it is at: {each.step}")

    def close(self) -> None:
        """From here on this process changes nothing: no machine boots any more, and no file is written."""
        self._closed = True
        call_off(self._boots.values())
        # A change that is at work may begin more until it is over.
        with self._lock:
            begun = self._boots.values()
        call_off(begun)

    def gateway(self, site: SiteName | str) -> Namespace:
        """The namespace of a site's present gateway. Raises LabError where there is none."""
        with self._lock:
            found = self._gateway(site)
            if not found:
                raise LabError(f"{site} has no gateway in its cloud now")
            return self._state.machines[found[1].id].place.namespace

    def router(self, vpc: str) -> Namespace:
        """The namespace of a VPC's router. Raises KeyError where there is none."""
        return self._state.routers[vpc].place.namespace

    def gateway_links(self, site: SiteName | str) -> tuple[Link, ...]:
        """The links of a site's present gateway into its VPC; none where there is no gateway."""
        with self._lock:
            found = self._gateway(site)
            return tuple(link for link in found[1].links if routers.inside(found[0], link)) if found else ()

    def _gateway(self, site: SiteName | str) -> tuple[Vpc, CloudMachine] | None:
        """The latest of a site's machines that are in the network, and its VPC."""
        there = self._state.machines
        found = [(vpc, each) for vpc in self._wanted for each in vpc.machines if each.site == site and each.id in there]
        return found[-1] if found else None

    def _save(self) -> None:
        self._state.save(self._path)

    def _places(self) -> list[state.Place]:
        there = self._state
        machines = [machine.place for machine in there.machines.values()]
        return [*machines, *(router.place for router in there.routers.values())]

    def _strays(self) -> list[Process]:
        """What another process had begun and not noted."""
        noted = {place.pid for place in self._places()}
        found = list(marked(self._around.directory.name, ROLE))
        # Some are held by a child of the process that made them, which waits for it.
        kept = noted | {parent for process, parent in found if process.pid in noted}
        return [process for process, _ in found if process.pid not in kept]

    def _follow(self) -> None:
        """Ends, stops and starts what is to be so, with the links and chains that go with it."""
        there = self._state
        wanted = {machine.id: machine for machine in _machines(self._wanted)}
        for name, machine in list(there.machines.items()):
            if name not in wanted or not machine.place.alive:
                self._end_machine(name)
            elif wanted[name].on and not machine.on:
                self._start(wanted[name], machine)
        self._wiring.reconcile(self._wanted)
        for name, machine in there.machines.items():
            if machine.on and not wanted[name].on:
                machine.place.namespace.end_others()
                machine.on = machine.booted = False
                self._save()

    def _start(self, machine: CloudMachine, noted: state.Machine) -> None:
        """A kernel of its own that has just started, on the disk of one that was stopped."""
        old = noted.place
        noted.place, noted.on, noted.booted = self._launch(machine, old.namespace), True, False
        self._save()
        old.end()

    def _launch(self, machine: CloudMachine, disk: Namespace | None = None) -> state.Place:
        around = self._around
        role = f"{ROLE}{machine.id}"
        return state.place(launch(around.keeper, around.directory, role, "gateway", machine.hostname, disk=disk))

    def _end_machine(self, name: str) -> None:
        self._state.machines[name].place.end()
        del self._state.machines[name]

    def _begin_boots(self) -> None:
        self._boots = {name: one for name, one in self._boots.items() if one.runs}
        for machine in _machines(self._wanted):
            noted = self._state.machines.get(machine.id)
            if machine.on and machine.id not in self._boots and not (noted and noted.booted):
                self._boots[machine.id] = Boot(machine, self._boot)

    def _boot(self, one: Boot) -> None:
        """From nothing, or from a disk, to a machine that lets its users in."""
        machine = one.machine
        try:
            one.step = "a place in the network"
            with self._lock:
                if one.off.is_set():
                    return
                noted = self._placed(machine)
            if noted.installed:
                one.step = "sshd and what its files say"
                boot_again(noted.place.namespace)
            else:
                one.step = "what its user data says"
                boot(noted.place.namespace, machine, self._around.names)
        except (LabError, OSError) as error:
            self._tell(one, error)
        with self._lock:
            there = self._state.machines.get(machine.id)
            if there is not None and not one.off.is_set():
                there.installed = there.booted = True
                try:
                    self._save()
                except OSError as error:
                    self._tell(one, error)

    def _tell(self, one: Boot, error: Exception) -> None:
        if not one.off.is_set():
            self._log(f"{one.machine.hostname} ({one.machine.id}) does not boot: {error}")

    def _placed(self, machine: CloudMachine) -> state.Machine:
        """The machine as it is in the network. Where it cannot be, it is not there at all, and in nobody's way."""
        there = self._state.machines
        if machine.id not in there:
            there[machine.id] = state.Machine(self._launch(machine))
            self._save()
            try:
                self._wiring.reconcile(self._wanted)
            except LabError:
                self._end_machine(machine.id)
                with contextlib.suppress(LabError):
                    self._wiring.reconcile(self._wanted)
                raise
        return there[machine.id]


def _machines(vpcs: Sequence[Vpc]) -> list[CloudMachine]:
    return [machine for vpc in vpcs for machine in vpc.machines]


def _is_on(vpcs: Sequence[Vpc], machine: CloudMachine) -> bool:
    return any(each.id == machine.id and each.on for each in _machines(vpcs))
