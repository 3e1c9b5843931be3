"""Questions about the past: a day in the ledger, the power of a stretch of time."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from twin.interface import LedgerDay, LedgerSegment, PowerSeries
from twin.state import Category
from twin.store.rows import to_time
from twin.views import rfc3339

_LEDGER = """
SELECT greatest(start, $2) AS start, least(coalesce(until, $3), $3) AS until, category
FROM segment WHERE instrument_id = $1 AND $2 < $3 AND start < $3 AND (until IS NULL OR until > $2)
ORDER BY segment.start
"""
_POWER = """
SELECT floor(extract(epoch FROM time - $2) / $4)::int AS bucket, avg(power_w) AS mean_w, max(power_w) AS max_w
FROM reading WHERE controller_id = $1 AND time >= $2 AND time < $3 GROUP BY bucket
"""
_RECENT = """
SELECT controller_id, floor(extract(epoch FROM time - $1) / 60)::int AS minute, avg(power_w) AS mean_w
FROM reading WHERE time >= $1 AND time < $2 GROUP BY controller_id, minute
"""


def local_day(day: date, timezone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first moment of a local day and that of the next one; 23 or 25 hours apart at a clock change."""
    return (
        datetime.combine(day, time(), timezone),
        datetime.combine(day + timedelta(days=1), time(), timezone),
    )


class History:
    """Reads what the writer has stored, by a pool of its own connections."""

    def __init__(self, pool: asyncpg.Pool, timezone: ZoneInfo) -> None:
        self._pool = pool
        self._timezone = timezone

    async def ledger(self, code: str, instrument_id: int, day: date, now_ms: int) -> LedgerDay:
        """The ledger of a local day up to now; before the first segment nothing is known."""
        start, end = local_day(day, self._timezone)
        end = max(start, min(end, to_time(now_ms).astimezone(self._timezone)))
        rows = await self._pool.fetch(_LEDGER, instrument_id, start, end)
        stretches = [(row["start"], row["until"], Category(row["category"])) for row in rows]
        if start < end and (not stretches or stretches[0][0] > start):
            stretches.insert(0, (start, stretches[0][0] if stretches else end, Category.UNKNOWN))
        minutes = dict.fromkeys(Category, 0.0)
        for since, until, category in stretches:
            minutes[category] += _minutes(since, until)
        return LedgerDay(
            instrument=code,
            date=day.isoformat(),
            timezone=self._timezone.key,
            segments=tuple(self._segment(*stretch) for stretch in stretches),
            minutes={category: round(value, 6) for category, value in minutes.items()},
            total=_minutes(start, end),
        )

    def _segment(self, since: datetime, until: datetime, category: Category) -> LedgerSegment:
        start, end = (each.astimezone(self._timezone).isoformat(timespec="milliseconds") for each in (since, until))
        return LedgerSegment(start, end, category, _minutes(since, until))

    async def power(self, controller_id: int, start_ms: int, end_ms: int, points: int) -> PowerSeries:
        """Mean and highest power in `points` buckets of equal length."""
        step_s = (end_ms - start_ms) / 1000 / points
        rows = await self._pool.fetch(_POWER, controller_id, to_time(start_ms), to_time(end_ms), step_s)
        mean_w: list[float | None] = [None] * points
        max_w: list[float | None] = [None] * points
        for row in rows:
            bucket = min(row["bucket"], points - 1)
            mean_w[bucket], max_w[bucket] = round(row["mean_w"], 3), row["max_w"]
        return PowerSeries(rfc3339(start_ms), rfc3339(end_ms), step_s, tuple(mean_w), tuple(max_w))

    async def recent_power(self, minutes: int, end_ms: int) -> dict[int, tuple[float | None, ...]]:
        """Mean power per minute of the last `minutes` before `end_ms`, oldest first, by controller id."""
        start = to_time(end_ms) - timedelta(minutes=minutes)
        series: dict[int, list[float | None]] = {}
        for row in await self._pool.fetch(_RECENT, start, to_time(end_ms)):
            values = series.setdefault(row["controller_id"], [None] * minutes)
            values[min(row["minute"], minutes - 1)] = round(row["mean_w"], 1)
        return {controller_id: tuple(values) for controller_id, values in series.items()}


def _minutes(since: datetime, until: datetime) -> float:
    # In UTC: two local times of one zone subtract as wall clocks do, which a clock change makes wrong.
    return (until.astimezone(UTC) - since.astimezone(UTC)) / timedelta(minutes=1)
