"""The way from a stand-in plugin to the clouds' accounts: a Unix socket, and on it one JSON line each way.

A request is `{"cloud": "aws", "action": "RunInstances", "arguments": {...}}`; its answer is `{"result": {...}}`, or
`{"error": {"code": ..., "message": ...}}` where the cloud refuses.
"""

import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.clouds.model import Cloud
from lab.namespaces import LabError

# Where the plugins find the socket.
VARIABLE = "WIREGUARD_MESH_CLOUDS"
# A call waits for those before it, each until the network has followed; a server that takes this long hangs.
_SECONDS = 120.0

Handler = Callable[[str, str, dict[str, Any]], dict[str, Any]]


class ApiError(Exception):
    """A cloud's refusal, with the code that the real one gives (`InvalidGroup.Duplicate`; `422`) and its words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def call(cloud: Cloud, action: str, /, **arguments: Any) -> dict[str, Any]:
    """Asks an account for something, and gives its answer. Blocks until it is there.

    Raises ApiError where the cloud refuses, LabError where no lab with clouds is there.
    """
    place = os.environ.get(VARIABLE)
    if not place:
        raise LabError(f"{VARIABLE} is not set: the stand-ins for clouds work in a lab only")
    request = json.dumps({"cloud": cloud, "action": action, "arguments": arguments})
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(place)
            connection.sendall(f"{request}\n".encode())
            with connection.makefile() as lines:
                answer = json.loads(lines.readline() or "null")
    except OSError as error:
        raise LabError(f"the lab's clouds at {place} do not answer: {error}") from error
    if not isinstance(answer, dict):
        raise LabError(f"the lab's clouds at {place} ended before they answered {action}")
    if "error" in answer:
        raise ApiError(answer["error"]["code"], answer["error"]["message"])
    result: dict[str, Any] = answer["result"]
    return result


class Server:
    """Answers on a socket from a thread of its own, one request after the other, while the context is entered."""

    def __init__(self, path: Path, handle: Handler) -> None:
        """`handle` gets cloud, action and arguments; what it raises besides ApiError is told as `InternalError`."""
        self._path = path
        self._handle = handle
        self._one_at_a_time = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()

    def _answer(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
            with self._one_at_a_time:
                answer = self._done(request["cloud"], request["action"], request["arguments"])
        except ApiError as error:
            answer = json.dumps({"error": {"code": error.code, "message": error.message}})
        except Exception as error:  # the plugin has to hear of it, whatever it is
            answer = json.dumps({"error": {"code": "InternalError", "message": f"{type(error).__name__}: {error}"}})
        return f"{answer}\n".encode()

    def _done(self, cloud: str, action: str, arguments: dict[str, Any]) -> str:
        if self._closing.is_set():
            raise ApiError("Closed", "the lab's clouds have ended: nobody answers between runs")
        return json.dumps({"result": self._handle(cloud, action, arguments)})

    def _serve(self, connection: socket.socket, lines: Iterable[bytes]) -> None:
        self._open.add(connection)
        if self._closing.is_set():
            self._hang_up(connection)
        try:
            # One that was killed meanwhile does not wait for its answer, or leaves it unread.
            with contextlib.suppress(OSError):
                for line in lines:
                    connection.sendall(self._answer(line))
        finally:
            self._open.discard(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        """Nothing more is read, but for what was sent before."""
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)

    def __enter__(self) -> Self:
        serve = self._serve

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                serve(self.connection, self.rfile)

        self._closing.clear()
        self._path.unlink(missing_ok=True)
        self._server = _Threads(str(self._path), Connection)
        self._path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """When it returns, the last call is over: those that were not begun yet are refused."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._open):
            self._hang_up(connection)
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Threads(socketserver.ThreadingUnixStreamServer):
    # Closing it waits for its threads.
    daemon_threads = False
    block_on_close = True
    # An engine asks for everything at once.
    request_queue_size = 128
