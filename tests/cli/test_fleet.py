"""The hosts of a stack: read from its state, and asked all at once, each within its time and by its pinned key."""

import asyncio
import json
import os
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
from cli.fleet import FleetError, HostRef, hosts, read_state, run_all
from cli.ssh import Answer
from mesh.model import Secret, Ssh
from tests.cli.servers import Host, hang_up, silence, tcp

URN = "urn:pulumi:prod::wireguard-mesh::wireguard-mesh:index:WireguardMesh$wireguard-mesh:index:Endpoint$"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nnone of anybody's\n-----END OPENSSH PRIVATE KEY-----\n"
BUNDLE = "wireguard-mesh 1 9 abc\n@machine m\n@interface wg7\n@rules 0123456789abcdef\n@forwarding\n@conf\nx\n@end\n"


def sealed(value: object) -> dict[str, str]:
    """A secret as `pulumi stack export --show-secrets` shows it (pulumi's sdk/go/common/apitype/core.go, SecretV1)."""
    mark = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    return {**mark, "plaintext": json.dumps(value)}


def resource(name: str, connection: object, stdin: object, **more: Any) -> dict[str, Any]:
    kind = "command:remote:Command"
    inputs = {"connection": connection, "create": "...", "stdin": stdin}
    return {"urn": f"{URN}{kind}::{name}", "type": kind, "inputs": inputs, **more}


def exported(*resources: dict[str, Any]) -> str:
    return json.dumps({"version": 3, "deployment": {"resources": list(resources)}})


CONNECTION = {"host": "192.0.2.1", "hostKey": "ssh-ed25519 AAAA", "port": 22, "user": "root"}
NYC = [
    resource("nyc-config", {**CONNECTION, "privateKey": sealed(KEY)}, sealed(BUNDLE)),
    resource("nyc-confirm", {**CONNECTION, "privateKey": sealed(KEY)}, sealed("c" * 64)),
]


def test_the_state_says_how_a_host_is_reached_and_what_it_has_to_run() -> None:
    proxy = {**CONNECTION, "host": "192.0.2.9", "user": "jump", "port": 2222}
    there = sealed({**CONNECTION, "host": "192.0.2.2", "proxy": proxy})
    whole = exported(
        {"urn": "urn:pulumi:prod::wireguard-mesh::pulumi:pulumi:Stack::prod", "type": "pulumi:pulumi:Stack"},
        resource("use1-aws-config", there, sealed(BUNDLE), retainOnDelete=True),
        resource("use1-aws-confirm", there, sealed("d" * 64)),
        *NYC,
        resource("nyc-host", CONNECTION, "helper"),
    )
    nyc, use1 = read_state(whole)
    secret = Secret(KEY)
    assert nyc == HostRef(
        "nyc",
        "wg7",
        Ssh("192.0.2.1", 22, "root", "ssh-ed25519 AAAA", secret),
        "c" * 64,
        paused=False,
        rules="0123456789abcdef",
    )
    assert (use1.site, use1.generation, use1.paused) == ("use1-aws", "d" * 64, True)
    assert use1.connection == Ssh(
        "192.0.2.2", 22, "root", "ssh-ed25519 AAAA", proxy=Ssh("192.0.2.9", 2222, "jump", "ssh-ed25519 AAAA")
    )
    assert "none of anybody's" not in repr((nyc, use1))


def test_a_host_that_was_paused_before_anything_was_done_there_has_no_generation_and_no_interface() -> None:
    never = [resource(f"nyc-{what}", CONNECTION, "", retainOnDelete=True) for what in ("config", "confirm")]
    for one in never:
        del one["inputs"]["stdin"], one["inputs"]["create"]
    (host,) = read_state(exported(*never))
    assert (host.paused, host.interface, host.generation) == (True, "", None)


def test_a_host_that_was_never_confirmed_and_one_that_is_being_replaced() -> None:
    (host,) = read_state(exported(NYC[0], {**NYC[1], "delete": True}))
    assert host.generation is None
    assert read_state(exported()) == ()
    assert read_state('{"deployment": {"manifest": {}}}') == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", exported(resource("nyc-config", CONNECTION, "x", inputs={}))])
def test_a_state_that_cannot_be_read_is_an_error_without_a_trace(text: str) -> None:
    with pytest.raises(FleetError, match="not as this version writes it"):
        read_state(text)


def engine(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a program that calls itself pulumi first on PATH."""
    (folder / "pulumi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_engine_is_asked_in_the_projects_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_text(exported(*NYC))
    engine(tmp_path, 'echo "$PWD $*" >"$OUT" && cat state', monkeypatch)
    monkeypatch.setenv("OUT", str(tmp_path / "asked"))
    assert [host.site for host in hosts("prod", tmp_path)] == ["nyc"]
    asked = (tmp_path / "asked").read_text().strip()
    assert asked == f"{tmp_path} stack export --show-secrets --non-interactive --stack prod"


# What pulumi 3.259.0 says, run without a backend, without a stack, and without its passphrase or with another.
@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("error: no stack named 'prod' found", "pulumi stack init prod"),
        ("error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions", "pulumi login"),
        (
            "error: could not deserialize deployment: constructing secrets manager: passphrase must be set with"
            " PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
            "the one that the stack was made with",
        ),
        ("SDK WARN something else\nerror: read .pulumi/meta.yaml: no credentials", "no credentials"),
    ],
    ids=["no stack", "not logged in", "no passphrase", "no credentials"],
)
def test_why_the_engine_has_no_state_is_said_in_its_words_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, way: str
) -> None:
    (tmp_path / "said").write_text(f"{said}\n")
    engine(tmp_path, "cat said >&2; exit 1", monkeypatch)
    with pytest.raises(FleetError, match="cannot read the state of 'prod'") as caught:
        hosts("prod", tmp_path)
    assert said.rpartition("error: ")[2] in str(caught.value)
    assert way in str(caught.value)
    assert "SDK" not in str(caught.value)


def test_without_an_engine_and_with_one_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FleetError, match="is not on PATH; install it"):
        hosts("prod", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    engine(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(fleet, "_ENGINE_SECONDS", 0.3)
    with pytest.raises(FleetError, match="did not read the stack's state"):
        hosts("prod", tmp_path)


async def shout(process: "asyncssh.SSHServerProcess[str]") -> None:
    """Says the command and what came on stdin."""
    process.stdout.write(f"{process.command} <{await process.stdin.read()}>")
    process.exit(0)


async def fail(process: "asyncssh.SSHServerProcess[str]") -> None:
    process.stderr.write("sudo: noise\nwireguard-mesh: another \x1b[31mrun is at work\n")
    process.exit(75)


async def sleep(process: "asyncssh.SSHServerProcess[str]") -> None:
    await asyncio.sleep(60)


async def flood(process: "asyncssh.SSHServerProcess[str]") -> None:
    while True:
        process.stdout.write("x" * 10_000)
        await process.stdout.drain()


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


def test_a_command_that_does_not_end_or_says_too_much_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(with_host(Host(sleep), seconds=0.3)) == {"good": "the command did not end within 0 s"}
    monkeypatch.setattr(ssh, "LONGEST_ANSWER", 1 << 16)
    assert asyncio.run(with_host(Host(flood))) == {"good": "the answer is longer than 64 KiB, which is none of ours"}


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
            spoilt = Secret(KEY)
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
            return await with_host(good, *others)

    start = time.monotonic()
    answers = asyncio.run(scenario())
    assert time.monotonic() - start < 10
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
