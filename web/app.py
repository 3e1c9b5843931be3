"""The web application over a running service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import CacheControlHeader
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp

from twin.interface import Service
from web.api import alerts, auth, bookings, control, operations, places, sessions, sockets, twins
from web.catalogue import query_of
from web.hub import Hub
from web.pages import alerts as alert_pages
from web.pages import control as control_forms
from web.pages import routes, sign_in
from web.pages import sessions as session_pages
from web.pages.rendering import STATIC, Pages
from web.paging import part_of
from web.people import Door
from web.recent import RecentPower
from web.security import OriginCheck, add_headers
from web.settings import WebSettings
from web.sources import Alerts, Twins

_log = structlog.get_logger(__name__)
_API = Router(
    "/api/v1",
    route_handlers=[
        places.list_platforms,
        places.list_instruments,
        places.get_instrument,
        twins.list_twins,
        twins.get_twin,
        twins.get_ledger,
        twins.get_power,
        twins.get_recent_power,
        control.get_access,
        control.unlock,
        control.lock,
        sessions.list_sessions,
        sessions.get_session,
        alerts.list_alerts,
        alerts.acknowledge,
        alerts.resolve,
        alerts.silence,
        bookings.list_bookings,
        bookings.book,
        bookings.get_booking,
        bookings.cancel,
        auth.log_in,
        auth.log_out,
        auth.get_me,
    ],
)
_PAGES = Router(
    "/",
    route_handlers=[
        routes.show_board,
        routes.show_catalogue,
        routes.show_instrument,
        control_forms.unlock,
        control_forms.lock,
        session_pages.show_sessions,
        session_pages.show_session,
        alert_pages.show_alerts,
        alert_pages.acknowledge,
        alert_pages.resolve,
        alert_pages.silence,
        sign_in.show_sign_in,
        sign_in.sign_in,
        sign_in.sign_out,
    ],
)
_OPERATIONS = (operations.get_health, operations.get_metrics)
_SOCKETS = (sockets.watch_board, sockets.watch_alerts)
_PER_REQUEST = {
    "wanted": Provide(query_of, sync_to_thread=False),
    "part": Provide(part_of, sync_to_thread=False),
}
_OPENAPI = OpenAPIConfig(
    title="USERS Twin",
    version="1",
    description="Live digital twins of shared scientific instruments: catalogue, live state, power and the minute "
    "ledger; access, sessions, bookings and alerts. Errors are problem documents (RFC 9457) with a stable `code`. "
    "Times are RFC 3339 with offset, power is in W, money is decimal strings in CNY. The live board is a WebSocket at "
    "`/ws/board?platform=`: first `{rev, snapshot}`, then `{rev, since, changes}`; `/ws/alerts` is its like.",
    path="/schema",
    use_handler_docstrings=True,
    render_plugins=[JsonRenderPlugin(path="/openapi.json")],
)


def create_app(service: Service, settings: WebSettings | None = None) -> Litestar:
    """The web of a service. `settings` are the defaults if left out."""
    settings = settings or WebSettings()
    hub = Hub("board", Twins(service), settings)
    alert_hub = Hub("alerts", Alerts(service), settings)
    pages = Pages(service, settings)
    shared: dict[str, object] = {
        "service": service,
        "settings": settings,
        "hub": hub,
        "alert_hub": alert_hub,
        "pages": pages,
        "door": Door(service),
        "recent_power": RecentPower(service),
    }

    def check_origin(app: ASGIApp) -> ASGIApp:
        return OriginCheck(app, settings.origins)

    return Litestar(
        route_handlers=[_API, _PAGES, _static(pages), *_OPERATIONS, *_SOCKETS],
        dependencies=_PER_REQUEST | {name: _always(value) for name, value in shared.items()},
        exception_handlers={Exception: pages.answer},
        middleware=[check_origin],
        before_send=[add_headers],
        lifespan=[_beating(hub), _beating(alert_hub)],
        openapi_config=_OPENAPI,
        compression_config=CompressionConfig("gzip", minimum_size=1024, gzip_compress_level=5),
        request_max_body_size=100_000,
        logging_config=None,
    )


def _always(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _static(pages: Pages) -> Router:
    """Static files under an address that changes with them."""
    keep = CacheControlHeader(public=True, max_age=365 * 24 * 3600, immutable=True)
    return create_static_files_router(pages.static_path, [STATIC], cache_control=keep)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("board_hub_failed", exc_info=error)


def _beating(hub: Hub[Any]) -> Callable[[Litestar], Any]:
    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        beating = asyncio.create_task(hub.run(), name="board-hub")
        beating.add_done_callback(_tell_failure)
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    return lifespan
