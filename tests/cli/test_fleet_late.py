"""Hosts that are late: their command's time is over, or another's answer decides. No server's goodbye is waited for."""

import asyncio
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import MSG_CHANNEL_CLOSE, MSG_CHANNEL_REQUEST

from cli import fleet, ssh
from cli.fleet import HostRef, run_all
from cli.ssh import Answer
from tests.cli.servers import Handler, Host

# Against a test that would hang.
GUARD_SECONDS = 60


@pytest.fixture(autouse=True)
def like_openssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers close a channel only after its command's exit status, whatever the client has closed, as OpenSSH's.

    So a command that never ends has a channel that never closes.
    """
    send = asyncssh.SSHServerChannel.send_packet
    ended: set[object] = set()

    def hold(channel: "asyncssh.SSHServerChannel[str]", kind: int, *args: bytes) -> None:
        if kind == MSG_CHANNEL_REQUEST:
            ended.add(channel)
        if kind != MSG_CHANNEL_CLOSE or channel in ended:
            send(channel, kind, *args)

    monkeypatch.setattr(asyncssh.SSHServerChannel, "send_packet", hold)


def ask(handler: Handler, *sites: str, **options: Any) -> dict[str, Answer | str]:
    """Each site's host gets its name as the command."""

    async def scenario() -> dict[str, Answer | str]:
        async with Host(handler).serving() as host, asyncio.timeout(GUARD_SECONDS):
            return await run_all([host.ref(site) for site in sites], _name, **options)

    return asyncio.run(scenario())


def _name(ref: HostRef) -> str:
    return ref.site


async def never_end(_process: "asyncssh.SSHServerProcess[str]") -> None:
    await asyncio.Event().wait()


async def say_too_much(process: "asyncssh.SSHServerProcess[str]") -> None:
    process.stdout.write("x" * 100_000)
    await never_end(process)


def test_a_command_that_does_not_end_is_given_up_while_it_still_runs() -> None:
    heard: list[str] = []
    answers = ask(never_end, "nyc", seconds=0.3, done=heard.append)
    assert answers == {"nyc": "the command did not end within 0 s"}
    assert heard == ["nyc"]


def test_a_command_that_says_too_much_is_given_up_while_it_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "LONGEST_ANSWER", 1 << 16)
    assert ask(say_too_much, "nyc") == {"nyc": "the answer is longer than 64 KiB, which is none of ours"}


def test_after_an_answer_that_decides_those_that_are_late_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_LATE_SECONDS", 0)
    begun = asyncio.Event()
    heard: list[str] = []

    async def one_never_ends(process: "asyncssh.SSHServerProcess[str]") -> None:
        if process.command == "late":
            begun.set()
            await never_end(process)
        await begun.wait()
        process.exit(0)

    answers = ask(one_never_ends, "first", "late", decides=lambda _: True, done=heard.append)
    assert answers == {"first": Answer(0, "", "")}
    assert heard == ["first"]


@pytest.mark.parametrize(("decided", "late_seconds"), [(True, GUARD_SECONDS), (False, 0)])
def test_one_that_answers_after_another_is_heard(
    monkeypatch: pytest.MonkeyPatch, decided: bool, late_seconds: float
) -> None:
    """Within the time that there is after one that decided; in its own time where none did."""
    monkeypatch.setattr(fleet, "_LATE_SECONDS", late_seconds)
    judged = asyncio.Event()

    def decides(_answer: Answer | str) -> bool:
        judged.set()
        return decided

    async def in_turn(process: "asyncssh.SSHServerProcess[str]") -> None:
        if process.command == "second":
            await judged.wait()
        process.exit(0)

    assert set(ask(in_turn, "first", "second", decides=decides)) == {"first", "second"}
