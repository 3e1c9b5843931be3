"""A service in miniature for a whole site: stations in a fleet, with a store of everything that follows in memory."""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from twin.decisions import Mark, Rewrite, Verdict
from twin.directory import Fact, InstrumentFact
from twin.events import Arrival, Event, Tick
from twin.fleet import Fleet
from twin.instrument import order_key
from twin.requests import Corrected, Learnt, Request
from twin.rules.billing import correction
from twin.rules.ledger import comes_after
from twin.rules.outcome import (
    AlertRecord,
    Bill,
    Billed,
    ChargeRecord,
    Command,
    Consequences,
    CreditRecord,
    NoticeRecord,
    Outcome,
    Refold,
    SessionRecord,
    SessionStatus,
)
from twin.state import FOREVER_MS, NEW_BOOK, Book, Category, OrderKey, Span, Visit
from twin.store.rows import VERSION, packed, unpacked_station

_DAY_MS = 24 * 3_600_000
_key = itemgetter(0)


@dataclass
class _Shelf:
    """What is stored of one instrument."""

    instrument: str
    told: list[tuple[OrderKey, int, Arrival]] = field(default_factory=list)
    """In the order of their times."""
    marks: list[Mark] = field(default_factory=list)
    ledger: list[Span] = field(default_factory=lambda: list(NEW_BOOK.spans))
    refold: Refold | None = None


class Lab:
    """Tells a fleet of events, and stores what follows as the tables would."""

    def __init__(self, facts: Iterable[Fact], at_ms: int) -> None:
        self.fleet = Fleet()
        self.number = 0
        self.sessions: dict[str, SessionRecord] = {}
        self.charges: list[ChargeRecord] = []
        self.credit: list[CreditRecord] = []
        self.alerts: dict[str, AlertRecord] = {}
        self.notices: list[NoticeRecord] = []
        self.commands: list[Command] = []
        self.follows: list[Consequences] = []
        """Everything in the order in which it followed."""
        self.refolded = 0
        """How often a ledger has been computed anew."""
        self._shelves: dict[str, _Shelf] = {}
        for fact in facts:
            self.learn(fact, at_ms)

    def learn(self, fact: Fact, at_ms: int) -> None:
        """Tell of a fact."""
        if isinstance(fact, InstrumentFact):
            self._shelves.setdefault(fact.controller, _Shelf(fact.code))
        self.handle(Learnt(number=self.next(), at_ms=at_ms, fact=fact))

    def next(self) -> int:
        """The number of the next event."""
        self.number += 1
        return self.number

    def handle(self, event: Event | Request) -> Outcome:
        """Apply an event; ledgers that it asks to be computed anew wait for `commit`, as they do in a batch."""
        outcome = self.fleet.handle(event)
        if isinstance(event, Arrival) and outcome.verdict in {Verdict.LIVE, Verdict.LATE}:
            item = (order_key(outcome.at_ms, event), outcome.at_ms, event)
            insort(self._shelves[event.controller].told, item, key=_key)
        for refold in outcome.refolds:
            shelf = self._shelves[refold.controller]
            shelf.refold = refold.joined(shelf.refold)
        self._store(outcome)
        return outcome

    def commit(self, now_ms: int) -> None:
        """Let time come to now, and compute anew what late messages and requests ask for."""
        self.handle(Tick(now_ms))
        self.settle(now_ms)

    def settle(self, now_ms: int) -> None:
        """Compute anew what late messages and requests ask for."""
        for controller, shelf in self._shelves.items():
            if shelf.refold is not None:
                self._refold(controller, shelf, shelf.refold, now_ms)

    def restart(self) -> None:
        """Begin again with what is stored: checkpoints, facts, and the sums of all lines."""
        before, self.fleet = self.fleet, Fleet()
        self.fleet.directory, self.fleet.site = before.directory, before.site
        for each in self.charges:
            if each.project is not None:
                line = each.line
                self.fleet.accounts.charge(each.project, line.net_cny, line.allowance_min, line.subsidy_cny)
        for record in self.credit:
            self.fleet.accounts.note(record.user, record.line)
        for fact in before.directory.instruments.values():
            station = before.station(fact.controller)
            self.fleet.seat(fact, unpacked_station(VERSION, packed(station)))
            if self.fleet.station(fact.controller) != station:
                raise AssertionError(f"{fact.controller} is not what its checkpoint was made of")

    def ledger(self, controller: str) -> tuple[Span, ...]:
        """The ledger of an instrument."""
        return tuple(self._shelves[controller].ledger)

    def category(self, controller: str, t_ms: int) -> Category:
        """What the ledger says of a moment."""
        return [span.category for span in self.ledger(controller) if span.start_ms <= t_ms][-1]

    def _refold(self, controller: str, shelf: _Shelf, refold: Refold, now_ms: int) -> None:
        self.refolded += 1
        base = refold.base or _mark_before(shelf, refold.at_ms)
        since_ms = base.physics.newest[0] - self.fleet.policy(controller).clock_tolerance_ms
        kept = shelf.told[bisect_right(shelf.told, (since_ms, "", -1), key=_key) :]
        told = [(at_ms, each) for key, at_ms, each in kept if comes_after(base, key, each)]
        visits = tuple(self._visits(shelf.instrument))
        bills = tuple(self._bills(shelf.instrument, refold.at_ms))
        shelf.refold = None
        shelf.marks = [mark for mark in shelf.marks if mark.at_ms <= base.physics.newest[0]]
        outcome, billed = self.fleet.refold(controller, base, told, now_ms, visits=visits, bills=bills)
        self._store(outcome)
        for each in billed:
            self._settle(each, now_ms)

    def _visits(self, instrument: str) -> Iterator[Visit]:
        opened = [each for each in self.sessions.values() if each.instrument == instrument and each.opened_ms]
        for each in sorted(opened, key=lambda each: (each.opened_ms, int(each.id))):
            yield Visit(
                each.opened_ms or 0,
                each.ended_ms or FOREVER_MS,
                each.overrun_ms or FOREVER_MS,
                each.maintenance,
                each.id,
            )

    def _bills(self, instrument: str, since_ms: int) -> Iterator[Bill]:
        """Sessions that are over, and ended after a moment or have not been charged."""
        charged = {each.session for each in self.charges}
        for each in self.sessions.values():
            if each.instrument != instrument or each.status is not SessionStatus.CLOSED:
                continue
            if each.opened_ms is None or each.ended_ms is None:
                raise AssertionError(f"the closed session {each.id} does not say from when until when")
            is_due = each.ended_ms >= since_ms or (each.id not in charged and each.ended_ms >= since_ms - _DAY_MS)
            if is_due and each.terms is not None and each.terms.tariff is not None:
                yield Bill(
                    session=each.id,
                    user=each.user,
                    project=each.project,
                    start_ms=each.opened_ms,
                    end_ms=each.ended_ms,
                    terms=each.terms,
                )

    def _settle(self, billed: Billed, now_ms: int) -> None:
        """Charge what has not been charged, and correct what late data has changed."""
        bill, charge = billed.bill, billed.charge
        lines = [each.line for each in self.charges if each.session == bill.session]
        line = correction(lines, charge, "late data", "system") if lines else charge.line
        record = self.sessions[bill.session]
        self.sessions[bill.session] = msgspec.structs.replace(record, terms=bill.terms)
        if line is None:
            return
        at_ms = now_ms if lines else bill.end_ms
        made = ChargeRecord(at_ms=at_ms, user=bill.user, project=bill.project, line=line, session=bill.session)
        self._store(Outcome(at_ms=now_ms, consequences=(Consequences(charges=[made]),)))
        if bill.project is not None:
            self.handle(
                Corrected(
                    number=self.next(),
                    at_ms=now_ms,
                    project=bill.project,
                    net_cny=line.net_cny,
                    allowance_min=line.allowance_min,
                    subsidy_cny=line.subsidy_cny,
                )
            )

    def _store(self, outcome: Outcome) -> None:
        for mark in outcome.marks:
            self._shelves[mark.controller].marks.append(mark)
        for rewrite in outcome.rewrites:
            self._rewrite(rewrite)
        for follows in outcome.consequences:
            self.follows.append(follows)
            self.sessions |= {each.id: each for each in follows.sessions}
            self.charges += follows.charges
            self.credit += follows.credit
            self.alerts |= {each.id: each for each in follows.alerts}
            self.notices += follows.notices
            self.commands += follows.commands

    def _rewrite(self, rewrite: Rewrite) -> None:
        ledger = self._shelves[rewrite.controller].ledger
        while ledger and ledger[-1].start_ms >= rewrite.spans[0].start_ms:
            ledger.pop()
        ledger.extend(rewrite.spans)


def _mark_before(shelf: _Shelf, at_ms: int) -> Book:
    return next((mark.book for mark in reversed(shelf.marks) if mark.at_ms < at_ms), NEW_BOOK)
