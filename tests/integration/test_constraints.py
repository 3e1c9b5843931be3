"""What the database itself sees to: nothing is booked twice, runs twice or is alerted twice."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from twin.store.migrate import migrate

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
PLACES = """
INSERT INTO platform (code, name_zh, name_en, level) VALUES ('P', '平台', 'Platform', 'university');
INSERT INTO instrument (code, name_zh, name_en, value_cny, platform_id)
    SELECT new, new, new, 1, platform.id FROM platform, unnest(ARRAY['I0', 'I1']) AS new;
INSERT INTO person (username, password_hash, name, role) VALUES ('u', '', 'U', 'user');
"""
BOOK = """
INSERT INTO booking (instrument_id, person_id, start, until, state)
SELECT instrument.id, person.id, $2, $3, $4 FROM instrument, person WHERE instrument.code = $1
"""
OPEN = """
INSERT INTO session (id, instrument_id, username, state, requested)
SELECT $1, id, 'u', $3, $4 FROM instrument WHERE code = $2
"""
FIRE = """
INSERT INTO alert (id, instrument_id, kind, severity, state, since)
VALUES ($1, (SELECT id FROM instrument WHERE code = $2), $3, 'info', $4, $5)
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(PLACES)
    yield connection
    await connection.close()


async def schema(database: asyncpg.Connection) -> list[Any]:
    return await database.fetch(
        "SELECT 'column', table_name, column_name, udt_name, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'"
        " UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        " ORDER BY 1, 2, 3"
    )


async def test_migrating_again_from_anywhere_changes_nothing(database: asyncpg.Connection, database_url: str) -> None:
    await database.execute(BOOK, "I0", NINE, NINE + timedelta(hours=1), "confirmed")
    before = await schema(database)
    assert {"booking_apart", "session_running", "alert_active"} <= {row["column_name"] for row in before}
    await database.execute("DELETE FROM tortoise_migrations WHERE name <> 'm0001_initial'")
    await migrate(database_url)
    assert await schema(database) == before
    assert await database.fetchval("SELECT count(*) FROM booking") == 1


async def test_what_a_crash_has_left_out_is_made_up_for(database: asyncpg.Connection, database_url: str) -> None:
    before = await schema(database)
    await database.execute(
        "DELETE FROM tortoise_migrations; DROP TABLE charge_line; DROP INDEX alert_active;"
        "ALTER TABLE reading DROP COLUMN number; ALTER TABLE person DROP COLUMN payer"
    )
    await migrate(database_url)
    assert {tuple(row) for row in await schema(database)} == {tuple(row) for row in before}


@pytest.mark.parametrize(("hour", "state"), [(0, "confirmed"), (0.5, "used"), (-0.5, "confirmed")])
async def test_two_bookings_cannot_overlap(database: asyncpg.Connection, hour: float, state: str) -> None:
    await database.execute(BOOK, "I0", NINE, NINE + timedelta(hours=1), "confirmed")
    start = NINE + timedelta(hours=hour)
    with pytest.raises(asyncpg.ExclusionViolationError, match="booking_apart"):
        await database.execute(BOOK, "I0", start, start + timedelta(hours=1), state)


async def test_bookings_may_touch_be_elsewhere_or_take_the_place_of_a_cancelled_one(
    database: asyncpg.Connection,
) -> None:
    hour = timedelta(hours=1)
    await database.execute(BOOK, "I0", NINE, NINE + hour, "cancelled")
    await database.execute(BOOK, "I0", NINE, NINE + hour, "confirmed")
    await database.execute(BOOK, "I0", NINE + hour, NINE + 2 * hour, "confirmed")
    await database.execute(BOOK, "I1", NINE, NINE + hour, "confirmed")
    assert await database.fetchval("SELECT count(*) FROM booking") == 4


async def test_a_booking_ends_after_it_begins(database: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(BOOK, "I0", NINE, NINE, "confirmed")


async def test_an_instrument_has_one_running_session(database: asyncpg.Connection) -> None:
    await database.execute(OPEN, 1, "I0", "closed", NINE)
    await database.execute(OPEN, 2, "I0", "open", NINE)
    await database.execute(OPEN, 3, "I1", "opening", NINE)
    with pytest.raises(asyncpg.UniqueViolationError, match="session_running"):
        await database.execute(OPEN, 4, "I0", "opening", NINE)


@pytest.mark.parametrize("instrument", ["I0", None])
async def test_one_alert_of_a_kind_fires_at_a_place(database: asyncpg.Connection, instrument: str | None) -> None:
    await database.execute(FIRE, "a", instrument, "NO_SHOW", "resolved", NINE)
    await database.execute(FIRE, "b", instrument, "NO_SHOW", "firing", NINE)
    await database.execute(FIRE, "c", instrument, "OVERRUN", "firing", NINE)
    await database.execute(FIRE, "d", "I1", "NO_SHOW", "firing", NINE)
    with pytest.raises(asyncpg.UniqueViolationError, match="alert_active"):
        await database.execute(FIRE, "e", instrument, "NO_SHOW", "firing", NINE)
