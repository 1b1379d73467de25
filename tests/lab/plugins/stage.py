"""A stage for programs that talk over the network: a namespace of its own, SSH servers in it, and a way in and out."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from lab.namespaces import Keeper, launch

# linux/sched.h: CLONE_NEWNET, CLONE_NEWPID
KINDS = {"net": 0x40000000, "pid": 0x20000000}


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits until the condition holds. Raises AssertionError where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.02)


class Namespace:
    """A network namespace with nothing but a loopback; programs run in it, and gRPC is carried in and out of it.

    Everything in it ends with the process that made it, even where that is killed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._keeper = Keeper(directory.name)
        self.pid = launch(self._keeper.processes[0], directory, "stage", "host", "stage").pid
        # Programs are started by a thread that has entered, so that each is this process's own child.
        self._starter = ThreadPoolExecutor(1, initializer=lambda: self._enter("net", "pid"))
        self._programs: list[subprocess.Popen[str]] = []
        self.popen(["ip", "link", "set", "lo", "up"]).wait()
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def _serve(self, ready: threading.Event) -> None:
        """Only this thread enters the namespace: a socket belongs to the namespace of the thread that opened it."""
        self._enter("net")
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(ready.set)
        self._loop.run_forever()

    def _enter(self, *kinds: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        for kind in kinds:
            with Path(f"/proc/{self.pid}/ns/{kind}").open() as handle:
                assert libc.setns(handle.fileno(), KINDS[kind]) == 0, os.strerror(ctypes.get_errno())

    def popen(self, command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
        program = self._starter.submit(partial(subprocess.Popen, command, text=True, **options)).result()
        self._programs.append(program)
        return program

    def into(self, port: int) -> str:
        """A Unix socket's address that leads to a TCP port inside."""
        path = self.directory / f"in-{port}"

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _join(reader, writer, *await asyncio.open_connection("127.0.0.1", port))

        self._servers.append(self._run(asyncio.start_unix_server(accept, path)))
        return f"unix:{path}"

    def out(self, path: Path) -> tuple[int, Callable[[], None]]:
        """A TCP port inside that leads to a Unix socket, and what closes it together with its connections."""
        writers: list[asyncio.StreamWriter] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await _join(reader, writer, *await asyncio.open_unix_connection(path))

        async def close() -> None:
            server.close()
            for writer in writers:
                writer.close()

        server = self._run(asyncio.start_server(accept, "127.0.0.1"))
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port, lambda: self._run(close())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._starter.shutdown()
        self._keeper.close()
        # The first process of a PID namespace ends when all others in it are waited for.
        for program in self._programs:
            program.wait()
        self._keeper.wait()


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await source.read(1 << 16):
                    target.write(data)
                    await target.drain()
        finally:
            target.close()

    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


SSHD_CONFIG = """
HostKey {directory}/{host_key}
AuthorizedKeysFile {directory}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
{more}
"""


class Sshd:
    """An OpenSSH server on a port of the namespace. `host_key` is the name of a key pair in the directory."""

    def __init__(self, namespace: Namespace, directory: Path, port: int, host_key: str, more: str = "") -> None:
        self.host_key = (directory / f"{host_key}.pub").read_text().strip()
        self.port = port
        config = directory / f"sshd-{port}"
        config.write_text(f"Port {port}\n" + SSHD_CONFIG.format(directory=directory, host_key=host_key, more=more))
        # sshd wants /run/sshd; a /run of its own leaves the machine's alone
        script = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec /usr/sbin/sshd -D -e -f $0"
        self._log = (directory / f"sshd-{port}.log").open("w")
        self.process = namespace.popen(["unshare", "-m", "sh", "-c", script, str(config)], stderr=self._log)
        eventually(lambda: "listening" in (directory / f"sshd-{port}.log").read_text())

    def sessions(self) -> int:
        """How many connections are open now."""
        return len(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self._log.close()


def make_key(directory: Path, name: str, *options: str) -> str:
    """Makes a key pair with ssh-keygen; its private half as text."""
    command = ["ssh-keygen", "-q", "-N", "", "-C", name, "-f", str(directory / name), *(options or ("-t", "ed25519"))]
    subprocess.run(command, check=True)
    return (directory / name).read_text()
