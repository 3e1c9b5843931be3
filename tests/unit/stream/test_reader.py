"""The reader, and a broker that crashes: nothing that has arrived may be forgotten with it."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import aiomqtt
import pytest

from twin.clock import system_clock
from twin.stream.backlog import Backlog
from twin.stream.broker import parse_broker
from twin.stream.packets import Delivery
from twin.stream.reader import Reader
from twin.stream.topics import Topics

TOPIC = b"users/v1/c1/reading"
CONNACK = b"\x20\x02\x00\x00"
FILTERS = len(Topics().subscriptions())


def publish(mid: int) -> bytes:
    body = struct.pack("!H", len(TOPIC)) + TOPIC + struct.pack("!H", mid) + b"%d" % mid
    return bytes([0x32, len(body)]) + body


def suback(subscribe: bytes) -> bytes:
    return bytes([0x90, 2 + FILTERS]) + subscribe[2:4] + bytes([1] * FILTERS)


class CrashingBroker:
    """Accepts a connection, sends some messages, and is gone without a word, as when its process is killed."""

    def __init__(self) -> None:
        self.port = 0
        self.messages = 3

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(CONNACK)
        writer.write(suback(await reader.read(1024)))
        await asyncio.sleep(0.1)
        for mid in range(1, self.messages + 1):
            writer.write(publish(mid))
        await writer.drain()
        # Closing with data that nobody sends any more: the other side is told of a reset.
        connected: socket.socket = writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@pytest.fixture
async def broker() -> AsyncIterator[CrashingBroker]:
    broker = CrashingBroker()
    async with await asyncio.start_server(broker.serve, "127.0.0.1") as server:
        broker.port = server.sockets[0].getsockname()[1]
        yield broker


async def heard(reader: Reader, count: int) -> list[Delivery]:
    deliveries: list[Delivery] = []
    async for batch in reader.batches():
        deliveries += batch
        if len(deliveries) >= count:
            break
    return deliveries


async def test_what_arrived_before_the_crash_is_handed_out(broker: CrashingBroker) -> None:
    links: list[bool] = []
    address = parse_broker(f"mqtt://127.0.0.1:{broker.port}")
    reader = Reader(address, "reader", Topics(), on_link=links.append, backlog=Backlog(), clock=system_clock)
    async with asyncio.timeout(30):
        deliveries = await heard(reader, 2 * broker.messages)
    first, second = deliveries[: broker.messages], deliveries[broker.messages :]
    assert [each.payload for each in first] == [each.payload for each in second] == [b"1", b"2", b"3"]
    assert {each.connection for each in first} == {1}, "none of the first connection is missing"
    assert {each.connection for each in second} == {2}
    assert links[:2] == [True, False]


async def test_a_broker_that_hangs_up_before_it_answers_is_not_waited_for() -> None:
    """As a forwarder does whose broker is away: waiting for a time-out would leave the service deaf for its length."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as server:
        client = parse_broker(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}").client()
        for _ in range(2):
            async with asyncio.timeout(5):
                with pytest.raises(aiomqtt.MqttError, match="before the broker had answered"):
                    await client.__aenter__()
