"""SSH servers on the loopback for the tests of what meshctl asks of hosts: good ones, and such as fail in one way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncssh

from cli.fleet import HostRef
from mesh.model import Secret, Ssh

Handler = Callable[["asyncssh.SSHServerProcess[str]"], Awaitable[None]]


class Host:
    """A server that takes one client key. `logins` counts those that were let in."""

    def __init__(self, handler: Handler) -> None:
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.client = asyncssh.generate_private_key("ssh-ed25519")
        self.handler = handler
        self.logins = 0
        self.port = 0

    def ssh(self, **other: Any) -> Ssh:
        """How the state says that it is reached."""
        key = self.client.export_private_key().decode()
        public = self.key.export_public_key().decode().strip()
        known = {"host": "127.0.0.1", "port": self.port, "user": "root", "host_key": public}
        return Ssh(**{**known, "private_key": Secret(key), **other})

    def ref(self, site: str, **other: Any) -> HostRef:
        """The host of a site."""
        return HostRef(site, "wg0", self.ssh(**other), "a" * 64, False, "b" * 16)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Host"]:
        """Serves on a port of the loopback."""
        host = self

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                return username == "root" and key.public_data == host.client.public_data

            def auth_completed(self) -> None:
                host.logins += 1

            def connection_requested(self, *_: Any) -> bool:
                return True

        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=[self.key], process_factory=self.handler
        )
        self.port = server.get_port()
        async with server:
            yield self


@contextlib.asynccontextmanager
async def tcp(act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Something on a port that speaks no SSH; gives the port."""
    ended = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await act(reader, writer)
        if act is silence:
            await ended.wait()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ended.set()
        server.close()


async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accepts, and says nothing."""


async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accepts, and closes."""
