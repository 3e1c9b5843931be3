"""The board's socket."""

import asyncio
from contextlib import aclosing, suppress
from typing import Annotated, Any, TypeAlias

import structlog
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import QueryParameter

from web.catalogue import scope_of
from web.hub import Hub, HubFullError
from web.problems import Problem
from web.scopes import Scope
from web.settings import WebSettings
from web.shared import TheHub, TheService, TheSettings

TRY_AGAIN_LATER = 1013
NOT_FOUND = 4404
Socket: TypeAlias = WebSocket[Any, Any, Any]
_log = structlog.get_logger(__name__)


@websocket("/ws/board")
async def watch_board(
    *,
    socket: Socket,
    service: TheService,
    hub: TheHub,
    settings: TheSettings,
    platform: Annotated[str | None, QueryParameter(max_length=64)] = None,
    instrument: Annotated[str | None, QueryParameter(max_length=64)] = None,
) -> None:
    """Send a snapshot of the twins in scope, then their changes, until the client leaves or falls silent."""
    await socket.accept()
    try:
        platforms = scope_of(service, platform).platforms
    except Problem as problem:
        await socket.close(NOT_FOUND, problem.code.name)
        return
    feeding = asyncio.create_task(_feed(socket, hub, Scope(platforms, instrument), settings))
    leaving = asyncio.create_task(_until_gone(socket))
    try:
        await asyncio.wait((feeding, leaving), return_when=asyncio.FIRST_COMPLETED)
        if feeding.done() and (goodbye := feeding.result()) is not None:
            await _say_goodbye(socket, goodbye)
    finally:
        feeding.cancel()
        leaving.cancel()
        await asyncio.gather(feeding, leaving, return_exceptions=True)


async def _feed(socket: Socket, hub: Hub, scope: Scope, settings: WebSettings) -> str | None:
    """Send frames until the client is gone, or until there is a reason to let it go."""
    try:
        async with aclosing(hub.frames(scope)) as frames:
            async for text in frames:
                async with asyncio.timeout(settings.send_timeout_ms / 1000):
                    await socket.send_data(text)
    except HubFullError:
        return "all places at the boards are taken"
    except TimeoutError:
        hub.let_go.inc()
        return "too slow to read"
    except (OSError, WebSocketDisconnect):
        pass
    return None


async def _until_gone(socket: Socket) -> None:
    """Read what nobody asked for until the client leaves."""
    try:
        while True:
            await socket.receive_data("text")
    except WebSocketDisconnect:
        return


async def _say_goodbye(socket: Socket, reason: str) -> None:
    """Close, if the client still listens; where it does not, the server cuts the line."""
    _log.info("board_let_go", reason=reason)
    with suppress(TimeoutError, OSError, WebSocketDisconnect):
        async with asyncio.timeout(1):
            await socket.close(TRY_AGAIN_LATER, reason)
