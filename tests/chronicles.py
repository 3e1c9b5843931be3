"""A chronicle of a small university: what is told to a fleet is logged, and what follows stored, as the recorder does.

Time is virtual, so days pass at once. The people and instruments are those of `tests.houses`.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from tests.houses import SINCE
from twin.directory import Fact
from twin.events import Arrival, Birth, Card, Message, Reading, Tick
from twin.facts import load_facts
from twin.fleet import Fleet
from twin.requests import Corrected, Learnt, Lock, Request, Unlock
from twin.rules.outcome import Billed, Outcome
from twin.sessions import CloseReason
from twin.store import Batch, Ids, Names, Past, Store
from twin.store.rows import to_ms
from twin.stream.native import card_digest

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
START_MS = to_ms(SINCE) + 10 * DAY_MS + 2 * HOUR_MS
"""Ten in the morning, where the university is."""
CONTROLLER, INSTRUMENT = "c-sem", "SEM"


class Chronicle:
    """A fleet with its store, at a moment of virtual time."""

    def __init__(self, database_url: str, ids: dict[str, Ids]) -> None:
        self.fleet = Fleet()
        self.now_ms = START_MS
        self.power_w = 0.0
        self.relay = False
        self.skew_ms = 0
        """How far the controller's clock is ahead."""
        self._store = Store(database_url)
        self._ids = ids
        self._number = 0
        self._seq = 0
        self._batches = 0
        self._batch = Batch("batch-0")
        self._snapshot_day = 0

    async def begin(self) -> None:
        """Everybody is known, and the controller of the SEM starts."""
        for fact in await load_facts():
            self.learn(fact)
        self.hear(Birth(boot="b", seq=self._next_seq(), ts=self.now_ms, caps=("relay", "power")))

    def learn(self, fact: Fact) -> None:
        self.ask(Learnt(number=self._next_number(), at_ms=self.now_ms, fact=fact))

    def unlock(self, user: str, project: str | None = None) -> None:
        self.ask(
            Unlock(number=self._next_number(), at_ms=self.now_ms, instrument=INSTRUMENT, user=user, project=project)
        )

    def lock(self, user: str) -> None:
        wish = Lock(
            number=self._next_number(), at_ms=self.now_ms, instrument=INSTRUMENT, user=user, reason=CloseReason.USER
        )
        self.ask(wish)

    def tap(self, uid: str) -> None:
        self.hear(Card("b", self._next_seq(), self.now_ms, card_digest(uid), "tap"))

    def ask(self, request: Request) -> None:
        self._batch.requests.append(request)
        self._add(self.fleet.handle(request))

    def hear(self, message: Message, received_ms: int | None = None) -> None:
        arrival = Arrival(CONTROLLER, received_ms or self.now_ms, message, self._next_number())
        outcome = self.fleet.handle(arrival)
        self._batch.record(arrival, outcome.at_ms, self._ids[CONTROLLER].controller_id)
        self._add(outcome)

    def read(self, at_ms: int | None = None, *, hist: bool = False) -> None:
        """A reading of now, or one that was kept back."""
        ts = self.now_ms if at_ms is None else at_ms
        self.hear(Reading("b", self._next_seq(), ts + self.skew_ms, self.power_w, relay=self.relay, hist=hist))

    async def pass_time(self, length_ms: int, *, step_ms: int = 30 * SECOND_MS, silent: bool = False) -> None:
        """Let the controller speak every `step_ms`, or be silent."""
        end_ms = self.now_ms + length_ms
        while self.now_ms < end_ms:
            self.now_ms = min(end_ms, self.now_ms + step_ms)
            if not silent:
                self.read()
            self._add(self.fleet.handle(Tick(self.now_ms)))
            if self._batch.rows >= 40:
                await self.commit()
        await self.commit()

    async def catch_up(self, since_ms: int, *, step_ms: int = 30 * SECOND_MS) -> None:
        """Readings that were kept back since a moment."""
        for at_ms in range(since_ms, self.now_ms, step_ms):
            self.read(at_ms, hist=True)
        await self.commit()

    async def commit(self) -> None:
        """Store the batch, tell the fleet of what it has corrected, and begin another."""
        batch = self._batch
        self._batches += 1
        self._batch = Batch(f"batch-{self._batches}")
        batch.number, batch.at_ms = self._number, self.now_ms
        batch.stations = {controller: self.fleet.station(controller) for controller in batch.changed}
        if batch.stations and self._snapshot_day != self.now_ms // DAY_MS:
            self._snapshot_day = self.now_ms // DAY_MS
            batch.snapshots = list(batch.stations)

        def refold(controller: str, past: Past) -> tuple[Outcome, Sequence[Billed]]:
            found = self.fleet.refold(
                controller, past.base, past.told, self.now_ms, visits=past.visits, bills=past.bills
            )
            batch.stations[controller] = self.fleet.station(controller)
            return found

        names = Names(self._ids, {INSTRUMENT: CONTROLLER})
        for record in await self._store.commit(batch, names, refold):
            line = record.line
            if record.project is not None:
                corrected: dict[str, Any] = {"number": self._next_number(), "at_ms": self.now_ms}
                sums = {name: getattr(line, name) for name in ("net_cny", "allowance_min", "subsidy_cny")}
                self.ask(Corrected(project=record.project, **corrected, **sums))

    async def end(self) -> None:
        """Store what is left."""
        await self.commit()
        await self._store.close()

    def _add(self, outcome: Outcome) -> None:
        self._batch.add(outcome)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq


async def begin_chronicle(database_url: str) -> Chronicle:
    """The first moment: everybody is known, and the controller of the SEM has started."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT name, id, instrument_id FROM controller")
    await connection.close()
    chronicle = Chronicle(database_url, {row["name"]: Ids(row["id"], row["instrument_id"]) for row in rows})
    await chronicle.begin()
    return chronicle


async def write_chronicle(database_url: str) -> Chronicle:
    """Two days of the SEM, with sessions, somebody who comes without one, and an hour without network."""
    chronicle = await begin_chronicle(database_url)
    await chronicle.pass_time(10 * MINUTE_MS)
    await _session(chronicle, "ada", "P1")
    await _intrusion(chronicle)
    await chronicle.pass_time(21 * HOUR_MS)
    await _session_without_network(chronicle)
    await chronicle.pass_time(2 * HOUR_MS)
    await _clock_off(chronicle)
    await chronicle.pass_time(4 * HOUR_MS)
    await _session(chronicle, "ada", "P1")
    await chronicle.pass_time(HOUR_MS)
    await chronicle.end()
    return chronicle


async def _open(chronicle: Chronicle, user: str, project: str) -> None:
    chronicle.unlock(user, project)
    chronicle.relay = True
    await chronicle.pass_time(2 * SECOND_MS)  # the controller answers in time
    await chronicle.pass_time(5 * MINUTE_MS)


async def _session(chronicle: Chronicle, user: str, project: str) -> None:
    await _open(chronicle, user, project)
    chronicle.power_w = 1200.0
    await chronicle.pass_time(80 * MINUTE_MS)
    chronicle.power_w = 3.0
    await chronicle.pass_time(3 * MINUTE_MS)
    chronicle.lock(user)
    chronicle.relay = False
    await chronicle.pass_time(10 * MINUTE_MS)


async def _intrusion(chronicle: Chronicle) -> None:
    chronicle.power_w = 1500.0
    await chronicle.pass_time(4 * MINUTE_MS)
    chronicle.power_w = 0.0
    await chronicle.pass_time(5 * MINUTE_MS)


async def _clock_off(chronicle: Chronicle) -> None:
    """Its clock is far behind; what it keeps back for a while is stamped by that clock, too."""
    chronicle.skew_ms = -20 * MINUTE_MS
    await chronicle.pass_time(10 * MINUTE_MS)
    lost_ms = chronicle.now_ms
    chronicle.power_w = 1500.0
    await chronicle.pass_time(6 * MINUTE_MS, silent=True)
    await chronicle.catch_up(lost_ms + 30 * SECOND_MS)
    chronicle.power_w, chronicle.skew_ms = 0.0, 0
    await chronicle.pass_time(10 * MINUTE_MS)


async def _session_without_network(chronicle: Chronicle) -> None:
    """The session ends before anybody hears of what its controller has kept back: its bill is corrected."""
    await _open(chronicle, "ada", "P1")
    chronicle.power_w = 1200.0
    await chronicle.pass_time(20 * MINUTE_MS)
    lost_ms = chronicle.now_ms
    await chronicle.pass_time(40 * MINUTE_MS, silent=True)
    chronicle.lock("ada")
    await chronicle.pass_time(20 * MINUTE_MS, silent=True)
    await chronicle.catch_up(lost_ms + 30 * SECOND_MS)
    chronicle.power_w, chronicle.relay = 0.0, False
    await chronicle.pass_time(10 * MINUTE_MS)
