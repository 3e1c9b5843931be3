"""Commands reach controllers: after a crash, after a loss, and while the database is away, the ones that cut power."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.brokers import BrokerInTest
from tests.sites import Site, metric, now_ms, registered, until
from tests.usage import LI, QUICK, UID, enrol, power, relay, sessions, state, working
from twin.interface import NotRecordedError, UnlockWish
from twin.servers import Postgres
from twin.service import TwinService, open_database

COMMANDS = "SELECT command.id, state FROM command JOIN controller ON controller.id = controller_id ORDER BY at"
MAKE = """
INSERT INTO command SELECT id, $1, $2, $3, $4, 'waiting' FROM controller WHERE name = 'c0'
"""


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    policy = QUICK | {"command_timeout_ms": 20_000, "heal_ms": 600_000}
    async with registered(broker, database_url, 2, policy) as site:
        async with open_database(database_url):
            await enrol()
        yield site


async def test_a_command_that_got_lost_is_sent_again(site: Site) -> None:
    async with working(site) as (service, switch):
        switch.deaf = 2
        assert (await service.unlock(LI, "I0", UnlockWish())).decision == "granted"
        await until(lambda: state(service) == "open")
        assert len({str(each["id"]) for each in switch.commands}) == 1
        assert len(switch.commands) == 3
        await until(lambda: _no_command_waits(site))


async def _no_command_waits(site: Site) -> bool:
    return all(each["state"] == "done" for each in await site.sql(COMMANDS))


async def test_a_command_that_was_recorded_is_sent_after_a_crash_unless_it_has_expired(site: Site) -> None:
    now = datetime.now(UTC)
    for name, expires in (("on-time", now + timedelta(minutes=5)), ("too-late", now - timedelta(seconds=1))):
        body = {
            "controller": "c0",
            "id": name,
            "at_ms": now_ms() - 5_000,
            "expires_ms": int(expires.timestamp() * 1000),
            "do": "relay",
            "relay": False,
            "reason": "end",
        }
        await site.sql(MAKE, name, now, expires, json.dumps(body))
    async with working(site) as (_, switch):
        await until(lambda: switch.commands)
        await until(lambda: _is_done(site, "on-time"))
        assert {each["id"] for each in switch.commands} == {"on-time"}
    states = {each["id"]: each["state"] for each in await site.sql(COMMANDS)}
    assert states == {"on-time": "done", "too-late": "waiting"}


async def _is_done(site: Site, name: str) -> bool:
    return any(each["id"] == name and each["state"] == "done" for each in await site.sql(COMMANDS))


async def test_a_command_that_could_not_be_recorded_before_it_expired_is_given_again_at_once(
    site: Site, postgres: Postgres
) -> None:
    offset_ms = 0
    async with working(site, clock=lambda: now_ms() + offset_ms) as (service, switch):
        await service.unlock(LI, "I0", UnlockWish())
        await switch.voice.read(100, relay=True)
        await until(lambda: power(service) == "active")
        await service.lock(LI, "I0", staff=False, emergency=False)
        await postgres.kill()
        try:
            await switch.voice.read(0, relay=True)
            await until(lambda: metric(service, "twin_database_up") == 0)
            offset_ms = 40_000
        finally:
            await postgres.start()
        await until(lambda: switch.commands[-1].get("relay") is False)
        await until(lambda: relay(service) == "off")
        kinds = [each["kind"] for each in await site.sql("SELECT kind FROM request ORDER BY number")]
        assert kinds.count("unsent") == 1
    first, again = [each for each in await site.sql(COMMANDS) if str(each["id"]).endswith("-off")]
    assert (first["state"], again["state"]) == ("waiting", "done")


async def test_an_emergency_stop_reaches_the_controller_though_nothing_can_be_recorded(
    site: Site, postgres: Postgres
) -> None:
    async with working(site) as (service, switch):
        await service.unlock(LI, "I0", UnlockWish())
        await switch.voice.read(100, relay=True)
        await until(lambda: state(service) == "open")
        await postgres.kill()
        try:
            stopped_ms = now_ms()
            with pytest.raises(NotRecordedError, match="being switched off"):
                await service.lock(LI, "I0", staff=False, emergency=True)
            await until(lambda: switch.commands[-1].get("relay") is False)
            await until(lambda: metric(service, "twin_database_up") == 0)
            with pytest.raises(NotRecordedError, match="out of reach"):
                await service.unlock(LI, "I0", UnlockWish())
            switched_ms = now_ms()
            await switch.voice.read(0, relay=False)
        finally:
            await postgres.start()
        await until(lambda: state(service) is None)
        await until(lambda: relay(service) == "off")
        (session,) = await sessions(service)
        assert (session.state, session.reason) == ("closed", "EMERGENCY")
        ended_ms = await site.value("SELECT (extract(epoch FROM ended) * 1000)::bigint FROM session")
        assert stopped_ms <= ended_ms <= switched_ms


async def test_a_card_ends_a_session_though_nothing_can_be_recorded(site: Site, postgres: Postgres) -> None:
    async with working(site) as (service, switch):
        await service.unlock(LI, "I0", UnlockWish())
        await until(lambda: state(service) == "open")
        await postgres.kill()
        try:
            await switch.voice.read(0, relay=True)
            await until(lambda: metric(service, "twin_database_up") == 0)
            await switch.voice.send("card", switch.voice.message(card=UID, action="tap"))
            await until(lambda: switch.commands[-1].get("relay") is False)
        finally:
            await postgres.start()
        await until(lambda: _ended(service))
        assert [(each.state, each.reason) for each in await sessions(service)] == [("closed", "USER")]


async def _ended(service: TwinService) -> bool:
    return state(service) is None and relay(service) == "off"


async def test_who_was_told_that_nothing_was_recorded_gets_no_session_later(site: Site, postgres: Postgres) -> None:
    async with working(site) as (service, switch):
        await until(lambda: relay(service) == "off")
        await postgres.kill()
        try:
            with pytest.raises(NotRecordedError):
                await service.unlock(LI, "I0", UnlockWish())
            await until(lambda: metric(service, "twin_database_up") == 0)
        finally:
            await postgres.start()
        await until(lambda: metric(service, "twin_database_up") == 1)  # from now on the session is there, or never
        await until(lambda: _no_session_is_left(site))
        assert [each.get("relay") for each in switch.commands if each.get("relay")] == []
        assert {(each.state, each.reason) for each in await sessions(service)} <= {("void", "withdrawn")}


async def _no_session_is_left(site: Site) -> bool:
    return all(each["state"] == "void" for each in await site.sql("SELECT state FROM session"))


async def test_a_machine_whose_clock_jumps_back_answers_all_the_same(site: Site) -> None:
    offset_ms = 0
    async with working(site, clock=lambda: now_ms() + offset_ms) as (service, _):
        assert (await service.unlock(LI, "I0", UnlockWish())).decision == "granted"
        await until(lambda: state(service) == "open")
        offset_ms = -3_600_000
        ended = await service.lock(LI, "I0", staff=False, emergency=False)
        assert ended is not None
        assert (await service.unlock(LI, "I0", UnlockWish())).decision == "granted"
