"""Rounds of mischief on a running site, each followed by the referee's word on what is in the books."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain

import asyncpg
import msgspec

from benchmarks.chaos.book import Identity
from benchmarks.chaos.books import Books, read_books
from benchmarks.chaos.faults import Fault, draw
from benchmarks.chaos.messages import judge_messages, missing, stored_messages
from benchmarks.chaos.opening import Plan, Running, opened
from benchmarks.chaos.people import People, signed_in
from benchmarks.chaos.referee import Referee
from benchmarks.chaos.relays import unsettled
from benchmarks.chaos.replaying import judge_replay, replayed
from benchmarks.chaos.vitals import now_ms
from benchmarks.processes import BenchError
from twin.servers import Progress

_LOOK_S = 0.2
_FRESH_MS = 2_000
"""A message that has not waited longer for its acknowledgement is simply under way."""
SETTLED_S = 45.0
"""How long it may take until nothing is wrong any more: a cooldown, two time-outs and cards that wait fit in."""


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
    attempts: int
    """What people asked for over HTTP."""
    sessions: int
    """That opened."""
    let_in: int
    """How often a controller that was cut off let somebody in by a grant."""
    void: int
    """That never did."""
    charges: int
    """Lines."""
    service_ends: int
    """How often the service ended by itself."""
    worst_catch_up_s: float
    differences: tuple[str, ...]


_COUNTS = "rounds readings messages forgotten attempts sessions let_in void charges service_ends".split()  # noqa: SIM905


class Chaos:
    """A running site under attack."""

    def __init__(self, plan: Plan, progress: Progress, running: Running, people: People) -> None:
        self._plan = plan
        self._progress = progress
        self._running = running
        self._mischief = running.mischief
        self._vitals = running.vitals
        self._people = people
        self._referee = Referee(running.site)
        self._books: Books | None = None
        self._rounds = 0
        self._worst_s = 0.0
        self._differences: list[str] = []
        self._known: set[str] = set()
        self._ended = 0
        self.is_lost = False
        """It did not get well again: nothing more can be learnt."""

    async def round(self, number: int) -> None:
        """Let things go wrong, put them right, and look."""
        faults = draw(self._plan.seed, number, self._plan.busy_s, self._plan.scale)
        named = ", ".join(each.name for each in faults)
        self._progress(f"Round {number + 1} of {self._plan.rounds}: {named}", number / self._plan.rounds)
        self._running.quiet.unlink(missing_ok=True)
        living = asyncio.create_task(self._people.live(number), name="people")
        try:
            await asyncio.gather(self._attack(faults), asyncio.sleep(self._plan.busy_s))
        finally:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living
        self._running.quiet.touch()
        self._rounds += 1
        found = [*self._ends(faults), *await self._judge()]
        self._known |= set(found)
        for each in found:
            difference = f"round {number + 1} ({_told(faults)}): {each}"
            self._progress(f"Difference in {difference}", number / self._plan.rounds)
            self._differences.append(difference)

    def _ends(self, faults: Sequence[Fault]) -> Iterator[str]:
        """Programs that ended by themselves. The service may where it finds no database as it starts."""
        if self._running.controllers.ended_by_itself:
            raise BenchError(f"the controllers ended by themselves:\n{self._running.controllers.said()}")
        before, self._ended = self._ended, len(self._running.service.ended_by_itself)
        if self._ended > before and not any(each.target in {"database", "service-database"} for each in faults):
            yield f"the service ended by itself:\n{self._running.service.said()}"

    async def _attack(self, faults: Sequence[Fault]) -> None:
        """All faults of a round, and then how long it takes until what was acknowledged by their end is on record."""
        await asyncio.gather(*(self._mischief.carry_out(each) for each in faults))
        since_s = time.monotonic()
        self._read()
        behind = set(self._referee.ledger.acknowledged)
        if await self._wait(self._is_well):
            async with self._connected() as connection:
                await self._wait(lambda: self._caught_up(connection, behind))
        self._worst_s = max(self._worst_s, time.monotonic() - since_s)

    async def _judge(self) -> list[str]:
        """What is wrong and was not known before, once there has been time for it to come right."""
        if not await self._wait(self._is_well):
            self.is_lost = True
            said = self._running.service.said()
            return [f"not well within {self._plan.patience_s:.0f} s; the service said:\n{said}"]
        await self._wait(self._is_told)
        deadline_s = time.monotonic() + SETTLED_S
        async with self._connected() as connection:
            while True:
                begun_s = time.monotonic()
                found = [each async for each in self._compare(connection) if each not in self._known]
                if not found or begun_s > deadline_s:
                    return found
                await asyncio.sleep(_LOOK_S)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._running.database_url())
        try:
            yield connection
        finally:
            await connection.close()

    async def _compare(self, connection: asyncpg.Connection) -> AsyncIterator[str]:
        """What is wrong at this moment; something may still be under way: a cooldown, a card that waits for another."""
        if not await self._people.clear():
            yield "sessions are still running"
        self._read()
        for each in unsettled(await self._people.twins(), self._referee.relays(), now_ms()):
            yield each
        await self._wait(lambda: self._caught_up(connection, self._referee.ledger.acknowledged))
        books = self._books = await read_books(connection)
        stored, twice = await stored_messages(connection)
        lost = missing(self._referee.ledger, stored, self._mischief.is_excused)
        self._read()
        for each in judge_messages(self._referee.ledger, stored, twice, lost):
            yield each
        outages = [(each.from_ms, each.until_ms) for each in self._mischief.outages]
        for each in self._referee.judge(books, self._people.attempts, stored, outages, now_ms()):
            yield each
        for each in judge_replay(await replayed(self._running.database_url())):
            yield each

    async def _is_well(self) -> bool:
        since_ms = self._vitals.well.since_ms
        return since_ms is not None and now_ms() - since_ms > 1000 * _LOOK_S

    async def _is_told(self) -> bool:
        """The controllers have got rid of what they had to keep back: until then there is more to come."""
        self._read()
        return now_ms() - min(self._referee.ledger.waiting.values(), default=now_ms()) < _FRESH_MS

    async def _caught_up(self, connection: asyncpg.Connection, wanted: Iterable[Identity]) -> bool:
        """All of these are on record, but for what the broker has lost."""
        stored, _ = await stored_messages(connection)
        lost = missing(self._referee.ledger, stored, self._mischief.is_excused)
        return not set(lost).intersection(wanted)

    async def _wait(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        deadline_s = time.monotonic() + self._plan.patience_s
        while time.monotonic() < deadline_s:
            if await condition():
                return True
            await asyncio.sleep(_LOOK_S)
        return False

    def _read(self) -> None:
        for entry in self._running.book.news():
            self._referee.take(entry)

    def result(self, seconds: float) -> Result:
        """What it came to so far."""
        books = self._books
        return Result(
            plan=self._plan,
            rounds=self._rounds,
            seconds=round(seconds, 1),
            faults=dict(sorted(self._mischief.done.items())),
            not_run=dict(self._mischief.not_run),
            readings=self._referee.ledger.readings(),
            messages=len(self._referee.ledger.acknowledged),
            forgotten=len(self._referee.ledger.forgotten),
            attempts=len(self._people.attempts),
            sessions=0 if books is None else sum(each.opened_ms is not None for each in books.sessions),
            let_in=self._referee.ledger.let_in(),
            void=0 if books is None else sum(each.opened_ms is None for each in books.sessions),
            charges=0 if books is None else sum(len(each) for each in books.charges.values()),
            service_ends=len(self._running.service.ended_by_itself),
            worst_catch_up_s=round(self._worst_s, 1),
            differences=tuple(self._differences),
        )


def _told(faults: tuple[Fault, ...]) -> str:
    return ", ".join(f"{each.name} after {each.after_s} s for {each.for_s} s" for each in faults)


async def run(plan: Plan, progress: Progress) -> Result:
    """Carry it out. Raises BenchError or ServersError where it cannot be done."""
    started_s = time.monotonic()
    shares = [range(first, plan.rounds, plan.sites) for first in range(min(plan.sites, plan.rounds))]
    tables = asyncio.Lock()
    try:
        async with asyncio.TaskGroup() as group:  # where one cannot go on, the others end as well
            sites = [group.create_task(_share(plan, numbers, progress, tables)) for numbers in shares]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return _together([each.result() for each in sites], time.monotonic() - started_s)


async def _share(plan: Plan, numbers: Iterable[int], progress: Progress, tables: asyncio.Lock) -> Result:
    """These rounds, at a site of their own."""
    started_s = time.monotonic()
    async with opened(plan, progress, tables) as running, signed_in(running.site, running.http, plan.seed) as people:
        chaos = Chaos(plan, progress, running, people)
        for number in numbers:
            await chaos.round(number)
            if chaos.is_lost:
                break
        return chaos.result(time.monotonic() - started_s)


def _together(results: Sequence[Result], seconds: float) -> Result:
    """What several sites came to."""
    first = results[0]
    counts = {name: sum(getattr(each, name) for each in results) for name in _COUNTS}
    return msgspec.structs.replace(
        first,
        **counts,
        seconds=round(seconds, 1),
        faults=_summed(each.faults for each in results),
        not_run=_summed(each.not_run for each in results),
        worst_catch_up_s=max(each.worst_catch_up_s for each in results),
        differences=tuple(chain.from_iterable(each.differences for each in results)),
    )


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))
