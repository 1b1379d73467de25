"""The hosts of a stack, asked all at once: each within its time, by its pinned key, and by nobody else's."""

import asyncio
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cli import fleet, ssh
from cli.fleet import HostRef, run_all
from cli.ssh import Answer
from mesh.model import Secret
from tests.cli.servers import Host, hang_up, silence, tcp


async def shout(process: "asyncssh.SSHServerProcess[str]") -> None:
    """Says the command and what came on stdin."""
    process.stdout.write(f"{process.command} <{await process.stdin.read()}>")
    process.exit(0)


async def fail(process: "asyncssh.SSHServerProcess[str]") -> None:
    process.stderr.write("sudo: noise\nwireguard-mesh: another \x1b[31mrun is at work\n")
    process.exit(75)


def ask(refs: Sequence[HostRef], **options: Any) -> dict[str, Answer | str]:
    return asyncio.run(run_all(refs, lambda host: f"say {host.interface}", **options))


async def with_host(host: Host, *others: HostRef, **options: Any) -> dict[str, Answer | str]:
    async with host.serving():
        refs = [host.ref("good"), *others]
        return await run_all(refs, lambda ref: f"say {ref.interface}", {"good": "its work"}, **options)


def test_each_host_gets_its_own_stdin_and_answers() -> None:
    heard: list[str] = []
    host = Host(shout)
    assert asyncio.run(with_host(host, done=heard.append)) == {"good": Answer(0, "say wg0 <its work>", "")}
    assert (heard, host.logins) == (["good"], 1)


def test_a_failed_command_is_told_by_its_status_and_last_sentence() -> None:
    answer = asyncio.run(with_host(Host(fail)))["good"]
    assert isinstance(answer, Answer)
    assert answer.failure == "exit status 75: another  [31mrun is at work"
    assert Answer(0, "", "noise").failure is None
    assert Answer(3, "", "").failure == "exit status 3"
    assert len(Answer(3, "", "x" * 100_000).failure or "") < 2000


def test_a_host_with_another_key_is_refused_before_anything_is_sent() -> None:
    async def scenario() -> dict[str, Answer | str]:
        async with host.serving():
            other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
            return await run_all([host.ref("nyc", host_key=other)], lambda _: "say")

    host = Host(shout)
    reason = asyncio.run(scenario())["nyc"]
    assert isinstance(reason, str)
    assert "has another host key than host_key says; nothing was sent to it" in reason
    assert host.logins == 0


def test_a_host_without_a_key_of_the_pinned_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_PAUSE_SECONDS", 0.01)

    async def scenario() -> dict[str, Answer | str]:
        async with host.serving():
            other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
            return await run_all([host.ref("nyc", host_key=other)], lambda _: "say")

    host = Host(shout)
    assert "ecdsa-sha2-nistp256" in str(asyncio.run(scenario())["nyc"])
    assert host.logins == 0


def test_a_login_that_is_refused_names_the_user_and_no_key() -> None:
    async def scenario() -> dict[str, Answer | str]:
        async with host.serving():
            stranger = Secret(asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode())
            spoilt = Secret("-----BEGIN OPENSSH PRIVATE KEY-----\nnone\n-----END OPENSSH PRIVATE KEY-----\n")
            refs = [host.ref("nyc", private_key=stranger), host.ref("ams", private_key=spoilt)]
            return await run_all(refs, lambda _: "say")

    host = Host(shout)
    answers = asyncio.run(scenario())
    assert answers["nyc"] == f"127.0.0.1, port {host.port} refuses the login of root with the keys that there are"
    assert answers["ams"] == "the private key in the state is not one that can be read"


def test_servers_that_refuse_are_silent_or_hang_up_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "LOGIN_SECONDS", 0.5)
    monkeypatch.setattr(ssh, "_PAUSE_SECONDS", 0.01)
    closed = socket.create_server(("127.0.0.1", 0))
    nobody = closed.getsockname()[1]
    closed.close()

    async def scenario() -> dict[str, Answer | str]:
        good = Host(shout)
        ref = good.ref("x")
        async with tcp(silence) as silent, tcp(hang_up) as closing:
            ports = {"refusing": nobody, "silent": silent, "closing": closing}
            others = [replace(ref, site=name, connection=good.ssh(port=port)) for name, port in ports.items()]
            async with asyncio.timeout(60):
                return await with_host(good, *others)

    answers = asyncio.run(scenario())
    assert answers["good"] == Answer(0, "say wg0 <its work>", "")
    assert "refuses connections" in str(answers["refusing"])
    assert "accepts connections and then is silent" in str(answers["silent"])
    assert "hung up before it showed a host key" in str(answers["closing"])


def test_a_host_that_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 0.3)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    # One more than the queue takes, and Linux answers to no further SYN.
    waiting = [socket.socket() for _ in range(2)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    host = Host(shout)
    answers = ask([host.ref("nyc", port=full.getsockname()[1])])
    assert "does not answer within 0 s; the host is down, or SSH is filtered" in str(answers["nyc"])
    for one in (*waiting, full):
        one.close()


def test_a_name_that_does_not_resolve_is_said() -> None:
    assert "cannot be reached" in str(ask([Host(shout).ref("nyc", host="host.invalid", port=22)])["nyc"])


def test_hosts_behind_one_bastion_share_one_connection_to_it() -> None:
    async def scenario() -> dict[str, Answer | str]:
        async with bastion.serving(), nyc.serving(), ams.serving():
            proxy = bastion.ssh()
            refs = [nyc.ref("nyc", proxy=proxy), ams.ref("ams", proxy=proxy)]
            return await run_all(refs, lambda _: "say")

    bastion, nyc, ams = Host(shout), Host(shout), Host(shout)
    assert set(map(str, asyncio.run(scenario()).values())) == {str(Answer(0, "say <>", ""))}
    assert (bastion.logins, nyc.logins, ams.logins) == (1, 1, 1)


def test_a_bastion_that_is_not_the_pinned_one_is_named_for_each_host_behind_it() -> None:
    async def scenario() -> dict[str, Answer | str]:
        async with bastion.serving(), nyc.serving():
            proxy = bastion.ssh(host_key=nyc.ssh().host_key)
            return await run_all([nyc.ref("nyc", proxy=proxy), nyc.ref("ams", proxy=proxy)], lambda _: "say")

    bastion, nyc = Host(shout), Host(shout)
    for reason in asyncio.run(scenario()).values():
        assert str(reason).startswith(f"by its bastion: 127.0.0.1, port {bastion.port} has another host key")
    assert (bastion.logins, nyc.logins) == (0, 0)


def test_a_host_behind_a_bastion_that_does_not_reach_it() -> None:
    async def scenario() -> dict[str, Answer | str]:
        async with bastion.serving():
            return await run_all([Host(shout).ref("nyc", port=1, proxy=bastion.ssh())], lambda _: "say")

    bastion = Host(shout)
    assert "the bastion cannot connect to 127.0.0.1, port 1" in str(asyncio.run(scenario())["nyc"])


def test_without_a_key_in_the_state_the_agents_keys_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no key of the user's own is a way in
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    host = Host(shout)

    async def scenario() -> dict[str, Answer | str]:
        async with host.serving():
            return await run_all([host.ref("nyc", private_key=None)], lambda _: "say")

    assert "no SSH agent runs (SSH_AUTH_SOCK is not set)" in str(asyncio.run(scenario())["nyc"])
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        try:
            while not path.exists():
                time.sleep(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
            assert "the SSH agent has no keys" in str(asyncio.run(scenario())["nyc"])
            key = host.client.export_private_key()
            subprocess.run(["ssh-add", "-q", "-"], input=key, check=True)
            assert asyncio.run(scenario()) == {"nyc": Answer(0, "say <>", "")}
        finally:
            agent.kill()
    assert "does not answer" in str(asyncio.run(scenario())["nyc"])


def test_no_more_connections_are_open_at_once_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "AT_ONCE", 3)
    open_now, most = 0, 0

    async def count(process: "asyncssh.SSHServerProcess[str]") -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.05)
        open_now -= 1
        process.exit(0)

    async def scenario() -> dict[str, Answer | str]:
        async with host.serving():
            return await run_all([host.ref(f"s{number}") for number in range(9)], lambda _: "say")

    host = Host(count)
    assert len(asyncio.run(scenario())) == 9
    assert most == 3
