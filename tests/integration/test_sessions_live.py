"""Sessions, alerts and bills over the real broker and database: what people do, and what is on record then."""

from collections.abc import AsyncIterator

import pytest

from tests.brokers import BrokerInTest
from tests.sites import Site, now_ms, registered, until
from tests.usage import LI, QUICK, UID, WANG, enrol, relay, sessions, state, working
from twin.interface import UnlockWish
from twin.service import open_database


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url, 2, QUICK) as site:
        async with open_database(database_url):
            await enrol()
        yield site


async def test_unlock_use_and_end_by_screen(site: Site) -> None:
    async with working(site) as (service, switch):
        answer = await service.unlock(LI, "I0", UnlockWish())
        assert (answer.decision, answer.reason, answer.explain.project) == ("granted", None, "P1")
        await until(lambda: state(service) == "open")
        running = service.running("I0")
        assert running is not None
        assert (running.user, running.state, running.id) == ("li", "open", answer.session)
        refused = await service.unlock(WANG, "I0", UnlockWish())
        assert (refused.decision, refused.reason) == ("denied", "IN_USE")
        assert await service.lock(WANG, "I0", staff=False, emergency=False) is None
        ended = await service.lock(LI, "I0", staff=False, emergency=False)
        assert ended is not None
        assert (ended.state, ended.reason) == ("closed", "USER")
        await until(lambda: relay(service) == "off")
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
        await until(lambda: state(service) == "open")
        await switch.voice.send("card", switch.voice.message(card=UID, action="tap"))
        await until(lambda: state(service) is None)
        assert [(each.user, each.state, each.reason) for each in await sessions(service)] == [("li", "closed", "USER")]
        await switch.voice.send("card", switch.voice.message(card="ffffffff", action="tap"))
        await until(lambda: any(each["do"] == "say" for each in switch.commands))


async def test_a_controller_that_does_not_follow_costs_nothing(site: Site) -> None:
    async with working(site, obeys=False) as (service, _):
        assert (await service.unlock(LI, "I0", UnlockWish())).decision == "granted"
        await until(lambda: any(each.kind == "COMMAND_FAILED" for each in service.alerts()))
        await until(lambda: state(service) is None)
        (session,) = await sessions(service)
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
            await until(lambda: relay(service) == "on")
            answer = await service.unlock(LI, "I0", UnlockWish())
            await until(lambda: state(service) == "open")
        async with site.serving() as service:
            assert state(service) == "open"
            ended = await service.lock(LI, "I0", staff=False, emergency=False)
            assert ended is not None
            assert ended.id == answer.session
            assert await site.value("SELECT count(*) FROM charge_line") == 1
            access = service.access("I0", "li", now_ms(), UnlockWish())
            assert access is not None
            assert access.decision == "granted"
