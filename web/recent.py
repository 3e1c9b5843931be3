"""The recent power of all twins, read once for all who open a board at about the same time."""

import asyncio

import msgspec

from twin.interface import Service
from twin.views import rfc3339

KEEP_MS = 10_000


class RecentPowerView(msgspec.Struct, frozen=True, rename={"end": "to"}):
    """Mean power (W) a minute by instrument code, oldest first, up to `to`."""

    end: str
    step_s: float
    mean_w: dict[str, tuple[float | None, ...]]


class RecentPower:
    """Remembers its last answer for a few seconds."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = asyncio.Lock()
        self._minutes = 0
        self._read_ms = 0
        self._view = RecentPowerView("", 60, {})

    async def get(self, minutes: int) -> RecentPowerView:
        """The power of the last `minutes`."""
        async with self._lock:
            now_ms = self._service.now_ms()
            if minutes != self._minutes or not 0 <= now_ms - self._read_ms < KEEP_MS:
                self._view = RecentPowerView(rfc3339(now_ms), 60, await self._service.recent_power(minutes))
                self._minutes, self._read_ms = minutes, now_ms
            return self._view
