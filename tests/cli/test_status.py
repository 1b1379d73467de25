"""`meshctl status`: what is a fault at a site and what is not, and what people and programs get to see of it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cli import status, statusverb
from cli.fleet import Answer, Fleet, FleetError, HostRef
from cli.main import run
from cli.status import SiteState, age, size, states
from mesh.model import Ssh
from tests.cli.prod import FILE
from tests.cli.test_hoststatus import DOWN, ONE, TWO

NOW = 1795447212
GOOD = f"""\
interface: wg0
confirmed: {ONE}
staged: none
live: {ONE}
wireguard: kernel
peers: 1
clock: {NOW}
peer nyc: handshake 12 s ago, changed long ago, received 1536, sent 3145728
drift: none
"""
AMS = HostRef("ams", "wg0", Ssh("203.0.113.2", 22, "root", "ssh-ed25519 AAAA"), ONE, paused=False, rules="")
PAUSED = replace(AMS, paused=True)


def one(answer: str | Answer, host: HostRef = AMS) -> SiteState:
    """The site by what its host answered."""
    (state,) = states([host], {"ams": answer}, {"ams": NOW})
    return state


def said(text: str) -> Answer:
    return Answer(0, text, "")


def changed(old: str, new: str) -> Answer:
    assert old in GOOD
    return said(GOOD.replace(old, new))


def shown(*sites: SiteState) -> list[str]:
    return [line.plain for line in statusverb.lines("prod", sites)]


def test_a_host_that_is_as_the_last_up_left_it_has_no_fault() -> None:
    assert one(said(GOOD)).faults == ()
    assert one(said(GOOD)).remarks == ()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("203.0.113.2 does not answer", "203.0.113.2 does not answer"),
        (Answer(127, "", "sh: not found"), "wireguard-mesh is not on this host any more"),
        (Answer(69, "", "wireguard-mesh: flock is missing\n"), "wireguard-mesh status failed: exit status 69: flock"),
        (
            said("Welcome!\n"),
            "its wireguard-mesh status is not as this version writes it: no 'key: value': 'Welcome!'",
        ),
        (changed("drift: none", "drift: route 10.0.0.0/8 missing"), "drift: route 10.0.0.0/8 missing"),
        (
            changed(f"confirmed: {ONE}", f"confirmed: {TWO}"),
            "confirmed is 2e2e2e2e2e2e, and by the stack's state 1f1f1f1f1f1f",
        ),
        (changed(f"live: {ONE}", "live: none"), "live is none, and confirmed 1f1f1f1f1f1f"),
        (changed(f"live: {ONE}", "live: unfinished"), "a run was ended before it was done"),
        (
            changed(f"staged: none\nlive: {ONE}", f"staged: {TWO}\nlive: {TWO}\ngoes back: in 9 s, unless ..."),
            "2e2e2e2e2e2e is applied and not confirmed; it goes back in 9 s",
        ),
        (
            changed(f"live: {ONE}", "live: an interface that is not ours"),
            "live is an interface that is not ours, and confirmed 1f1f",
        ),
    ],
)
def test_each_thing_that_is_not_as_it_should_be_is_a_fault(answer: str | Answer, fault: str) -> None:
    (text, *_) = one(answer).faults
    assert text.startswith(fault)


def test_what_is_staged_and_not_live_is_no_fault_where_the_state_has_what_is_confirmed() -> None:
    assert one(changed("staged: none", f"staged: {TWO}")).faults == ()


def test_a_site_that_no_up_has_confirmed_is_a_fault() -> None:
    first = said(DOWN.replace(f"confirmed: {ONE}", "confirmed: none"))
    assert one(first, replace(AMS, generation=None)).faults == ("no 'pulumi up' has confirmed it yet",)


def test_a_paused_site_may_be_unreachable_and_may_not_drift() -> None:
    away = one("203.0.113.2 does not answer", PAUSED)
    assert (away.faults, away.remarks) == ((), ("paused; 203.0.113.2 does not answer",))
    drifted = one(changed("drift: none", "drift: MTU is 1300, not 1420"), PAUSED)
    assert drifted.faults == ("drift: MTU is 1300, not 1420",)


@pytest.mark.parametrize(
    ("ahead", "remarks"),
    [(3600, ("its clock is 1 h ahead of ours",)), (-3600, ("its clock is 1 h behind ours",)), (5, ())],
)
def test_a_clock_that_differs_is_worth_a_remark_and_no_fault(ahead: int, remarks: tuple[str, ...]) -> None:
    state = one(changed(f"clock: {NOW}", f"clock: {NOW + ahead}"))
    assert (state.faults, state.remarks, state.ahead) == ((), remarks, ahead)


def test_a_handover_and_what_an_adoption_left_behind_are_remarks_and_no_faults() -> None:
    two = one(changed("clock: ", "handover: nyc, sfo\nadopted: /etc/wireguard/wg0.conf.adopted\nclock: "))
    assert (two.faults, two.remarks) == ((), ("takes nyc, sfo by an old key and a new one",))
    left = one(changed("clock: ", "adopted: /etc/wireguard/wg0.conf.adopted; line 9 failed (exit status 1)\nclock: "))
    assert left.faults == ()
    assert left.remarks == ("of what was set up by hand there, not all was undone: line 9 failed (exit status 1)",)


def test_a_host_that_was_paused_before_anything_was_done_there_is_not_asked(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run_all(hosts: object, *_: object, **__: object) -> Mapping[str, Answer | str]:
        assert hosts == []
        return {}

    monkeypatch.setattr(status, "run_all", run_all)
    never = replace(PAUSED, interface="", generation=None)
    monkeypatch.setattr(
        status, "known", lambda stack, where: Fleet((never, replace(never, site="nyc")), {}, begun=True)
    )
    assert run(["status"]) == 0
    assert "ams: paused; nothing was ever done on its host" in capsys.readouterr().out


def test_what_a_terminal_would_obey_is_not_handed_on() -> None:
    (fault,) = one(changed("drift: none", "drift: \x1b[2Jgone")).faults
    assert "\x1b" not in fault


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (60, "1 min"), (112, "1 min 52 s"), (3605, "1 h"), (7500, "2 h 5 min"), (90061, "1 d 1 h")],
)
def test_ages_are_told_in_two_units(seconds: int, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (3 << 60, "3072.0 PiB")],
)
def test_bytes_are_told_in_units(number: int, text: str) -> None:
    assert size(number) == text


def test_a_line_for_each_site_then_the_faults_then_the_verdict() -> None:
    nyc = replace(one("203.0.113.1 does not answer"), site="nyc")
    drifted = replace(
        one(changed("drift: none", "drift: route 10.0.0.0/8 missing\ndrift: MTU is 1, not 2")), site="sfo"
    )
    assert shown(one(said(GOOD)), nyc, drifted) == [
        "site  generation    peers  handshakes  received     sent",
        "ams   1f1f1f1f1f1f      1  12 s ago     1.5 KiB  3.0 MiB",
        "nyc   no answer",
        "sfo   1f1f1f1f1f1f      1  12 s ago     1.5 KiB  3.0 MiB",
        "",
        "nyc: 203.0.113.1 does not answer",
        "sfo: drift: route 10.0.0.0/8 missing",
        "sfo: drift: MTU is 1, not 2",
        "",
        "prod: 2 of 3 sites are not as they should be",
    ]


def test_all_well_is_said_in_a_line() -> None:
    assert shown(one(said(GOOD)))[-2:] == ["", "prod: 1 site, all as it should be"]
    paused = shown(one(said(GOOD)), replace(one("203.0.113.9 does not answer", PAUSED), site="use1"))
    assert paused[2] == "use1  paused, no answer"
    assert paused[-3:] == ["use1: paused; 203.0.113.9 does not answer", "", "prod: 2 sites, all as they should be"]


def test_a_stack_without_a_site_is_said_to_have_none() -> None:
    assert shown() == ["prod: no site is deployed; 'pulumi up' does that"]


def test_a_hundred_sites_have_a_hundred_lines_however_many_are_silent() -> None:
    peers = [f"peer s{i}: handshake {i} s ago, changed long ago, received 1, sent 1" for i in range(95)]
    peers += [f"peer s{i}: handshake never, changed long ago, received 0, sent 1" for i in range(95, 99)]
    answer = changed("drift: none", "\n".join([*peers, "drift: none"]))
    lines = shown(*(replace(one(answer), site=f"s{i}") for i in range(100)))
    assert len(lines) == 103
    assert "0 s to 1 min 34 s ago; never with s95, s96, s97 and 1 more" in lines[1]
    assert max(map(len, lines)) < 120


@pytest.fixture
def asked(directory: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Answer | str]:
    """What the only host of the stack that was given anything answers; change it."""
    answers: dict[str, Answer | str] = {"ams": said(GOOD)}

    async def run_all(hosts: object, command: object, *, done: object, **_: object) -> Mapping[str, Answer | str]:
        assert callable(command)
        assert command(AMS).endswith(" status wg0")
        assert callable(done)
        done("ams")
        return answers

    def known(stack: str, _: Path) -> Fleet:
        if stack != "prod":
            raise FleetError(f"pulumi cannot read the state of '{stack}'")
        return Fleet((AMS,), {}, begun=True)

    (directory / FILE).write_text("config: {wireguard-mesh:sites: {ams: {}}}")
    monkeypatch.setattr(status, "run_all", run_all)
    monkeypatch.setattr(status, "known", known)
    monkeypatch.setattr("cli.status.time.time", lambda: float(NOW))
    return answers


def test_the_exit_status_is_0_where_all_is_well_1_where_not_and_2_where_nobody_can_be_asked(
    asked: dict[str, Answer | str], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status"]) == 0
    assert "prod: 1 site, all as it should be" in capsys.readouterr().out
    asked["ams"] = changed("drift: none", "drift: MTU is 1300, not 1420")
    assert run(["status", "--stack", "prod", "-C", str(directory)]) == 1
    assert "ams: drift: MTU is 1300, not 1420\n" in capsys.readouterr().out
    assert run(["status", "--stack", "nope"]) == 2
    assert "there is no Pulumi.nope.yaml" in capsys.readouterr().err
    (directory / "Pulumi.other.yaml").write_text("config: {}\n")
    assert run(["status", "--stack", "other"]) == 2
    assert "meshctl: pulumi cannot read the state of 'other'" in capsys.readouterr().err
    assert run(["status", "--nope"]) == 2


def test_a_site_that_no_up_has_come_to_is_listed_and_a_fault_though_nobody_can_ask_it(
    asked: dict[str, Answer | str], directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "known", lambda *_: Fleet((AMS,), {"nyc": "not set up yet: ..."}, begun=True))
    (directory / FILE).write_text("config: {wireguard-mesh:sites: {ams: {}, fra: {}}}")
    assert run(["status"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in out[2:4]] == [["fra", "not", "set"], ["nyc", "not", "set"]]
    assert "fra: not set up yet: the last 'pulumi up' did not come that far; run it again" in out
    assert "nyc: not set up yet: ..." in out
    assert out[-1] == "prod: 2 of 3 sites are not as they should be"
    assert run(["status", "--json"]) == 1
    sites = json.loads(capsys.readouterr().out)["sites"]
    assert [(site["site"], site["set_up"], site["reachable"]) for site in sites] == [
        ("ams", True, True),
        ("fra", False, False),
        ("nyc", False, False),
    ]
    # What the state knows is told of, whatever has become of the file.
    (directory / FILE).write_bytes(b"\xff")
    assert run(["status"]) == 1
    assert "nyc: not set up yet: ..." in capsys.readouterr().out
    # A stack that was never brought up, or was destroyed, has no site that lacks anything.
    monkeypatch.setattr(status, "known", lambda *_: Fleet((), {}, begun=False))
    asked.clear()
    assert run(["status"]) == 0


def test_json_has_all_of_it(asked: dict[str, Answer | str], capsys: pytest.CaptureFixture[str]) -> None:
    asked["ams"] = changed("drift: none", "drift: MTU is 1300, not 1420")
    assert run(["status", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["stack"], answer["ok"]) == ("prod", False)
    (site,) = answer["sites"]
    assert site["faults"] == ["drift: MTU is 1300, not 1420"]
    assert (site["expected"], site["reachable"], site["paused"], site["clock_ahead"]) == (ONE, True, False, 0)
    assert site["host"]["drift"] == ["MTU is 1300, not 1420"]
    assert site["host"]["peers"] == [
        {"site": "nyc", "handshake_age": 12, "changed_age": None, "received": 1536, "sent": 3145728}
    ]
    asked["ams"] = "203.0.113.2 does not answer"
    assert run(["status", "--json"]) == 1
    (site,) = json.loads(capsys.readouterr().out)["sites"]
    assert (site["reachable"], site["reason"], site["host"]) == (False, "203.0.113.2 does not answer", None)
    assert run(["status", "--json", "--stack", "nope"]) == 2
    assert "there is no Pulumi.nope.yaml" in json.loads(capsys.readouterr().out)["error"]
