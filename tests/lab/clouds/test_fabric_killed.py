"""A process is killed while it changes the network of the clouds: the next one finishes what it had begun."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from lab import namespaces
from lab.clouds import fabric
from lab.clouds.fabric import Fabric
from lab.clouds.model import INTERNET, Vpc
from lab.clouds.state import State
from lab.clouds.wiring import ROLE
from lab.namespaces import LabError, Namespace, Process, end_all, marked
from tests.lab.clouds.stage import (
    DROPLET,
    EIP,
    GATEWAY,
    HOST,
    OTHER_EIP,
    OUTSIDE,
    REMOTE,
    Stage,
    answering,
    ask,
    aws,
    digital_ocean,
    droplet,
    instance,
    lend,
    stage,
)

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

ROUTES = ((ip_network("0.0.0.0/0"), INTERNET), (ip_network("10.20.0.0/25"), "i-1"))
MOVED = {"nat": ((ip_address(OTHER_EIP), ip_address(GATEWAY)),), "sends_as": ip_address(OTHER_EIP)}
BEFORE = (aws(instance()),)
AFTER = (
    aws(
        instance(**MOVED, table="rtb-2"),
        tables={"rtb-1": (), "rtb-2": ROUTES},
        subnets=((ip_network("10.10.0.0/24"), "rtb-2"),),
    ),
    digital_ocean(droplet()),
)


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("killed")) as begun:
        yield begun


def killed_after(commands: int, changing: Fabric, wanted: tuple[Vpc, ...]) -> bool:
    """Has another process apply it, which is killed after so many commands; False where that was done by then."""
    child = os.fork()
    if child == 0:
        try:
            _apply_and_die(commands, changing, wanted)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _apply_and_die(commands: int, changing: Fabric, wanted: tuple[Vpc, ...]) -> None:
    left = iter(range(commands))

    def counted(carry_out: Callable[..., Any]) -> Callable[..., Any]:
        def carry_out_or_die(*words: Any, **options: Any) -> Any:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return carry_out(*words, **options)

        return carry_out_or_die

    # What it tells the kernel, and what it notes.
    namespaces.run = counted(namespaces.run)
    State.save = counted(State.save)  # type: ignore[method-assign]
    changing.apply(wanted)
    changing.settle()


def check(lab: Stage, wanted: tuple[Vpc, ...]) -> None:
    """What passes is what is wanted, and nothing else is there."""
    moved = wanted is AFTER
    gateway, host = lab.fabric.gateway("use1"), lab.host("use1")
    lend(gateway, REMOTE)
    with answering(gateway, GATEWAY), answering(gateway, REMOTE), answering(lab.outside, OUTSIDE):
        assert ask(lab.outside, OTHER_EIP if moved else EIP) == OUTSIDE
        assert ask(gateway, OUTSIDE) == (OTHER_EIP if moved else EIP)
        assert ask(host, REMOTE) == HOST
    if moved:
        with answering(lab.fabric.gateway("fra"), DROPLET):
            assert ask(lab.outside, DROPLET) == OUTSIDE
    there = json.loads((lab.directory / "fabric.json").read_text())
    assert not there["unsure"]
    noted = {each["place"]["pid"] for kind in ("routers", "machines") for each in there[kind].values()}
    # A machine's holder is the child of one that waits for it.
    parents = [parent for process, parent in marked(lab.directory.name, ROLE) if process.pid in noted]
    assert {process.pid for process, _ in marked(lab.directory.name, ROLE)} <= {*noted, *parents}
    for name, router in there["routers"].items():
        inner = lab.fabric.router(name)
        assert links(inner) == sorted(["lo", "inet", *(port for port, _ in router["ports"].values())])
        for family in ("-4", "-6"):
            rules = Counter(inner.run(["ip", family, "rule"]).stdout.splitlines())
            assert set(rules.values()) == {1}
            assert len(rules) == len(router["rules"]) + (3 if family == "-4" else 2)
    uplinks = [router["uplink"] for router in there["routers"].values()]
    routes = json.loads(lab.internet.run(["ip", "-json", "route"]).stdout)
    public = {OTHER_EIP, DROPLET} if moved else {EIP}
    assert {route["dst"] for route in routes if route["dev"] in uplinks} == public
    assert [name for name in links(lab.internet) if name.startswith("cloud")] == sorted(uplinks)


def links(namespace: Namespace) -> list[str]:
    """The names of the links there."""
    return sorted(link["ifname"] for link in json.loads(namespace.run(["ip", "-json", "link"]).stdout))


@pytest.mark.parametrize("again", [BEFORE, AFTER], ids=["undone", "done"])
def test_wherever_it_is_killed_the_next_one_makes_all_of_it(lab: Stage, again: tuple[Vpc, ...]) -> None:
    lab.show(*BEFORE)
    check(lab, BEFORE)
    commands = 0
    while killed_after(commands, lab.fabric, AFTER):
        lab.fabric = lab.another()
        lab.fabric.resume(again)
        lab.fabric.settle()
        assert not lab.told
        check(lab, again)
        lab.show(*BEFORE)
        commands += 5 if again is AFTER else 7
    assert commands > 40


def test_what_failed_half_way_is_made_whole_by_the_next(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.show(*BEFORE)
    ip = Namespace.ip

    def refuse(self: Namespace, lines: Any, *options: str, check: bool = True) -> None:
        if self.name == "cloud-vpc-1" and any(line.startswith("route replace") for line in lines):
            raise LabError("no such route")
        ip(self, lines, *options, check=check)

    with monkeypatch.context() as broken:
        broken.setattr(Namespace, "ip", refuse)
        with pytest.raises(LabError, match="no such route"):
            lab.fabric.apply(AFTER)
    lab.show(*AFTER)
    check(lab, AFTER)


def test_what_is_begun_while_others_are_ended_is_ended_too(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = [lab.launch(f"{ROLE}early", "host")]

    def listed(identity: str, role: str) -> list[tuple[Process, int]]:
        found = list(marked(identity, role))
        if len(begun) == 1:
            begun.append(lab.launch(f"{ROLE}late", "host"))
        return found

    monkeypatch.setattr(fabric, "marked", listed)
    lab.another().resume([])
    assert [each.holder.alive for each in begun] == [False, False]


def test_all_are_ended_until_none_is_found() -> None:
    with subprocess.Popen(["sleep", "60"]) as first, subprocess.Popen(["sleep", "60"]) as second:
        both = [Process.of(each.pid) for each in (first, second)]
        found = iter([both[:1], both, both])
        try:
            assert end_all(lambda: next(found)) == 2
            assert not any(each.alive for each in both)
        finally:
            second.kill()


def test_a_link_that_nobody_is_to_have_any_more_is_gone(lab: Stage) -> None:
    lab.show(*BEFORE)
    assert "ens5" in links(lab.host("use1"))
    lab.show(aws(instance(table=None), subnets=((ip_network("10.10.1.0/24"), "rtb-1"),)))
    assert links(lab.host("use1")) == ["lo"]
    lab.show(*BEFORE)
    check(lab, BEFORE)


def test_a_router_and_a_machine_that_ended_are_made_anew(lab: Stage) -> None:
    lab.show(*BEFORE)
    for ended in (lab.fabric.router("vpc-1"), lab.fabric.gateway("use1")):
        ended.holder.kill()
        lab.fabric = lab.another()
        lab.fabric.resume(BEFORE)
        lab.fabric.settle()
        assert not lab.told
        check(lab, BEFORE)
    lab.fabric.router("vpc-1").holder.kill()
    lab.show()
    assert links(lab.internet) == ["lo", "port0"]


def test_a_process_with_the_id_of_one_that_ended_is_not_entered() -> None:
    mine = Process.of(os.getpid())
    other = Namespace("gw-nyc", Process(mine.pid, mine.started - 1), private=True)
    for go_in in (lambda: other.run(["true"]), lambda: other.ip(["link"]), lambda: other.path("/etc")):
        with pytest.raises(LabError, match="gw-nyc does not run any more"):
            go_in()
