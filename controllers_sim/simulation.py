"""A whole simulation: controllers with their sources, connected one after another and measuring at their interval."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from controllers_sim import client
from controllers_sim.booker import Booker
from controllers_sim.broker import Account, Broker
from controllers_sim.client import Link, Surroundings, Tally
from controllers_sim.controller import Controller, Hardware
from controllers_sim.durations import duration_ms
from controllers_sim.errors import SimulatorError
from controllers_sim.faults import FaultStage, mishaps
from controllers_sim.past import Past
from controllers_sim.profiles import PROFILES
from controllers_sim.scenario import ControllerEntry, RelayStart, Scenario, ServiceTable
from controllers_sim.sources import Planned, Sources, capabilities, sources_of

CONNECTS_PER_S = 100
MAX_CONNECTING = 20
STOP_WITHIN_S = 5.0
_RELAY: dict[RelayStart, bool | None] = {"on": True, "off": False, "none": None}


def wall_clock_ms() -> int:
    """Give the time, ms since the epoch, UTC: the only place where a simulation reads it."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Simulation:
    """A scenario at a broker. Set `stop` to end it in order."""

    scenario: Scenario
    broker: Broker
    clock: Callable[[], int] = wall_clock_ms
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    tally: Tally = field(default_factory=Tally)
    stations: list["Station"] = field(default_factory=list)

    def build(self) -> None:
        """Put everything together; nothing is connected yet.

        Raises:
            SimulatorError: a controller has no account, or its trace cannot be read.

        """
        check_accounts(self.scenario, self.broker)
        around = Surroundings(self.broker, self.clock, asyncio.Semaphore(MAX_CONNECTING), self.stop, self.tally)
        entries = self.scenario.controllers
        cards = sorted({booking.card for entry in entries for booking in entry.bookings or ()})
        self.stations = [Station.build(entry, self.scenario, around, cards) for entry in entries]

    async def run(self) -> None:
        """Run until `stop` is set.

        Raises:
            SimulatorError: the broker cannot be reached, or refuses the first account.

        """
        self.build()
        first = self.scenario.controllers[0]
        await client.check(self.broker, account_of(first, self.broker), first.id)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(s.run(i / CONNECTS_PER_S)) for i, s in enumerate(self.stations)]
            if self.scenario.service is not None:
                tasks.append(group.create_task(self._booker(self.scenario.service).run()))
            await self.stop.wait()
            for station in self.stations:
                station.link.wake()
            await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
            for task in tasks:
                task.cancel()

    def _booker(self, table: ServiceTable) -> Booker:
        rng = Random(f"{self.scenario.seed}/{table.username}/booker")
        people = {
            station.link.controller.hardware.id: station.sources.live.attendance
            for station in self.stations
            if isinstance(station.sources.live, Planned)
        }
        return Booker(table, people, rng, self.clock, self.stop)

    @property
    def given_up(self) -> int:
        """How many items were lost to full queues."""
        return sum(station.link.controller.given_up for station in self.stations)

    @property
    def waiting(self) -> int:
        """How many items the broker has not acknowledged."""
        return sum(station.link.controller.waiting for station in self.stations)


@dataclass(frozen=True, slots=True)
class Station:
    """A controller with what it is fitted to and its connection."""

    link: Link
    sources: Sources
    around: Surroundings
    interval_ms: int
    history_ms: int
    rng: Random

    @classmethod
    def build(cls, entry: ControllerEntry, scenario: Scenario, around: Surroundings, cards: Sequence[str]) -> "Station":
        """Put together what a scenario's entry describes; `cards` are those of everybody."""
        rng = Random(f"{scenario.seed}/{entry.id}/station")
        model = PROFILES[entry.profile].model if entry.profile else "recorded trace"
        hardware = Hardware(entry.id, model=model, relay=_RELAY[entry.relay_at_start], caps=capabilities(entry))
        faults = FaultStage(scenario.faults, Random(f"{scenario.seed}/{entry.id}/faults"))
        controller = Controller(
            hardware,
            rng,
            mishaps=mishaps(scenario.faults, f"{scenario.seed}/{entry.id}"),
            grant_key=entry.grant_key,
        )
        link = Link(controller, account_of(entry, around.broker), faults, rng, around)
        sources = sources_of(entry, scenario, cards)
        return cls(link, sources, around, duration_ms(scenario.interval), scenario.history_ms, rng)

    async def run(self, delay_s: float) -> None:
        """Start after `delay_s`, then measure and talk until the simulation stops."""
        await client.wait_for(self.around.stop, delay_s)
        now_ms = self.around.clock()
        self.link.controller.boot(now_ms)
        measuring = asyncio.create_task(self._measure())
        try:
            await self.link.run(self._past(now_ms))
        finally:
            measuring.cancel()

    def _past(self, until_ms: int) -> Past | None:
        if not self.history_ms:
            return None
        hardware = self.link.controller.hardware
        return Past(hardware.id, self.sources.past, until_ms, self.history_ms, relay=hardware.relay)

    async def _measure(self) -> None:
        """Measure at the interval, on a grid of its own so that not all controllers speak at once."""
        before_ms = self.around.clock()
        due_s = asyncio.get_running_loop().time() + self.rng.random() * self.interval_ms / 1000
        while True:
            await client.wait_for(self.around.stop, due_s - asyncio.get_running_loop().time())
            if self.around.stop.is_set():
                return
            due_s += self.interval_ms / 1000
            now_ms = self.around.clock()
            self.observe(before_ms, now_ms)
            before_ms = now_ms

    def observe(self, after_ms: int, now_ms: int) -> None:
        """Let the controller notice what happened in (after, now]."""
        controller = self.link.controller
        seen = self.sources.live.observe(after_ms, now_ms, controller.powered_since_ms)
        if seen is None or not controller.awake:
            return
        for at_ms, card in seen.cards:
            controller.tap(at_ms, card)
        controller.read(now_ms, seen.power_w, occupied=seen.occupied, door=seen.door)
        self.link.wake()


def account_of(entry: ControllerEntry, broker: Broker) -> Account | None:
    """Give the account a controller connects with: its own, else the one that may speak for all, if there is one."""
    if entry.password is not None:
        return Account(entry.id, entry.password)
    return broker.account


def check_accounts(scenario: Scenario, broker: Broker) -> None:
    """See that every controller has an account where any has one.

    Raises:
        SimulatorError: one has none.

    """
    without = [entry.id for entry in scenario.controllers if account_of(entry, broker) is None]
    if without and len(without) < len(scenario.controllers):
        problem = f"{without[0]} and {len(without) - 1} more have no password, and no account may speak for all."
        raise SimulatorError(problem, "Add password to their [[controllers]] tables, or username to [broker].")
