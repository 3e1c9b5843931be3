"""Uvicorn within the service's own event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

STOP_WITHIN_S = 5
MAX_SOCKET_MESSAGE = 4096
"""Bytes: boards have nothing to tell."""


class _SocketProtocol(WebSocketsSansIOProtocol):
    """Cuts the line to a client that the application is through with and that does not read its closing frame."""

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if not self.close_sent and not self.transport.is_closing():
            self.transport.abort()


class _Server(uvicorn.Server):
    """Leaves signals to the service, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve the application while the block runs; gives the port that was bound (`port` 0: any free one).

    At the end no new connection is taken, boards are closed with 1012 (the service restarts), requests are finished.

    Raises:
        OSError: the address cannot be bound.

    """
    listener = _listen(host, port)
    server = _Server(_config(app))
    running = asyncio.create_task(server.serve(sockets=[listener]), name="web-server")
    up = asyncio.create_task(server.up.wait())
    try:
        await asyncio.wait((running, up), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield listener.getsockname()[1]
    finally:
        up.cancel()
        server.should_exit = True
        await running


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ws=_SocketProtocol,
        ws_max_size=MAX_SOCKET_MESSAGE,
        ws_per_message_deflate=False,  # it would compress every frame anew for every board
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
