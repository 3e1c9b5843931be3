"""A small HTTP server that takes bookings as the service does, for whoever books there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.params import JSONBody

DEADLINE_S = 30.0


@dataclass
class Desk:
    """A service that gives a token, knows a few twins, and answers wishes by what stands in `answers`, then grants."""

    controllers: tuple[str, ...]
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    wishes: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)
    logins: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> Litestar:
        @post("/api/v1/auth/login", status_code=200)
        async def log_in(data: JSONBody[dict[str, str]]) -> Response[dict[str, str]]:
            self.logins += 1
            known = data == {"username": "booker", "password": "sesame"}
            return Response({"token": "t1"} if known else {"code": "WRONG"}, status_code=200 if known else 401)

        @get("/api/v1/twins")
        async def twins() -> dict[str, object]:
            items = [{"instrument": f"I-{name}", "controller": name, "state": "off"} for name in self.controllers]
            return {"items": items, "total": len(items)}

        @post("/api/v1/bookings")
        async def book(request: Request[Any, Any, Any], data: JSONBody[dict[str, Any]]) -> Response[dict[str, Any]]:
            self.wishes.append((request.headers.get("authorization"), data))
            status, content = self.answers.pop(0) if self.answers else (201, {"id": "b1"})
            return Response(content, status_code=status)

        return Litestar([log_in, twins, book], openapi_config=None, logging_config=None)


@asynccontextmanager
async def open_desk(*controllers: str, answers: Sequence[tuple[int, dict[str, Any]]] = ()) -> AsyncIterator[Desk]:
    """A desk that is open while the block runs, on a free port."""
    desk = Desk(controllers, list(answers))
    server = uvicorn.Server(uvicorn.Config(desk.app(), host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    desk.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield desk
    finally:
        server.should_exit = True
        await serving


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.01)
