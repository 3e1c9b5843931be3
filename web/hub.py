"""The hub of a board: wakes its clients when there is news, and lets each take frames at its own pace."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from web.board import Board, Cursor, Source
from web.settings import WebSettings

_Scope = TypeVar("_Scope", bound=Hashable)

LONGEST_FRAME_S = 1.0
BUSY_SHARE = 0.2
"""Boards may keep the service busy for this share of the time before frames become rarer."""
ENCODE_AT_ONCE = 200
"""Things encoded before others get their turn: a few milliseconds."""


class HubFullError(Exception):
    """All places at the boards are taken."""


class Hub(Generic[_Scope]):
    """Shares one `Board` among all clients. While nobody watches it does not even listen."""

    def __init__(self, name: str, source: Source[_Scope], settings: WebSettings) -> None:
        """`name` is what its figures are called after."""
        self._source = source
        self._settings = settings
        self._board = Board(source)
        self._stop_listening: Callable[[], None] | None = None
        self._news = asyncio.Event()
        self._beat = asyncio.Event()
        self._watched: dict[_Scope, int] = {}
        registry = self._registry = CollectorRegistry()
        self._clients = Gauge(f"twin_{name}_clients", "Boards being watched", registry=registry)
        self._frames = Counter(f"twin_{name}_frames", "Frames handed to boards", registry=registry)
        self._refused = Counter(f"twin_{name}_refused", "Boards refused: all places taken", registry=registry)
        self.let_go = Counter(f"twin_{name}_let_go", "Boards let go: too slow to read", registry=registry)

    def metrics(self) -> bytes:
        """Prometheus text about the boards."""
        return generate_latest(self._registry)

    async def run(self) -> None:
        """Beat as long as there is news: at once after a quiet time, then never more often than `frame_ms`."""
        while True:
            await self._news.wait()
            self._news.clear()
            began_s = time.perf_counter()
            for scope in tuple(self._watched):
                await self._encode(scope, self._at_last_beat)
            self._ring()
            await asyncio.sleep(0)  # those who waited for the beat have their turn, and count as busy time
            busy_s = time.perf_counter() - began_s
            await asyncio.sleep(min(LONGEST_FRAME_S, max(self._settings.frame_ms / 1000, busy_s / BUSY_SHARE)))

    async def frames(self, scope: _Scope) -> AsyncGenerator[str]:
        """Frames for one client, from a snapshot on, as fast as it takes them.

        Raises:
            HubFullError: as many clients as are allowed are watching already.

        """
        with self._place(scope):
            cursor: Cursor | None = None
            sent_s = 0.0
            while True:
                beat = self._beat
                await self._encode(scope, cursor)
                text, cursor = self._board.frame(scope, cursor)
                if text is None and time.monotonic() - sent_s >= self._settings.quiet_ms / 1000:
                    text = self._board.sign_of_life(cursor)
                if text is not None:
                    self._frames.inc()
                    yield text
                    sent_s = time.monotonic()
                await self._wait(beat)

    @property
    def _at_last_beat(self) -> Cursor:
        return Cursor(self._board.beaten_rev, self._board.beaten_rev)

    async def _encode(self, scope: _Scope, cursor: Cursor | None) -> None:
        keys = self._board.unencoded(scope, cursor)
        for start in range(0, len(keys), ENCODE_AT_ONCE):
            self._board.encode(keys[start : start + ENCODE_AT_ONCE])
            await asyncio.sleep(0)

    async def _wait(self, beat: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.quiet_ms / 1000):
                await beat.wait()

    def _ring(self) -> None:
        self._board.beat()
        self._beat.set()
        self._beat = asyncio.Event()

    def _hear(self, keys: Sequence[str]) -> None:
        self._board.mark(keys)
        self._news.set()

    @contextmanager
    def _place(self, scope: _Scope) -> Iterator[None]:
        self._enter(scope)
        try:
            yield
        finally:
            self._leave(scope)

    def _enter(self, scope: _Scope) -> None:
        if sum(self._watched.values()) >= self._settings.max_boards:
            self._refused.inc()
            raise HubFullError
        if self._stop_listening is None:
            self._stop_listening = self._source.listen(self._hear)
        self._watched[scope] = self._watched.get(scope, 0) + 1
        self._clients.inc()

    def _leave(self, scope: _Scope) -> None:
        self._clients.dec()
        self._watched[scope] -= 1
        if not self._watched[scope]:
            del self._watched[scope]
        if not self._watched and self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
            self._board.forget()
