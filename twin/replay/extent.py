"""From when until when there is something to replay."""

from collections.abc import Iterator
from datetime import datetime, time
from zoneinfo import ZoneInfo

from twin.station import Station
from twin.store.log import Log
from twin.store.rows import to_ms, unpacked_station

_FIRST = """
SELECT least((SELECT min(at) FROM request), (SELECT min(at) FROM fact), (SELECT min(received) FROM event))
"""
_LAST = """
SELECT greatest((SELECT max(at) FROM request), (SELECT max(at) FROM fact),
    (SELECT max(greatest(since, resolved)) FROM alert WHERE instrument_id IS NULL))
"""


async def first_moment(log: Log) -> int:
    """When the fleet was first told anything, ms since the epoch; 0 where it never was."""
    return await log.connection.fetchval(_FIRST) or 0


async def last_moment(log: Log) -> int:
    """When something was last told, or last happened by the passing of time. Raises IncompatibleVersionError."""
    moments = [await log.connection.fetchval(_LAST) or 0]
    async for row in log.connection.cursor("SELECT version, state FROM checkpoint", prefetch=1000):
        moments += _moments(unpacked_station(row["version"], row["state"]))
    return max(moments)


def _moments(station: Station) -> Iterator[int]:
    link = station.twin.link
    yield station.watch.asked_ms
    if link is not None:
        yield max(link.heard_ms, link.dead_since_ms or 0)


async def site_zone(log: Log, otherwise: ZoneInfo) -> ZoneInfo:
    """The site's time zone."""
    stored = await log.connection.fetchval("SELECT timezone FROM site")
    return otherwise if stored is None else ZoneInfo(stored)


def parsed_moment(text: str, zone: ZoneInfo) -> int:
    """A moment, ms since the epoch, of RFC 3339 or of a date: midnight where the site is.

    Raises:
        ValueError: it is neither.

    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if moment.time() != time() or len(text) > len("2026-01-31"):
            raise ValueError(f"{text!r} has no offset from UTC: write 2026-01-31T08:00:00+08:00, or a date alone")
        moment = moment.replace(tzinfo=zone)
    return to_ms(moment)
