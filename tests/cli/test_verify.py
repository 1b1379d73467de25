"""`meshctl verify`: what each host gets to do, and what becomes of the answers."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli import verify as verifying
from cli.fleet import Answer, Fleet, FleetError, HostRef
from cli.main import run
from cli.verify import work
from mesh import bundle
from mesh.config import parse
from mesh.config.stackfile import read_stack_file
from mesh.model import Mesh, SiteName, Ssh
from mesh.plan import plan
from mesh.proof import trials
from tests.cli.prod import STACK
from tests.cli.test_onhost import GENERATION, SCRIPT, STATUS


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """nyc and ams."""
    return parse(read_stack_file(STACK))


def test_a_host_gets_its_own_work_and_no_secret(mesh: Mesh) -> None:
    wanted = trials(mesh, plan(mesh))
    lines = work(mesh, SiteName("ams"), wanted).splitlines()
    assert lines[0] == "peer nyc 10.99.0.1"
    assert all(line.startswith(("peer nyc ", "tcp ", "icmp ")) for line in lines)
    assert {line.split()[2] for line in lines[1:]} == {"nyc"}


Stub = dict[str, Any]


@pytest.fixture
def fleet(directory: Path, mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The hosts of the stack `prod` and their answers, by site; change them."""
    ids = {str(name): bundle.rules_id(bundle.rules(one)) for name, one in plan(mesh).items()}
    there: Stub = {
        "hosts": {
            site: HostRef(site, "wg0", Ssh("192.0.2.1", 22, "root", "ssh-ed25519 A"), GENERATION, False, ids[site])
            for site in ("ams", "nyc")
        },
        "answers": {site: Answer(0, said(site), "") for site in ("ams", "nyc")},
        "asked": {},
        "unfinished": {},
        "begun": True,
        "late": set(),
    }

    async def answer(
        hosts: Sequence[HostRef], command: Any, stdin: Mapping[str, str], *, seconds: float, done: Any, decides: Any
    ) -> dict[str, Answer | str]:
        for host in hosts:
            there["asked"][host.site] = (command(host), stdin[host.site])
        there["decided"] = {host.site for host in hosts if decides(there["answers"][host.site])}
        in_time = [host.site for host in hosts if host.site not in there["late"]]
        for site in in_time:
            done(site)
        return {site: there["answers"][site] for site in in_time}

    monkeypatch.setattr(
        verifying, "known", lambda *_: Fleet(tuple(there["hosts"].values()), there["unfinished"], there["begun"])
    )
    monkeypatch.setattr(verifying, "run_all", answer)
    return there


def said(site: str) -> str:
    peer, address = {"ams": ("nyc", "10.99.0.1"), "nyc": ("ams", "10.99.0.2")}[site]
    status = STATUS.replace("PEER", peer)
    results = f"answered {peer} {address}\nprobe 0 silent\nprobe 1 silent"
    return f"@results\n{results}\n@before\n{status}@after\n{status}@wireguard\n"


def test_a_mesh_that_is_well_is_proved(fleet: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("prod: as configured; 2 hosts asked, 2 pings and ")
    assert err == ""
    assert run(["verify", "--json", "--stack", "prod"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["verified"], data["findings"], data["connections"]) == (True, [], 2)
    assert data["not_waited_for"] == []
    # What travels is our text and the site's own work; no key of anybody's.
    command, tasks = fleet["asked"]["ams"]
    assert shlex.quote(SCRIPT) in command
    assert tasks.startswith("peer nyc 10.99.0.1\n")


def test_each_fault_has_a_line_and_the_exit_status_says_so(fleet: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    fleet["answers"]["nyc"] = "192.0.2.1, port 22 does not answer within 10 s"
    fleet["answers"]["ams"] = Answer(0, said("ams").replace("probe 0 silent", "probe 0 refused"), "")
    assert run(["verify"]) == 1
    out, _ = capsys.readouterr()
    first, second, last = out.splitlines()
    assert first == "nyc: could not be asked: 192.0.2.1, port 22 does not answer within 10 s"
    assert second.startswith("ams and nyc: tcp/9 at 10.99.0.1 is open, though nothing grants it")
    assert last.startswith("prod: 2 faults; 1 host asked, 1 ping and")
    assert run(["verify", "--json"]) == 1
    assert [one["site"] for one in json.loads(capsys.readouterr().out)["findings"]] == ["nyc", "ams"]


def test_a_change_that_is_not_confirmed_is_told_at_once_and_nothing_else_is_judged(
    fleet: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    pending = "@results\n" + said("ams").split("probe 1 silent\n")[1]
    pending = pending.replace("clock:", "goes back: in 90 s, unless it is confirmed\nclock:")
    fleet["answers"]["ams"] = Answer(0, pending, "")
    fleet["answers"]["nyc"] = Answer(0, said("nyc").replace("answered", "silent"), "")
    assert run(["verify"]) == 1
    assert fleet["decided"] == {"ams"}
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("ams: a change is not confirmed, and goes back in 90 s: wait for the 'pulumi up'")
    assert last.startswith("prod: 1 fault; 2 hosts asked")
    # The other one is not waited for, and named.
    fleet["late"] = {"nyc"}
    assert run(["verify"]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("ams: a change is not confirmed")
    assert second == "nyc: not waited for"
    assert last.startswith("prod: 1 fault; 1 host asked")
    assert run(["verify", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["not_waited_for"], data["left_out"], data["hosts"]) == (["nyc"], [], 1)
    # Beside it, the same silence is a fault, and decides nothing.
    fleet |= {"late": set(), "answers": {**fleet["answers"], "ams": Answer(0, said("ams"), "")}}
    assert run(["verify"]) == 1
    assert fleet["decided"] == set()
    assert "nyc" in capsys.readouterr().out


def test_sites_that_the_file_and_the_last_up_do_not_agree_on(fleet: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    nyc = fleet["hosts"].pop("nyc")
    fleet["hosts"]["old"] = HostRef("old", "wg0", nyc.connection, GENERATION, False, "")
    fleet["hosts"]["ams"] = HostRef("ams", "wg0", nyc.connection, GENERATION, False, "other rules")
    assert run(["verify"]) == 1
    out, _ = capsys.readouterr()
    assert "nyc: not set up yet: the last 'pulumi up' did not come that far; run it again" in out
    assert "old: is not in the stack file any more, but still deployed" in out
    assert "ams: the stack file says otherwise than the last 'pulumi up' did; run it" in out
    assert set(fleet["asked"]) == {"ams"}


def test_a_site_that_was_left_half_done_is_a_fault_also_where_the_file_has_it_no_more(
    fleet: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet["unfinished"] = {"old": "not taken away"}
    assert run(["verify"]) == 1
    assert "old: not taken away" in capsys.readouterr().out
    assert set(fleet["asked"]) == {"ams", "nyc"}
    # Before the first `up`, no site is behind another.
    fleet |= {"hosts": {}, "unfinished": {}, "begun": False}
    assert run(["verify"]) == 1
    assert "ams, nyc: was never deployed; run 'pulumi up'" in capsys.readouterr().out


def test_what_a_host_was_never_told_of_is_not_tried_there(fleet: Stub) -> None:
    run(["verify"])
    assert all("\ntcp " in tasks for _, tasks in fleet["asked"].values())
    fleet["hosts"]["ams"] = replace(fleet["hosts"]["ams"], rules="other rules")
    assert run(["verify"]) == 1
    assert [tasks for _, tasks in fleet["asked"].values()] == ["peer nyc 10.99.0.1\n", "peer ams 10.99.0.2\n"]


def test_a_paused_site_is_left_out_and_said_to_be(fleet: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    fleet["hosts"]["nyc"] = HostRef("nyc", "", fleet["hosts"]["nyc"].connection, None, True, "")
    assert run(["verify"]) == 0
    assert "nyc: paused, and left out" in capsys.readouterr().out
    assert fleet["asked"]["ams"][1] == ""


def test_what_a_terminal_would_obey_is_not_handed_on(fleet: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    told = said("ams").replace("drift: none", "drift: \x1b[2Jgone").replace("0 silent", "0 untried \x1b[2Jno bash")
    fleet["answers"]["ams"] = Answer(0, told, "")
    assert run(["verify"]) == 1
    out, err = capsys.readouterr()
    assert "is not as it was applied:  [2Jgone" in out
    assert "could not be tried: [2Jno bash" in out
    assert "\x1b" not in out + err


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(69, "", "wireguard-mesh: ping is missing"), "could not be asked: exit status 69: ping is missing"),
        (Answer(0, "what?", ""), "could not be asked: its answer is cut"),
        (Answer(0, said("ams").replace("clock: ", "time: "), ""), "could not be asked: "),
    ],
    ids=["refused", "no answer of ours", "of another version"],
)
def test_an_answer_that_is_none_is_told(
    fleet: Stub, capsys: pytest.CaptureFixture[str], answer: Answer, reason: str
) -> None:
    fleet["answers"]["ams"] = answer
    assert run(["verify"]) == 1
    assert f"ams: {reason}" in capsys.readouterr().out


def test_where_nobody_can_be_asked_the_exit_status_is_2(
    fleet: Stub, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(stack: str, where: Path) -> None:
        raise FleetError("pulumi is not on PATH")

    monkeypatch.setattr(verifying, "known", refuse)
    assert run(["verify"]) == 2
    assert "pulumi is not on PATH" in capsys.readouterr().err
    assert run(["verify", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": "pulumi is not on PATH"}
    assert run(["verify", "--stack", "nowhere"]) == 2
    (directory / "Pulumi.prod.yaml").write_text("config: {'wireguard-mesh:sites': 1}")
    assert run(["verify"]) == 2
    assert "Pulumi.prod.yaml has faults; 'meshctl check prod' lists them" in capsys.readouterr().err
