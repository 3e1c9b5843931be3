"""A past that is lived through is recorded like any other: whole, explained by its log, and gone on from."""

from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from benchmarks.lived.living import HasPastError
from tests.brokers import BrokerInTest
from tests.databases import copied
from tests.pasts import INSTRUMENTS, NOW, live
from twin.replay.extent import first_moment, last_moment
from twin.replay.records import Window
from twin.replay.verify import verify
from twin.servers import Postgres
from twin.servers.packages import quiet
from twin.service import open_database, open_service
from twin.settings import Settings
from twin.state import LinkState
from twin.store.log import open_log
from twin.store.rows import to_ms

pytestmark = pytest.mark.xdist_group("past")  # so that it is made once


@pytest.fixture
async def lived(postgres: Postgres, past: str) -> AsyncIterator[str]:
    """A database whose five instruments have lived for a day and a half, for this test alone; its tables are open."""
    async with copied(postgres, past) as url, open_database(url):
        yield url


async def test_the_past_is_whole_and_follows_from_its_log(lived: str) -> None:
    connection = await asyncpg.connect(lived)
    try:
        segments = await connection.fetch("SELECT * FROM segment ORDER BY instrument_id, start")
        ends = {(row["instrument_id"], row["start"]): row["until"] for row in segments}
        starts = Counter(row["instrument_id"] for row in segments)
        assert len(starts) == len(INSTRUMENTS)
        assert all(until is None or (instrument, until) in ends for (instrument, _), until in ends.items())
        assert list(ends.values()).count(None) == len(INSTRUMENTS)
        assert {"use", "idle", "cooldown", "standby", "off"} <= {row["category"] for row in segments}
        closed = await connection.fetchval("SELECT count(*) FROM session WHERE state = 'closed'")
        assert closed >= 5
        assert await connection.fetchval("SELECT sum(gross_cny) FROM charge_line WHERE cause = 'session'") > 0
        booked = Counter(
            row["state"]
            for row in await connection.fetch(
                "SELECT state FROM booking WHERE id IN (SELECT booking::int FROM session)"
            )
        )
        assert booked["used"] > 0
        assert await connection.fetchval("SELECT count(*) FROM snapshot") >= len(INSTRUMENTS)
    finally:
        await connection.close()
    async with open_log(lived) as log:
        window = Window(await first_moment(log), await last_moment(log) + 1)
        found = await verify(log, window, set(log.codes.values()), quiet)
    assert not found.differences
    assert found.sessions >= closed


async def test_a_past_is_lived_once(lived: str) -> None:
    with pytest.raises(HasPastError):
        await live(lived, lambda: to_ms(NOW))


async def test_a_service_goes_on_from_it(lived: str, broker: BrokerInTest) -> None:
    settings = Settings(database_url=lived, mqtt_url=broker.url)
    async with open_service(settings, lambda: to_ms(NOW) + 1000) as service:
        views = {view.instrument: view for view in service.views()}
        assert set(views) == set(INSTRUMENTS)
        assert {view.link for view in views.values()} == {LinkState.ONLINE.value}
