"""The floor: what an able engineer gets from aiomqtt and asyncpg without any twin.

It reads QoS 1 messages, COPYs each reading into the same hypertable as the service and acknowledges after the commit.
Receiving goes on while a batch is stored. It is the yardstick of the service: plain, good code, nothing left out and
nothing clever. Knows no duplicates, keeps no state, answers no question.
"""

import asyncio
import os
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import asyncpg
import msgspec
import uvloop

from twin.events import Reading
from twin.stream.broker import parse_broker

BATCH_S = 0.05
MAX_BATCH = 5_000
COLUMNS = ("time", "received", "controller_id", "boot", "seq", "power_w", "energy_wh", "relay", "occupied", "door_open")


class Floor:
    """Gathers rows while the batch before them is being stored."""

    def __init__(self, client: aiomqtt.Client, connection: asyncpg.Connection, ids: dict[str, int]) -> None:
        self._client = client
        self._connection = connection
        self._ids = ids
        self._decoder = msgspec.json.Decoder(Reading)
        self._rows: list[tuple[Any, ...]] = []
        self._mids: list[int] = []
        self._full = asyncio.Event()

    async def gather(self) -> None:
        """Receive and decode, for ever."""
        async for message in self._client.messages:
            reading = self._decoder.decode(message.payload)
            controller = message.topic.value.split("/")[2]
            self._rows.append(_row(reading, self._ids[controller]))
            self._mids.append(message.mid)
            if len(self._rows) >= MAX_BATCH:
                self._full.set()

    async def store(self) -> None:
        """Store what has gathered, by size or by time, then acknowledge it, for ever."""
        paho = self._client._client  # noqa: SLF001 - aiomqtt has no other way to acknowledge by hand
        while True:
            await self._fill()
            rows, self._rows = self._rows, []
            mids, self._mids = self._mids, []
            if rows:
                await self._connection.copy_records_to_table("reading", records=rows, columns=(*COLUMNS, "hist"))
                for mid in mids:
                    paho.ack(mid, 1)

    async def _fill(self) -> None:
        try:
            async with asyncio.timeout(BATCH_S):
                await self._full.wait()
        except TimeoutError:
            return
        self._full.clear()


def _row(reading: Reading, controller_id: int) -> tuple[Any, ...]:
    return (
        datetime.fromtimestamp(reading.ts / 1000, UTC),
        datetime.fromtimestamp(time.time(), UTC),
        controller_id,
        reading.boot,
        reading.seq,
        reading.power_w,
        reading.energy_wh,
        reading.relay,
        reading.occupied,
        None if reading.door is None else reading.door == "open",
        reading.hist,
    )


async def main() -> None:
    """Run until SIGTERM; say `ready` when subscribed."""
    broker = parse_broker(os.environ["MQTT_URL"])
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    ids = {row["name"]: row["id"] for row in await connection.fetch("SELECT name, id FROM controller")}
    client = broker.client("floor", clean_session=False)
    client._client.manual_ack_set(True)  # noqa: SLF001
    async with client:
        floor = Floor(client, connection, ids)
        await client.subscribe("users/v1/+/reading", qos=1)
        running = asyncio.gather(floor.gather(), floor.store())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
        print("ready", flush=True)
        with suppress(asyncio.CancelledError):
            await running


if __name__ == "__main__":
    uvloop.run(main())
