"""A mesh in which something goes wrong: runs that are watched for secrets, an engine that is killed, and who agrees."""

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lab.deployment import Deployment, Listener, Outcome
from lab.namespaces import marked
from lab.project import copy_project
from lab.toolchain import Engine
from tests.lab.environment import Environment
from tests.lab.fakes import wait_for
from tests.lab.faults import gates
from tests.lab.leaks import decrypted_state, files, leaks

# How long a test waits, in seconds, for what takes a few on a machine that has nothing else to do.
PATIENCE = 90.0

RESOURCES: dict[gates.Step, str] = {"install": "host", "apply": "config", "confirm": "confirm", "remove": "host"}


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the engine is killed: at a site's step, as soon as the engine began it ("begun"), or at a gate there."""

    site: str
    step: gates.Step
    moment: gates.Moment | Literal["begun"]

    def __str__(self) -> str:
        return f"{self.site}-{self.step}-{self.moment}"


class Running:
    """An operation that runs in a thread of its own."""

    def __init__(self, operate: Callable[[], Outcome]) -> None:
        self._outcomes: list[Outcome] = []
        self._thread = threading.Thread(target=lambda: self._outcomes.append(operate()))
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return not self._thread.is_alive()

    def outcome(self, within: float = 120) -> Outcome:
        """How it ended. Fails where it does not end in time."""
        self._thread.join(within)
        assert self.ended, f"not over after {within:g} s"
        return self._outcomes[0]


class Stage(Environment):
    """An environment whose every run is kept, to be searched for keys in the end. One key of ams is the test's own."""

    def __init__(self, directory: Path, engine: Engine, config: Any, own: str, **deployment: Any) -> None:
        secrets = {"wireguard-mesh:sites.ams.private_key": own, **deployment.pop("secrets", {})}
        super().__init__(directory, engine, config, secrets=secrets, **deployment)
        self._events = directory / "events"
        self._said: list[str] = []
        self.host_keys: dict[str, str] = {}
        self.own = own
        self._secrets = {"own": own, **self.deployment.secrets}

    def write(self) -> None:
        """As in every environment, with the host keys in `host_keys` in place of those that the hosts have."""
        self._write_file()
        keys = {**self.world.host_keys(), **self.host_keys}
        copy_project(self.source, self.deployment.project, self.deployment.stack, keys)

    def run(
        self,
        operation: str = "up",
        listener: Listener | None = None,
        *,
        deployment: Deployment | None = None,
        **arguments: Any,
    ) -> Outcome:
        """The operation's outcome, failed or not; with `deployment`, another stack's in the same lab."""
        outcome = (deployment or self.deployment).run(operation, listener, self._events, **arguments)
        self._said.append(f"{outcome.failure}{outcome.stdout}{outcome.stderr}{outcome.warnings}{outcome.errors}")
        return outcome

    def up(self, **arguments: Any) -> Outcome:
        """A real `up` that has to succeed."""
        outcome = self.run("up", **arguments)
        assert outcome.failure is None, outcome.failure + outcome.stderr
        return outcome

    def kill_engine(self) -> None:
        """SIGKILL for the engine's process of this lab, and no other."""
        self.signal_engine(signal.SIGKILL)

    def signal_engine(self, number: signal.Signals) -> None:
        """A signal for the engine's process of this lab, and no other."""
        for process, _parent in marked(self.world.identity, "engine"):
            try:
                if Path(f"/proc/{process.pid}/exe").readlink().name == "pulumi":
                    os.kill(process.pid, number)
            except (FileNotFoundError, ProcessLookupError):
                continue

    def erase(self, site: str) -> None:
        """The site's host is as it was before the first `up`, as far as anything of ours goes."""
        self.on(site, "wireguard-mesh remove wg0")

    @contextmanager
    def running(self, *arguments: Any) -> Iterator["Running"]:
        """What `run` does, beside what the block does. Should it not end, it is killed with the block."""
        run = Running(lambda: self.run(*arguments))
        try:
            yield run
        finally:
            if not run.ended:
                self.deployment.recover()
            run.outcome()

    def run_killed(self, stop: Stop, operation: str = "up", *, lost: bool = False) -> None:
        """Runs the operation, kills its engine at the stop, and clears away as `make up` does.

        Then the step goes on, on its host; where it is `lost`, it was killed as well.
        """
        host = self.world.host(stop.site)
        resource = f"{stop.site}-{RESOURCES[stop.step]}"
        begun = threading.Event()

        def listen(event: dict[str, Any]) -> None:
            deleting = event.get("operation", "").startswith("delete")
            if event["kind"] == "started" and event["name"] == resource and deleting == (stop.step == "remove"):
                begun.set()
                if stop.moment == "begun":
                    self.kill_engine()

        if stop.moment != "begun":
            gates.close(host, stop.step, stop.moment)
        with self.running(operation, listen) as run:
            try:
                if stop.moment == "begun":
                    wait_for(lambda: begun.is_set() or run.ended, f"the engine to begin {resource}", within=PATIENCE)
                    assert begun.is_set(), run.outcome()
                else:
                    self.wait_at_gate(stop.site, run)
                    self.kill_engine()
                assert run.outcome().failure is not None, f"{stop}: the run was over before it was killed"
                if lost:
                    gates.kill_waiting(host)
            finally:
                gates.open_all(host)
        self.deployment.recover()

    def errors_of(self, outcome: Outcome) -> dict[str, str]:
        """What was said of each resource that failed; without what is said of the stack as a whole."""
        assert outcome.failure is not None
        return {name: said for name, said in outcome.errors if name}

    def turn_round(self) -> None:
        """A change that concerns both hosts: the grant of `pair` becomes the opposite one."""
        self.config["access"] = [{"from": "nyc.virbr0", "to": "ams.lan"}]
        self.write()

    def let_time_pass(self, site: str) -> None:
        """The time in which the site's host waits for a confirm is over, where it waits and nothing is at work."""
        self.on(
            site,
            "cd /run/wireguard-mesh && flock -n wg0.lock true || exit 0; read -r generation _ <wg0.due || exit 0;"
            ' echo "$generation 1" >wg0.new; mv wg0.new wg0.due',
        )

    def wait_until_live(self, site: str, generation: str, within: float = PATIENCE) -> None:
        """Returns when this is live on the site's host ("none": no interface), and no time runs any more."""

        def settled() -> bool:
            status = self.status(site)
            return status["live"] == generation and "goes back" not in status

        wait_for(settled, f"{generation} to be live at {site}", within=within)

    def move(self, site: str, new: str) -> None:
        """The site's host has another address, for the internet and in the config."""
        [old], internet = self.addresses(site), self.world.internet
        port = internet.run(["ip", "-o", "route", "show", old]).stdout.split()[2]
        internet.ip([f"route del {old}/32", f"route add {new}/32 dev {port}"])
        self.world.host(site).ip([f"addr add {new}/32 dev eth0", f"addr del {old}/32 dev eth0"])
        self.host_keys[new] = self.world.host_keys()[old]
        self.config["sites"][site]["colo"]["host"] = new
        self.write()

    def cut_off(self, site: str) -> None:
        """From now on every packet from and to the site's public address vanishes."""
        self._on_the_way(site, "-I")

    def join_again(self, site: str) -> None:
        """The end of `cut_off`."""
        self._on_the_way(site, "-D")

    def addresses(self, site: str) -> list[str]:
        """The public IPv4 addresses of the site's host."""
        [machine] = [machine for machine in self.world.topology.machines if machine.site == site]
        return [str(address) for address in machine.addresses if address.version == 4]

    def _on_the_way(self, site: str, verb: str) -> None:
        for address in self.addresses(site):
            for side in ("-s", "-d"):
                self.world.internet.run(["iptables", "-w", verb, "FORWARD", side, address, "-j", "DROP"])

    def wait_at_gate(self, site: str, run: "Running") -> None:
        """Returns when something waits at a gate of the site's host, which the run has to bring about."""
        host = self.world.host(site)
        wait_for(lambda: gates.reached(host) or run.ended, f"a step that waits at {site}", within=PATIENCE)
        assert gates.reached(host), run.outcome()

    def stated(self) -> dict[str, str]:
        """The generation of each site that the state says is confirmed."""
        return {
            name.removesuffix("-confirm"): json.loads(resource["inputs"]["stdin"]["plaintext"])
            for name, resource in self.learn().items()
            if resource["type"] == "command:remote:Command" and name.endswith("-confirm")
        }

    def status(self, site: str) -> dict[str, str]:
        """What the site's host answers to `status`, by key, without what changes by itself: the time, and the peers."""
        said = self.on(site, f"wireguard-mesh status {self.config['mesh']['interface']}")
        return dict(line.split(": ", 1) for line in said.splitlines() if not line.startswith(("clock: ", "peer ")))

    def assert_agreed(self) -> None:
        """For every site: what is live on the host is what is confirmed there, and what the state says."""
        stated = self.stated()
        assert set(stated) == set(self.config["sites"])
        for site, generation in stated.items():
            status = self.status(site)
            found = {key: status[key] for key in ("confirmed", "live", "staged", "rules.v4", "rules.v6", "forwarding")}
            rules = found.pop("rules.v4"), found.pop("rules.v6")
            assert found == {
                "confirmed": generation,
                "live": generation,
                "staged": "none",
                "forwarding": "in place",
            }, site
            assert all(rule.endswith(" in place") for rule in rules), (site, rules)
            assert "goes back" not in status, site
            assert status["drift"] == "none", (site, status)

    def traces(self, site: str) -> str:
        """All of ours on a host: files, links, routes, rules, and processes that stay."""
        return self.on(
            site,
            "ls -A /etc/wireguard /etc/sysctl.d /usr/local/sbin /run/wireguard-mesh 2>/dev/null || true;"
            " ip -o link | cut -d: -f2; ip route; ip -6 route; cat /proc/sys/net/ipv4/conf/*/forwarding;"
            " pgrep -a 'wireguard' || true; { iptables-save; ip6tables-save; } | grep -F WG || true",
        )

    def learn(self) -> dict[str, Any]:
        """The decrypted state. Every key in it is looked for from now on."""
        text = decrypted_state(self)
        for value in re.findall(r"(?:PrivateKey|PresharedKey) = ([A-Za-z0-9+/]{43}=)", text):
            self._secrets[f"key {len(self._secrets)}"] = value
        resources = json.loads(text)["deployment"].get("resources", [])
        for resource in resources:
            if resource["type"] == "pulumi:index:Stash":
                self._secrets[resource["urn"]] = json.loads(resource["outputs"]["output"]["plaintext"])
        return {resource["urn"].rsplit("::")[-1]: resource for resource in resources}

    def assert_no_leak(self, processes: set[str]) -> None:
        """No key of the mesh, nor the operator's, is in anything that was said, logged, stored or an argument."""
        if any(self.deployment.state.rglob(f"stacks/*/{self.deployment.stack}.json")):
            self.learn()
        log = self.world.path / "engine.log"
        places = {
            "said": "".join(self._said),
            "events": self._events.read_text() if self._events.exists() else "",
            "engine's log": log.read_text() if log.exists() else "",
            "processes": "\n".join(processes),
            **files(self),
        }
        assert {name: found for name, text in places.items() if (found := leaks(text, self._secrets))} == {}
