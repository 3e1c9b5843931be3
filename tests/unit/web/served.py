"""A campus on a real server, which can stop and come back on the same port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import connect

from tests.unit.web.campus import Campus
from web.app import create_app
from web.server import serving
from web.settings import WebSettings


class Site:
    """A served campus, with a client that knows its address."""

    http: httpx.AsyncClient

    def __init__(self, campus: Campus, settings: WebSettings | None = None) -> None:
        self.campus = campus
        self.port = 0
        self.has_been_away = False
        self._settings = settings
        self._running = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = create_app(self.campus, self._settings)
        self.port = await self._running.enter_async_context(serving(app, "127.0.0.1", self.port))
        client = httpx.AsyncClient(base_url=self.url, trust_env=False)
        self.http = await self._running.enter_async_context(client)

    async def stop(self) -> None:
        self.has_been_away = True
        await self._running.aclose()

    def board(self, query: str = "", **options: Any) -> connect:
        return self.socket(f"/ws/board{query}", **options)

    def socket(self, path: str, **options: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, **options)


@asynccontextmanager
async def opened(campus: Campus, settings: WebSettings | None = None) -> AsyncIterator[Site]:
    site = Site(campus, settings)
    await site.start()
    try:
        yield site
    finally:
        await site.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the server's own tasks
            await asyncio.sleep(0.01)


async def ask(site: Site, username: str | None, method: str, path: str, **options: Any) -> httpx.Response:
    """A request of somebody, or of nobody."""
    headers: dict[str, str] = options.pop("headers", {})
    if username is not None:
        token = await site.campus.sign_in(username, "right")
        headers["authorization"] = f"Bearer {token}"
    return await site.http.request(method, f"/api/v1{path}", headers=headers, **options)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]
