"""Sessions, alerts and bills over the real broker and database: what people do, and what is on record then."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.brokers import BrokerInTest
from tests.sites import Site, Voice, now_ms, registered, until
from twin.enrolment import (
    NewPerson,
    NewProject,
    NewQualification,
    register_people,
    register_projects,
    register_qualifications,
)
from twin.interface import Person, SessionQuery, SessionView, UnlockWish
from twin.parties import Level, UserCategory
from twin.registration import register_tariffs
from twin.service import TwinService, open_database
from twin.tariffs import Rates, Tariff

LI, WANG = Person("li", "user", "李"), Person("wang", "user", "王")
UID = "04a1b2c3"
LAST_YEAR = datetime(2020, 1, 1, tzinfo=UTC)
QUICK = {"walk_in": True, "active_w": 40, "confirm_ms": 200, "power_hold_ms": 200, "command_timeout_ms": 2_000}


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url, 2, QUICK) as site:
        async with open_database(database_url):
            await _enrol()
        yield site


async def _enrol() -> None:
    people = [("li", (UID,)), ("wang", ())]
    await register_people(
        [NewPerson(username=name, name=name, category=UserCategory.TEACHER, cards=cards) for name, cards in people]
    )
    await register_qualifications(NewQualification(name, "I0", Level.INDEPENDENT, LAST_YEAR) for name, _ in people)
    await register_projects(
        [NewProject(code="P1", name_zh="课题", name_en="Project", balance_cny=Decimal(1000), payers=("li", "wang"))]
    )
    rates = Rates(internal=Decimal(120), partner=Decimal(150), external=Decimal(200))
    await register_tariffs([Tariff(instrument="I0", from_ms=0, rates=rates)])


class Switch:
    """A controller that follows commands to its relay, and remembers them."""

    def __init__(self, site: Site, voice: Voice) -> None:
        self._site = site
        self.voice = voice
        self.commands: list[dict[str, object]] = []

    @asynccontextmanager
    async def following(self, *, obeys: bool = True) -> AsyncIterator["Switch"]:
        """Follow while the block runs."""

        async def follow() -> None:
            async for message in self.voice.mqtt.messages:
                command = json.loads(bytes(message.payload))
                self.commands.append(command)
                if command["do"] == "relay" and obeys:
                    await self.voice.send("ack", self.voice.message(cmd=command["id"], ok=True, relay=command["relay"]))

        await self.voice.mqtt.subscribe(f"users/v1/{self.voice.controller}/command", qos=1)
        task = asyncio.create_task(follow())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def working(site: Site, *, obeys: bool = True) -> AsyncIterator[tuple[TwinService, Switch]]:
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(0, relay=False)
        await until(lambda: _relay(service) == "off")
        async with Switch(site, voice).following(obeys=obeys) as switch:
            yield service, switch


def _relay(service: TwinService) -> str | None:
    view = service.view("I0")
    return None if view is None else view.relay.reported


def _state(service: TwinService) -> str | None:
    view = service.view("I0")
    return None if view is None or view.session is None else view.session.state


async def _sessions(service: TwinService) -> list[SessionView]:
    return list((await service.sessions(SessionQuery()))[0])


async def test_unlock_use_and_end_by_screen(site: Site) -> None:
    async with working(site) as (service, switch):
        answer = await service.unlock(LI, "I0", UnlockWish())
        assert (answer.decision, answer.reason, answer.explain.project) == ("granted", None, "P1")
        await until(lambda: _state(service) == "open")
        running = service.running("I0")
        assert running is not None
        assert (running.user, running.state, running.id) == ("li", "open", answer.session)
        refused = await service.unlock(WANG, "I0", UnlockWish())
        assert (refused.decision, refused.reason) == ("denied", "IN_USE")
        assert await service.lock(WANG, "I0", staff=False, emergency=False) is None
        ended = await service.lock(LI, "I0", staff=False, emergency=False)
        assert ended is not None
        assert (ended.state, ended.reason) == ("closed", "USER")
        await until(lambda: _relay(service) == "off")
        assert [(each["do"], each.get("relay")) for each in switch.commands] == [("relay", True), ("relay", False)]
        charged = await service.session(ended.id)
        assert charged is not None
        assert charged.charge is not None
        assert (charged.charge.net, charged.charge.minutes, len(charged.charge.lines)) == ("2.00", 1, 1)
        segments = [category for _, _, category in await site.segments()]
        assert "idle" in segments


async def test_a_card_opens_and_ends_a_session(site: Site) -> None:
    async with working(site) as (service, switch):
        await switch.voice.send("card", switch.voice.message(card=UID, action="tap"))
        await until(lambda: _state(service) == "open")
        await switch.voice.send("card", switch.voice.message(card=UID, action="tap"))
        await until(lambda: _state(service) is None)
        assert [(each.user, each.state, each.reason) for each in await _sessions(service)] == [("li", "closed", "USER")]
        await switch.voice.send("card", switch.voice.message(card="ffffffff", action="tap"))
        await until(lambda: any(each["do"] == "say" for each in switch.commands))


async def test_a_controller_that_does_not_follow_costs_nothing(site: Site) -> None:
    async with working(site, obeys=False) as (service, _):
        assert (await service.unlock(LI, "I0", UnlockWish())).decision == "granted"
        await until(lambda: any(each.kind == "COMMAND_FAILED" for each in service.alerts()))
        await until(lambda: _state(service) is None)
        (session,) = await _sessions(service)
        assert (session.state, session.reason, session.charge) == ("void", "not_confirmed", None)
        alert = next(each for each in service.alerts() if each.kind == "COMMAND_FAILED")
        seen = await service.acknowledge(LI, alert.id)
        assert seen is not None
        assert seen.acknowledged_by == "li"
        over = await service.resolve(LI, alert.id)
        assert over is not None
        assert over.state == "resolved"


async def test_power_without_a_session_raises_an_alert(site: Site) -> None:
    async with working(site) as (service, switch):
        await switch.voice.read(500, relay=True)
        await until(lambda: any(each.kind == "POWER_WITHOUT_SESSION" for each in service.alerts()))
        assert (
            await site.value("SELECT count(*) FROM alert WHERE state = 'firing' AND kind = $1", "POWER_WITHOUT_SESSION")
            == 1
        )


async def test_a_session_outlives_the_service(site: Site) -> None:
    async with site.speaking() as voice:
        async with site.serving() as service:
            await voice.read(0, relay=True)
            await until(lambda: _relay(service) == "on")
            answer = await service.unlock(LI, "I0", UnlockWish())
            await until(lambda: _state(service) == "open")
        async with site.serving() as service:
            assert _state(service) == "open"
            ended = await service.lock(LI, "I0", staff=False, emergency=False)
            assert ended is not None
            assert ended.id == answer.session
            assert await site.value("SELECT count(*) FROM charge_line") == 1
            access = service.access("I0", "li", now_ms(), UnlockWish())
            assert access is not None
            assert access.decision == "granted"
