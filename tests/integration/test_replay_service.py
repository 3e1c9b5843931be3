"""The real service's own log: what it stores while a controller speaks follows from it, across a restart."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from tests.brokers import BrokerInTest
from tests.sites import Site, now_ms, registered, until
from tests.usage import LI, QUICK, enrol, relay, state, working
from twin.cli import app
from twin.interface import UnlockWish
from twin.registration import NewSite, register_site
from twin.service import open_database

POLICY = {"power_hold_ms": 0, "confirm_ms": 500, "clear_ms": 1_000, "stale_after_ms": 2_000, "offline_after_ms": 3_000}


async def test_what_a_running_service_stores_follows_from_its_log(
    broker: BrokerInTest, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    async with registered(broker, database_url, 2, policy=POLICY) as site:
        async with site.serving() as service:
            await _intrude(site)
            found = await _verified()
            assert service.view("I0") is not None  # it was not disturbed
        assert found["differences"] == []
        async with site.serving():
            await _come_late(site)
            await until(lambda: _fired(site, "CONTROLLER_OFFLINE"))
        found = await _verified()
        assert found["differences"] == []
        assert found["alerts"] >= 2
        assert found["events"] > 20


async def test_what_comes_at_the_moment_up_to_which_time_has_passed_comes_after_it(
    broker: BrokerInTest, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    clock_ms = now_ms()
    async with registered(broker, database_url, 2, QUICK) as site:
        async with open_database(database_url):
            await enrol()
        async with working(site, obeys=False, clock=lambda: clock_ms) as (service, switch):
            await service.unlock(LI, "I0", UnlockWish())
            assert state(service) == "opening"
            clock_ms = await site.value("SELECT (extract(epoch FROM expires) * 1000)::bigint FROM command")
            await until(lambda: state(service) is None)
            await switch.voice.read(0, relay=True)
            await until(lambda: relay(service) == "on")
            found = await _verified()
    assert found["differences"] == []


@pytest.mark.parametrize("recorded", ["site", "NULL"], ids=["as it was", "by an older version"])
async def test_a_broker_that_is_gone_stays_gone_across_a_restart(
    broker: BrokerInTest, database_url: str, monkeypatch: pytest.MonkeyPatch, recorded: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    async with registered(broker, database_url) as site:
        async with open_database(database_url):
            await register_site(
                NewSite(name_zh="站", name_en="Site", timezone="Asia/Shanghai", policy={"clear_ms": 1_000})
            )
        async with site.serving():
            await broker.stop()
            await until(lambda: _fired(site, "SITE_OFFLINE"))
        await site.sql(f"UPDATE writer SET site = {recorded}")  # noqa: S608 - ours
        async with site.opened():
            await asyncio.sleep(2)  # more than enough for an alert to clear
            assert await site.value("SELECT state FROM alert") == "firing"
            await broker.start()
            await until(lambda: _is_over(site))
        found = await _verified()
        assert (found["alerts"], found["differences"]) == (1, [])


async def _is_over(site: Site) -> bool:
    return bool(await site.value("SELECT state FROM alert") == "resolved")


async def _intrude(site: Site) -> None:
    async with site.speaking() as voice:
        for power_w in (0.0, 100.0, *[100.0] * 12, *[0.0] * 12):
            await voice.read(power_w)
            await asyncio.sleep(0.1)  # the course of things, not a wait for something
        await until(lambda: _fired(site, "POWER_WITHOUT_SESSION"))


async def _come_late(site: Site) -> None:
    async with site.speaking(1, "boot-2") as voice:
        await voice.read(0.0)
        since_ms = now_ms()
        await asyncio.sleep(0.5)
        await voice.read(0.0)
        await voice.read(90.0, since_ms + 100, hist=True)
        await voice.read(3.0, since_ms + 300, hist=True)
        await until(lambda: _stored(site, 2))


async def _stored(site: Site, late: int) -> bool:
    return bool(await site.value("SELECT count(*) FROM reading WHERE hist") == late)


async def _fired(site: Site, kind: str) -> bool:
    return bool(await site.value("SELECT count(*) FROM alert WHERE kind = $1", kind))


async def _verified() -> dict[str, object]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["replay", "--verify", "--json"])
    found: dict[str, object] = json.loads(result.stdout)
    return found
