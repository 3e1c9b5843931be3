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
_WITNESSES = 20

# By the index, whatever the planner knows: while it is measured, asking must cost next to nothing.
_WITNESSED = """
SELECT coalesce(sum(latest.seq), 0)::bigint FROM controller, LATERAL (
    SELECT seq FROM reading WHERE controller_id = controller.id ORDER BY time DESC LIMIT 1
) AS latest WHERE name = ANY($1)
"""
_STORED = """
SELECT name, rows, numbers FROM controller JOIN (
    SELECT controller_id, count(*) AS rows, count(DISTINCT seq) FILTER (WHERE seq >= 1) AS numbers
    FROM reading WHERE boot = $1 GROUP BY controller_id
) AS own ON own.controller_id = controller.id
"""
_COMMITS = """
SELECT max(pg_xact_commit_timestamp(writer)) AS last, count(*) AS commits
FROM (SELECT DISTINCT xmin AS writer FROM reading) AS writers
"""


class Stored(msgspec.Struct, frozen=True):
    """What became of the published readings, and when the last was committed (ms since the epoch)."""

    messages: int
    lost: int
    duplicated: int
    last_ms: float
    commits: int


async def until_drained(database_url: str, published: Published) -> None:
    """Wait until what some controllers said last is stored, or until nothing more is stored for a while."""
    connection = await asyncpg.connect(database_url)
    try:
        names = sorted(published.last_seq)[:: max(1, len(published.last_seq) // _WITNESSES)]
        told, seen, since_s = sum(published.last_seq[name] for name in names), -1, time.monotonic()
        while seen < told and time.monotonic() - since_s < _PATIENCE_S:
            now_seen = await connection.fetchval(_WITNESSED, names)
            if now_seen != seen:
                seen, since_s = now_seen, time.monotonic()
            await asyncio.sleep(_POLL_S)
    finally:
        await connection.close()


async def judge(database_url: str, published: Published) -> Stored:
    """Count every reading of every controller, once more as long as there come any."""
    connection = await asyncpg.connect(database_url)
    try:
        before, stored = -1, await _count(connection, published)
        while stored.lost and stored.messages != before:  # what others said in the same moment as the witnesses
            await asyncio.sleep(1)
            before, stored = stored.messages, await _count(connection, published)
        return stored
    finally:
        await connection.close()


async def _count(connection: asyncpg.Connection, published: Published) -> Stored:
    found = await connection.fetch(_STORED, published.boot)
    commits = await connection.fetchrow(_COMMITS)
    assert commits is not None  # noqa: S101 - an aggregate always has a row
    messages = sum(min(row["numbers"], published.last_seq[row["name"]]) for row in found)
    return Stored(
        messages=messages,
        lost=published.acknowledged - messages,
        duplicated=sum(row["rows"] for row in found) - messages,
        last_ms=_ms(commits["last"]),
        commits=commits["commits"],
    )


def _ms(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp() * 1000
