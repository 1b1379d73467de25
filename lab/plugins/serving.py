"""Serves a plugin to the engine that started it, and ends with that engine."""

import sys
from collections.abc import Callable

import grpc
import grpc.aio
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2_grpc

from lab.plugins.base import Provider

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


async def _until_closed(channel: grpc.aio.Channel) -> None:
    """Returns when the engine is gone: a plugin outlived a killed engine before."""
    while (state := channel.get_state(try_to_connect=True)) not in (
        grpc.ChannelConnectivity.TRANSIENT_FAILURE,
        grpc.ChannelConnectivity.SHUTDOWN,
    ):
        await channel.wait_for_state_change(state)


async def serve(make: Callable[[], Provider]) -> None:
    """Serves until the engine, whose address is the only argument, closes; prints the port on the first line."""
    provider = make()
    server = grpc.aio.server(options=UNLIMITED)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not addresses:
        print(port, flush=True)
        await server.wait_for_termination()
        return
    async with grpc.aio.insecure_channel(addresses[0], options=UNLIMITED) as channel:
        provider.engine = engine_pb2_grpc.EngineStub(channel)
        print(port, flush=True)
        await _until_closed(channel)
    await server.stop(None)
