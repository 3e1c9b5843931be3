"""Bad input: whatever a controller says, the stream goes on, and what was not used can be found with its reason."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiomqtt
import pytest
from structlog.testing import capture_logs

from tests.brokers import BrokerInTest
from tests.sites import Site, Voice, metric, now_ms, registered, until
from twin.service import TwinService
from twin.stream.broker import parse_broker
from twin.stream.native import MAX_READINGS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def shows(service: TwinService, power_w: float) -> bool:
    view = service.view("I0")
    return view is not None and view.power.watts == power_w


class Stage:
    """A service that runs, a controller that speaks to it, and what the service has logged."""

    def __init__(self, site: Site, service: TwinService, voice: Voice, logs: list[Any]) -> None:
        self.site = site
        self.service = service
        self.voice = voice
        self.logs = logs

    async def end(self) -> None:
        """A good reading gets through, so all before it has been dealt with and nothing is stuck."""
        good = await self.voice.read(3.25, now_ms() + 1000)  # newer than those that go by when they were received
        await until(partial(shows, self.service, 3.25))
        assert ("c0", self.voice.boot, good["seq"]) in await self.site.identities()
        assert (await self.service.health()).status == "ok"

    async def refused(self, *reasons: str, topic: str = "users/v1/c0/reading") -> None:
        """Exactly these have been put into quarantine: in the table, in the log, in the metrics."""
        await self.end()
        expected = [(topic, reason) for reason in reasons]
        assert await self.site.quarantine() == expected
        logged = [line for line in self.logs if line["event"] == "message.quarantined"]
        assert [(line["topic"], line["reason"]) for line in logged] == expected
        assert all(line["log_level"] == "warning" and line["detail"] for line in logged)
        for reason in reasons:
            assert metric(self.service, "twin_quarantined_total", reason=reason) == reasons.count(reason)

    async def publish_for(self, controller: str, payload: bytes) -> None:
        """Speak for any controller, as only the speaker's account may."""
        async with self.site.listener() as speaker:
            await speaker.publish(f"users/v1/{controller}/reading", payload, qos=1)


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url, 2) as site:
        yield site


@pytest.fixture
async def stage(site: Site) -> AsyncIterator[Stage]:
    with capture_logs() as logs:
        async with site.serving() as service, site.speaking() as voice:
            yield Stage(site, service, voice, logs)


NO_READINGS = {
    b"": "not_json",
    b'{"boot":': "not_json",
    b"\x00\xff\xfe": "not_json",
    b"[1, {": "not_json",
    b"[" * 300_000: "not_json",
    b"{}": "invalid",
    b"7": "invalid",
    b"x" * 1_000_000: "too_large",
}


async def test_what_is_no_reading(stage: Stage) -> None:
    for payload in NO_READINGS:
        await stage.voice.send("reading", payload)
    await stage.refused(*NO_READINGS.values())
    kept = await stage.site.sql("SELECT payload FROM quarantine ORDER BY id")
    assert [row[0] for row in kept] == list(NO_READINGS)


async def test_powers_that_cannot_be(stage: Stage) -> None:
    powers_w = ["-1", "1e999", "-1e999", "1e8", '"NaN"', "null"]
    for power_w in powers_w:
        head = json.dumps(stage.voice.message())[:-1]
        await stage.voice.send("reading", f'{head}, "power_w": {power_w}}}'.encode())
    for power_w in ("NaN", "Infinity", "-Infinity"):
        await stage.voice.read(float(power_w))
    await stage.refused(*["invalid"] * len(powers_w), *["not_json"] * 3)


async def test_bad_readings_of_an_array_are_refused_one_by_one(stage: Stage) -> None:
    good = [stage.voice.message(power_w=each) for each in (1, 2, 3)]
    bad = [stage.voice.message(power_w=-1), stage.voice.message(power_w=1, boot="nul\x00"), 7]
    mixed = [each for pair in zip(good, bad, strict=True) for each in pair]
    await stage.voice.send("reading", mixed)
    await stage.refused("invalid", "invalid", "invalid")
    assert [seq for _, _, seq in await stage.site.identities()][:3] == [each["seq"] for each in good]


async def test_more_readings_than_an_array_may_have(stage: Stage) -> None:
    await stage.voice.send("reading", [stage.voice.message(power_w=1) for _ in range(MAX_READINGS + 1)])
    await stage.refused("too_many")
    assert await stage.site.readings() == 1


async def test_strings_with_nul(stage: Stage) -> None:
    await stage.voice.send("birth", stage.voice.message(fw="1\x00", model="m", relay=None, caps=[]))
    await stage.refused("invalid", topic="users/v1/c0/birth")


async def test_strings_that_databases_are_afraid_of(stage: Stage) -> None:
    text = "'; DROP TABLE reading; -- \\ \" \t \U0001f52c 电子显微镜 %s $1 {}"
    await stage.voice.send("birth", stage.voice.message(fw=text, model="", relay=None, caps=[text]))
    await stage.end()
    body = json.loads(await stage.site.value("SELECT body FROM event"))
    assert (body["fw"], body["caps"]) == (text, [text])


async def test_a_controller_that_nobody_has_registered(stage: Stage) -> None:
    await stage.publish_for("ghost", json.dumps(stage.voice.message(power_w=1)).encode())
    await stage.refused("unknown_controller", topic="users/v1/ghost/reading")


async def test_a_name_that_no_controller_can_have(stage: Stage) -> None:
    await stage.publish_for("not a name", b"{}")
    await stage.refused("unknown_topic", topic="users/v1/not a name/reading")


async def test_a_clock_that_is_wrong_is_not_believed(stage: Stage) -> None:
    for ts in (0, 1, now_ms() - DAY_MS, now_ms() + HOUR_MS, 2**53):
        await stage.voice.read(8, ts)
    await stage.end()
    assert await stage.site.quarantine() == []
    assert await stage.site.value("SELECT count(*) FROM reading WHERE power_w = 8 AND time = received") == 5
    await stage.site.check_ledgers()


async def test_history_from_the_future_or_from_long_ago_is_refused(stage: Stage) -> None:
    for ts in (0, now_ms() - 401 * DAY_MS, now_ms() + HOUR_MS, 2**53):
        await stage.voice.read(8, ts, hist=True)
    await stage.refused(*["unbelievable_time"] * 4)
    await stage.voice.read(8, now_ms() - 399 * DAY_MS, hist=True)
    await until(lambda: metric(stage.service, "twin_messages_total", verdict="late") == 1)
    await stage.site.check_ledgers()


async def test_a_controllers_clock_that_jumps_back(stage: Stage) -> None:
    await stage.voice.read(1)
    await stage.voice.read(2, now_ms() - HOUR_MS)
    await until(partial(shows, stage.service, 2))
    await stage.voice.read(4, now_ms() - 30_000)
    await until(lambda: metric(stage.service, "twin_messages_total", verdict="late") == 1)
    await stage.end()
    assert await stage.site.readings() == 4
    await stage.site.check_ledgers()


async def test_the_services_own_clock_jumps_back(site: Site) -> None:
    ahead_ms = [0]
    async with site.serving(lambda: now_ms() + ahead_ms[0]) as service, site.speaking() as voice:
        for power_w, jump_ms in enumerate((0, -HOUR_MS, HOUR_MS, 0), start=1):
            ahead_ms[0] = jump_ms
            await voice.read(power_w)
            await until(partial(shows, service, power_w))
            await site.check_ledgers()
            assert (await service.health()).status == "ok"
    assert await site.readings() == 4


async def test_wrong_credentials(site: Site) -> None:
    for username, password in (("c0", "wrong"), ("ghost", "any"), ("", "")):
        with pytest.raises(aiomqtt.MqttError):
            async with site.client(username, password):
                pytest.fail("the broker let it in")


async def test_a_service_that_the_broker_refuses_says_so_and_keeps_the_password(site: Site) -> None:
    site.broker.service_password = "not-the-password"
    with capture_logs() as logs:
        async with site.opened() as service:
            await until(lambda: [line for line in logs if line["event"] == "broker.lost"])
            health = await service.health()
    assert (health.status, health.components["broker"]["status"]) == ("degraded", "down")
    lost = next(line for line in logs if line["event"] == "broker.lost")
    assert lost["log_level"] == "warning"
    assert "uthori" in lost["error"]
    assert "not-the-password" not in str(logs)


async def test_a_controller_cannot_speak_for_another_nor_listen_to_it(stage: Stage) -> None:
    service = parse_broker(stage.site.broker.url)
    await stage.voice.mqtt.publish("users/v1/c1/reading", json.dumps(stage.voice.message(power_w=666)), qos=1)
    await stage.voice.mqtt.publish("users/v1/twin/I1", b"{}", qos=1, retain=True)
    await stage.voice.mqtt.subscribe("#", qos=1)
    async with service.client() as mqtt:
        await mqtt.publish("users/v1/c1/command", b"for c1", qos=1)
        await mqtt.publish("users/v1/c0/command", b"for c0", qos=1)
    async with asyncio.timeout(30):
        heard = await anext(aiter(stage.voice.mqtt.messages))
    assert (heard.topic.value, heard.payload) == ("users/v1/c0/command", b"for c0")
    await stage.end()
    assert {name for name, _, _ in await stage.site.identities()} == {"c0"}
    view = stage.service.view("I1")
    assert view is not None
    assert (view.link, view.power.watts) == ("never", None)


async def test_a_flood_at_qos_0_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.stream.inbox.MAX_UNHELD", 200)
    with capture_logs() as logs:
        async with site.serving() as service, site.speaking() as voice:
            # A lock on the table holds the store up, so what comes soon has to wait.
            async with site.connection() as blocker, blocker.transaction():
                await blocker.execute("LOCK TABLE reading")
                while metric(service, "twin_inbox_messages") < 20:
                    await voice.read(1)
                for _ in range(1500):
                    await voice.send("reading", voice.message(power_w=2), qos=0)
                kept = await voice.read(3)
                await until(lambda: metric(service, "twin_inbox_messages") >= 200)
                await until(lambda: metric(service, "twin_dropped_unsure") >= 1000)
                assert metric(service, "twin_inbox_messages") <= 210
            await until(partial(shows, service, 3))
            dropped = metric(service, "twin_dropped_unsure")
    identities = await site.identities()
    assert ("c0", "boot-1", kept["seq"]) in identities
    assert len(identities) == voice.seq - dropped
    [line] = [line for line in logs if line["event"] == "inbox.dropping"]
    assert line["log_level"] == "warning"
