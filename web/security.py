"""What keeps other sites out of a user's browser: headers on every answer, and a check of where requests come from."""

from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from web.people import SESSION_COOKIE, Connection
from web.problems import Code, Problem

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}


async def add_headers(message: Message, _scope: Scope) -> None:
    """Put the security headers on an answer; nothing that depends on who asks is kept by caches."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("cache-control", "no-store")


class OriginCheck:
    """Refuses sockets, and changes by cookie, that another site's page has asked a user's browser for."""

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may come in."""
        connection: Connection = ASGIConnection(scope, receive, send)
        if self._may_pass(connection):
            await self._app(scope, receive, send)
        elif scope["type"] == ScopeType.WEBSOCKET:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": Code.FOREIGN_ORIGIN.name})
        else:
            raise Problem(Code.FOREIGN_ORIGIN, "The request's Origin is not this service.")

    def _may_pass(self, connection: Connection) -> bool:
        headers, scope = connection.headers, connection.scope
        if scope["type"] == ScopeType.HTTP and (scope["method"] in _SAFE or "authorization" in headers):
            return True
        origin = headers.get("origin")
        if origin is not None:
            return origin in self._origins or origin.partition("://")[2] == headers.get("host")
        if headers.get("sec-fetch-site") == "same-origin":
            return True
        return scope["type"] == ScopeType.WEBSOCKET or SESSION_COOKIE not in connection.cookies
