"""The database: migrations, tables and models, commits that are tried again, and questions about the past."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import pytest
from tortoise import Tortoise, fields

from tests.brokers import BrokerInTest
from tests.sites import Site, now_ms, registered
from twin.events import Arrival, Reading, Tick
from twin.fleet import Fleet
from twin.models.people import Person
from twin.models.registry import Platform
from twin.policy import Policy
from twin.rules.outcome import Billed, Outcome
from twin.service import open_database
from twin.state import Category, SeenBoot
from twin.station import Station
from twin.store import Batch, Ids, Names, Past, Store
from twin.store.commit import AnotherWriterError, OvertakenError
from twin.store.history import History
from twin.store.migrate import migrate
from twin.store.restore import read_checkpoints
from twin.store.rows import IncompatibleVersionError, to_time

ROOT = Path(__file__).parents[2]
PAGE_BYTES = 8192
TYPES: dict[Any, str] = {
    fields.BooleanField: "bool",
    fields.IntField: "int4",
    fields.SmallIntField: "int2",
    fields.CharField: "varchar",
    fields.JSONField: "jsonb",
    fields.DecimalField: "numeric",
    fields.DateField: "date",
    fields.DatetimeField: "timestamptz",
}


class Books:
    """A fleet with a store, as the recorder keeps them, for controllers `c0` ... of a site."""

    def __init__(self, site: Site, ids: dict[str, Ids]) -> None:
        self.ids = ids
        self.fleet = Fleet()
        self.store = Store(site.database_url)
        for controller in ids:
            self.fleet.register(controller, Policy())
        self.seq = 0

    def batch(self, name: str, *powers_w: float, controller: str = "c0") -> Batch:
        """One reading after the other, applied to the fleet, with all that follows."""
        batch = Batch(name)
        for power_w in powers_w:
            at_ms = now_ms()
            arrival = Arrival(controller, at_ms, Reading("b", self.seq, at_ms, power_w))
            self.seq += 1
            batch.record(arrival, at_ms, self.ids[controller].controller_id)
            batch.add(self.fleet.handle(arrival))
        batch.add(self.fleet.handle(Tick(now_ms())))
        batch.stations = {controller: self.fleet.station(controller) for controller in batch.changed}
        return batch

    async def commit(self, batch: Batch) -> None:
        await self.store.commit(batch, Names(self.ids, {}), self._refold)

    async def lose_connection(self) -> None:
        """As when the network fails: the lock is free once the database has noticed."""
        await self.store.close()

    def _refold(self, controller: str, past: Past) -> tuple[Outcome, Sequence[Billed]]:
        return self.fleet.refold(controller, past.base, past.told, now_ms(), visits=past.visits, bills=past.bills)


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url, 2) as site:
        yield site


@pytest.fixture
async def books(site: Site) -> AsyncIterator[Books]:
    rows = await site.sql("SELECT name, id, instrument_id FROM controller")
    books = Books(site, {name: Ids(controller_id, instrument_id) for name, controller_id, instrument_id in rows})
    yield books
    await books.store.close()


@asynccontextmanager
async def connection_to(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def tables(database_url: str) -> list[tuple[str, str, str]]:
    async with connection_to(database_url) as connection:
        rows = await connection.fetch(
            "SELECT table_name, column_name, udt_name FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, 2"
        )
        return [tuple(row) for row in rows]


async def migrate_elsewhere(database_url: str) -> int:
    """What becomes of a process that migrates."""
    program = "import asyncio, os; from twin.store.migrate import migrate; asyncio.run(migrate(os.environ['URL']))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=os.environ | {"URL": database_url}, cwd=ROOT
    )
    return await process.wait()


async def test_migrations_may_be_run_again_and_by_many_at_once(bare_database_url: str) -> None:
    assert await asyncio.gather(*(migrate_elsewhere(bare_database_url) for _ in range(3))) == [0, 0, 0]
    first = await tables(bare_database_url)
    assert {"reading", "event", "segment", "checkpoint", "mark", "quarantine"} <= {table for table, _, _ in first}
    await migrate(bare_database_url)
    assert await tables(bare_database_url) == first
    async with connection_to(bare_database_url) as connection:
        left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert await connection.fetchval(left) == 0


async def test_migrations_may_be_run_again_after_a_crash_in_the_middle(database_url: str) -> None:
    async with connection_to(database_url) as connection:
        await connection.execute(
            "DELETE FROM tortoise_migrations; DROP TABLE segment; DROP INDEX event_controller_time"
        )
    await migrate(database_url)
    assert ("segment", "start", "timestamptz") in await tables(database_url)


async def test_the_log_consists_of_hypertables(site: Site) -> None:
    found = await site.sql("SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1")
    assert [row[0] for row in found] == ["event", "reading"]


async def test_models_agree_with_the_tables(site: Site) -> None:
    rows = await site.sql("SELECT * FROM information_schema.columns WHERE table_schema = 'public'")
    columns = {(row["table_name"], row["column_name"]): row for row in rows}
    async with open_database(site.database_url):
        models = list(Tortoise.apps["models"].values())
        for model in models:
            await model.all().first()
    for model in models:
        meta = model._meta  # noqa: SLF001 - Tortoise has no other name for it
        for name, column in meta.fields_db_projection.items():
            field, stored = meta.fields_map[name], columns.pop((meta.db_table, column))
            assert stored["udt_name"] == TYPES[type(field)], (meta.db_table, column)
            assert (stored["is_nullable"] == "YES") == field.null, (meta.db_table, column)
            if isinstance(field, fields.CharField):
                assert stored["character_maximum_length"] == field.max_length, (meta.db_table, column)
    assert {Platform, Person} <= set(models)
    assert not {table for table, _ in columns} & {model._meta.db_table for model in models}  # noqa: SLF001


async def test_a_batch_is_stored_once_however_often_it_is_tried(site: Site, books: Books) -> None:
    batch = books.batch("first", 1, 50, 2)
    await books.commit(batch)
    await books.commit(batch)
    assert await site.readings() == 3
    await books.commit(books.batch("second", 3))
    assert await site.readings() == 4
    await site.check_ledgers()


async def test_of_a_batch_that_fails_nothing_is_stored(site: Site, books: Books) -> None:
    await books.commit(books.batch("first", 1))
    before = await site.sql("SELECT * FROM checkpoint"), await site.segments()
    # The books are written after the readings have been copied.
    await site.sql("ALTER TABLE checkpoint ADD CONSTRAINT full_up CHECK (false) NOT VALID")
    batch = books.batch("second", 50)
    with pytest.raises(asyncpg.CheckViolationError):
        await books.commit(batch)
    assert await site.readings() == 1
    assert (await site.sql("SELECT * FROM checkpoint"), await site.segments()) == before
    await site.sql("ALTER TABLE checkpoint DROP CONSTRAINT full_up")
    await books.commit(batch)
    assert await site.readings() == 2


async def checkpoints(pool: asyncpg.Pool) -> dict[str, Station]:
    return {controller: station async for controller, station in read_checkpoints(pool)}


async def test_checkpoints_bring_twins_back_as_they_were(site: Site, books: Books) -> None:
    await books.commit(books.batch("first", 1, 50, 2))
    async with asyncpg.create_pool(site.database_url, min_size=1, max_size=1) as pool:
        assert await checkpoints(pool) == {"c0": books.fleet.station("c0")}


async def test_a_checkpoint_may_be_larger_than_a_page(site: Site, books: Books) -> None:
    batch = books.batch("large", 1)
    boots = tuple(SeenBoot(f"boot-{number}" * 6, tuple(range(0, 1024, 2))) for number in range(64))
    station = books.fleet.station("c0")
    twin = msgspec.structs.replace(station.twin, seen=boots)
    large = batch.stations["c0"] = msgspec.structs.replace(station, twin=twin)
    await books.commit(batch)
    assert await site.value("SELECT max(length(state)) FROM checkpoint") > 2 * PAGE_BYTES
    async with asyncpg.create_pool(site.database_url, min_size=1, max_size=1) as pool:
        assert (await checkpoints(pool))["c0"] == large


async def test_a_checkpoint_of_another_version_is_not_guessed_at(site: Site, books: Books) -> None:
    await books.commit(books.batch("first", 1))
    await site.sql("UPDATE checkpoint SET version = 99")
    async with asyncpg.create_pool(site.database_url, min_size=1, max_size=1) as pool:
        with pytest.raises(IncompatibleVersionError, match="99"):
            await checkpoints(pool)


async def test_one_writer_at_a_time(site: Site, books: Books) -> None:
    await books.store.open()
    other = Store(site.database_url)
    with pytest.raises(AnotherWriterError):
        await other.open()
    await books.store.close()
    await other.open()
    await other.close()


async def test_a_writer_that_another_has_overtaken_writes_no_more(site: Site, books: Books) -> None:
    await books.commit(books.batch("mine", 1))
    await books.lose_connection()
    other = Books(site, books.ids)
    await other.store.open()
    other.seq = 100
    await other.commit(other.batch("theirs", 2))
    await other.store.close()
    with pytest.raises(OvertakenError):
        await books.commit(books.batch("stale", 3))
    assert [seq for _, _, seq in await site.identities()] == [0, 100]


async def test_marks_are_kept_for_late_data(site: Site, books: Books) -> None:
    await books.commit(books.batch("first", 1))
    assert await site.value("SELECT count(*) FROM mark") == 1


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
async def test_a_day_of_a_clock_change_has_its_own_length(site: Site, day: str, hours: int) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(day).replace(tzinfo=berlin).astimezone(UTC)
    await site.sql(
        "INSERT INTO segment SELECT id, $1, NULL, 'standby' FROM instrument WHERE code = 'I0'",
        start + timedelta(hours=1),
    )
    after_ms = round((start + timedelta(days=2)).timestamp() * 1000)
    instrument_id = await site.value("SELECT id FROM instrument WHERE code = 'I0'")
    async with asyncpg.create_pool(site.database_url, min_size=1, max_size=1) as pool:
        ledger = await History(pool, berlin).ledger("I0", instrument_id, date.fromisoformat(day), after_ms)
    assert ledger.total == hours * 60
    assert ledger.minutes[Category.UNKNOWN] == 60
    assert ledger.minutes[Category.STANDBY] == (hours - 1) * 60
    assert [segment.category for segment in ledger.segments] == [Category.UNKNOWN, Category.STANDBY]


async def test_the_open_segment_is_one_by_the_databases_own_word(site: Site) -> None:
    insert = "INSERT INTO segment SELECT id, $1, NULL, 'off' FROM instrument WHERE code = 'I0'"
    await site.sql(insert, to_time(1))
    with pytest.raises(asyncpg.UniqueViolationError):
        await site.sql(insert, to_time(2))
