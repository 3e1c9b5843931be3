"""The controllers' process: speaks for all of them, each over a connection of its own, and keeps the book.

Readings go out out of their order now and then, and now and then one goes out twice: the identity says what it is.
"""

import asyncio
import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import aiomqtt
import msgspec
import uvloop

from benchmarks.chaos.book import Acknowledged, Book, BookReader, Made
from benchmarks.chaos.device import Device
from twin.stream.broker import BrokerAddress, parse_broker

PREFIX = "users/v1"
AT_A_TIME = 12
"""Messages that are under way at once."""
SHUFFLED = 0.15
DOUBLED = 0.05
KEEPALIVE_S = 5
PATIENCE_S = 5.0
"""How long a PUBACK may take."""
RETRY_S = (0.2, 0.8)
CUT_OFF_RUSH = 24
"""How many times as often a card is held to a controller that is cut off: for a round, that is not for long."""


class Orders(msgspec.Struct, frozen=True):
    """What the process is told, in the file that is its only argument."""

    controllers: tuple[str, ...]
    cards: tuple[str, ...]
    seed: int
    book: str
    quiet: str
    """While there is a file of this name nobody works and nobody comes."""
    reading_s: float
    tap_s: float
    """Between two cards at one controller, on average."""
    keys: dict[str, str] = {}
    """By which the grants of each controller are signed."""


def now_ms() -> int:
    """The clock of all controllers."""
    return time.time_ns() // 1_000_000


class Link:
    """Keeps one controller connected."""

    def __init__(self, device: Device, book: Book, broker: BrokerAddress, chance: random.Random) -> None:
        self._device = device
        self._book = book
        self._broker = broker
        self._chance = chance
        self._filled = asyncio.Event()

    def nudge(self) -> None:
        """There is something to send."""
        self._filled.set()

    async def run(self) -> NoReturn:
        """Connect and talk, for ever."""
        while True:
            with suppress(aiomqtt.MqttError, OSError):
                await self._talk()
            self._device.lost()
            await asyncio.sleep(self._chance.uniform(*RETRY_S))

    async def _talk(self) -> None:
        name, will = self._device.name, aiomqtt.Will(self._topic("death"), self._device.will, qos=1)
        async with self._broker.client(name, will=will, keepalive=KEEPALIVE_S, timeout=PATIENCE_S) as mqtt:
            await mqtt.subscribe([(self._topic(each), 1) for each in ("command", "grants")])
            self._device.connected(now_ms())
            listening = asyncio.create_task(self._listen(mqtt))
            try:
                while not listening.done():
                    await self._send(mqtt)
            finally:
                listening.cancel()

    async def _listen(self, mqtt: aiomqtt.Client) -> None:
        try:
            async for message in mqtt.messages:
                if message.topic.value.endswith("/grants"):
                    self._device.take_grants(now_ms(), message.payload)
                else:
                    self._device.obey(now_ms(), message.payload)
                    self._device.read(now_ms())
                    self.nudge()
        except aiomqtt.MqttError:
            pass
        finally:
            self.nudge()

    async def _send(self, mqtt: aiomqtt.Client) -> None:
        """What waits, some at once; what is acknowledged waits no longer."""
        batch = self._next_batch()
        if not batch:
            self._filled.clear()
            await self._filled.wait()
            return
        order = list(batch)
        if len(order) > 1 and self._chance.random() < SHUFFLED:
            self._chance.shuffle(order)
        await asyncio.gather(*(self._publish(mqtt, each) for each in order))

    def _next_batch(self) -> list[Made]:
        """Readings may overtake one another; what opens and closes sessions keeps its place."""
        batch: list[Made] = []
        for made in self._device.waiting.values():
            if len(batch) == AT_A_TIME or (batch and made.kind != "reading"):
                break
            batch.append(made)
            if made.kind != "reading":
                break
        return batch

    async def _publish(self, mqtt: aiomqtt.Client, made: Made) -> None:
        payload = msgspec.json.encode(made.message)
        for _ in range(2 if self._chance.random() < DOUBLED else 1):
            await mqtt.publish(self._topic(made.kind), payload, qos=1)
        self._book.write(Acknowledged(now_ms(), *made.identity))
        self._device.delivered(made.identity)

    def _topic(self, kind: str) -> str:
        return f"{PREFIX}/{self._device.name}/{kind}"


async def measure(device: Device, link: Link, orders: Orders, chance: random.Random) -> NoReturn:
    """Read power and hold cards to the reader, for ever."""
    while True:
        device.quiet = _is_quiet(orders)
        device.read(now_ms())
        tap_s = orders.tap_s if device.online else orders.tap_s / CUT_OFF_RUSH
        if not device.quiet and chance.random() < orders.reading_s / tap_s:
            welcome = () if device.online else device.welcome(now_ms(), orders.cards)
            device.tap(now_ms(), chance.choice(welcome or orders.cards))
        link.nudge()
        await asyncio.sleep(orders.reading_s * chance.uniform(0.8, 1.2))


def _is_quiet(orders: Orders) -> bool:
    return Path(orders.quiet).exists()


async def main(orders: Orders) -> None:
    """Run until killed."""
    broker, path = parse_broker(os.environ["MQTT_URL"]), Path(orders.book)
    entries = list(BookReader(path).news())
    book = Book(path)
    async with asyncio.TaskGroup() as group:
        for name in orders.controllers:
            chance = random.Random(f"{orders.seed} {name} {len(entries)}")
            device = Device(name, chance, book.write, orders.keys.get(name, ""))
            device.recall(entries)
            device.start(now_ms())
            link = Link(device, book, broker, chance)
            group.create_task(link.run())
            group.create_task(measure(device, link, orders, chance))


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Orders)))
