"""Rounds of mischief on a running site, each followed by the referee's word on what is in the books."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import msgspec

from benchmarks.chaos.faults import Fault, draw
from benchmarks.chaos.messages import Ledger, judge_messages, missing, stored_messages
from benchmarks.chaos.opening import Plan, Running, opened
from benchmarks.chaos.vitals import now_ms
from twin.servers import Progress

_LOOK_S = 0.2


class Result(msgspec.Struct, frozen=True):
    """What it came to."""

    plan: Plan
    rounds: int
    seconds: float
    faults: dict[str, int]
    not_run: dict[str, int]
    """What could not be done here: no file system of a fixed size can be mounted."""
    readings: int
    """Acknowledged by the broker."""
    messages: int
    """With births, cards and answers."""
    forgotten: int
    """Messages that a broker which crashed or lost its file had acknowledged and could not hand on."""
    service_ends: int
    """How often the service ended by itself."""
    worst_catch_up_s: float
    differences: tuple[str, ...]


class Chaos:
    """A running site under attack."""

    def __init__(self, plan: Plan, progress: Progress, running: Running) -> None:
        self._plan = plan
        self._progress = progress
        self._running = running
        self._mischief = running.mischief
        self._vitals = running.vitals
        self._ledger = Ledger()
        self._rounds = 0
        self._worst_s = 0.0
        self._differences: list[str] = []
        self.is_lost = False
        """It did not get well again: nothing more can be learnt."""

    async def round(self, number: int) -> None:
        """Let things go wrong, put them right, and look."""
        faults = draw(self._plan.seed, number, self._plan.busy_s, self._plan.scale)
        named = ", ".join(each.name for each in faults)
        self._progress(f"Round {number + 1} of {self._plan.rounds}: {named}", number / self._plan.rounds)
        self._running.quiet.unlink(missing_ok=True)
        await asyncio.gather(asyncio.sleep(self._plan.busy_s), *(self._mischief.carry_out(each) for each in faults))
        self._running.quiet.touch()
        self._rounds += 1
        found = [each async for each in self._judge()]
        self._differences += [f"round {number + 1} ({_told(faults)}): {each}" for each in found]

    async def _judge(self) -> AsyncIterator[str]:
        since_s = time.monotonic()
        well = await self._wait(self._is_well)
        if not well:
            self.is_lost = True
            yield f"not well within {self._plan.patience_s:.0f} s; the service said:\n{self._running.service.said()}"
            return
        self._read()
        connection = await asyncpg.connect(self._running.database_url())
        try:
            await self._wait(lambda: self._caught_up(connection))
            self._worst_s = max(self._worst_s, time.monotonic() - since_s)
            stored, twice = await stored_messages(connection)
            lost = missing(self._ledger, stored, self._mischief.is_excused)
            self._read()
            for each in judge_messages(self._ledger, stored, twice, lost):
                yield each
        finally:
            await connection.close()

    async def _is_well(self) -> bool:
        since_ms = self._vitals.well.since_ms
        return since_ms is not None and now_ms() - since_ms > 1000 * _LOOK_S

    async def _caught_up(self, connection: asyncpg.Connection) -> bool:
        """All that was acknowledged before this look began is there."""
        stored, _ = await stored_messages(connection)
        return not missing(self._ledger, stored, self._mischief.is_excused)

    async def _wait(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        deadline_s = time.monotonic() + self._plan.patience_s
        while time.monotonic() < deadline_s:
            if await condition():
                return True
            await asyncio.sleep(_LOOK_S)
        return False

    def _read(self) -> None:
        for entry in self._running.book.news():
            self._ledger.take(entry)

    def result(self, seconds: float) -> Result:
        """What it came to so far."""
        return Result(
            plan=self._plan,
            rounds=self._rounds,
            seconds=round(seconds, 1),
            faults=dict(sorted(self._mischief.done.items())),
            not_run=dict(self._mischief.not_run),
            readings=self._ledger.readings(),
            messages=len(self._ledger.acknowledged),
            forgotten=len(self._ledger.forgotten),
            service_ends=len(self._running.service.ended_by_itself),
            worst_catch_up_s=round(self._worst_s, 1),
            differences=tuple(self._differences),
        )


def _told(faults: tuple[Fault, ...]) -> str:
    return ", ".join(f"{each.name} after {each.after_s} s for {each.for_s} s" for each in faults)


async def run(plan: Plan, progress: Progress) -> Result:
    """Carry it out. Raises BenchError or ServersError where it cannot be done."""
    started_s = time.monotonic()
    async with opened(plan, progress) as site:
        chaos = Chaos(plan, progress, site)
        for number in range(plan.rounds):
            await chaos.round(number)
            if chaos.is_lost:
                break
        return chaos.result(time.monotonic() - started_s)
