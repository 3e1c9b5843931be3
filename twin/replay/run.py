"""The log told to a new fleet."""

import gc
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from operator import attrgetter

import msgspec

from twin.directory import Fact, InstrumentFact
from twin.events import Arrival, Tick
from twin.fleet import Fleet
from twin.instrument import order_key
from twin.replay.course import Course
from twin.replay.origin import Origin, Seat, find_origin, silences
from twin.replay.records import Records, Window
from twin.replay.stored import read_accounts, read_charges
from twin.requests import Corrected, Learnt, Request, moment
from twin.rules.ledger import comes_after
from twin.rules.outcome import Billed, Outcome
from twin.state import NEW_BOOK, Book
from twin.store.log import Log, Logged
from twin.store.restore import logged_site
from twin.store.rows import unpacked_book

GATHER_MS = 10_000
"""A ledger is computed anew so long after the first late message: most come together."""

Progress = Callable[[str, float | None], None]


class Replayed(msgspec.Struct, frozen=True):
    """What a replay has led to, and how long it took."""

    records: Records
    events: int
    seconds: float
    """From beginning to end."""
    core_s: float
    """Of one core, all in all."""
    telling_s: float
    """Of these, with the rules; the rest is reading."""


class Replay:
    """A new fleet on its way through the log. Nothing of it is ever written."""

    def __init__(self, log: Log, codes: Collection[str], change: Callable[[Fact], Fact] | None = None) -> None:
        """`change`: what is told instead of each fact, where something else is to be tried than what was."""
        self._log = log
        self._controllers = {name for name, code in log.codes.items() if code in codes}
        self._change = change
        self._fleet = Fleet()
        self._course = Course(self._fleet.directory)
        self._seats: list[Seat] = []
        self._number = 0
        self._now_ms = 0
        self._events = 0
        self._telling_s = 0.0

    async def run(self, window: Window, progress: Progress) -> Replayed:
        """Tell everything up to the end of a window. Raises IncompatibleVersionError."""
        started_s, begun_s = time.perf_counter(), time.process_time()
        origin = await find_origin(self._log, self._controllers, window.from_ms)
        await self._begin(origin)
        if origin.number:
            await self._pass(origin.at_ms, window.from_ms, progress)
            self._fleet.accounts = await read_accounts(self._log, window.from_ms)
        await self._pass(
            max(origin.at_ms, window.from_ms) if origin.number else origin.at_ms, window.until_ms, progress
        )
        self._course.take(self._fleet.handle(Tick(window.until_ms - 1)))
        self._now_ms = window.until_ms - 1
        await self._fold()
        records = self._course.records(window, dict(self._log.codes))
        core_s = time.process_time() - begun_s
        return Replayed(records, self._events, time.perf_counter() - started_s, core_s, self._telling_s)

    async def _begin(self, origin: Origin) -> None:
        self._number, self._now_ms = origin.number, origin.at_ms
        self._seats = list(origin.seats)
        if not origin.number:
            return
        for fact in await self._log.facts(origin.number):
            self._fleet.learn(self._changed(fact))
        self._fleet.silence(await silences(self._log, origin))
        self._fleet.restore_site(await logged_site(self._log.connection, origin.number, origin.at_ms))
        self._fleet.accounts = await read_accounts(self._log, origin.at_ms)
        instruments = [each.instrument_id for each in self._log.ids.values()]
        self._course.owe(await read_charges(self._log, instruments, Window(0, origin.at_ms)))

    async def _pass(self, start_ms: int, end_ms: int, progress: Progress) -> None:
        """Tell what was received within a stretch of time."""
        ids = [self._log.ids[each].controller_id for each in self._controllers]
        gc.collect()
        gc.freeze()
        gc.disable()  # nothing here refers to itself in a circle; looking for that is a tenth of the time
        try:
            async for until_ms, told in self._log.slices(ids, self._number, start_ms, end_ms):
                await self._tell(told)
                progress("Replaying", (until_ms - start_ms) / max(1, end_ms - start_ms))
        finally:
            gc.enable()
            gc.unfreeze()

    async def _tell(self, told: Sequence[Logged]) -> None:
        """Tell these in order; stations take their seats where their snapshots were taken."""
        at = 0
        while self._seats and told and self._seats[0].number < told[-1].number:
            upto = bisect_right(told, self._seats[0].number, key=attrgetter("number"))
            await self._tell_seated(told, at, upto)
            at = max(at, upto)
            self._sit(self._seats.pop(0))
        await self._tell_seated(told, at, len(told))

    def _sit(self, seat: Seat) -> None:
        fact = self._fleet.directory.instruments.get(self._log.codes[seat.controller])
        if fact is not None:
            self._fleet.seat(fact, seat.station)
            self._course.begin(seat.controller, seat.station, seat.sessions)

    async def _tell_seated(self, told: Sequence[Logged], at: int, upto: int) -> None:
        while at < upto:
            started_s = time.process_time()
            at = self._until_late(told, at, upto)
            if self._course.pending:
                end = min(upto, bisect_left(told, moment(told[at - 1]) + GATHER_MS, lo=at, key=moment))
                while at < end and not self._fleet.needs_ledgers(told[at], self._course.pending):
                    at = self._until_late(told, at, at + 1)
                self._telling_s += time.process_time() - started_s
                await self._fold()
            else:
                self._telling_s += time.process_time() - started_s

    def _until_late(self, told: Sequence[Logged], at: int, end: int) -> int:
        """Tell from an index on until a ledger must be computed anew; gives the index of the next one to be told."""
        handle, pending = self._fleet.handle, self._course.pending
        index, known = at, len(pending)
        for index in range(at, end):
            event = told[index]
            outcome = handle(event) if isinstance(event, Arrival) else self._requested(event)
            if outcome.rewrites or outcome.consequences or outcome.refolds or outcome.marks:
                self._course.take(outcome)
                if len(pending) > known:
                    break
        now_ms, after = moment(told[index]), index + 1
        is_last = after == len(told) or moment(told[after]) > now_ms  # what happens at a moment comes before its timers
        if is_last and self._fleet.is_due(now_ms):
            # Ledgers that are behind catch up here: for when that is done they are none the worse.
            self._course.take(self._fleet.handle(Tick(now_ms)))
        self._events += after - at
        self._number, self._now_ms = told[index].number, now_ms
        return after

    def _requested(self, event: Request) -> Outcome:
        match event:
            case Learnt(fact=InstrumentFact() as fact) if not self._is_here(fact):
                self._fleet.directory.learn(self._changed(fact))
                return Outcome()
            case Learnt():
                return self._fleet.handle(msgspec.structs.replace(event, fact=self._changed(event.fact)))
            case Corrected() if self._change is not None:
                return Outcome()  # what late data has changed is charged by other prices
            case _:
                return self._fleet.handle(event)

    def _is_here(self, fact: InstrumentFact) -> bool:
        waits = any(each.controller == fact.controller for each in self._seats)
        return fact.controller in self._controllers and not waits

    def _changed(self, fact: Fact) -> Fact:
        return fact if self._change is None else self._change(fact)

    # Late data

    async def _fold(self) -> None:
        """Compute all ledgers anew that something late belongs into."""
        for controller, refold in self._course.pending.items():
            ids, code = self._log.ids[controller], self._log.codes[controller]
            at_ms = refold.at_ms
            base = refold.base or self._course.base(controller, at_ms)
            base = base or await self._stored_mark(ids.controller_id, at_ms)
            since_ms = base.physics.newest[0]
            outcome, billed = self._fleet.refold(
                controller,
                base,
                await self._told_after(ids.controller_id, base),
                self._now_ms,
                visits=self._course.visits(code, since_ms),
                bills=self._course.bills(code, at_ms),
            )
            self._course.settle(controller, since_ms, outcome)
            for each in billed:
                self._correct(each)
        self._course.pending.clear()

    def _correct(self, billed: Billed) -> None:
        """Projects hear of what late data has changed by the log, unless something else is tried than what was."""
        change, project = self._course.charge(billed, self._now_ms), billed.bill.project
        if self._change is not None and project is not None:
            self._fleet.accounts.charge(project, change.net_cny, change.allowance_min, change.subsidy_cny)

    async def _told_after(self, controller_id: int, base: Book) -> list[tuple[int, Arrival]]:
        told = await self._log.told_after(controller_id, base.physics.newest[0], self._number)
        keyed = sorted(
            ((order_key(at_ms, arrival), at_ms, arrival) for at_ms, arrival in told), key=lambda each: each[0]
        )
        return [(at_ms, arrival) for key, at_ms, arrival in keyed if comes_after(base, key, arrival)]

    async def _stored_mark(self, controller_id: int, at_ms: int) -> Book:
        """Before the replay began, by what is stored."""
        row = await self._log.connection.fetchrow(
            "SELECT version, book FROM mark WHERE controller_id = $1 AND at < $2 ORDER BY at DESC LIMIT 1",
            controller_id,
            at_ms,
        )
        return NEW_BOOK if row is None else unpacked_book(row["version"], row["book"])
