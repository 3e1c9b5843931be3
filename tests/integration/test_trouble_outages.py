"""Servers that go away and come back, fill up or fall silent: what was acknowledged is there afterwards, once."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import pytest
from structlog.testing import capture_logs

from benchmarks.chaos.disks import Disk, small_disk
from benchmarks.chaos.proxy import Proxy
from tests.brokers import BrokerInTest
from tests.sites import Site, metric, now_ms, registered, until
from twin.servers import Postgres
from twin.servers.homes import server_user
from twin.service import TwinService

WRITERS = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
FILLS = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_up BEFORE INSERT ON reading FOR EACH ROW EXECUTE FUNCTION refuse();
"""


class Speaker:
    """A controller that never stops: a message is said again until the broker has acknowledged it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.acknowledged = 0
        self._stop = asyncio.Event()
        self._speaking = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                async with self.site.client("c0", self.site.passwords["c0"], timeout=1) as mqtt:
                    await self._speak(mqtt)
            except aiomqtt.MqttError:
                await asyncio.sleep(0.02)

    async def _speak(self, mqtt: aiomqtt.Client) -> None:
        while not self._stop.is_set():
            seq = self.acknowledged
            reading = f'{{"boot":"b","seq":{seq},"ts":{now_ms()},"power_w":{seq % 100}}}'
            await mqtt.publish("users/v1/c0/reading", reading, qos=1)
            self.acknowledged += 1

    async def more(self, count: int = 30) -> None:
        """Wait until the broker has acknowledged so many more."""
        enough = self.acknowledged + count
        await until(lambda: self.acknowledged >= enough)

    async def end(self) -> None:
        """Fall silent, with an answer to everything said."""
        self._stop.set()
        await self._speaking

    async def check(self) -> None:
        """All that was acknowledged comes to be in the table, once."""
        assert self._speaking.done()
        await until(lambda: self._heard_by(self.site))
        expected = [("c0", "b", seq) for seq in range(self.acknowledged)]
        assert await self.site.identities() == expected
        await self.site.check_ledgers()

    async def _heard_by(self, site: Site) -> bool:
        return await site.readings() >= self.acknowledged


@asynccontextmanager
async def always_speaking(site: Site) -> AsyncIterator[Speaker]:
    """While the block runs; afterwards nothing must be missing."""
    speaker = Speaker(site)
    try:
        await speaker.more()
        yield speaker
    finally:
        await speaker.end()
    await speaker.check()


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url) as site:
        yield site


def logged(logs: list[Any], event: str, level: str) -> list[Any]:
    return [line for line in logs if line["event"] == event and line["log_level"] == level]


async def health_is(service: TwinService, status: str) -> bool:
    return (await service.health()).status == status


async def check_told(service: TwinService, logs: list[Any]) -> None:
    """The service has said that it could not store, and that it can again."""
    await until(lambda: health_is(service, "ok"))
    assert logged(logs, "store.failed", "error")
    assert len(logged(logs, "store.recovered", "info")) >= 1
    assert metric(service, "twin_commit_failures_total") >= 1
    assert metric(service, "twin_database_up") == 1


async def test_the_broker_crashes_under_load(site: Site, servers_home: Path) -> None:
    with capture_logs() as logs:
        async with site.serving() as service:
            await save(site.broker, servers_home)
            async with always_speaking(site) as speaker:
                await site.broker.kill()
                await until(lambda: health_is(service, "degraded"))
                assert metric(service, "twin_broker_up") == 0
                assert metric(service, "twin_broker_losses_total") == 1
                await site.broker.start()
                await speaker.more()
            assert await health_is(service, "ok")
    assert logged(logs, "broker.lost", "warning")
    assert len(logged(logs, "broker.connected", "info")) == 2


async def save(broker: BrokerInTest, home: Path) -> None:
    """Let the broker save what it holds, as it does every few seconds: from then on it knows the service."""
    broker.server.save()
    await until((home / "mosquitto" / "mosquitto.db").exists)


async def test_the_broker_restarts_while_the_service_is_away(site: Site) -> None:
    async with site.serving():
        pass
    speaker = Speaker(site)
    try:
        await speaker.more()
        await site.broker.stop()
        await site.broker.start()
        await speaker.more()
        assert await site.readings() == 0
        async with site.serving():
            await speaker.more()
            await speaker.end()
            await speaker.check()
    finally:
        await speaker.end()


async def test_an_hour_without_the_service_leaves_no_trace_in_the_ledger(site: Site) -> None:
    """What waits at the broker goes by the time at which it came, and timers by theirs."""
    start_ms = now_ms() // 60_000 * 60_000 - 2 * 3_600_000
    minutes = [start_ms + minute * 60_000 for minute in range(90)]
    async with site.serving(lambda: minutes[1]) as service, site.speaking() as voice:
        for ts in minutes[:2]:
            await voice.read(100.0, ts)
        await until(site.readings)
        assert service.view("I0")
    async with site.speaking(boot="boot-2") as voice:
        for ts in minutes[2:]:
            await voice.read(100.0 if ts < minutes[40] else 1.0, ts)
    async with site.serving() as service:
        await until(lambda: all_stored(site, len(minutes)))
        await until(lambda: shown_offline(service))
    received = await site.sql("SELECT extract(epoch FROM received - time) AS late FROM reading ORDER BY time OFFSET 2")
    assert {float(row["late"]) for row in received} == {0.0}
    told = await site.sql("SELECT start, category FROM segment WHERE instrument_id = 1 ORDER BY start")
    told_ms = [(int(row["start"].timestamp() * 1000), row["category"]) for row in told]
    silent_ms = minutes[-1] + 90_000
    assert told_ms[-3:] == [(start_ms + 30_000, "unauthorised"), (minutes[40] + 60_000, "off"), (silent_ms, "unknown")]
    await site.check_ledgers()


def shown_offline(service: TwinService) -> bool:
    view = service.view("I0")
    return view is not None and view.link == "offline"


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill], ids=["stops", "crashes"])
async def test_the_database_goes_away_under_load(
    site: Site, postgres: Postgres, end: Callable[[Postgres], Awaitable[None]]
) -> None:
    with capture_logs() as logs:
        async with site.serving() as service:
            async with always_speaking(site) as speaker:
                try:
                    await end(postgres)
                    await until(lambda: metric(service, "twin_database_up") == 0)
                    assert await health_is(service, "down")
                    shown = service.view("I0")
                    await speaker.more()
                    still = service.view("I0")
                    assert shown is not None
                    assert still is not None
                    assert still.power == shown.power, "nobody is shown what is not recorded"
                    await until(lambda: metric(service, "twin_inbox_messages"))
                finally:
                    await postgres.start()
                await speaker.more()
            await check_told(service, logs)
            assert metric(service, "twin_inbox_messages") == 0


async def test_health_notices_a_lost_database_though_nobody_speaks(site: Site, postgres: Postgres) -> None:
    async with site.serving() as service:
        assert await health_is(service, "ok")
        await postgres.stop()
        try:
            await until(lambda: health_is(service, "down"))
            database = (await service.health()).components["database"]
            assert database["status"] == "down"
            assert database["error"]
            assert str(urlsplit(site.database_url).password) not in str(database)
        finally:
            await postgres.start()
        await until(lambda: health_is(service, "ok"))


async def test_a_service_ends_in_order_though_both_servers_are_gone(site: Site, postgres: Postgres) -> None:
    try:
        async with asyncio.timeout(20), site.serving() as service, site.speaking() as voice:
            await voice.read(1)
            await until(site.readings)
            await postgres.kill()
            await voice.read(2)
            await until(lambda: health_is(service, "down"))
            await site.broker.stop()
            await until(lambda: metric(service, "twin_broker_up") == 0)
    except* aiomqtt.MqttError:
        pass  # the controller's own: it cannot say goodbye
    finally:
        await postgres.start()
    await site.broker.start()
    async with site.serving():
        await until(lambda: all_stored(site, 2))
    assert await site.identities() == [("c0", "boot-1", 0), ("c0", "boot-1", 1)]


async def test_a_service_ends_though_its_database_does_not_answer_any_more(site: Site) -> None:
    at = urlsplit(site.database_url)
    wire = Proxy(lambda: (str(at.hostname), at.port or 0))
    async with wire.opened():
        wired = at._replace(netloc=f"{at.username}:{at.password}@{at.hostname}:{wire.port}").geturl()
        behind = Site(site.broker, wired, site.passwords)
        async with asyncio.timeout(60), behind.serving() as service, site.speaking() as voice:
            await voice.read(1)
            await until(site.readings)
            wire.stall()
            await voice.read(2)
            await until(lambda: metric(service, "twin_inbox_messages") == 0)  # it is being stored
    async with site.serving():
        await until(lambda: all_stored(site, 2))
    assert await site.identities() == [("c0", "boot-1", 0), ("c0", "boot-1", 1)]


async def test_connections_to_the_database_are_cut_again_and_again(site: Site) -> None:
    with capture_logs() as logs:
        async with site.serving() as service:
            async with always_speaking(site) as speaker:
                for _ in range(5):
                    await until(lambda: site.sql(WRITERS))
                    await speaker.more(20)
            await check_told(service, logs)


async def test_a_full_disk_holds_everything_up_and_loses_nothing(site: Site) -> None:
    """Simulated where the server would say it: PostgreSQL's own error for a full disk, out of COPY."""
    with capture_logs() as logs:
        async with site.serving() as service:
            async with always_speaking(site) as speaker:
                await until(site.readings)
                await site.execute(FILLS)
                await until(lambda: health_is(service, "down"))
                assert "DiskFullError" in str((await service.health()).components["database"]["error"])
                await speaker.more()
                await site.execute("DROP TRIGGER full_up ON reading")
            await check_told(service, logs)
    assert "No space left on device" in logged(logs, "store.failed", "error")[0]["error"]


@pytest.fixture
def disk(servers_home: Path) -> Iterator[Disk]:
    """A file system of two megabytes."""
    with small_disk(servers_home / "small", size_mb=2) as disk:
        if not disk.is_mounted:
            pytest.skip("may not mount file systems")
        yield disk


async def test_a_disk_that_is_really_full(site: Site, disk: Disk) -> None:
    user, data = server_user(), disk.folder / "data"
    assert user is not None
    data.mkdir()
    os.chown(data, user.uid, user.gid)
    name = f"small_{now_ms()}"
    with capture_logs() as logs:
        try:
            await site.execute(f"CREATE TABLESPACE {name} LOCATION '{data}'")
            await site.execute(f"SELECT attach_tablespace('{name}', 'reading')")
            async with site.serving() as service, site.speaking() as voice:
                sent = 0
                while not logged(logs, "store.failed", "error"):
                    await voice.send("reading", [voice.message(power_w=1) for _ in range(1000)])
                    sent += 1000
                await until(lambda: health_is(service, "down"))
                disk.resize(size_mb=64)
                await until(lambda: all_stored(site, sent))
                await check_told(service, logs)
            assert await site.identities() == [("c0", "boot-1", seq) for seq in range(sent)]
        finally:
            await site.execute("TRUNCATE reading")
            await site.execute("DROP TABLE reading")
            await site.execute(f"DROP TABLESPACE {name}")
    assert "DiskFullError" in logged(logs, "store.failed", "error")[0]["error"]


async def all_stored(site: Site, count: int) -> bool:
    return await site.readings() >= count


class Wire:
    """Stands between service and database, and can lose the answer to a commit that has happened."""

    def __init__(self, database_url: str) -> None:
        self._to = urlsplit(database_url)
        self._tasks: set[asyncio.Task[None]] = set()
        self.lose_answers = False
        self.lost = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        """The address to use instead of the database's."""
        server = await asyncio.start_server(self._join, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        yield self._to._replace(netloc=f"{self._to.username}:{self._to.password}@127.0.0.1:{port}").geturl()
        server.close()
        for task in self._tasks:
            task.cancel()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, orders = await asyncio.open_connection(self._to.hostname, self._to.port)
        commits = asyncio.Event()
        for pump in (self._ask(reader, orders, commits), self._answer(answers, writer, commits)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, reader: asyncio.StreamReader, orders: asyncio.StreamWriter, commits: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if b"COMMIT;" in data and self.lose_answers:
                commits.set()
            orders.write(data)
        orders.close()

    async def _answer(
        self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, commits: asyncio.Event
    ) -> None:
        while data := await answers.read(65536):
            if commits.is_set():
                assert b"COMMIT\x00" in data, "the database has committed"
                self.lost += 1
                break
            writer.write(data)
        writer.close()


async def test_a_commit_whose_answer_is_lost_is_stored_once(site: Site) -> None:
    wire = Wire(site.database_url)
    async with wire.opened() as url:
        behind = Site(site.broker, url, site.passwords)
        with capture_logs() as logs:
            async with behind.serving() as service:
                async with always_speaking(site) as speaker:
                    wire.lose_answers = True
                    await until(lambda: wire.lost >= 3)
                    wire.lose_answers = False
                    await speaker.more()
                await check_told(service, logs)
                assert metric(service, "twin_messages_total", verdict="duplicate") == 0
