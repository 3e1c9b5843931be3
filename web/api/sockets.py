"""The sockets of the board and of the alerts."""

import asyncio
from collections.abc import Coroutine, Hashable
from contextlib import aclosing, suppress
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

import structlog
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import QueryParameter

from twin.interface import Person, Service
from web.alerts import scope_for
from web.catalogue import scope_of
from web.hub import Hub, HubFullError
from web.people import person_of
from web.problems import Code, Problem
from web.scopes import Scope
from web.settings import WebSettings
from web.shared import TheAlertHub, TheHub, TheService, TheSettings

TRY_AGAIN_LATER = 1013
NOT_SIGNED_IN = 4401
FORBIDDEN = 4403
NOT_FOUND = 4404
Socket: TypeAlias = WebSocket[Any, Any, Any]
_Scope = TypeVar("_Scope", bound=Hashable)
_log = structlog.get_logger(__name__)


class Goodbye(NamedTuple):
    """With what a socket is closed."""

    code: int
    reason: str


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
    await _serve(socket, hub, Scope(platforms, instrument), settings)


@websocket("/ws/alerts")
async def watch_alerts(
    *,
    socket: Socket,
    service: TheService,
    alert_hub: TheAlertHub,
    settings: TheSettings,
    instrument: Annotated[str | None, QueryParameter(max_length=64)] = None,
) -> None:
    """Send the alerts that fire and that whoever is signed in may see, then their changes."""
    await socket.accept()
    person = await person_of(service, socket)
    if person is None:
        await socket.close(NOT_SIGNED_IN, Code.NOT_SIGNED_IN.name)
        return
    try:
        scope = scope_for(person, instrument)
    except Problem as problem:
        await socket.close(FORBIDDEN, problem.code.name)
        return
    watching = _while_still(service, socket, person, settings)
    await _serve(socket, alert_hub, scope, settings, watching)


async def _serve(
    socket: Socket, hub: Hub[_Scope], scope: _Scope, settings: WebSettings, *reasons: Coroutine[Any, Any, Goodbye]
) -> None:
    """Send frames until the client leaves or falls silent, or until one of the reasons to part comes up."""
    leaving = asyncio.create_task(_until_gone(socket))
    ending = [asyncio.create_task(each) for each in (_feed(socket, hub, scope, settings), *reasons)]
    try:
        await asyncio.wait((leaving, *ending), return_when=asyncio.FIRST_COMPLETED)
        for goodbye in (task.result() for task in ending if task.done()):
            if goodbye is not None:
                await _say_goodbye(socket, goodbye)
    finally:
        for task in (leaving, *ending):
            task.cancel()
        await asyncio.gather(leaving, *ending, return_exceptions=True)


async def _while_still(service: Service, socket: Socket, person: Person, settings: WebSettings) -> Goodbye:
    """Look now and then whether the person is still signed in, and may do what they could at first."""
    while await person_of(service, socket) == person:  # noqa: ASYNC110 - a token runs out without a word
        await asyncio.sleep(settings.recheck_ms / 1000)
    return Goodbye(NOT_SIGNED_IN, Code.NOT_SIGNED_IN.name)


async def _feed(socket: Socket, hub: Hub[_Scope], scope: _Scope, settings: WebSettings) -> Goodbye | None:
    """Send frames until the client is gone, or until there is a reason to let it go."""
    try:
        async with aclosing(hub.frames(scope)) as frames:
            async for text in frames:
                async with asyncio.timeout(settings.send_timeout_ms / 1000):
                    await socket.send_data(text)
    except HubFullError:
        return Goodbye(TRY_AGAIN_LATER, "all places at the boards are taken")
    except TimeoutError:
        hub.let_go.inc()
        return Goodbye(TRY_AGAIN_LATER, "too slow to read")
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


async def _say_goodbye(socket: Socket, goodbye: Goodbye) -> None:
    """Close, if the client still listens; where it does not, the server cuts the line."""
    _log.info("board_let_go", reason=goodbye.reason)
    with suppress(TimeoutError, OSError, WebSocketDisconnect):
        async with asyncio.timeout(1):
            await socket.close(goodbye.code, goodbye.reason)
