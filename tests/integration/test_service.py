"""The service on a real database and a real broker: what goes in, what comes out, what survives a restart."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import aiomqtt
import pytest

from tests.brokers import BrokerInTest
from tests.sites import Site, metric, now_ms, registered, until
from twin.interface import LedgerDay
from twin.service import TwinService, open_service
from twin.settings import Settings, SettingsError
from twin.state import Category
from twin.store.commit import AnotherWriterError
from twin.stream.writers import ROUND_S
from twin.views import TwinView

PUBLIC = frozenset(TwinView.__struct_fields__)
CARD = "04deadbeef"


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url, 2) as site:
        yield site


def watts(service: TwinService, code: str = "I0") -> float | None:
    view = service.view(code)
    assert view is not None
    return view.power.watts


def today(service: TwinService) -> datetime:
    return datetime.fromtimestamp(service.now_ms() / 1000, service.timezone)


def check_day(day: LedgerDay) -> None:
    """Segments without gap or overlap that add up."""
    assert sum(day.minutes.values()) == pytest.approx(day.total)
    assert sum(segment.minutes for segment in day.segments) == pytest.approx(day.total)
    assert all(left.end == right.start for left, right in pairwise(day.segments))
    assert set(day.minutes) == set(Category)


async def hear(mqtt: aiomqtt.Client, heard: list[tuple[float, dict[str, Any]]]) -> None:
    async for message in mqtt.messages:
        assert isinstance(message.payload, bytes)
        heard.append((asyncio.get_running_loop().time(), json.loads(message.payload)))


async def test_a_reading_reaches_everybody(site: Site) -> None:
    heard: list[tuple[float, dict[str, Any]]] = []
    told: list[str] = []
    async with site.serving() as service, site.listener() as ear, site.speaking() as voice:
        await ear.subscribe("users/v1/twin/I0")
        hearing = asyncio.create_task(hear(ear, heard))
        stop = service.listen(told.extend)
        await voice.send("birth", voice.message(fw="1", model="m", relay=True, caps=["power"]))
        message = await voice.read(1234.5, relay=True, occupied=True, door="open", energy_wh=7)
        await voice.send("card", voice.message(card=CARD, action="tap"))
        await until(lambda: watts(service) == 1234.5)
        await until(lambda: any(payload["power"]["watts"] == 1234.5 for _, payload in heard))
        view = service.view("I0")
        await until(lambda: metric(service, "twin_messages_total", verdict="live") == 3)
        stop()
        hearing.cancel()
    assert view is not None
    assert (view.instrument, view.controller, view.link, view.stale) == ("I0", "c0", "online", False)
    assert (view.power.power_class, view.power.raw, view.relay.reported) == ("active", "active", "on")
    assert (view.occupancy, view.door) == ("occupied", "open")
    assert "I0" in told
    [row] = await site.sql("SELECT * FROM reading")
    assert row["time"] == datetime.fromtimestamp(message["ts"] / 1000, UTC)
    assert (row["boot"], row["seq"], row["power_w"], row["energy_wh"]) == ("boot-1", 1, 1234.5, 7.0)
    assert (row["relay"], row["occupied"], row["door_open"], row["hist"]) == (True, True, True, False)
    events = await site.sql("SELECT kind, body FROM event ORDER BY time, kind")
    assert {row["kind"] for row in events} == {"birth", "card"}
    # Nothing personal leaves the card reader: not into the table, not to other programs.
    assert CARD not in json.dumps([row["body"] for row in events] + [payload for _, payload in heard])
    assert all(set(payload) <= PUBLIC for _, payload in heard)


async def test_a_late_listener_gets_the_retained_state_of_every_twin(site: Site) -> None:
    heard: list[tuple[float, dict[str, Any]]] = []
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(77)
        await until(lambda: watts(service) == 77)
        async with site.listener() as first:
            await first.subscribe("users/v1/twin/I0")
            message = await anext(aiter(first.messages))
            while json.loads(message.payload)["power"]["watts"] != 77:
                message = await anext(aiter(first.messages))
        async with site.listener() as ear:
            await ear.subscribe("users/v1/twin/#")
            hearing = asyncio.create_task(hear(ear, heard))
            await until(lambda: len(heard) >= 2)
            hearing.cancel()
    last = {payload["instrument"]: payload for _, payload in heard}
    assert last["I0"]["power"]["watts"] == 77
    assert last["I1"]["link"] == "never"


async def test_other_programs_are_told_once_a_second_and_of_the_newest(site: Site) -> None:
    heard: list[tuple[float, dict[str, Any]]] = []
    async with site.serving(), site.listener() as ear, site.speaking() as voice:
        await ear.subscribe("users/v1/twin/I0")
        hearing = asyncio.create_task(hear(ear, heard))
        started_s = asyncio.get_running_loop().time()
        for power_w in range(1, 61):
            await voice.read(power_w)
            await asyncio.sleep(0.04)
        await until(lambda: heard and heard[-1][1]["power"]["watts"] == 60)
        hearing.cancel()
    times_s = [at_s for at_s, _ in heard][1:]  # the first one was retained
    assert 2 <= len(times_s) <= 1 + (times_s[-1] - started_s) / ROUND_S, "however late any of them is heard"


async def test_arrays(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        start_ms = now_ms() - 1000
        await voice.send("reading", [voice.message(start_ms + 10 * each, power_w=each) for each in range(100)])
        await until(lambda: watts(service) == 99)
    assert await site.identities() == [("c0", "boot-1", seq) for seq in range(100)]
    assert metric(service, "twin_messages_total", verdict="live") == 100


async def test_duplicates_are_stored_once_even_across_a_restart(site: Site) -> None:
    async with site.speaking() as voice:
        async with site.serving() as service:
            message = await voice.read(5)
            await voice.send("reading", message)
            await voice.send("reading", [message, voice.message(power_w=6), message])
            await until(lambda: watts(service) == 6)
            assert metric(service, "twin_messages_total", verdict="duplicate") == 3
        async with site.serving() as service:
            await voice.send("reading", message | {"power_w": 999.0})
            await voice.read(7)
            await until(lambda: watts(service) == 7)
            assert metric(service, "twin_messages_total", verdict="duplicate") == 1
    assert await site.identities() == [("c0", "boot-1", seq) for seq in range(3)]
    await site.check_ledgers()


async def test_an_overtaken_message_is_stored_and_does_not_move_the_live_state(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        at_ms = now_ms()
        await voice.read(50, at_ms)
        await until(lambda: watts(service) == 50)
        before = service.view("I0")
        await voice.read(0, at_ms - 20_000, relay=False, occupied=True)
        await until(lambda: metric(service, "twin_messages_total", verdict="late") == 1)
        await until(lambda: metric(service, "twin_ledger_refolds_total") == 1)
        after = service.view("I0")
        assert before is not None
        assert after is not None
        assert (after.power, after.relay, after.occupancy) == (before.power, before.relay, before.occupancy)
    assert await site.readings() == 2
    known = [(start, category) for start, _, category in await site.segments() if category != "unknown"]
    assert known[0] == (datetime.fromtimestamp((at_ms - 20_000) / 1000, UTC), "off")
    assert known[1] == (datetime.fromtimestamp(at_ms / 1000, UTC), "standby")


async def test_history_replaces_unknown(broker: BrokerInTest, database_url: str) -> None:
    async with registered(broker, database_url, 1, {"stale_after_ms": 400, "offline_after_ms": 700}) as site:
        async with site.serving() as service, site.speaking() as voice:
            started_ms = now_ms()
            await voice.read(10, started_ms)
            await until(lambda: watts(service) == 10)
            await until(lambda: (view := service.view("I0")) is not None and view.link == "offline")
            assert "unknown" in {category for _, _, category in await site.segments()}
            outage = range(started_ms + 100, now_ms(), 100)
            await voice.send("reading", [voice.message(ts, power_w=10, hist=True) for ts in outage])
            await until(lambda: metric(service, "twin_messages_total", verdict="late") == len(outage))
            view = service.view("I0")
        assert view, "any message is a sign of life"
    start, ended = (datetime.fromtimestamp(each / 1000, UTC) for each in (started_ms, outage[-1]))
    filled = [each for each in await site.segments() if start <= each[0] <= ended]
    assert [(each[0], each[2]) for each in filled] == [(start, "standby")]


async def test_death_is_believed_of_the_present_boot_only(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(10)
        await voice.send("death", {"boot": "an older one"})
        await voice.read(11)
        await until(lambda: watts(service) == 11)
        view = service.view("I0")
        assert view is not None
        assert view.link == "online"
        await voice.send("death", {"boot": voice.boot})
        view = await until(lambda: (view := service.view("I0")) and view.link == "offline" and view)
        assert (view.stale, view.power.watts, view.state) == (True, 11, "unknown")
        await voice.read(12)
        await until(lambda: (view := service.view("I0")) and view.link == "online")
    assert [category for _, _, category in await site.segments()] == ["standby", "unknown", "standby"]


async def test_the_broker_tells_of_a_death_itself(site: Site) -> None:
    will = aiomqtt.Will("users/v1/c0/death", b'{"boot":"boot-1"}', qos=1)
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(10)
        with suppress(aiomqtt.MqttError):
            async with site.client("c0", site.passwords["c0"], identifier="dying", will=will) as dying:
                await until(lambda: watts(service) == 10)
                cable = dying._client.socket()  # noqa: SLF001 - to pull it
                assert isinstance(cable, socket.socket)
                cable.shutdown(socket.SHUT_RDWR)
                await until(lambda: (view := service.view("I0")) and view.link == "offline")


async def test_a_restart_goes_on_where_the_last_run_ended(site: Site) -> None:
    async with site.speaking() as voice:
        async with site.serving() as service:
            await voice.read(50, relay=True, occupied=True, door="closed")
            await until(lambda: watts(service) == 50)
            before = service.view("I0")
        segments = await site.segments()
        await voice.read(51)  # while nobody listens
        async with open_service(site.settings) as service:
            restored = service.view("I0")
            assert before is not None
            assert restored is not None
            assert restored.power.watts == 50, "views are there before the first message"
            assert (restored.power, restored.relay, restored.door) == (before.power, before.relay, before.door)
            assert (restored.seen, restored.link_since) == (before.seen, before.link_since)
            await until(lambda: watts(service) == 51)
    assert (await site.segments())[: len(segments)] == segments, "nothing was unknown meanwhile"
    assert await site.identities() == [("c0", "boot-1", 0), ("c0", "boot-1", 1)]


async def test_an_outage_of_the_service_itself_is_unknown(broker: BrokerInTest, database_url: str) -> None:
    async with registered(broker, database_url, 1, {"stale_after_ms": 300, "offline_after_ms": 300}) as site:
        async with site.speaking() as voice:
            async with site.serving() as service:
                last = await voice.read(10)
                await until(lambda: watts(service) == 10)
            await until(lambda: now_ms() > last["ts"] + 1000)
            async with site.serving() as service:
                back = await voice.read(11)
                await until(lambda: watts(service) == 11)
        segments = await site.segments()
    assert [category for _, _, category in segments][:3] == ["standby", "unknown", "standby"]
    gap_start, gap_end, _ = segments[1]
    assert gap_end == datetime.fromtimestamp(back["ts"] / 1000, UTC)
    assert gap_start < datetime.fromtimestamp((last["ts"] + 1000) / 1000, UTC)


async def test_the_ledger_of_today_ends_now(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(100)
        await until(lambda: watts(service) == 100)
        day = await service.ledger("I0", today(service).date())
        now = today(service)
    check_day(day)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert day.total == pytest.approx((now - midnight) / timedelta(minutes=1), abs=0.5)
    assert (day.instrument, day.date, day.timezone) == ("I0", now.date().isoformat(), "Asia/Shanghai")
    assert day.segments[-1].category is Category.STANDBY
    assert datetime.fromisoformat(day.segments[0].start) == midnight


async def test_days_without_data(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(100)
        await until(lambda: watts(service) == 100)
        for code, days in (("I0", -3), ("I1", -1)):
            day = await service.ledger(code, (today(service) + timedelta(days=days)).date())
            check_day(day)
            assert day.minutes[Category.UNKNOWN] == day.total == 1440
        tomorrow = await service.ledger("I0", (today(service) + timedelta(days=1)).date())
        never_heard = await service.ledger("I1", today(service).date())
    assert (tomorrow.segments, tomorrow.total) == ((), 0)
    check_day(never_heard)
    assert never_heard.minutes[Category.UNKNOWN] == pytest.approx(never_heard.total)


async def test_power_in_buckets(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        end_ms = now_ms()
        times_ms = (end_ms - 150_000, end_ms - 130_000, end_ms - 30_000)
        readings = [voice.message(ts, power_w=w, hist=True) for ts, w in zip(times_ms, (10, 30, 50), strict=True)]
        await voice.send("reading", readings)
        await until(site.readings)
        series = await service.power("I0", end_ms - 180_000, end_ms, 3)
        recent = await service.recent_power(3)
    assert (series.mean_w, series.max_w, series.step_s) == ((20, None, 50), (30, None, 50), 60)
    assert recent == {"I0": (20, None, 50)}


async def test_what_is_there_without_the_broker(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(42)
        await until(lambda: watts(service) == 42)
    await site.broker.stop()
    async with open_service(site.settings) as service:
        assert watts(service) == 42
        health = await service.health()
        assert (health.status, health.components["broker"]["status"]) == ("degraded", "down")
        assert health.components["twins"]["count"] == 2
        await site.broker.start()
        await until(lambda: metric(service, "twin_broker_up"))
        assert (await service.health()).status == "ok"


async def test_a_second_service_on_the_same_database_is_refused(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        with pytest.raises(AnotherWriterError, match="another service writes to this database"):
            async with open_service(site.settings):
                pytest.fail("two writers")
        await voice.read(1)
        await until(lambda: watts(service) == 1)
    async with site.serving() as service:
        assert watts(service) == 1, "the place is free again"


async def test_a_service_needs_both_addresses(database_url: str) -> None:
    for settings in (Settings(), Settings(database_url=database_url), Settings(mqtt_url="mqtt://127.0.0.1")):
        with pytest.raises(SettingsError, match="DATABASE_URL and MQTT_URL"):
            async with open_service(settings):
                pytest.fail("it has nowhere to be")


async def test_metrics_tell_how_twins_are(site: Site) -> None:
    async with site.serving() as service, site.speaking() as voice:
        await voice.read(1)
        await until(lambda: watts(service) == 1)
        assert metric(service, "twin_twins", link="online") == 1
        assert metric(service, "twin_twins", link="never") == 1
        assert metric(service, "twin_commit_seconds_count") >= 1
        assert metric(service, "twin_inbox_messages") == 0
        assert metric(service, "twin_database_up") == 1


async def test_a_broker_that_has_forgotten_everything_is_told_anew(site: Site) -> None:
    heard: list[tuple[float, dict[str, Any]]] = []
    async with site.serving() as service:
        async with site.speaking() as voice:
            await voice.read(42)
            await until(lambda: watts(service) == 42)
        await site.broker.kill()
        await site.broker.start()
        await until(lambda: metric(service, "twin_broker_up"))
        async with site.listener() as ear:
            await ear.subscribe("users/v1/twin/#")
            hearing = asyncio.create_task(hear(ear, heard))
            await until(lambda: {payload["instrument"] for _, payload in heard} == {"I0", "I1"})
            hearing.cancel()
    assert next(payload for _, payload in heard if payload["instrument"] == "I0")["power"]["watts"] == 42
