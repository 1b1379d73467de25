"""What a plugin knows of a call while it carries it out: whose it is, how to report, and when it is over."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Literal

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from lab.plugins.values import Properties

Severity = Literal["debug", "info", "warning", "error"]
SEVERITIES: Mapping[Severity, engine_pb2.LogSeverity.ValueType] = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}


class RefusedError(Exception):
    """The operation failed; the engine shows the text."""

    def __init__(self, text: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(text)
        self.code = code


class Call:
    """One request of the engine: what it is about, what the engine can be told meanwhile, and whether it still waits.

    `urn` and `name` are the resource's, `identity` is its id, where it has one, and `old_inputs` those that a Check is
    told; `config` is the provider's own.

    pulumi/pulumi-go-provider v1.3.0, middleware/cancel/cancel.go: a call ends early when its time is over or the engine
    says Cancel, and every call after a Cancel is over from the start. Only waiting notices; a running command does not.
    """

    def __init__(
        self,
        urn: str,
        engine: engine_pb2_grpc.EngineStub | None,
        cancelled: asyncio.Event,
        timeout: float,
        *,
        identity: str = "",
        config: Properties | None = None,
    ) -> None:
        self.urn, self.name = urn, urn.rpartition("::")[2]
        self.identity, self.config = identity, config or {}
        self.old_inputs: Properties = {}
        self._engine, self._cancelled = engine, cancelled
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + int(timeout) if timeout else None

    async def log(self, severity: Severity, text: str, *, status: bool = False) -> None:
        """Shows a line beside the resource; a status only until the next one comes."""
        if self._engine is None or self._over() is not None:
            return
        request = engine_pb2.LogRequest(
            severity=SEVERITIES[severity],
            message=text,
            urn=self.urn,
            ephemeral=status,
        )
        with contextlib.suppress(grpc.RpcError):
            await self._engine.Log(request)

    def _over(self) -> RefusedError | None:
        if self._cancelled.is_set():
            return RefusedError("context canceled", grpc.StatusCode.CANCELLED)
        if self._end is not None and self._loop.time() >= self._end:
            return RefusedError("context deadline exceeded", grpc.StatusCode.DEADLINE_EXCEEDED)
        return None

    async def pause(self, seconds: float) -> None:
        """Waits. Raises RefusedError at once where the call is over, or as soon as it is."""
        if self._end is not None:
            seconds = min(seconds, self._end - self._loop.time())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cancelled.wait(), max(seconds, 0))
        if over := self._over():
            raise over
