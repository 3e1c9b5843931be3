"""Fleet and store behind a simulated world: what is told is logged, and what follows stored, as the service does.

Nothing waits for the store but the ledgers that are computed anew; the world calls, and a batch is stored when it is
large enough.
"""

import secrets
from functools import partial

import msgspec

from benchmarks.simulation.trace import Command, Heard, Told
from twin.decisions import Verdict
from twin.directory import Fact
from twin.events import Arrival, Tick
from twin.fleet import Fleet
from twin.recorder import SNAPSHOT_EVERY_MS
from twin.requests import BrokerSeen, Corrected, Learnt, Request
from twin.rules.outcome import Billed, ChargeRecord, Do, Outcome
from twin.store import Batch, Names, Past, Store

MAX_ROWS = 20_000


class Chronicle:
    """What `benchmarks.simulation.subject.Subject` asks for, on the tables of the service."""

    def __init__(self, store: Store, names: Names, at_ms: int) -> None:
        self.fleet = Fleet()
        self.at_ms = at_ms
        self.messages = 0
        self._store = store
        self._names = names
        self._number = 0
        self._batch = Batch(secrets.token_hex(8))
        self._snapshot_day = 0

    def learn(self, fact: Fact, at_ms: int) -> list[Command]:
        """A fact changes."""
        return self._ask(Learnt(number=self._next_number(), at_ms=at_ms, fact=fact))

    def see_broker(self, at_ms: int) -> None:
        """The broker is reached."""
        self._ask(BrokerSeen(number=self._next_number(), at_ms=at_ms, up=True))

    def tell(self, told: Told) -> list[Command]:
        """Something has been heard or asked."""
        if not isinstance(told, Heard):
            return self._ask(_renumbered(told, self._next_number()))
        self.messages += 1
        arrival = Arrival(told.controller, told.at_s * 1000, told.message, self._next_number())
        outcome = self.fleet.handle(arrival)
        if outcome.verdict is not Verdict.DUPLICATE:
            self._batch.record(arrival, outcome.at_ms, self._names.controller(told.controller).controller_id)
        return self._take(outcome, arrival.received_ms)

    def pass_time(self, to_s: int) -> list[Command]:
        """Let timers ring that are due up to this moment, each at its time, until one commands something."""
        commands: list[Command] = []
        while not commands and (due_ms := self.fleet.next_due_ms()) <= to_s * 1000:
            commands = self._take(self.fleet.handle(Tick(due_ms)), due_ms)
        return commands

    def restart(self) -> None:
        """Never: this is one life."""
        raise NotImplementedError

    @property
    def wants_storing(self) -> bool:
        """Is the batch large enough, or does a ledger wait to be computed anew?"""
        return self._batch.rows >= MAX_ROWS or bool(self._batch.refolds)

    async def store(self) -> None:
        """Store what has been told since the last time."""
        batch, self._batch = self._batch, Batch(secrets.token_hex(8))
        batch.number, batch.at_ms = self._number, self.at_ms
        batch.stations = {controller: self.fleet.station(controller) for controller in batch.changed}
        if self.at_ms // SNAPSHOT_EVERY_MS != self._snapshot_day:
            self._snapshot_day = self.at_ms // SNAPSHOT_EVERY_MS
            batch.snapshots = list(batch.changed)
        for line in await self._store.commit(batch, self._names, partial(self._refold, batch)):
            self._correct(line)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _ask(self, request: Request) -> list[Command]:
        self._batch.requests.append(request)
        return self._take(self.fleet.handle(request), request.at_ms)

    def _take(self, outcome: Outcome, at_ms: int) -> list[Command]:
        self.at_ms = at_ms
        self._batch.add(outcome)
        return [
            Command(each.at_ms // 1000, each.controller, each.id, each.relay)
            for follows in outcome.consequences
            for each in follows.commands
            if each.do is Do.RELAY and each.relay is not None
        ]

    def _refold(self, batch: Batch, controller: str, past: Past) -> tuple[Outcome, tuple[Billed, ...]]:
        outcome, billed = self.fleet.refold(
            controller, past.base, past.told, batch.at_ms, visits=past.visits, bills=past.bills
        )
        batch.stations[controller] = self.fleet.station(controller)
        return outcome, billed

    def _correct(self, record: ChargeRecord) -> None:
        """Lines that only the ledger led to are told to the fleet, as the recorder does."""
        if record.project is not None:
            self._ask(
                Corrected(
                    number=self._next_number(),
                    at_ms=self.at_ms,
                    project=record.project,
                    net_cny=record.line.net_cny,
                    allowance_min=record.line.allowance_min,
                    subsidy_cny=record.line.subsidy_cny,
                )
            )


def _renumbered(request: Request, number: int) -> Request:
    return msgspec.structs.replace(request, number=number)
