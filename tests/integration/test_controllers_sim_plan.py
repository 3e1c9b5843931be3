"""A planned controller at a real broker, with a small script in the place of the service."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import pytest

from controllers_sim.broker import from_url
from controllers_sim.faults import Faults
from controllers_sim.plan import Booking
from controllers_sim.scenario import ControllerEntry, Scenario, ServiceTable
from controllers_sim.simulation import Simulation
from tests.booking_desk import open_desk, until
from tests.brokers import BrokerInTest

HOUR_MS = 3_600_000
SPEED = 480
"""The controllers' clock runs so many times as fast as the real one: an hour of people in 8 s."""


class Service:
    """Hears everything; a tap of a known card closes the relay, or opens it if it is that card's session."""

    def __init__(self, mqtt: aiomqtt.Client, cards: set[str]) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.asked: dict[str, bool] = {}
        self._mqtt = mqtt
        self._cards = cards
        self._owner: str | None = None

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [payload for heard, payload in self.heard if heard == kind]

    async def work(self) -> None:
        with suppress(aiomqtt.MqttError):
            async for message in self._mqtt.messages:
                assert isinstance(message.payload, bytes)
                kind = message.topic.value.rpartition("/")[2]
                payload = json.loads(message.payload)
                for item in payload if isinstance(payload, list) else [payload]:
                    self.heard.append((kind, item))
                    if kind == "card" and item["card"] in self._cards:
                        await self._answer(item)

    async def _answer(self, card: dict[str, Any]) -> None:
        opens = self._owner is None
        self._owner = card["card"] if opens else None
        command = {
            "id": f"k{len(self.asked)}", "ts": card["ts"], "expires": card["ts"] + HOUR_MS, "do": "relay",
            "relay": opens, "reason": "test",
        }  # fmt: skip
        self.asked[command["id"]] = opens
        await self._mqtt.publish("users/v1/sem-01/command", json.dumps(command), qos=1)


@asynccontextmanager
async def serving(broker: BrokerInTest, cards: set[str]) -> AsyncIterator[Service]:
    at = urlsplit(broker.url)
    async with aiomqtt.Client(
        broker.host, broker.port, username=at.username, password=at.password, max_queued_incoming_messages=0
    ) as mqtt:
        for kind in ("birth", "reading", "card", "ack"):
            await mqtt.subscribe(f"users/v1/+/{kind}", qos=1)
        service = Service(mqtt, cards)
        task = asyncio.create_task(service.work())
        try:
            yield service
        finally:
            task.cancel()


@asynccontextmanager
async def running(
    broker: BrokerInTest, faults: Faults | None = None, service: ServiceTable | None = None
) -> AsyncIterator[tuple[Simulation, Booking]]:
    started_s, start_ms = time.monotonic(), time.time_ns() // 1_000_000

    def clock() -> int:
        return start_ms + round((time.monotonic() - started_s) * 1000 * SPEED)

    booking = Booking("04a1b2c3", start_ms + 6 * 60_000, start_ms + 66 * 60_000, "u1")
    entry = ControllerEntry("sem-01", profile="sem", bookings=(booking,) if service is None else ())
    scenario = Scenario((entry,), interval="20ms", mischief=0.0, faults=faults or Faults(), service=service)
    simulation = Simulation(scenario, from_url(broker.speaker_url), clock)
    task = asyncio.create_task(simulation.run())
    try:
        yield simulation, booking
    finally:
        simulation.stop.set()
        await task


async def test_somebody_with_a_booking_taps_gets_power_works_and_taps_again(broker: BrokerInTest) -> None:
    async with serving(broker, {"04a1b2c3"}) as service, running(broker) as (_, booking):
        await until(lambda: len(service.all("ack")) == 2)
        count = len(service.all("reading"))
        await until(lambda: len(service.all("reading")) > count + 5)
    assert [birth["relay"] for birth in service.all("birth")] == [False]
    coming, leaving = service.all("card")
    assert (coming["card"], coming["action"], leaving["card"]) == ("04a1b2c3", "tap", "04a1b2c3")
    assert "granted" not in coming
    assert booking.from_ms - 6 * 60_000 < coming["ts"] < booking.from_ms + 11 * 60_000
    assert leaving["ts"] < booking.to_ms
    acks = service.all("ack")
    assert [(ack["cmd"], ack["ok"], ack["relay"]) for ack in acks] == [("k0", True, True), ("k1", True, False)]
    powered = [reading for reading in service.all("reading") if reading["power_w"] > 0]
    assert powered
    assert all(reading["relay"] and acks[0]["ts"] <= reading["ts"] <= acks[1]["ts"] for reading in powered)
    assert max(reading["power_w"] for reading in powered) > 1000  # in use
    assert not any(reading["occupied"] for reading in service.all("reading") if reading["ts"] < acks[0]["ts"])
    assert any(reading["occupied"] for reading in powered)
    last = service.all("reading")[-1]
    assert (last["power_w"], last["relay"], last["occupied"]) == (0.0, False, False)


async def test_somebody_who_is_refused_tries_again_and_goes_without_having_used_anything(broker: BrokerInTest) -> None:
    async with serving(broker, set()) as service, running(broker):
        await until(lambda: len(service.all("card")) == 3)
        last_ms = service.all("card")[-1]["ts"]
        await until(lambda: service.all("reading")[-1]["ts"] > last_ms + 10 * 60_000)
    assert len(service.all("card")) == 3
    assert {(reading["power_w"], reading["occupied"]) for reading in service.all("reading")} == {(0.0, False)}


@pytest.mark.parametrize(
    ("faults", "acks"),
    [
        (Faults(refuse=1), {(False, False, "interlock: the relay may not move")}),
        (Faults(stuck=1), {(True, False, None)}),
        (Faults(lose=1), set()),
    ],
)
async def test_relays_that_do_not_follow_are_told_as_they_stand(
    broker: BrokerInTest, faults: Faults, acks: set[tuple[bool, bool, str | None]]
) -> None:
    async with serving(broker, {"04a1b2c3"}) as service, running(broker, faults) as (simulation, _):
        await until(lambda: len(service.all("card")) == 3)
        await until(lambda: simulation.tally.commands == 3)
        count = len(service.all("reading"))
        await until(lambda: len(service.all("reading")) > count + 5)
    assert {(ack["ok"], ack["relay"], ack.get("error")) for ack in service.all("ack")} == acks
    assert len(service.all("ack")) == (3 if acks else 0)
    assert {(reading["relay"], reading["power_w"]) for reading in service.all("reading")} == {(False, 0.0)}


async def test_what_somebody_books_by_http_is_followed_at_the_reader(broker: BrokerInTest) -> None:
    async with open_desk("sem-01") as desk, serving(broker, {"0b00"}) as service:
        table = ServiceTable(desk.url, "booker", "sesame", "0b00", every="100ms")
        async with running(broker, service=table):
            await until(lambda: any(ack["relay"] for ack in service.all("ack")))
    assert desk.wishes[0][1]["instrument"] == "I-sem-01"
    assert {card["card"] for card in service.all("card")} == {"0b00"}
