"""A small site for tests: registered instruments, the service on real servers, and controllers that speak to it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from decimal import Decimal
from inspect import isawaitable
from typing import Any

import aiomqtt
import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from tests.brokers import BrokerInTest
from twin.clock import Clock, system_clock
from twin.registration import (
    NewInstrument,
    NewPlatform,
    register_controllers,
    register_instruments,
    register_platforms,
)
from twin.service import TwinService, open_database, open_service
from twin.settings import Settings
from twin.stream.broker import Client, parse_broker

DEADLINE_S = 30.0

# Neighbours touch, only the last one is open, and no two neighbours say the same.
_BROKEN_SEGMENTS = """
SELECT instrument_id, start, until, category, next_start FROM (
    SELECT *, lead(start) OVER own AS next_start, lead(category) OVER own AS next_category
    FROM segment WINDOW own AS (PARTITION BY instrument_id ORDER BY start)) AS neighbours
WHERE until IS DISTINCT FROM next_start OR category = next_category
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def until(condition: Callable[[], Any], within_s: float = DEADLINE_S) -> Any:
    """Ask, or ask and await, again and again until the answer is yes, and give it."""
    deadline_s = time.monotonic() + within_s
    while True:
        asked = condition()
        answer = await asked if isawaitable(asked) else asked
        if answer:
            return answer
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.02)


def metric(service: TwinService, name: str, **labels: str) -> float:
    """One sample of what the service shows to Prometheus; 0 where it has not been counted yet."""
    families = text_string_to_metric_families(service.metrics().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


class Voice:
    """One start of a controller, over its own account."""

    def __init__(self, mqtt: aiomqtt.Client, controller: str, boot: str) -> None:
        self.mqtt = mqtt
        self.controller = controller
        self.boot = boot
        self.seq = 0

    def message(self, ts: int | None = None, **fields: Any) -> dict[str, Any]:
        """The next message of this boot, not sent yet."""
        head = {"boot": self.boot, "seq": self.seq, "ts": now_ms() if ts is None else ts}
        self.seq += 1
        return head | fields

    async def send(self, kind: str, payload: object, qos: int = 1) -> None:
        """Publish bytes as they are, anything else as JSON; with QoS 1 the broker has it on return."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await self.mqtt.publish(f"users/v1/{self.controller}/{kind}", data, qos=qos)

    async def read(self, power_w: float, ts: int | None = None, **fields: Any) -> dict[str, Any]:
        """Publish one reading; gives the message."""
        message = self.message(ts, power_w=power_w, **fields)
        await self.send("reading", message)
        return message


class Site:
    """Instruments `I0`, `I1` ... with controllers `c0`, `c1` ..., a database and a broker."""

    def __init__(self, broker: BrokerInTest, database_url: str, passwords: Mapping[str, str]) -> None:
        self.broker = broker
        self.database_url = database_url
        self.passwords = passwords

    @property
    def settings(self) -> Settings:
        return Settings(database_url=self.database_url, mqtt_url=self.broker.url)

    def opened(self, clock: Clock = system_clock) -> AbstractAsyncContextManager[TwinService]:
        """The service, restored, whether or not it hears the broker."""
        return open_service(self.settings, clock)

    @asynccontextmanager
    async def serving(self, clock: Clock = system_clock) -> AsyncIterator[TwinService]:
        """The service, once it hears the broker."""
        async with self.opened(clock) as service:
            await until(lambda: metric(service, "twin_broker_up"))
            yield service

    @asynccontextmanager
    async def speaking(self, number: int = 0, boot: str = "boot-1") -> AsyncIterator[Voice]:
        """A controller that speaks by its own account."""
        controller = f"c{number}"
        async with self.client(controller, self.passwords[controller]) as mqtt:
            yield Voice(mqtt, controller, boot)

    def client(self, username: str, password: str, **options: Any) -> aiomqtt.Client:
        return Client(self.broker.host, self.broker.port, username=username, password=password, **options)

    def listener(self, **options: Any) -> aiomqtt.Client:
        """A foreign program that hears what twins publish."""
        return parse_broker(self.broker.speaker_url).client(**options)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def sql(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(query, *arguments)

    async def execute(self, statements: str) -> None:
        async with self.connection() as connection:
            await connection.execute(statements)

    async def value(self, query: str, *arguments: Any) -> Any:
        return (await self.sql(query, *arguments))[0][0]

    async def readings(self) -> int:
        """How many readings have been stored."""
        count: int = await self.value("SELECT count(*) FROM reading")
        return count

    async def identities(self) -> list[tuple[str, str, int]]:
        """Who said what, in the order of the numbers: (controller, boot, seq) as often as it stands in the table."""
        rows = await self.sql(
            "SELECT name, boot, seq FROM reading JOIN controller ON controller.id = controller_id ORDER BY 1, 2, 3"
        )
        return [tuple(row) for row in rows]

    async def quarantine(self) -> list[tuple[str, str]]:
        """Topic and reason of what could not be used, in order."""
        return [tuple(row) for row in await self.sql("SELECT topic, reason FROM quarantine ORDER BY id")]

    async def segments(self, code: str = "I0") -> list[tuple[datetime, datetime | None, str]]:
        """The ledger of an instrument as it is written, after making sure that all ledgers are in order."""
        await self.check_ledgers()
        rows = await self.sql(
            "SELECT start, until, segment.category FROM segment JOIN instrument ON instrument.id = instrument_id "
            "WHERE code = $1 ORDER BY start",
            code,
        )
        return [tuple(row) for row in rows]

    async def check_ledgers(self) -> None:
        """Each ledger is a partition of time."""
        assert await self.sql(_BROKEN_SEGMENTS) == []
        written, still_open = (
            await self.sql("SELECT count(DISTINCT instrument_id), count(*) FILTER (WHERE until IS NULL) FROM segment")
        )[0]
        assert written == still_open


@asynccontextmanager
async def registered(
    broker: BrokerInTest, database_url: str, count: int = 1, policy: Mapping[str, object] | None = None
) -> AsyncIterator[Site]:
    """A site of `count` instruments, every one with this policy; nothing runs yet."""
    async with open_database(database_url):
        await register_platforms([NewPlatform("P", "平台", "Platform", "university")])
        await register_instruments(_instrument(number, dict(policy or {})) for number in range(count))
        passwords = await register_controllers({f"c{number}": f"I{number}" for number in range(count)}, {})
    for name, password in passwords.items():
        await broker.account(name, password)
    yield Site(broker, database_url, passwords)


def _instrument(number: int, policy: dict[str, object]) -> NewInstrument:
    return NewInstrument(
        code=f"I{number}",
        name_zh=f"仪器{number}",
        name_en=f"Instrument {number}",
        value_cny=Decimal(400_000),
        platform="P",
        policy=policy,
    )
