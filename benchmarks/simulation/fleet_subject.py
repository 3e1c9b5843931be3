"""The fleet as the subject of a simulation, with a store in memory that keeps what the service would keep in tables."""

from bisect import bisect_right, insort
from operator import itemgetter

from benchmarks.simulation.site import Site
from benchmarks.simulation.trace import Command, Heard, Told
from twin.decisions import Mark, Rewrite, Verdict
from twin.events import Arrival, Tick
from twin.fleet import Fleet
from twin.instrument import order_key
from twin.requests import Corrected, Learnt
from twin.rules.billing import Line
from twin.rules.outcome import AlertRecord, Bill, Consequences, Do, Outcome, Refold, SessionRecord, SessionStatus
from twin.state import FOREVER_MS, NEW_BOOK, OrderKey, Span, Visit
from twin.store.rows import VERSION, packed, unpacked_station

_key = itemgetter(0)


class FleetSubject:
    """`Fleet` behind the calls of `Subject`; what it has decided is in the attributes."""

    def __init__(self, site: Site) -> None:
        self.sessions: dict[str, SessionRecord] = {}
        self.lines: dict[str, Line] = {}
        """By session, what it costs with all corrections."""
        self.alerts: dict[str, AlertRecord] = {}
        self.spans: dict[str, list[Span]] = {one.fact.controller: [] for one in site.equipment}
        self.refolds = 0
        self._site = site
        self._codes = {one.fact.controller: one.fact.code for one in site.equipment}
        self._told: dict[str, list[tuple[OrderKey, int, Arrival]]] = {controller: [] for controller in self.spans}
        """By controller, in the order of their times."""
        self._marks: dict[str, list[Mark]] = {controller: [] for controller in self.spans}
        self._number = 0
        self._corrections: list[Corrected] = []
        self._fleet = Fleet()
        for fact in site.facts:
            self._fleet.handle(Learnt(number=0, at_ms=0, fact=fact))

    def tell(self, told: Told) -> list[Command]:
        """Something has been heard or asked."""
        if not isinstance(told, Heard):
            return self._take(self._fleet.handle(told), told.at_ms)
        arrival = Arrival(told.controller, told.at_s * 1000, told.message, told.number)
        outcome = self._fleet.handle(arrival)
        if outcome.verdict in {Verdict.LIVE, Verdict.LATE}:
            entry = order_key(outcome.at_ms, arrival), outcome.at_ms, arrival
            insort(self._told[told.controller], entry, key=_key)
        return self._take(outcome, told.at_s * 1000)

    def pass_time(self, to_s: int) -> list[Command]:
        """Let timers ring that are due up to this moment, each at its time, until one commands something."""
        commands: list[Command] = []
        while not commands and self._fleet.next_due_ms() < to_s * 1000:
            due_ms = self._fleet.next_due_ms()
            commands = self._take(self._fleet.handle(Tick(due_ms)), due_ms)
        return commands

    def restart(self) -> None:
        """Crash, and go on from what was written down."""
        before, self._fleet = self._fleet, Fleet()
        self._fleet.directory, self._fleet.accounts, self._fleet.site = before.directory, before.accounts, before.site
        for one in self._site.equipment:
            station = unpacked_station(VERSION, packed(before.station(one.fact.controller)))
            self._fleet.seat(one.fact, station)

    def _take(self, outcome: Outcome, now_ms: int) -> list[Command]:
        for rewrite in outcome.rewrites:
            self._rewrite(rewrite)
        for mark in outcome.marks:
            self._marks[mark.controller].append(mark)
        commands = [each for follows in outcome.consequences for each in self._follow(follows)]
        for refold in outcome.refolds:
            self._refold(refold, now_ms)
        return commands

    def _rewrite(self, rewrite: Rewrite) -> None:
        spans = self.spans[rewrite.controller]
        while spans and spans[-1].start_ms >= rewrite.spans[0].start_ms:
            spans.pop()
        spans.extend(rewrite.spans)

    def _follow(self, follows: Consequences) -> list[Command]:
        self.sessions |= {record.id: record for record in follows.sessions}
        self.alerts |= {record.id: record for record in follows.alerts}
        self.lines |= {record.session: record.line for record in follows.charges if record.session is not None}
        return [
            Command(each.at_ms // 1000, each.controller, each.id, each.relay)
            for each in follows.commands
            if each.do is Do.RELAY and each.relay is not None
        ]

    def _refold(self, refold: Refold, now_ms: int) -> None:
        self.refolds += 1
        controller, base = refold.controller, refold.base
        if base is None:
            marks = [mark for mark in self._marks[controller] if mark.at_ms < refold.at_ms]
            base = marks[-1].book if marks else NEW_BOOK
        kept = self._told[controller]
        told = [(at_ms, each) for _, at_ms, each in kept[bisect_right(kept, base.physics.newest, key=_key) :]]
        visits, bills = self._visits(controller), self._bills(controller, refold.at_ms)
        since_ms = base.physics.newest[0]
        self._marks[controller] = [mark for mark in self._marks[controller] if mark.at_ms <= since_ms]
        outcome, billed = self._fleet.refold(controller, base, told, now_ms, visits=visits, bills=bills)
        self._take(outcome, now_ms)
        for each in billed:
            self.lines[each.bill.session] = each.charge.line

    def _uses(self, controller: str) -> list[SessionRecord]:
        code = self._codes[controller]
        held = [each for each in self.sessions.values() if each.instrument == code and each.opened_ms is not None]
        return sorted(held, key=lambda each: each.opened_ms or 0)

    def _visits(self, controller: str) -> tuple[Visit, ...]:
        return tuple(
            Visit(
                each.opened_ms or 0,
                FOREVER_MS if each.ended_ms is None else each.ended_ms,
                FOREVER_MS if each.overrun_ms is None else each.overrun_ms,
                each.maintenance,
                each.id,
            )
            for each in self._uses(controller)
        )

    def _bills(self, controller: str, since_ms: int) -> tuple[Bill, ...]:
        return tuple(
            Bill(
                session=each.id,
                user=each.user,
                project=each.project,
                start_ms=each.opened_ms or 0,
                end_ms=each.ended_ms or 0,
                terms=each.terms,
            )
            for each in self._uses(controller)
            if each.status is SessionStatus.CLOSED
            and (each.ended_ms or 0) > since_ms
            and each.terms
            and each.terms.tariff
        )
