"""The one way data flows: inbox -> fleet -> store -> acknowledgement -> feed.

The fleet is at most one batch ahead of the store: while one is being stored, the next one gathers, and grows with the
time that storing takes. When the store cannot, the same batch is tried until it can, the broker keeps what comes
meanwhile, and nobody is shown a state that is not recorded.
"""

import asyncio
import secrets
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import msgspec
import structlog

from twin.decisions import Verdict
from twin.events import Arrival, Event, Tick
from twin.fleet import Fleet
from twin.metrics import Metrics
from twin.present import Present
from twin.requests import Corrected, Lock, Request, Unlock
from twin.rules.outcome import Answer, Billed, ChargeRecord, Command, Consequences, Outcome
from twin.sessions import CloseReason
from twin.station import Station
from twin.store import Batch, Names, Past, Store
from twin.store.commit import UNAVAILABLE, AnotherWriterError
from twin.store.rows import to_time
from twin.stream.backlog import Backlog
from twin.stream.backoff import Backoff
from twin.stream.inbox import Inbox
from twin.stream.native import Malformed, Reason, decode
from twin.stream.outbox import Outbox
from twin.stream.packets import Delivery
from twin.stream.topics import Topics, Upward

log = structlog.get_logger(__name__)

MAX_IDLE_S = 1.0
"""How often time is let pass at the least."""

MAX_GATHER_S = 0.5
MAX_ROWS = 20_000
"""However much waits, a batch is closed then. A large one writes each twin's checkpoint once for many messages."""

SNAPSHOT_EVERY_MS = 24 * 3_600_000
"""How much of the log a replay must read before the time that it is about, at most."""

Wish: TypeAlias = Callable[[int, int], Request]
"""Makes a request of its number and its moment."""


class _Waiting(NamedTuple):
    """A request that has not been told to the fleet yet, when it was made, and who waits for its answer."""

    wish: Wish
    asked_ms: int
    answer: asyncio.Future[Answer | None]


class _Work:
    """Messages taken up since the last batch was closed, and the batch they have led to."""

    def __init__(self) -> None:
        self.batch = Batch(secrets.token_hex(8))
        self.deliveries: list[Delivery] = []
        self.verdicts: Counter[Verdict] = Counter()
        self.answers: list[tuple[asyncio.Future[Answer | None], Answer | None]] = []
        self._enough_s = time.monotonic() + MAX_GATHER_S

    def __bool__(self) -> bool:
        return bool(self.deliveries or self.batch)

    def is_enough(self) -> bool:
        return bool(self) and (self.batch.rows >= MAX_ROWS or time.monotonic() >= self._enough_s)


class Recorder:
    """Works through the inbox; the only one who tells the fleet anything."""

    def __init__(
        self,
        fleet: Fleet,
        store: Store,
        inbox: Inbox,
        present: Present,
        *,
        topics: Topics,
        names: Names,
        acknowledge: Callable[[Sequence[Delivery]], None],
        publish: Callable[[Mapping[str, Station], Sequence[Consequences]], None],
        outbox: Outbox,
        send: Callable[[], None],
        metrics: Metrics,
        backlog: Backlog,
        mark: Callable[[], None],
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._inbox = inbox
        self._topics = topics
        self._names = names
        self.number = 0
        """Of the last event that was told to the fleet."""
        self._backlog = backlog
        self._mark = mark
        self._requests: deque[_Waiting] = deque()
        self._outbox = outbox
        self._send = send
        self._snapshot_days: dict[str, int] = {}
        self._acknowledge = acknowledge
        self._publish = publish
        self._metrics = metrics
        self.present = present
        self.failing_since_ms: int | None = None
        self.failure = ""

    def begin(self, number: int, at_ms: int) -> None:
        """Go on after the event of that number, from that moment."""
        self.number = number
        self.present.begin(at_ms)

    def ask(self, wish: Wish, asked_ms: int | None = None) -> asyncio.Future[Answer | None]:
        """Tell the fleet of a request; what it answers is known once it is recorded.

        It is told once everything has been told that was received before `asked_ms`: now, if not given.
        """
        answer = asyncio.get_running_loop().create_future()
        self._requests.append(_Waiting(wish, self.present.now_ms() if asked_ms is None else asked_ms, answer))
        self._inbox.nudge()
        return answer

    async def run(self) -> None:
        """Work for ever: while one batch is being stored, the next one gathers."""
        async with asyncio.TaskGroup() as group:
            storing = group.create_task(asyncio.sleep(0))
            while True:
                work = await self._gather(storing)
                await storing
                storing = group.create_task(self._store_and_show(work), name="store")
                storing.add_done_callback(lambda _: self._inbox.nudge())
                if work.batch.refolds:
                    await storing  # a ledger is computed anew from what is stored: nothing may run ahead of that

    async def _gather(self, storing: asyncio.Task[None]) -> _Work:
        """Take up messages and the passing of time until nothing waits and the store is free, or it is enough."""
        work = _Work()
        while not (work.is_enough() or (work and storing.done() and not self._inbox and not self._requests)):
            deliveries = await self._inbox.take(0.0 if self._is_asked() else self._wait_s())
            if not self._tell(deliveries, work):
                break
            await asyncio.sleep(0)  # boards and health checks get their turn
        self._close(work.batch)
        return work

    def _tell(self, deliveries: Sequence[Delivery], work: _Work) -> bool:
        """Tell what was received, then what was asked, then let time pass; False: a ledger must be computed first."""
        for index, delivery in enumerate(deliveries):
            if not self._take_up(delivery, work):
                self._inbox.put_back(deliveries[index:])
                return False
            work.deliveries.append(delivery)
        while self._is_asked():
            if self._needs_ledger(Tick(self.present.earliest_ms(self._requests[0].asked_ms)), work):
                return False
            self._answer(self._requests.popleft(), work)
        until_ms = self.present.passed_ms(self._fleet.within_reach_ms)
        if until_ms is None:
            return True
        if self._needs_ledger(Tick(until_ms), work):
            return False
        self.present.let_pass(until_ms)
        work.batch.add(self._fleet.handle(Tick(until_ms)))
        return True

    def _needs_ledger(self, event: Event, work: _Work) -> bool:
        """Late messages of this batch belong into a ledger by which something is to be judged now."""
        behind = work.batch.refolds
        return bool(behind) and self._fleet.needs_ledgers(event, behind)

    def _close(self, batch: Batch) -> None:
        """What the batch leaves behind, before the fleet goes on."""
        batch.number, batch.at_ms, batch.site = self.number, self.present.at_ms, self._fleet.site.state
        batch.stations = {controller: self._fleet.station(controller) for controller in batch.changed}
        for controller in batch.changed:
            day = (batch.at_ms + zlib.crc32(controller.encode()) % SNAPSHOT_EVERY_MS) // SNAPSHOT_EVERY_MS
            if self._snapshot_days.get(controller) != day:
                self._snapshot_days[controller] = day
                batch.snapshots.append(controller)

    def _is_asked(self) -> bool:
        """Is there a request whose turn has come? What was received before it comes first."""
        return bool(self._requests) and self._requests[0].asked_ms <= max(self.present.at_ms, self.present.until_ms())

    def _next_number(self) -> int:
        self.number += 1
        return self.number

    def _answer(self, waiting: _Waiting, work: _Work) -> None:
        if waiting.answer.cancelled():  # nobody waits for it any more: it has failed closed
            return
        at_ms = self.present.earliest_ms(waiting.asked_ms)
        self.present.come_to(at_ms)
        request = waiting.wish(self._next_number(), at_ms)
        outcome = self._fleet.handle(request)
        work.batch.requests.append(request)
        work.batch.add(outcome)
        answers = (each for follows in outcome.consequences for each in follows.answers)
        own = next((each for each in answers if each.number == request.number), None)
        work.answers.append((waiting.answer, own))

    def _wait_s(self) -> float:
        return min(MAX_IDLE_S, self.present.wait_s(self._fleet.next_due_ms()))

    async def _store_and_show(self, work: _Work) -> None:
        if work.batch:
            await self._commit(work.batch)
        self._acknowledge(work.deliveries)
        self._metrics.count(work.verdicts)
        self._withdraw(work)
        self._send_commands(work.batch)
        self._publish(work.batch.stations, work.batch.follows)
        for waiting, answer in work.answers:
            if not waiting.done():  # whoever asked may have gone
                waiting.set_result(answer)

    def _withdraw(self, work: _Work) -> None:
        """Who was told that nothing could be recorded in time gets no session either: what was recorded is ended.

        Nor is the relay told to go on: whatever else of the batch is meant for it, is.
        """
        refused = {answer.number for waiting, answer in work.answers if waiting.cancelled() and answer is not None}
        for request in work.batch.requests:
            if isinstance(request, Unlock) and request.number in refused:
                self.ask(partial(_withdrawal, request))
                ordered = self._fleet.directory.instruments[request.instrument].controller, request.at_ms
                for follows in work.batch.follows:
                    follows.commands = [each for each in follows.commands if _switched_on(each) != ordered]

    def _send_commands(self, batch: Batch) -> None:
        """Commands go out once what pays for them is recorded."""
        for follows in batch.follows:
            self._outbox.put(follows.commands)
        for each in batch.acks:
            self._outbox.confirm(each.controller, each.ack.cmd)
        self._send()

    def _take_up(self, delivery: Delivery, work: _Work) -> bool:
        """Tell what a delivery says; False, and nothing is told, where that must wait for a ledger."""
        source = self._topics.source(delivery.topic)
        self._backlog.move()
        if delivery.topic == self._topics.mark():
            self._backlog.hear(delivery.payload)
        elif source is None:
            self._quarantine(work, delivery, Malformed(Reason.UNKNOWN_TOPIC, "no such topic", delivery.payload))
        elif source[0] not in self._fleet:
            detail = f"{source[0]} is not registered"
            self._quarantine(work, delivery, Malformed(Reason.UNKNOWN_CONTROLLER, detail, delivery.payload))
        else:
            return self._hear(*source, delivery, work)
        return True

    def _hear(self, controller: str, kind: Upward, delivery: Delivery, work: _Work) -> bool:
        messages, malformed = decode(kind, delivery.payload)
        at_ms = self.present.received_ms(messages, delivery.received_ms, self._fleet.twin(controller).skew_ms)
        if messages and self._needs_ledger(Arrival(controller, at_ms, messages[0], self.number), work):
            return False
        for each in malformed:
            self._quarantine(work, delivery, each)
        self.present.come_to(at_ms)
        for message in messages:
            arrival = Arrival(controller, at_ms, message, self._next_number())
            self._file(arrival, self._fleet.handle(arrival), delivery, work)
        return True

    def _file(self, arrival: Arrival, outcome: Outcome, delivery: Delivery, work: _Work) -> None:
        work.verdicts[outcome.verdict] += 1
        if outcome.verdict is Verdict.UNBELIEVABLE:
            detail = f"time {outcome.at_ms} is too far from the time of receipt"
            message = msgspec.json.encode(arrival.message)  # alone: its neighbours in an array may be well
            self._quarantine(work, delivery, Malformed(Reason.UNBELIEVABLE_TIME, detail, message))
        elif outcome.verdict is not Verdict.DUPLICATE:
            work.batch.record(arrival, outcome.at_ms, self._names.controller(arrival.controller).controller_id)
        work.batch.add(outcome)

    def _quarantine(self, work: _Work, delivery: Delivery, malformed: Malformed) -> None:
        self._metrics.quarantined.labels(malformed.reason.value).inc()
        log.warning("message.quarantined", topic=delivery.topic, reason=malformed.reason.value, detail=malformed.detail)
        work.batch.quarantine.append(
            (
                to_time(delivery.received_ms),
                delivery.topic.replace("\x00", ""),
                malformed.reason.value,
                malformed.detail.replace("\x00", ""),
                malformed.payload,
            )
        )

    async def _commit(self, batch: Batch) -> None:
        backoff = Backoff()
        while True:
            started = time.perf_counter()
            try:
                lines = await self._store.commit(batch, self._names, partial(self._refold, batch))
            except (*UNAVAILABLE, AnotherWriterError) as error:
                self._note_failure(error, len(batch.readings))
                await backoff.wait()
            else:
                self._note_success(time.perf_counter() - started)
                self._metrics.refolds.inc(len(batch.refolds))
                for line in lines:
                    self._correct(line)
                return

    def _correct(self, record: ChargeRecord) -> None:
        """Lines that only the ledger led to are told to the fleet, as an event of their own."""
        project, line = record.project, record.line
        if project is not None:
            self.ask(
                lambda number, at_ms: Corrected(
                    number=number,
                    at_ms=at_ms,
                    project=project,
                    net_cny=line.net_cny,
                    allowance_min=line.allowance_min,
                    subsidy_cny=line.subsidy_cny,
                )
            )

    def _refold(self, batch: Batch, controller: str, past: Past) -> tuple[Outcome, Sequence[Billed]]:
        outcome, billed = self._fleet.refold(
            controller, past.base, past.told, self.present.at_ms, visits=past.visits, bills=past.bills
        )
        batch.stations[controller] = self._fleet.station(controller)
        return outcome, billed

    def _note_failure(self, error: Exception, readings: int) -> None:
        self._metrics.commit_failures.inc()
        self._metrics.database_up.set(0)
        self.failure = f"{type(error).__name__}: {error}"
        if self.failing_since_ms is None:
            self.failing_since_ms = self.present.now_ms()
        log.error("store.failed", error=self.failure, readings=readings, waiting=len(self._inbox))

    def _note_success(self, seconds: float) -> None:
        self._metrics.commits.observe(seconds)
        self._metrics.database_up.set(1)
        if self.failing_since_ms is not None:
            log.info("store.recovered", after_s=(self.present.now_ms() - self.failing_since_ms) / 1000)
            self.failing_since_ms, self.failure = None, ""
            self._mark()  # the broker may have held messages back


def _withdrawal(unlock: Unlock, number: int, at_ms: int) -> Lock:
    return Lock(
        number=number,
        at_ms=at_ms,
        instrument=unlock.instrument,
        user=unlock.user,
        reason=CloseReason.USER,
        withdraws=unlock.number,
    )


def _switched_on(command: Command) -> tuple[str, int] | None:
    """Which relay a command switches on, and when that was decided."""
    return (command.controller, command.at_ms) if command.relay else None
