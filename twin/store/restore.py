"""Reading back where everything stood."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import msgspec

from twin import directory
from twin.alerts import Alert, AlertKind, AlertState, Silence, Watch
from twin.directory import Fact
from twin.requests import BrokerSeen
from twin.rules.accounts import Accounts
from twin.rules.credit import CreditCause, CreditLine
from twin.rules.outcome import Command
from twin.state import FOREVER_MS
from twin.station import NEW_SITE, SiteState, Station
from twin.store.rows import to_ms, to_time, unpacked_site, unpacked_station
from twin.store.tables import rows_of

_CHECKPOINTS = "SELECT name, version, state FROM checkpoint JOIN controller ON controller.id = controller_id"
# Backwards, as the index has it without sorting.
_LOGGED = """
SELECT DISTINCT ON (key) key, number, digest FROM fact WHERE starts_with(key, $1) ORDER BY key DESC, number DESC
"""
_FACTS = """
SELECT body FROM fact JOIN unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS wanted (key, number, place)
USING (key, number) ORDER BY place
"""

_BROKER_SEEN = "SELECT body FROM request WHERE kind = 'brokerseen' AND number <= $1 ORDER BY number DESC LIMIT 1"
_SITE_ALERT = """
SELECT body FROM alert WHERE instrument_id IS NULL AND (
    state = 'firing' OR resolved >= to_timestamp($1::float8 / 1000)
) AND ($1 IS NULL OR since < to_timestamp($1::float8 / 1000)) ORDER BY since DESC LIMIT 1
"""


async def read_checkpoints(pool: asyncpg.Pool) -> AsyncIterator[tuple[str, Station]]:
    """Controllers and their stations as last recorded. Raises IncompatibleVersionError."""
    async with pool.acquire() as connection:
        async for row in rows_of(connection, _CHECKPOINTS):
            yield row["name"], unpacked_station(row["version"], row["state"])


async def read_logged(pool: asyncpg.Pool, prefix: str) -> AsyncIterator[tuple[str, int, bytes | None]]:
    """Of all keys that begin so: key, number and digest of the newest logged fact."""
    async with pool.acquire() as connection:
        async for row in rows_of(connection, _LOGGED, prefix):
            yield row["key"], row["number"], row["digest"]


async def read_facts(pool: asyncpg.Pool, wanted: Sequence[tuple[str, int]]) -> list[Fact]:
    """Logged facts by key and number."""
    if not wanted:
        return []
    keys, numbers = zip(*wanted, strict=True)
    rows = await pool.fetch(_FACTS, keys, numbers)
    return [directory.unpacked(row["body"]) for row in rows]


async def read_accounts(pool: asyncpg.Pool, accounts: Accounts) -> None:
    """What projects have been charged, and the lines of people's credit."""
    charged = await pool.fetch(
        "SELECT project, sum(gross_cny - allowance_cny - subsidy_cny) AS net, sum(allowance_min) AS allowance_min, "
        "sum(subsidy_cny) AS subsidy FROM charge_line WHERE project IS NOT NULL GROUP BY project"
    )
    for row in charged:
        accounts.charge(row["project"], row["net"], int(row["allowance_min"]), row["subsidy"])
    for row in await pool.fetch("SELECT * FROM credit_line ORDER BY username, number"):
        accounts.note(row["username"], _credit_line(row))


def _credit_line(row: asyncpg.Record) -> CreditLine:
    return CreditLine(
        number=row["number"],
        at_ms=to_ms(row["at"]),
        cause=CreditCause(row["cause"]),
        points=row["points"],
        about=row["about"],
        author=row["author"],
        reverses=row["reverses"],
    )


async def read_silences(pool: asyncpg.Pool, now_ms: int) -> list[Silence]:
    """The silences that are in force at a moment."""
    rows = await pool.fetch("SELECT * FROM silence WHERE until > $1 ORDER BY id", to_time(now_ms))
    return [
        Silence(
            until_ms=to_ms(row["until"]),
            author=row["author"],
            reason=row["reason"],
            instrument=row["instrument"],
            platform=row["platform"],
            kind=None if row["kind"] is None else AlertKind(row["kind"]),
        )
        for row in rows
    ]


async def read_site_state(pool: asyncpg.Pool) -> SiteState:
    """The site as last recorded; by the log, where nothing was recorded yet. Raises IncompatibleVersionError."""
    row = await pool.fetchrow("SELECT number, version, site FROM writer WHERE name = 'service'")
    if row is None:
        return NEW_SITE
    if row["site"] is None:
        return await logged_site(pool, row["number"], None)
    return unpacked_site(row["version"], row["site"])


async def logged_site(connection: asyncpg.Pool | asyncpg.Connection, number: int, at_ms: int | None) -> SiteState:
    """The site's alert, if it was firing at a moment (None: now), and what had last been said of the broker.

    Who had been told of the alert by then, and since when it was clear, is not known any more.
    """
    told = await connection.fetchval(_BROKER_SEEN, number)
    seen = None if told is None else msgspec.json.decode(told, type=BrokerSeen)
    gone_ms = None if seen is None or seen.up else seen.at_ms
    body = await connection.fetchval(_SITE_ALERT, at_ms)
    if body is None:
        return SiteState(broker_gone_ms=gone_ms)
    alert = msgspec.json.decode(body, type=Alert)
    firing = {"state": AlertState.FIRING, "since_ms": alert.fired_ms, "due_ms": FOREVER_MS}
    asked_ms = alert.fired_ms if at_ms is None else at_ms
    return SiteState(Watch(asked_ms, (msgspec.structs.replace(alert, **firing),)), gone_ms)


async def read_commands(pool: asyncpg.Pool, now_ms: int) -> list[Command]:
    """The commands that no controller has answered, and that have not expired, in their order."""
    rows = await pool.fetch(
        "SELECT body FROM command WHERE state = 'waiting' AND expires > $1 ORDER BY at", to_time(now_ms)
    )
    return [msgspec.json.decode(row["body"], type=Command) for row in rows]
