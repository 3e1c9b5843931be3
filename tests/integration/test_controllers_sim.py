"""The simulator against a real broker: connecting, outages, commands, replay and load, as others see them."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import msgspec
import pytest

from controllers_sim.broker import from_url
from controllers_sim.client import check
from controllers_sim.errors import SimulatorError
from controllers_sim.faults import Faults
from controllers_sim.load import Demand, Load
from controllers_sim.scenario import ControllerEntry, Scenario, made_up
from controllers_sim.simulation import Simulation
from tests.brokers import BrokerInTest

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0


class Ear:
    """A foreign MQTT client that hears everything the controllers say."""

    def __init__(self, mqtt: aiomqtt.Client) -> None:
        self.mqtt = mqtt
        self.heard: defaultdict[str, list[Any]] = defaultdict(list)
        self.readings: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.order: list[tuple[str, str, int]] = []

    async def listen(self) -> None:
        with suppress(aiomqtt.MqttError):
            async for message in self.mqtt.messages:
                assert isinstance(message.payload, bytes)
                _, _, controller, kind = message.topic.value.split("/")
                payload = json.loads(message.payload)
                self.heard[f"{controller}/{kind}"].append(payload)
                self.order.append((controller, kind, len(payload) if isinstance(payload, list) else 1))
                if kind == "reading":
                    self.readings[controller] += payload if isinstance(payload, list) else [payload]

    def seqs(self, controller: str) -> dict[str, set[int]]:
        """The sequence numbers heard of each boot, over all topics."""
        found: defaultdict[str, set[int]] = defaultdict(set)
        for key, payloads in self.heard.items():
            name, kind = key.split("/")
            if name == controller and kind in {"birth", "reading", "card", "ack"}:
                for item in (
                    item for payload in payloads for item in (payload if isinstance(payload, list) else [payload])
                ):
                    found[item["boot"]].add(item["seq"])
        return found

    def missing(self, controller: str) -> int:
        """How many messages before the newest of each boot were not heard."""
        return sum(max(seqs) + 1 - len(seqs) for seqs in self.seqs(controller).values())


@asynccontextmanager
async def listening(broker: BrokerInTest) -> AsyncIterator[Ear]:
    at = urlsplit(broker.url)
    async with aiomqtt.Client(
        broker.host, broker.port, username=at.username, password=at.password, max_queued_incoming_messages=0
    ) as mqtt:
        await mqtt.subscribe("users/v1/+/+", qos=1)
        ear = Ear(mqtt)
        task = asyncio.create_task(ear.listen())
        try:
            yield ear
        finally:
            task.cancel()


@asynccontextmanager
async def running(scenario: Scenario, url: str) -> AsyncIterator[Simulation]:
    simulation = Simulation(scenario, from_url(url))
    task = asyncio.create_task(simulation.run())
    try:
        yield simulation
    finally:
        simulation.stop.set()
        await task


async def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.02)


def quick(*entries: ControllerEntry, faults: Faults | None = None) -> Scenario:
    return Scenario(entries, interval="50ms", faults=faults or Faults())


async def test_a_controller_speaks_by_its_own_account_and_leaves_in_order(broker: BrokerInTest) -> None:
    await broker.account("sem-01", "sesame")
    entry = ControllerEntry("sem-01", "sesame", "sem")
    anonymous = f"mqtt://{broker.host}:{broker.port}"
    async with listening(broker) as ear:
        async with running(quick(entry), anonymous) as simulation:
            await until(lambda: len(ear.readings["sem-01"]) >= 5)
            controller = simulation.stations[0].link.controller
        await until(lambda: ear.heard["sem-01/death"])
    [birth] = ear.heard["sem-01/birth"]
    assert birth["model"] == "scanning electron microscope"
    assert ear.heard["sem-01/death"] == [{"boot": birth["boot"]}]
    assert controller.waiting == 0
    seqs = ear.seqs("sem-01")
    assert list(seqs) == [birth["boot"]]
    assert seqs[birth["boot"]] == set(range(max(seqs[birth["boot"]]) + 1))
    first = ear.readings["sem-01"][0]
    assert first["power_w"] > 300
    assert first["relay"] is True
    assert abs(first["ts"] - time.time() * 1000) < 60_000


async def test_commands_reach_the_controller_and_are_answered(broker: BrokerInTest) -> None:
    async with listening(broker) as ear, running(quick(ControllerEntry("c1", profile="xrd")), broker.speaker_url):
        await until(lambda: ear.readings["c1"])
        now_ms = round(time.time() * 1000)
        for fields in ({"id": "off", "do": "relay", "relay": False}, {"id": "again", "do": "reboot"}):
            payload = json.dumps({"ts": now_ms, "expires": now_ms + 60_000, "reason": "test"} | fields)
            await ear.mqtt.publish("users/v1/c1/command", payload, qos=1)
        await until(lambda: len(ear.heard["c1/birth"]) == 2)
    assert [(ack["cmd"], ack["ok"], ack["relay"]) for ack in ear.heard["c1/ack"]] == [
        ("off", True, False),
        ("again", True, False),
    ]
    before, after = ear.heard["c1/birth"]
    assert before["boot"] != after["boot"]
    assert after["relay"] is False
    assert min(ear.seqs("c1")[after["boot"]]) == 0
    assert ear.heard["c1/death"][0] == {"boot": before["boot"]}  # the will: the plug was pulled
    assert ear.readings["c1"][-1]["power_w"] == 0.0


async def test_what_is_measured_while_the_broker_is_away_comes_as_history(broker: BrokerInTest) -> None:
    scenario = quick(*(ControllerEntry(f"c{number}", profile="hplc") for number in range(10)))
    async with running(scenario, broker.speaker_url) as simulation:
        async with listening(broker) as ear:
            await until(lambda: len(ear.readings) == 10 and simulation.tally.online == 10)
            await until(lambda: all(len(readings) > 3 for readings in ear.readings.values()))
        await broker.stop()
        await until(lambda: simulation.waiting > 100)
        await broker.start()
        async with listening(broker) as later:
            await until(lambda: simulation.tally.online == 10 and simulation.waiting < 10)
            await until(lambda: len(later.readings) == 10)
    assert simulation.given_up == 0
    stored = [ear, later]
    for number in range(10):
        seqs: defaultdict[str, set[int]] = defaultdict(set)
        for each in stored:
            for boot, found in each.seqs(f"c{number}").items():
                seqs[boot] |= found
        assert len(seqs) == 1  # the same boot all along


def told_of_the_past(ear: Ear, controller: str) -> list[int]:
    """The sequence numbers of the boot before the first birth, as they came."""
    [present] = {birth["boot"] for birth in ear.heard[f"{controller}/birth"]}
    return [reading["seq"] for reading in ear.readings[controller] if reading["boot"] != present]


async def test_the_past_is_told_once_and_before_the_birth(broker: BrokerInTest) -> None:
    names = [f"c{number}" for number in range(10)]
    scenario = msgspec.structs.replace(quick(*(ControllerEntry(name, profile="hplc") for name in names)), history="9h")
    whole = list(range(9 * 120))
    async with listening(broker) as ear:
        async with running(scenario, broker.speaker_url) as simulation:
            await until(lambda: simulation.tally.online == 10)
            await until(lambda: all(len(ear.readings[name]) > len(whole) + 3 for name in names))
        await until(lambda: all(ear.heard[f"{name}/death"] for name in names))
    for name in names:
        assert told_of_the_past(ear, name) == whole
        order = [item for item in ear.order if item[0] == name]
        assert order[:3] == [(name, "reading", 1000), (name, "reading", 80), (name, "birth", 1)]


async def test_of_the_past_nothing_is_lost_through_outages(broker: BrokerInTest) -> None:
    faults = Faults(disconnect=0.05, outage_s=0.2)
    names = [f"c{number}" for number in range(8)]
    entries = (ControllerEntry(name, profile="hplc") for name in names)
    scenario = msgspec.structs.replace(quick(*entries, faults=faults), history="24h")
    async with listening(broker) as ear, running(scenario, broker.speaker_url) as simulation:
        await until(lambda: simulation.tally.lost_connections >= 3)
        await until(lambda: all(set(told_of_the_past(ear, name)) == set(range(2880)) for name in names))


async def test_nothing_is_lost_through_outages_reboots_and_disorder(broker: BrokerInTest) -> None:
    faults = Faults(duplicate=0.05, reorder=0.05, disconnect=0.02, reboot=0.003, outage_s=0.2)
    scenario = quick(*(ControllerEntry(f"c{number}", profile="hplc") for number in range(8)), faults=faults)
    async with listening(broker) as ear:
        async with running(scenario, broker.speaker_url) as simulation:
            await until(lambda: simulation.tally.lost_connections >= 6 and simulation.tally.acknowledged > 600)
            await until(lambda: any(len(ear.seqs(f"c{number}")) > 1 for number in range(8)))  # a reboot
            # Whoever is away at the end keeps what it has: let all come back first.
            await until(lambda: simulation.tally.online == 8)
        controllers = [station.link.controller for station in simulation.stations]
        await until(lambda: all(ear.missing(each.hardware.id) <= each.waiting for each in controllers))
    heard = Counter((name, item["boot"], item["seq"]) for name, items in ear.readings.items() for item in items)
    assert max(heard.values()) > 1  # duplicates


async def test_a_wrong_password_and_a_silent_address_are_explained(broker: BrokerInTest) -> None:
    right = from_url(broker.url)
    wrong = from_url(broker.url_of("twin.service", "wrong"))
    with pytest.raises(SimulatorError, match=r"refuses the account 'twin\.service'"):
        await check(wrong, wrong.account, "c1")
    await check(right, right.account, "c1")
    with pytest.raises(SimulatorError, match="refuses the account"):
        await Load(["c1"], wrong, Demand(messages=1), 1, asyncio.Event()).run()
    await broker.stop()
    with pytest.raises(SimulatorError, match="No MQTT broker answers"):
        await check(right, right.account, "c1")
    with pytest.raises(SimulatorError, match="No MQTT broker answers"):
        await Load(["c1"], right, Demand(messages=1), 1, asyncio.Event()).run()


async def test_load_arrives_whole_and_can_be_counted(broker: BrokerInTest) -> None:
    ids = [f"c{number:03}" for number in range(50)]
    async with listening(broker) as ear:
        demand = Demand(messages=3000, in_flight=200)
        outcome = await Load(ids, from_url(broker.speaker_url), demand, 3, asyncio.Event()).run()
        await until(lambda: sum(map(len, ear.readings.values())) >= 3000)
    assert (outcome.sent, outcome.acknowledged, outcome.births) == (3000, 3000, 50)
    assert sum(outcome.last_seq.values()) == 3000
    for name in ids:
        assert [reading["seq"] for reading in ear.readings[name]] == list(range(1, outcome.last_seq[name] + 1))
        assert len(ear.heard[f"{name}/birth"]) == 1


async def test_load_keeps_to_its_rate(broker: BrokerInTest) -> None:
    demand = Demand(rate=500, for_ms=2000)
    outcome = await Load(["c1", "c2"], from_url(broker.speaker_url), demand, 2, asyncio.Event()).run()
    assert 900 <= outcome.sent == outcome.acknowledged <= 1000


async def test_load_sends_again_what_a_restarted_broker_had_not_acknowledged(broker: BrokerInTest) -> None:
    load = Load(["c1", "c2"], from_url(broker.speaker_url), Demand(rate=2000, messages=6000), 2, asyncio.Event())
    at = urlsplit(broker.url)
    account = {"username": at.username, "password": at.password}
    # A session that the broker keeps over its restart, as the service has one.
    keeper = {"identifier": "keeper", "clean_session": False}
    async with aiomqtt.Client(broker.host, broker.port, **account, **keeper) as mqtt:  # type: ignore[arg-type] # by name
        await mqtt.subscribe("users/v1/+/reading", qos=1)
    async with listening(broker) as ear:
        task = asyncio.create_task(load.run())
        await until(lambda: sum(map(len, ear.readings.values())) > 1000)
    assert not task.done()
    await broker.stop()
    await broker.start()
    outcome = await asyncio.wait_for(task, DEADLINE_S)
    assert outcome.acknowledged == outcome.sent == 6000
    assert outcome.reconnects == 2
    kept: defaultdict[str, set[int]] = defaultdict(set)
    async with aiomqtt.Client(broker.host, broker.port, **account, **keeper) as mqtt:  # type: ignore[arg-type] # by name
        async with asyncio.timeout(DEADLINE_S):
            async for message in mqtt.messages:
                assert isinstance(message.payload, bytes)
                kept[message.topic.value.split("/")[2]].add(json.loads(message.payload)["seq"])
                if sum(map(len, kept.values())) == 6000:
                    break
    assert kept == {name: set(range(1, last + 1)) for name, last in outcome.last_seq.items()}


async def simulator(*arguments: str, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controllers_sim", *arguments, cwd=ROOT, env=os.environ | {"MQTT_URL": url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_run_ends_in_order_on_a_signal(broker: BrokerInTest, number: signal.Signals) -> None:
    async with listening(broker) as ear:
        process = await simulator("run", "--controllers", "20", url=broker.speaker_url)
        await until(lambda: len(ear.readings) == 20)
        process.send_signal(number)
        _, told = await asyncio.wait_for(process.communicate(), DEADLINE_S)
        assert process.returncode == 0, told
        await until(lambda: sum(kind.endswith("/death") for kind in ear.heard) == 20)
    assert b"0 unsent" in told


async def test_run_says_what_is_wrong_and_ends_with_2(broker: BrokerInTest) -> None:
    process = await simulator("run", "--for", "5s", url=broker.url_of("twin.speaker", "wrong"))
    _, told = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert process.returncode == 2
    assert b"refuses the account 'twin.speaker'" in told
    assert b"Traceback" not in told


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    stamps = ["10:00:00", "10:00:01", "10:00:01", "10:00:00", "10:01:00"]
    path.write_text("".join(f"26/01/2012 {stamp};{watts};0\n" for watts, stamp in enumerate(stamps)))
    return path


async def test_replay_compresses_time_and_stamps_with_the_real_clock(broker: BrokerInTest, trace: Path) -> None:
    async with listening(broker) as ear:
        arguments = ("replay", str(trace), "--controller", "fr-01", "--speed", "60")
        process = await simulator(*arguments, url=broker.speaker_url)
        _, told = await asyncio.wait_for(process.communicate(), DEADLINE_S)
        assert process.returncode == 0, told
        await until(lambda: len(ear.readings["fr-01"]) == 5)
    readings = ear.readings["fr-01"]
    assert [reading["power_w"] for reading in readings] == [0, 1, 2, 3, 4]
    assert not any("hist" in reading for reading in readings)
    assert 900 <= readings[-1]["ts"] - readings[0]["ts"] <= 1500
    assert ear.heard["fr-01/birth"][0]["relay"] is None


async def test_replay_as_history_sends_arrays_of_that_day(broker: BrokerInTest, trace: Path) -> None:
    arguments = ("replay", str(trace), "--controller", "fr-01", "--history", "--date", "2026-03-01")
    async with listening(broker) as ear:
        for _ in range(2):
            process = await simulator(*arguments, "--timezone", "UTC", url=broker.speaker_url)
            _, told = await asyncio.wait_for(process.communicate(), DEADLINE_S)
            assert process.returncode == 0, told
        await until(lambda: len(ear.heard["fr-01/reading"]) == 2)
    once, twice = ear.heard["fr-01/reading"]
    assert once == twice
    ten_ms = 1_772_359_200_000  # 2026-03-01 10:00 UTC
    assert [reading["ts"] - ten_ms for reading in once] == [0, 1000, 1000, 0, 60_000]
    assert not ear.heard["fr-01/birth"]


async def test_three_hundred_controllers_are_online_soon(broker: BrokerInTest) -> None:
    scenario = made_up([f"c{number:04}" for number in range(300)], 1)
    async with running(scenario, broker.speaker_url) as simulation:
        await until(lambda: simulation.tally.online == 300)
        assert simulation.tally.lost_connections == 0
