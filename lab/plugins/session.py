"""One command on a host: its environment, its streams as they come, how it ended, and the words for that."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.packet import String

EXTENDED_DATA_STDERR: Final = 1
WINDOW: Final = 64 * 32768  # golang.org/x/crypto v0.48.0, ssh/mux.go, channelWindowSize
LONGEST_LINE: Final = 65536  # bufio.MaxScanTokenSize, the line's end included

# golang.org/x/crypto v0.48.0, ssh/session.go: what a signal adds to 128 in an exit status; the others add nothing
SIGNALS: Final = {
    "ABRT": 6, "ALRM": 14, "FPE": 8, "HUP": 1, "ILL": 4, "INT": 2,
    "KILL": 9, "PIPE": 13, "QUIT": 3, "SEGV": 11, "TERM": 15,
}  # fmt: skip


class _Channel(SSHClientChannel[bytes]):
    """A session that asks whether each variable is accepted, before its command starts; asyncssh itself never asks."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, setenv: Callable[["_Channel"], Awaitable[None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(connection, loop, "strict", None, "strict", WINDOW, 32768)
        self._setenv = setenv

    async def set_variable(self, name: str, value: str) -> bool:
        """False where the server refuses it."""
        return bool(await super()._make_request(b"env", String(name), String(value)))

    async def _make_request(self, request: bytes, *arguments: bytes) -> bool | None:
        if request == b"exec":
            await self._setenv(self)
        return await super()._make_request(request, *arguments)


class _Session(asyncssh.SSHClientSession[bytes]):
    """What comes from the host, each stream alone and both together in the order of arrival."""

    def __init__(self, arrived: Callable[[int | None, bytes], None]) -> None:
        self._arrived = arrived
        self.closed = asyncio.get_running_loop().create_future()
        self.status: int | None = None
        self.signal, self.reason = "", ""
        self.unread = False  # whether the host closed the session before it took all of stdin

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._arrived(datatype, data)

    def exit_status_received(self, status: int) -> None:
        self.status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: ARG002
        self.signal, self.reason = signal, msg

    def pause_writing(self) -> None:
        self.unread = True

    def resume_writing(self) -> None:
        self.unread = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.closed.done():
            self.closed.set_result(None)


class Lines:
    """Streamed output as lines, both streams in one, as pulumi-command v1.2.1 reads it (util/util.go, LogOutput)."""

    def __init__(self) -> None:
        self._pending = b""
        self.too_long = asyncio.Event()

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now, without their ends."""
        *complete, self._pending = (self._pending + data).split(b"\n")
        for number, line in enumerate((*complete, self._pending)):
            if len(line) >= LONGEST_LINE:
                self.too_long.set()
                del complete[number:]
                self._pending = b""
                break
        return [_text(line) for line in complete]

    def rest(self) -> list[str]:
        """What is left at the end."""
        return [_text(self._pending)] if self._pending else []


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


class Finished:
    """What a command left behind. `failure` is None where it ended with status 0."""

    def __init__(self, session: _Session, stdout: bytes, stderr: bytes, both: bytes) -> None:
        self.stdout, self.stderr, self.both = stdout, stderr, both
        self.failure = _failure(session)


def _failure(session: _Session) -> str | None:
    """The end in words: Waitmsg.String and ExitMissingError in golang.org/x/crypto v0.48.0, ssh/session.go."""
    if session.status is None and not session.signal:
        return "wait: remote command exited without exit status or exit signal"
    status = session.status or 0
    if session.signal:
        status = status or 128 + SIGNALS.get(session.signal, 0)
        reason = f". Reason was: {session.reason}" if session.reason else ""
        return f"Process exited with status {status} from signal {session.signal}{reason}"
    if status:
        return f"Process exited with status {status}"
    return "EOF" if session.unread else None  # Session.Wait: a copy to stdin that failed fails the command


async def run(
    connection: asyncssh.SSHClientConnection,
    command: str,
    stdin: str,
    setenv: Callable[[Callable[[str, str], Awaitable[bool]]], Awaitable[None]],
    streamed: Mapping[int | None, Callable[[bytes], None]],
) -> Finished:
    """Runs a command and waits until it has ended and its streams are closed.

    `setenv` gets a function that sets one variable; `streamed` what to do with a stream's data as it comes, None being
    stdout. Raises asyncssh.ChannelOpenError, and whatever `setenv` raises.
    """
    streams = {None: bytearray(), EXTENDED_DATA_STDERR: bytearray()}
    both = bytearray()

    def arrived(stream: int | None, data: bytes) -> None:
        streams[stream] += data
        both.extend(data)
        if stream in streamed:
            streamed[stream](data)

    session = _Session(arrived)

    async def prepare(channel: _Channel) -> None:
        await setenv(channel.set_variable)

    channel = _Channel(connection, prepare)
    nothing: Any = None
    await channel.create(lambda: session, command, None, {}, False, None, nothing, {}, False, None, None, False, False)
    channel.set_write_buffer_limits(0)
    try:
        if stdin:
            channel.write(stdin.encode())
        channel.write_eof()
    except BrokenPipeError:  # ssh/channel.go, WriteExtended: io.EOF where the host has closed the channel
        session.unread = True
    try:
        await session.closed
    finally:
        channel.close()
    return Finished(session, bytes(streams[None]), bytes(streams[EXTENDED_DATA_STDERR]), bytes(both))


def quote(text: str) -> str:
    """The text as Go's %q prints it (strconv.Quote)."""
    short = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    done = ""
    for character in text:
        code = ord(character)
        if character in '"\\':
            done += "\\" + character
        elif character.isprintable():
            done += character
        elif code < 0x80:
            done += short.get(character, f"\\x{code:02x}")
        else:
            done += f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return f'"{done}"'
