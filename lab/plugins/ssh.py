"""How the command plugin gets into a host: connections by asyncssh that fail, wait and refuse as the release's do.

Everything here follows pulumi/pulumi-command v1.2.1, provider/pkg/provider/remote/connection.go, except where it
refuses more, in `refusals`.
"""

import asyncio
import base64
import binascii
import itertools
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncssh

from lab.plugins.calls import Call, RefusedError
from lab.plugins.shapes import INTEGER, NUMBER, STRING, Fault, Field, Shape
from lab.plugins.values import Value, plain

Result = TypeVar("Result")

_FIELDS = (
    Field("user", STRING, default="root"),
    Field("password", STRING, secret=True),
    Field("host", STRING, required=True),
    Field("port", NUMBER, default=22.0),
    Field("privateKey", STRING, secret=True),
    Field("privateKeyPassword", STRING, secret=True),
    Field("agentSocketPath", STRING),
    Field("dialErrorLimit", INTEGER, default=10.0),
    Field("perDialTimeout", INTEGER, default=15.0),
    Field("hostKey", STRING),
)
PROXY = Shape("remote.ProxyConnection", _FIELDS)
CONNECTION = Shape("remote.Connection", (*_FIELDS, Field("proxy", PROXY)))

# pulumi/pulumi v3.224.0, sdk/go/common/util/retry/until.go
FIRST_DELAY, BACK_OFF, LONGEST_DELAY = 0.1, 1.5, 5.0

# Go 1.25, net/dial.go and net/tcpsock.go: what every net.Dial has the kernel do, and so ssh.Dial. A host that vanishes
# is missed after 15 + 9 * 15 seconds; one whose kernel still answers is not.
_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 9))

UNPINNED = (
    "hostKey is not set: the released plugin then accepts whatever answers at that address, and here host keys are "
    "always checked; set it to the host's public key"
)
NO_PASSWORDS = "is not supported here: the lab's hosts know keys only; use privateKey or an agent"


def refusals(connection: Value) -> list[Fault]:
    """What the released plugin lets pass and the lab does not: a host key that nobody checks, and passwords."""
    connection = plain(connection)
    if not isinstance(connection, dict) or connection.get("host") == "":  # unknown until later
        return []
    found = []
    for place, end in (("connection", connection), ("connection.proxy", connection.get("proxy"))):
        if not isinstance(end, dict):
            continue
        if "hostKey" not in end:
            found.append((place, UNPINNED))
        found += [(f"{place}.{name}", f"{name} {NO_PASSWORDS}") for name in sorted(end) if "assword" in name]
    return found


class _DialError(Exception):
    """One attempt to connect failed."""


@dataclass(frozen=True)
class _Identity:
    """Who we are and whom we expect: what is read once, before the first attempt. Failing here is never retried."""

    keys: list[Any]
    agent: asyncssh.SSHAgentClient | None
    asks: bool  # whether a public key is offered at all
    host_key: asyncssh.SSHKey


async def _identity(end: Mapping[str, Any]) -> _Identity:
    """SSHConfig in the source: the pinned key, then the private key, then the agent. Raises RefusedError.

    An agent that cannot be reached fails even where there is a private key, and a private key keeps the agent's keys
    from being tried: both are the method "publickey", which golang.org/x/crypto v0.48.0 ssh/client_auth.go tries once.
    """
    if "hostKey" not in end:
        raise RefusedError(UNPINNED)
    host_key = _host_key(end["hostKey"])
    keys: list[Any] = []
    if "privateKey" in end:
        try:
            keys = [asyncssh.import_private_key(end["privateKey"])]
        except asyncssh.KeyImportError as error:
            protected = "passphrase" in str(error).lower()
            text = "this private key is passphrase protected" if protected else "no key found"
            raise RefusedError(f"ssh: {text}") from None
    path = end.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK")
    agent = None
    if path:
        try:
            agent = await asyncssh.connect_agent(path)
        except OSError as error:
            raise RefusedError(f"dial unix {path}: connect: {_go(error)}") from None
        if not keys:
            keys = list(await agent.get_keys())
    return _Identity(keys, agent, bool(path or keys), host_key)


def _host_key(text: str) -> asyncssh.SSHKey:
    """The key in a line of an authorized_keys file. What stands before it counts as options: a known_hosts line passes.

    ParseAuthorizedKey in golang.org/x/crypto v0.48.0, ssh/keys.go. Raises RefusedError.
    """
    reason = ""
    for line in (line.strip() for line in text.splitlines()):
        words = line.split()
        for kind, data in itertools.pairwise(words):
            try:
                base64.b64decode(data, validate=True)
                return asyncssh.import_public_key(f"{kind} {data}")
            except (binascii.Error, asyncssh.KeyImportError) as error:
                if re.match(r"(ssh|ecdsa)-", kind):
                    reason = f"; last parsing error for ignored line: {error}"
    raise RefusedError(f"failed to parse host key: ssh: no key found{reason}")


async def dial(call: Call, connection: Mapping[str, Any]) -> asyncssh.SSHClientConnection:
    """The connection to the host; the one to a bastion stays open behind it. Raises RefusedError.

    Every failure is tried again, failed authentication included, `dialErrorLimit` times.
    """
    identity = await _identity(connection)
    limit = int(connection.get("dialErrorLimit", 10))
    if "proxy" not in connection:
        return await _retrying(call, "Dial", limit, lambda: _connect(connection, identity))
    proxy = connection["proxy"]
    try:
        before = await _identity(proxy)
        proxy_limit = int(proxy.get("dialErrorLimit", 10))
        bastion = await _retrying(call, "Dial proxy", proxy_limit, lambda: _connect(proxy, before))
        through = _Through(call, bastion, limit)
        dialled = False

        async def handshake() -> asyncssh.SSHClientConnection:
            """The first failure closes the way through, and the released plugin tries again over what is closed."""
            nonlocal dialled
            if dialled:
                raise _DialError("ssh: handshake failed: EOF")
            dialled = True
            return await _connect(connection, identity, through)

        return await _retrying(call, "Dial", limit, handshake)
    except RefusedError as error:
        raise RefusedError(f"proxy: {error}", error.code) from None


async def _retrying(call: Call, what: str, limit: int, attempt: Callable[[], Awaitable[Result]]) -> Result:
    """dialWithRetry in the source. Raises RefusedError after `limit` failures and one more; -1 never gives up."""
    tries, delay = 0, FIRST_DELAY
    while True:
        try:
            return await attempt()
        except _DialError as error:
            if -1 < limit <= tries:
                raise RefusedError(f"after {tries} failed attempts: {error}") from None
        tries += 1
        await call.log("info", f"{what} {tries}/{'inf' if limit == -1 else limit} failed: retrying", status=True)
        await call.pause(delay)
        delay = min(delay * BACK_OFF, LONGEST_DELAY)


class _Through:
    """The way through a bastion, as asyncssh wants it: dialling from there has attempts of its own."""

    def __init__(self, call: Call, bastion: asyncssh.SSHClientConnection, limit: int) -> None:
        self._call, self._bastion, self._limit = call, bastion, limit

    async def create_connection(self, factory: Any, host: str, port: int) -> Any:
        """A connection from the bastion to the host. Raises RefusedError."""

        async def attempt() -> Any:
            try:
                return await self._bastion.create_connection(factory, host, port)
            except asyncssh.ChannelOpenError as error:
                kinds = {1: "administratively prohibited", 2: "connect failed", 4: "resource shortage"}
                kind = kinds.get(error.code, "unknown channel type")
                raise _DialError(f"ssh: rejected: {kind} ({error.reason})") from None

        return await _retrying(self._call, "Dial from proxy", self._limit, attempt)


class _Client(asyncssh.SSHClient):
    """Notes whether the host has proved its key, after which it is asked to let us in."""

    asked = False

    def begin_auth(self, username: str) -> None:  # noqa: ARG002
        self.asked = True


async def _connect(
    end: Mapping[str, Any], identity: _Identity, tunnel: _Through | None = None
) -> asyncssh.SSHClientConnection:
    """One attempt. `perDialTimeout` bounds the TCP connection only: a server that then is silent is waited for.

    asyncssh has the kernel ask whether the other end is still there (SO_KEEPALIVE), as often as `_KEEP_ALIVE` says.
    """
    host, port = end["host"], int(end["port"])
    client = _Client()
    options = asyncssh.SSHClientConnectionOptions(
        client_factory=lambda: client,
        username=end["user"],
        client_keys=identity.keys or None,
        agent_path=None,
        known_hosts=([identity.host_key], [], []),
        # exactly the pinned key's own algorithm: for ssh-rsa that is SHA-1, which current servers do not offer
        server_host_key_algs=[identity.host_key.get_algorithm()],
        preferred_auth="publickey",
        gss_kex=False,
        gss_auth=False,
        config=None,
        login_timeout=0,
    )
    try:
        if tunnel:
            return await asyncssh.connect(host, port, tunnel=tunnel, options=options)
        sock = await _tcp(host, port, float(end["perDialTimeout"]))
        return await asyncssh.connect(host, port, sock=sock, options=options)
    except asyncssh.HostKeyNotVerifiable:
        reason = "ssh: host key mismatch"
    except asyncssh.PermissionDenied:
        methods = "none publickey" if identity.asks else "none"
        reason = f"ssh: unable to authenticate, attempted methods [{methods}], no supported methods remain"
    except (asyncssh.ConnectionLost, ConnectionError):
        # asyncssh leaves it to the server to find no common algorithm, and the server hangs up
        kind = identity.host_key.get_algorithm()
        reason = "EOF" if client.asked else f"EOF before the host showed a key: has it one of the pinned kind, {kind}?"
    except (asyncssh.Error, OSError) as error:
        reason = str(error)
    raise _DialError(f"ssh: handshake failed: {reason}")


async def _tcp(host: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection to the first address that answers; they share the time. 0 seconds is no limit."""
    loop = asyncio.get_running_loop()
    try:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise _DialError(f"dial tcp: lookup {host}: no such host") from None
    problem = ""
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        for option, value in _KEEP_ALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        place = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
        try:
            async with asyncio.timeout(timeout / len(addresses) if timeout else None):
                await loop.sock_connect(sock, address)
        except TimeoutError:
            reason = "i/o timeout"
        except OSError as error:
            reason = f"connect: {_go(error)}"
        except BaseException:
            sock.close()
            raise
        else:
            return sock
        sock.close()
        problem = problem or f"dial tcp {place}:{port}: {reason}"
    raise _DialError(problem)


def _go(error: OSError) -> str:
    """The error as Go words it: its system text in lower case."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]
