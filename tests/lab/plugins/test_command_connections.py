"""How the command plugin gets in: keys, agents, bastions, and how it fails."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from tests.lab.plugins.bench import Bench, CallError, Plugin, Properties, secret, struct
from tests.lab.plugins.stage import Namespace, Sshd, eventually

pytestmark = pytest.mark.lab

NOBODY = 2299  # a port on which nobody listens
URN = "urn:pulumi:stack::project::command:remote:Command::name"
UNAUTHENTICATED = (
    "ssh: handshake failed: ssh: unable to authenticate, attempted methods [{}], no supported methods remain"
)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    eventually(socket.exists)
    yield socket
    process.kill()
    process.wait()


def load(agent: Path, key: Path) -> None:
    subprocess.run(["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": str(agent)}, check=True)


def test_the_pinned_key_may_have_a_comment_or_a_name_before_it(bench: Bench) -> None:
    for text in (f"{bench.taking.host_key} a comment", f"127.0.0.1 {bench.taking.host_key}"):
        assert bench.run("echo in", bench.connection(hostKey=text))["stdout"] == "in"


def test_another_host_key_than_the_pinned_one_is_refused(bench: Bench) -> None:
    failure = bench.failure("echo in", bench.connection(hostKey=bench.refusing.host_key))
    assert failure.text == "after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch"


def test_an_rsa_key_cannot_be_pinned_against_a_current_server(bench: Bench) -> None:
    failure = bench.failure("echo in", bench.connection(port=bench.rsa.port, hostKey=bench.rsa.host_key))
    wanted = "no common algorithm for host key; we offered: .ssh-rsa." if bench.released else "pinned kind, ssh-rsa"
    assert re.match(f"after 0 failed attempts: ssh: handshake failed: .*{wanted}", failure.text)


def test_a_connection_without_a_pinned_key_is_not_made_in_the_lab(bench: Bench) -> None:
    if bench.released:
        pytest.skip("the release accepts every key then")
    assert "host keys are always checked" in bench.failure("echo in", bench.connection(hostKey=None)).text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hostKey": ""}, "failed to parse host key: ssh: no key found"),
        ({"hostKey": "ssh-ed25519 AAAA!"}, "failed to parse host key: ssh: no key found; last parsing error for"),
        ({"privateKey": "no key"}, "ssh: no key found"),
        ({"agentSocketPath": "/nowhere"}, "dial unix /nowhere: connect: no such file or directory"),
        ({"agentSocketPath": "/nowhere", "privateKey": None}, "dial unix /nowhere: connect: no such file or directory"),
    ],
)
def test_what_cannot_be_used_fails_at_once_and_is_not_tried_again(
    bench: Bench, changes: dict[str, Any], text: str
) -> None:
    failure = bench.failure("echo in", bench.connection(dialErrorLimit=3, **changes))
    assert failure.text.startswith(text)
    assert bench.plugin.engine.logs == []


def test_a_stale_agent_of_the_environment_fails_even_with_a_private_key(
    bench: Bench, namespace: Namespace, program: Path
) -> None:
    plugin = Plugin(namespace, program, {"SSH_AUTH_SOCK": "/gone"})
    bench.plugin = plugin
    with contextlib.closing(plugin):
        assert bench.failure("echo in").text == "dial unix /gone: connect: no such file or directory"


def test_a_key_in_the_agent_lets_in(bench: Bench, agent: Path) -> None:
    connection = bench.connection(agentSocketPath=str(agent), privateKey=None)
    assert UNAUTHENTICATED.format("none publickey") in bench.failure("echo in", connection).text
    load(agent, bench.directory / "operator")
    assert bench.run("echo in", connection)["stdout"] == "in"


def test_a_private_key_keeps_the_agents_keys_from_being_tried(bench: Bench, agent: Path) -> None:
    load(agent, bench.directory / "operator")
    stranger = (bench.directory / "stranger").read_text()
    connection = bench.connection(agentSocketPath=str(agent), privateKey=stranger)
    assert UNAUTHENTICATED.format("none publickey") in bench.failure("echo in", connection).text


def test_without_any_key_nothing_is_offered(bench: Bench) -> None:
    assert UNAUTHENTICATED.format("none") in bench.failure("echo in", bench.connection(privateKey=None)).text


def tries(bench: Bench) -> list[tuple[str, bool, str]]:
    return [log for log in bench.plugin.engine.logs if "failed: retrying" in log[2]]


@pytest.mark.parametrize("cause", ["refused", "authentication", "host key"])
def test_every_failure_to_connect_is_tried_again_with_growing_pauses(bench: Bench, cause: str) -> None:
    causes: dict[str, Properties] = {
        "refused": {"port": NOBODY},
        "authentication": {"privateKey": (bench.directory / "stranger").read_text()},
        "host key": {"hostKey": bench.refusing.host_key},
    }
    start = time.monotonic()
    failure = bench.failure("echo in", bench.connection(dialErrorLimit=3, **causes[cause]))
    assert time.monotonic() - start >= 0.1 + 0.15 + 0.225
    assert failure.text.startswith("after 3 failed attempts: ")
    assert tries(bench) == [("INFO", True, f"Dial {number}/3 failed: retrying") for number in (1, 2, 3)]


def test_a_port_without_a_server_is_named(bench: Bench) -> None:
    failure = bench.failure("echo in", bench.connection(port=NOBODY))
    assert failure.text == f"after 0 failed attempts: dial tcp 127.0.0.1:{NOBODY}: connect: connection refused"


def test_a_server_that_starts_meanwhile_is_found(bench: Bench, namespace: Namespace) -> None:
    inputs = bench.inputs(bench.connection(port=NOBODY, dialErrorLimit=-1), create="echo in")
    request = provider_pb2.CreateRequest(urn=URN, properties=struct(inputs))
    call = bench.plugin.stub.Create.future(request, timeout=60)
    eventually(lambda: len(tries(bench)) > 1)
    assert tries(bench)[0][2] == "Dial 1/inf failed: retrying"
    with contextlib.closing(Sshd(namespace, bench.directory, NOBODY, "first")):
        assert call.result().properties["stdout"] == "in"


def through(bench: Bench, **changes: Any) -> Properties:
    """A bastion: the second server."""
    return bench.connection(port=bench.refusing.port, hostKey=bench.refusing.host_key, **changes)


def test_a_bastion_leads_to_the_host(bench: Bench) -> None:
    found = bench.run("echo $SSH_CONNECTION", bench.connection(proxy=through(bench)))["stdout"]
    assert found.split()[3] == str(bench.taking.port)


@pytest.mark.parametrize(
    ("bastion", "host", "text", "first"),
    [
        ({"privateKey": "stranger"}, {}, UNAUTHENTICATED.format("none publickey"), "Dial proxy 1/2"),
        ({"hostKey": "stranger"}, {}, "ssh: handshake failed: ssh: host key mismatch", "Dial proxy 1/2"),
        ({}, {"port": NOBODY}, "ssh: rejected: connect failed (Connection refused)", "Dial from proxy 1/2"),
        ({}, {"hostKey": "stranger"}, "ssh: handshake failed: EOF", "Dial 1/2"),
    ],
)
def test_each_part_of_the_way_through_a_bastion_fails_by_its_name(
    bench: Bench, bastion: Properties, host: Properties, text: str, first: str
) -> None:
    def read(changes: Properties) -> Properties:
        files = {"privateKey": "stranger", "hostKey": "stranger.pub"}
        return {k: (bench.directory / files[k]).read_text() if v == "stranger" else v for k, v in changes.items()}

    proxy = {**through(bench), "dialErrorLimit": 2, **read(bastion)}
    connection = bench.connection(**{"dialErrorLimit": 2, "proxy": proxy, **read(host)})
    assert bench.failure("echo in", connection).text == f"proxy: after 2 failed attempts: {text}"
    assert tries(bench)[0][2] == f"{first} failed: retrying"


def test_the_time_for_dialling_bounds_the_tcp_connection_only(bench: Bench, namespace: Namespace) -> None:
    mute = f"import socket; s = socket.create_server(('', {NOBODY})); print(flush=True); c = s.accept(); input()"
    streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with namespace.popen([sys.executable, "-c", mute], **streams) as server:
        assert server.stdout
        server.stdout.readline()
        inputs = bench.inputs(bench.connection(port=NOBODY, perDialTimeout=1, dialErrorLimit=3), create="true")
        with pytest.raises(CallError) as error:
            bench.create(inputs, timeout=3)
        assert error.value.code == "DEADLINE_EXCEEDED"
        assert tries(bench) == []


@pytest.mark.parametrize("ended", ["by the engine's time limit", "by Cancel"])
def test_dialling_ends_when_the_engine_no_longer_waits(own_bench: Bench, ended: str) -> None:
    inputs = own_bench.inputs(own_bench.connection(port=NOBODY, dialErrorLimit=-1), create="true")
    limit = 1 if ended == "by the engine's time limit" else 0
    call = own_bench.plugin.stub.Create.future(
        provider_pb2.CreateRequest(urn=URN, properties=struct(inputs), timeout=limit), timeout=20
    )
    if not limit:
        eventually(lambda: len(tries(own_bench)) > 1)
        own_bench.plugin("Cancel", empty_pb2.Empty())
    error = call.exception()
    expected = ("DEADLINE_EXCEEDED", "context deadline exceeded") if limit else ("CANCELLED", "context canceled")
    assert (error.code().name, error.details()) == expected


def test_after_cancel_a_command_still_runs_but_nothing_is_dialled_twice(own_bench: Bench) -> None:
    own_bench.plugin("Cancel", empty_pb2.Empty())
    assert own_bench.run("echo in")["stdout"] == "in"
    failure = own_bench.failure("echo in", own_bench.connection(port=NOBODY, dialErrorLimit=5))
    assert (failure.code, failure.text) == ("CANCELLED", "context canceled")


def test_a_connection_stays_open_until_the_plugin_ends(own_bench: Bench) -> None:
    before = own_bench.taking.sessions()
    own_bench.run("true")
    own_bench.run("true")
    assert own_bench.taking.sessions() == before + 2
    own_bench.plugin.process.kill()
    eventually(lambda: own_bench.taking.sessions() == before)


def test_a_key_never_shows_in_a_failure_or_a_log(bench: Bench) -> None:
    line = bench.key.splitlines()[2]
    texts = [bench.failure("exit 1", stdin=secret("canary")).text]
    texts += [bench.failure("true", bench.connection(**{name: bench.key})).text for name in ("hostKey", "host")]
    texts += [str(bench.check(bench.inputs(bench.connection(privatekey=bench.key)))[1])]
    shown = "\n".join(texts) + str(bench.plugin.engine.logs)
    assert "canary" not in shown
    assert line not in "\n".join([texts[0], texts[1], texts[3]])


def test_the_stand_in_ends_with_its_engine(own_bench: Bench) -> None:
    if own_bench.released:
        pytest.skip("the release looks only every five minutes")
    own_bench.run("true")
    own_bench.plugin.disconnect()
    assert own_bench.plugin.process.wait(20) in (0, -signal.SIGTERM)
