"""Grants over the real broker: who is told, what after which change, and who may not hear it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import aiomqtt
import pytest
from typer.testing import CliRunner

from controllers_sim.broker import Account, Broker
from controllers_sim.client import Link, Surroundings, Tally
from controllers_sim.controller import Controller, Hardware
from controllers_sim.faults import Faults, FaultStage
from tests.brokers import BrokerInTest
from tests.sites import Site, now_ms, registered, until
from twin.cli import app
from twin.directory import GrantsFact
from twin.enrolment import (
    NewPerson,
    NewProject,
    NewQualification,
    register_people,
    register_projects,
    register_qualifications,
)
from twin.interface import BookingWish, Person, SessionQuery, SessionView
from twin.parties import Level, UserCategory
from twin.registration import grant_keys
from twin.service import TwinService, open_database
from twin.store.rows import to_ms
from twin.stream.broker import parse_broker
from twin.stream.grants import signature
from twin.stream.native import card_digest
from twin.stream.writers import RetainedWriter

LI = Person("li", "user", "李")
UID = "04A1B2C3"
LAST_YEAR = datetime(2020, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url, 2) as site:
        async with open_database(database_url):
            await register_people([NewPerson(username="li", name="李", category=UserCategory.TEACHER, cards=(UID,))])
            await register_qualifications([NewQualification("li", "I0", Level.INDEPENDENT, LAST_YEAR)])
            project = NewProject(code="P", name_zh="课题", name_en="Project", balance_cny=Decimal(1000), payers=("li",))
            await register_projects([project])
        yield site


class Heard:
    """What stands at the topic of a controller's grants, as the controller itself hears it."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    @property
    def windows(self) -> list[dict[str, Any]]:
        return list(self.told[-1]["windows"]) if self.told else []


@asynccontextmanager
async def hearing(site: Site, controller: str = "c0", about: str = "c0") -> AsyncIterator[Heard]:
    heard = Heard()

    async def hear(mqtt: aiomqtt.Client) -> None:
        async for message in mqtt.messages:
            heard.told.append(json.loads(bytes(message.payload)))

    async with site.client(controller, site.passwords[controller]) as mqtt:
        await mqtt.subscribe(f"users/v1/{about}/grants", qos=1)
        task = asyncio.create_task(hear(mqtt))
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _wish(ahead: timedelta = HOUR) -> BookingWish:
    start = datetime.now(UTC).replace(microsecond=0) + ahead
    return BookingWish("I0", start, start + HOUR)


async def test_a_booking_is_told_signed_and_taken_back(site: Site) -> None:
    async with site.serving() as service, hearing(site) as heard:
        wish = _wish()
        booking = await service.book(LI, wish)
        await until(lambda: heard.windows)
        told = dict(heard.told[-1])
        (key,) = (await grant_keys(["c0"])).values()
        sent = told.pop("sig")
        assert sent == signature(told, key)
        assert told["issued"] <= now_ms() < told["expires"] == told["issued"] + 5 * 24 * 3_600_000
        (window,) = told["windows"]
        assert window["cards"] == [card_digest(UID)]
        assert (window["from"], window["to"]) == (to_ms(wish.start) - 600_000, to_ms(wish.end))
        await service.cancel(LI, booking.id)
        await until(lambda: heard.told and not heard.windows)
        assert heard.told[-1]["version"] > told["version"]


async def test_it_stands_there_for_who_comes_later_and_counts_on_after_a_restart(site: Site) -> None:
    async with site.serving() as service:
        await service.book(LI, _wish())
        async with hearing(site) as heard:
            await until(lambda: heard.windows)
            before = heard.told[-1]
    async with hearing(site) as later, site.serving() as service:
        await until(lambda: later.told)
        assert later.told[0] == before
        await service.book(LI, _wish(3 * HOUR))
        await until(lambda: len(later.windows) == 2)
        assert later.told[-1]["version"] > before["version"]
        assert all(each["version"] >= before["version"] for each in later.told)


async def test_it_is_on_record_for_whom_they_were(site: Site) -> None:
    async with site.serving() as service:
        booking = await service.book(LI, _wish())
        async with hearing(site) as heard:
            await until(lambda: heard.windows)
            grant = heard.windows[0]["grant"]
    async with site.serving() as service:
        fact = service._fleet.directory.grants["c0"]  # noqa: SLF001 - asks what was restored
        assert isinstance(fact, GrantsFact)
        (window,) = fact.windows
        assert (window.grant, window.booking, [each.user for each in window.holders]) == (grant, booking.id, ["li"])


async def test_a_broker_that_has_forgotten_is_told_again(site: Site) -> None:
    async with site.serving() as service:
        await service.book(LI, _wish())
        async with hearing(site) as heard:
            await until(lambda: heard.windows)
        await site.broker.kill()
        for each in site.broker.server._folder.glob("mosquitto.db*"):  # noqa: SLF001 - what it had kept
            each.unlink()
        await site.broker.start()
        async with hearing(site) as again:
            await until(lambda: again.windows)
            assert again.told[-1] == heard.told[-1]


async def test_nobody_hears_what_others_may_allow(site: Site) -> None:
    async with site.serving() as service, hearing(site, "c1", about="c0") as other, hearing(site) as own:
        await service.book(LI, _wish())
        await until(lambda: own.windows)
        assert other.told == []


@asynccontextmanager
async def _simulated(site: Site) -> AsyncIterator[Controller]:
    """A simulated controller that shares its key with the service, and measures four times a second."""
    (key,) = (await grant_keys(["c0"])).values()
    controller = Controller(Hardware("c0", relay=False), Random(1), grant_key=key)  # noqa: S311
    controller.boot(now_ms())
    broker, account = Broker(site.broker.host, site.broker.port), Account("c0", site.passwords["c0"])
    around = Surroundings(broker, now_ms, asyncio.Semaphore(1), asyncio.Event(), Tally())
    link = Link(controller, account, FaultStage(Faults(), Random(1)), Random(1), around)  # noqa: S311

    async def measure() -> None:
        while True:
            controller.read(now_ms(), 120.0)
            link.wake()
            await asyncio.sleep(0.25)

    tasks = [asyncio.create_task(link.run()), asyncio.create_task(measure())]
    try:
        yield controller
    finally:
        around.stop.set()
        link.wake()
        await asyncio.wait(tasks[:1], timeout=5)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_controller_without_a_broker_lets_in_whom_it_may_and_the_session_is_booked(site: Site) -> None:
    async with site.serving() as service, _simulated(site) as controller:
        booking = await service.book(LI, _wish(timedelta(minutes=5)))
        await until(lambda: controller.online and controller.doorkeeper.grants.windows)
        await site.broker.stop()
        await until(lambda: not controller.online)
        in_ms = now_ms()
        controller.tap(in_ms, UID)
        assert controller.relay is True
        await asyncio.sleep(1)  # they work for a while
        out_ms = now_ms()
        controller.tap(out_ms, UID)
        await site.broker.start()
        (session,) = await until(lambda: _closed(service))
        assert (session.user, session.booking, session.reason) == ("li", booking.id, "USER")
        assert [_ms(session.opened), _ms(session.ended)] == pytest.approx([in_ms, out_ms], abs=1)
        assert [each for each in service.alerts() if each.kind == "OFFLINE_CONFLICT"] == []


async def _closed(service: TwinService) -> list[SessionView]:
    found, _ = await service.sessions(SessionQuery())
    return [each for each in found if each.state == "closed"]


async def test_who_came_in_cut_off_is_settled_by_a_whole_ledger(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it waits at the broker, so that one batch covers the card, what tells when use ended, and the settling."""
    monkeypatch.setenv("DATABASE_URL", site.database_url)
    start_ms = now_ms() // 60_000 * 60_000 - 2 * 3_600_000
    minute = [start_ms + each * 60_000 for each in range(90)]
    async with site.serving(lambda: minute[1]) as service, site.speaking() as voice:
        await voice.read(1.0, minute[0])
        await until(site.readings)
        assert service.view("I0")
    async with site.speaking(boot="boot-2") as voice:
        await voice.read(1.0, minute[30])
        card = voice.message(minute[3], card=UID, action="in", granted=True, grant="1", hist=True)
        await voice.send("card", card)
        for ts in minute[4:30]:
            await voice.read(100.0 if ts < minute[10] else 1.0, ts, hist=True)
        for ts in minute[31:]:
            await voice.read(1.0, ts)
    async with site.serving() as service:
        await until(lambda: _all_stored(site, 87))
        (session,) = await until(lambda: _closed(service))
    told = session.reason, _ms(session.opened), _ms(session.ended)
    assert told == ("RECONCILED", minute[3], minute[10]), "it ended when the power was last active"
    verified = await asyncio.to_thread(CliRunner().invoke, app, ["replay", "--verify", "--json"])
    assert json.loads(verified.stdout)["differences"] == []


async def _all_stored(site: Site, readings: int) -> bool:
    return await site.readings() == readings


def _ms(moment: str | None) -> int:
    assert moment is not None
    return to_ms(datetime.fromisoformat(moment))


async def test_a_writer_ends_at_whatever_moment_it_is_told_to(broker: BrokerInTest) -> None:
    for step in range(150):
        writer = RetainedWriter(parse_broker(broker.url), "writer")
        writer.put("users/v1/c0/grants", b"{}")
        task = asyncio.create_task(writer.run())
        await asyncio.sleep(step % 50 / 2000)  # at another moment of its life each time
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        assert done, step


async def test_keys_are_made_once(site: Site) -> None:
    async with open_database(site.database_url):
        keys = await grant_keys()
        assert set(keys) == {"c0", "c1"}
        assert await grant_keys() == keys
        assert len({*keys.values()}) == 2
        assert all(len(bytes.fromhex(each)) == 32 for each in keys.values())
