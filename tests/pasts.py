"""A past for tests: a database whose few instruments have lived for a day and a half."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from benchmarks.lived.living import live_through
from twin.demo import community, site, week
from twin.demo.prices import tariffs
from twin.registration import (
    register_controllers,
    register_instruments,
    register_platforms,
    register_site,
    register_tariffs,
)
from twin.servers.packages import quiet
from twin.store.rows import to_ms

BEIJING = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 5, 11, 40, tzinfo=BEIJING).astimezone(UTC)
"""A Thursday."""
INSTRUMENTS = ("SEM-01", "XRD-03", "HPLC-02", "FUR-03", "WST-01")
HOUR_MS = 3_600_000


async def lived_through(database_url: str) -> None:
    """Fill the tables, which are open, and live up to `NOW`."""
    await register_site(site.university("Asia/Shanghai"))
    await register_platforms(site.platforms())
    await register_instruments(site.instruments())
    await register_tariffs(tariffs())
    await community.enrol()
    await register_controllers({f"ctl-{code.lower()}": code for code in INSTRUMENTS}, {})
    await week.register_past(BEIJING, NOW, 1)
    heard = await live(database_url, lambda: to_ms(NOW))
    assert heard > 5 * 35 * 40


async def live(database_url: str, now: Callable[[], int]) -> int:
    """Live from the midnight before yesterday's noon until `now`; gives the number of messages."""
    since_ms = to_ms(NOW) - 24 * HOUR_MS
    return await live_through(database_url, BEIJING, since_ms, now, staff="manager", progress=quiet)
