"""The referee: what of the published readings stands in the table, how often, and since when."""

import asyncio
import time
from datetime import datetime

import asyncpg
import msgspec

from benchmarks.publisher import Published

_POLL_S = 0.2
_PATIENCE_S = 20.0
"""Where nothing more is stored for this long, nothing more will come."""
_WITNESSES = 50

_WITNESSED = """
SELECT count(*) FROM reading JOIN controller ON controller.id = controller_id WHERE name = ANY($1) AND boot = $2
"""
_STORED = """
SELECT name, count(*) AS rows, count(DISTINCT seq) FILTER (WHERE seq BETWEEN 1 AND last) AS right_ones
FROM unnest($1::text[], $2::bigint[]) AS told (name, last)
LEFT JOIN controller USING (name)
LEFT JOIN reading ON controller_id = controller.id AND boot = $3
GROUP BY name
"""
_COMMITS = """
SELECT min(at) AS first, max(at) AS last, count(*) AS commits
FROM (SELECT DISTINCT pg_xact_commit_timestamp(writer) AS at FROM (SELECT DISTINCT xmin AS writer FROM reading) AS x)
"""


class Stored(msgspec.Struct, frozen=True):
    """What became of the published readings, and when they were committed (ms since the epoch)."""

    messages: int
    lost: int
    duplicated: int
    first_ms: float
    last_ms: float
    commits: int


async def judge(database_url: str, published: Published) -> Stored:
    """Wait until the backlog is drained, then count every reading of every controller."""
    connection = await asyncpg.connect(database_url)
    try:
        await _drain(connection, published)
        return await _count(connection, published)
    finally:
        await connection.close()


async def _drain(connection: asyncpg.Connection, published: Published) -> None:
    """Wait for some of those who spoke last: to count everything while it is measured would slow it down."""
    names = sorted(published.last_seq)[:: max(1, len(published.last_seq) // _WITNESSES)]
    told = sum(published.last_seq[name] for name in names)
    seen, since = -1, time.monotonic()
    while seen < told and time.monotonic() - since < _PATIENCE_S:
        now_seen = await connection.fetchval(_WITNESSED, names, published.boot)
        if now_seen != seen:
            seen, since = now_seen, time.monotonic()
        await asyncio.sleep(_POLL_S)


async def _count(connection: asyncpg.Connection, published: Published) -> Stored:
    rows, right = await _totals(connection, published)
    while rows < published.acknowledged:  # what others said in the same moment as the witnesses
        await asyncio.sleep(1)
        before = rows
        rows, right = await _totals(connection, published)
        if rows == before:
            break
    commits = await connection.fetchrow(_COMMITS)
    assert commits is not None  # noqa: S101 - an aggregate always has a row
    return Stored(
        messages=right,
        lost=published.acknowledged - right,
        duplicated=rows - right,
        first_ms=_ms(commits["first"]),
        last_ms=_ms(commits["last"]),
        commits=commits["commits"],
    )


async def _totals(connection: asyncpg.Connection, published: Published) -> tuple[int, int]:
    names, last = list(published.last_seq), list(published.last_seq.values())
    found = await connection.fetch(_STORED, names, last, published.boot)
    return sum(row["rows"] for row in found), sum(row["right_ones"] for row in found)


def _ms(time_: datetime | None) -> float:
    return 0.0 if time_ is None else time_.timestamp() * 1000
