"""Is the service well, as it says itself? Asked all the time, and remembered: what was lost when must be told."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import httpx

_EVERY_S = 0.1
_TIMEOUT_S = 4.0


class Track:
    """From when until when something holds; between two looks it may not have held."""

    def __init__(self) -> None:
        self.since_ms: int | None = None
        self._away: list[tuple[int, int]] = []
        self._lost_ms = now_ms()

    def note(self, asked_ms: int, *, holds: bool) -> None:
        """It was looked at."""
        if holds:
            if self.since_ms is None:
                self._away.append((self._lost_ms, asked_ms))
                self.since_ms = asked_ms
            self._lost_ms = asked_ms
        else:
            self.since_ms = None

    def was_away(self, from_ms: int, until_ms: int) -> bool:
        """Did it not hold at any moment of this time?"""
        away = self._away if self.since_ms is not None else [*self._away, (self._lost_ms, now_ms())]
        return any(start_ms <= until_ms and end_ms >= from_ms for start_ms, end_ms in away)


class Vitals:
    """What /health says."""

    def __init__(self, http: str) -> None:
        self._http = http
        self.well = Track()
        self.hearing = Track()
        """It is subscribed at the broker."""
        self.waiting = 0
        """Messages in the inbox, as last said."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep asking while the block runs."""
        asking = asyncio.create_task(self._ask(), name="vitals")
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.wait([asking])

    async def _ask(self) -> NoReturn:
        async with httpx.AsyncClient(base_url=self._http, timeout=_TIMEOUT_S, trust_env=False) as client:
            while True:
                await self._look(client)
                await asyncio.sleep(_EVERY_S)

    async def _look(self, client: httpx.AsyncClient) -> None:
        asked_ms, is_well, hears = now_ms(), False, False
        with suppress(httpx.HTTPError, ValueError, KeyError):
            told = (await client.get("/health")).json()
            self.waiting = told["components"]["inbox"]["waiting"]
            is_well, hears = told["status"] == "ok", told["components"]["broker"]["status"] == "ok"
        self.well.note(asked_ms, holds=is_well)
        self.hearing.note(asked_ms, holds=hears)


def now_ms() -> int:
    """The machine's clock, ms since the epoch."""
    return time.time_ns() // 1_000_000
