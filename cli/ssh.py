"""SSH to a host for meshctl: exactly the pinned host key, every step bounded in time, every failure in words."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncssh

from mesh.model import Ssh

CONNECT_SECONDS = 10.0
LOGIN_SECONDS = 15.0
# A link that is cut in the middle of a command shows within half a minute.
_KEEPALIVE_SECONDS = 10
# Far more than any of our commands says.
LONGEST_ANSWER = 1 << 20
# Of a sentence in which a host says what failed; our program's are shorter.
_LONGEST_SENTENCE = 1500
# A server that has too many logins under way hangs up on some (sshd_config(5), MaxStartups): these are tried again.
_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0


class UnreachedError(Exception):
    """A host gave no answer; the text says why, and holds no key."""


class _PassingError(UnreachedError):
    """It may be otherwise in a moment."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended on a host: its exit status, and both streams."""

    status: int
    stdout: str
    stderr: str

    @property
    def failure(self) -> str | None:
        """In words why it failed, with the last line that it said, or None where its exit status is 0."""
        if self.status == 0:
            return None
        said = [line for line in printable(self.stderr).splitlines() if line.strip()]
        sentence = said[-1].strip().removeprefix("wireguard-mesh: ")[:_LONGEST_SENTENCE] if said else ""
        return f"exit status {self.status}: {sentence}" if sentence else f"exit status {self.status}"


def printable(text: str) -> str:
    """The text without what a terminal would obey: a host may say anything."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


class Agent:
    """The user's SSH agent, asked for its keys once, and only where a host wants them."""

    def __init__(self) -> None:
        self._client: asyncssh.SSHAgentClient | None = None
        self._keys: list[Any] | None = None
        self._asking = asyncio.Lock()

    async def keys(self) -> list[Any]:
        """Its keys. Raises UnreachedError where there is no agent, or one without keys."""
        async with self._asking:
            if self._keys is None:
                self._keys = await self._ask()
            return self._keys

    async def _ask(self) -> list[Any]:
        without = "and the stack's config has no ssh.private_key for this host"
        path = os.environ.get("SSH_AUTH_SOCK")
        if not path:
            raise UnreachedError(f"no SSH agent runs (SSH_AUTH_SOCK is not set), {without}")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._client = await asyncssh.connect_agent(path)
                keys = list(await self._client.get_keys())
        except (OSError, ValueError, asyncssh.Error, TimeoutError):
            raise UnreachedError(f"the SSH agent at {path} does not answer, {without}") from None
        if not keys:
            raise UnreachedError(f"the SSH agent has no keys (ssh-add), {without}")
        return keys

    def close(self) -> None:
        """Lets go of it."""
        if self._client is not None:
            self._client.close()


class _Client(asyncssh.SSHClient):
    """Notes how far an attempt has come: connected, which `limit` bounds, and then proved to be the host we mean."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self._limit = limit
        self.connected = self.known = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:  # noqa: ARG002
        self.connected = True
        self._limit.reschedule(None)  # from here on asyncssh's own time for a login runs

    def begin_auth(self, username: str) -> None:  # noqa: ARG002
        self.known = True


@contextlib.asynccontextmanager
async def connected(
    ssh: Ssh, agent: Agent, bastion: asyncssh.SSHClientConnection | None = None
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection to `ssh` itself, through the bastion's where there is one. Raises UnreachedError."""
    for attempt in range(_ATTEMPTS):
        try:
            connection = await _connect(ssh, agent, bastion)
            break
        except _PassingError:
            if attempt + 1 == _ATTEMPTS:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
    try:
        yield connection
    finally:
        connection.abort()
        with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
            async with asyncio.timeout(1):
                await connection.wait_closed()


async def _connect(
    ssh: Ssh, agent: Agent, bastion: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    where = f"{ssh.host}, port {ssh.port}"
    limit = asyncio.timeout(CONNECT_SECONDS)
    client = _Client(limit)
    options = await _options(ssh, agent, client)
    try:
        async with limit:
            return await asyncssh.connect(ssh.host, ssh.port, tunnel=bastion or (), options=options)
    except TimeoutError:
        raise UnreachedError(
            f"{where} does not answer within {CONNECT_SECONDS:.0f} s; the host is down, or SSH is filtered"
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        raise UnreachedError(
            f"{where} has another host key than host_key says; nothing was sent to it: compare with the host's console"
        ) from None
    except asyncssh.PermissionDenied:
        raise UnreachedError(f"{where} refuses the login of {ssh.user} with the keys that there are") from None
    except asyncssh.ChannelOpenError as error:
        raise UnreachedError(f"the bastion cannot connect to {where}: {printable(str(error.reason))}") from None
    except ConnectionRefusedError:
        raise UnreachedError(f"{where} refuses connections: no SSH server listens there") from None
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _interrupted(where, client, ssh, error) from None


def _interrupted(where: str, client: _Client, ssh: Ssh, error: Exception) -> UnreachedError:
    """What it means that a login ended, by how far it had come."""
    lost = isinstance(error, asyncssh.ConnectionLost | ConnectionError)
    if "login timeout" in str(error).lower():
        what = "does not let us in" if client.known else "accepts connections and then is silent"
        return UnreachedError(f"{where} {what} within {LOGIN_SECONDS:.0f} s; it is overloaded, or no SSH server")
    if not client.connected:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return UnreachedError(f"{where} cannot be reached: {printable(reason)}")
    if lost and client.known:
        return _PassingError(f"{where} hung up during the login of {ssh.user}")
    kind = ssh.host_key.split()[0]
    if lost:  # as OpenSSH does where there is no such key
        return _PassingError(f"{where} hung up before it showed a host key of the kind that host_key says, {kind}")
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return UnreachedError(f"{where} has no host key of the kind that host_key says, {kind}, or no way in common")
    return UnreachedError(f"{where} does not speak SSH as we do: {printable(str(error))}")


async def _options(ssh: Ssh, agent: Agent, client: _Client) -> asyncssh.SSHClientConnectionOptions:
    if ssh.private_key is None:
        keys = await agent.keys()
    else:
        try:
            keys = [asyncssh.import_private_key(ssh.private_key.reveal())]
        except (asyncssh.KeyImportError, ValueError):
            raise UnreachedError("the private key in the state is not one that can be read") from None
    try:
        host_key = asyncssh.import_public_key(ssh.host_key)
    except (asyncssh.KeyImportError, ValueError):
        raise UnreachedError("the host key in the state is not one that can be read") from None
    return asyncssh.SSHClientConnectionOptions(
        client_factory=lambda: client,
        username=ssh.user,
        client_keys=keys,
        agent_path=None,
        known_hosts=([host_key], [], []),
        server_host_key_algs=[host_key.get_algorithm()],
        preferred_auth="publickey",
        gss_kex=False,
        gss_auth=False,
        config=None,
        login_timeout=LOGIN_SECONDS,
        keepalive_interval=_KEEPALIVE_SECONDS,
        keepalive_count_max=2,
    )


async def run(connection: asyncssh.SSHClientConnection, command: str, stdin: str, seconds: float) -> Answer:
    """Runs one command to its end, `seconds` at most. Raises UnreachedError."""
    try:
        async with asyncio.timeout(seconds):
            process = await connection.create_process(command, encoding=None)
            try:
                _, stdout, stderr = await asyncio.gather(
                    _send(process, stdin), _read(process.stdout), _read(process.stderr)
                )
                await process.wait_closed()
            finally:
                # Not waited for, as `async with` would: OpenSSH's server closes only when the command has ended.
                process.close()
    except TimeoutError:
        raise UnreachedError(f"the command did not end within {seconds:.0f} s") from None
    except (asyncssh.Error, OSError):
        raise UnreachedError("the connection was lost while the command ran") from None
    if process.returncode is None or process.returncode < 0:
        raise UnreachedError("the connection was lost while the command ran, or the command was killed")
    return Answer(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


async def _send(process: asyncssh.SSHClientProcess[bytes], text: str) -> None:
    # A command that fails early does not read its input; its exit status says more.
    with contextlib.suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
        process.stdin.write(text.encode())
        await process.stdin.drain()
        process.stdin.write_eof()


async def _read(stream: asyncssh.SSHReader[bytes]) -> bytes:
    read = bytearray()
    while piece := await stream.read(1 << 16):
        read += piece
        if len(read) > LONGEST_ANSWER:
            raise UnreachedError(f"the answer is longer than {LONGEST_ANSWER >> 10} KiB, which is none of ours")
    return bytes(read)
