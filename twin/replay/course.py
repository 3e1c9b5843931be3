"""What a replay has led to so far, as the store would have it."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from twin.alerts import AlertState
from twin.decisions import Mark
from twin.directory import Directory
from twin.replay.records import AlertRow, ChargeRow, Records, Segments, SessionRow, Window
from twin.rules.billing import Line, LineCause
from twin.rules.outcome import AlertRecord, Bill, Billed, ChargeRecord, Outcome, Refold, SessionRecord, SessionStatus
from twin.state import FOREVER_MS, Book, Category, Span, Visit
from twin.station import Station

_VISITS_BACK_MS = 8 * 24 * 3_600_000
_UNCHARGED_BACK_MS = 24 * 3_600_000
_MARKS_KEPT = 24
"""Marks of two days: what is told later than that is folded in from where the replay began."""


class Course:
    """Gathers what follows; knows what the store would be asked for when a ledger is computed anew."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.pending: dict[str, Refold] = {}
        """Ledgers to be computed anew."""
        self._sessions: dict[str, SessionRecord] = {}
        self._by_instrument: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._segments: dict[str, Segments] = {}
        self._alerts: dict[str, AlertRecord] = {}
        self._charges: dict[str, ChargeRow] = {}
        self._charged_ms: dict[str, int] = {}
        self._marks: dict[str, list[Mark]] = {}
        self._first: dict[str, Book] = {}

    def begin(self, controller: str, station: Station, sessions: Iterable[SessionRecord]) -> None:
        """A station is there from now on, with the sessions that its ledger may still ask for."""
        book = self._first[controller] = station.twin.book
        self._segments[controller] = Segments(_stretches(book.spans))
        for record in sessions:
            self._note_session(record)

    def owe(self, charges: dict[str, ChargeRow]) -> None:
        """What had been charged before."""
        self._charges = charges | self._charges

    def take(self, outcome: Outcome) -> None:
        """Add what follows from an event."""
        for rewrite in outcome.rewrites:
            self._segments.setdefault(rewrite.controller, Segments()).overlay(_stretches(rewrite.spans))
        for mark in outcome.marks:
            self._marks.setdefault(mark.controller, []).append(mark)
            del self._marks[mark.controller][:-_MARKS_KEPT]
        for follows in outcome.consequences:
            for session in follows.sessions:
                self._note_session(session)
            for charge in follows.charges:
                self._note_charge(charge)
            for alert in follows.alerts:
                self._alerts[alert.id] = alert
        for refold in outcome.refolds:
            self.pending[refold.controller] = refold.joined(self.pending.get(refold.controller))

    def _note_session(self, record: SessionRecord) -> None:
        self._sessions[record.id] = record
        self._by_instrument[record.instrument][record.id] = None

    def _note_charge(self, record: ChargeRecord) -> None:
        minutes = 0 if record.charge is None else record.charge.minutes
        if record.session is not None:
            subject, instrument = f"session {record.session}", self._sessions[record.session].instrument
        else:
            booking = self._directory.booking(record.booking or "")
            subject, instrument = f"booking {record.booking}", booking.instrument if booking else ""
        self._set_charge(subject, _charge_row(instrument, record.line, minutes), record.at_ms)

    def _set_charge(self, subject: str, row: ChargeRow, at_ms: int) -> None:
        if self._charges.get(subject) != row:
            self._charges[subject] = row
            self._charged_ms[subject] = at_ms

    def base(self, controller: str, at_ms: int) -> Book | None:
        """The last book before a moment, if the replay has one."""
        books = [mark.book for mark in self._marks.get(controller, ())]
        first = self._first.get(controller)
        candidates = [*([] if first is None else [first]), *books]
        return next((book for book in reversed(candidates) if book.physics.newest[0] < at_ms), None)

    def visits(self, instrument: str, since_ms: int) -> tuple[Visit, ...]:
        """The sessions of an instrument that may still matter to its ledger from a moment on."""
        horizon_ms = since_ms - _VISITS_BACK_MS
        own = (self._sessions[each] for each in self._by_instrument[instrument])
        found = [
            (each.opened_ms, int(each.id), _visit(each, each.opened_ms))
            for each in own
            if each.opened_ms is not None and (each.ended_ms is None or each.ended_ms >= horizon_ms)
        ]
        return tuple(visit for *_, visit in sorted(found, key=lambda each: each[:2]))

    def bills(self, instrument: str, since_ms: int) -> tuple[Bill, ...]:
        """The sessions of an instrument that are over, and ended after a moment or have not been charged."""
        own = (self._sessions[each] for each in sorted(self._by_instrument[instrument], key=int))
        return tuple(
            bill
            for each in own
            if each.status is SessionStatus.CLOSED and self._is_due(each, since_ms) and (bill := _bill(each))
        )

    def _is_due(self, record: SessionRecord, since_ms: int) -> bool:
        ended_ms = record.ended_ms or 0
        is_charged = f"session {record.id}" in self._charges
        return ended_ms >= since_ms or (not is_charged and ended_ms >= since_ms - _UNCHARGED_BACK_MS)

    def settle(self, controller: str, since_ms: int, outcome: Outcome) -> None:
        """Take a ledger that has been computed anew from a moment on."""
        self._marks[controller] = [each for each in self._marks.get(controller, ()) if each.at_ms <= since_ms]
        self.take(outcome)

    def charge(self, billed: Billed, now_ms: int) -> Line:
        """Take a bill that such a ledger has led to; gives by how much it changes what had been charged."""
        record, line = self._sessions[billed.bill.session], billed.charge.line
        self._sessions[record.id] = msgspec.structs.replace(record, terms=billed.bill.terms)
        subject = f"session {record.id}"
        before = self._charges.get(subject)
        at_ms = billed.bill.end_ms if before is None else now_ms
        self._set_charge(subject, _charge_row(record.instrument, line, billed.charge.minutes), at_ms)
        return line if before is None else _change(before, line)

    def records(self, window: Window, codes: dict[str, str]) -> Records:
        """What there is to compare within a window; `codes`: instruments by controller."""
        sessions = {each.id: _session_row(each) for each in self._sessions.values()}
        alerts = {each.id: _alert_row(each) for each in self._alerts.values()}
        return Records(
            sessions={
                key: row.as_of(window.until_ms)
                for key, row in sessions.items()
                if window.holds(row.requested_ms) or window.holds(row.ended_ms)
            },
            segments={codes[controller]: each for controller, each in self._segments.items()},
            alerts={
                key: row for key, row in alerts.items() if window.holds(row.fired_ms) or window.holds(row.resolved_ms)
            },
            charges={key: row for key, row in self._charges.items() if window.holds(self._charged_ms.get(key))},
        )


def _stretches(spans: tuple[Span, ...]) -> list[tuple[int, Category]]:
    return [(span.start_ms, span.category) for span in spans]


def _visit(record: SessionRecord, opened_ms: int) -> Visit:
    ended_ms = FOREVER_MS if record.ended_ms is None else record.ended_ms
    overrun_ms = FOREVER_MS if record.overrun_ms is None else record.overrun_ms
    return Visit(opened_ms, ended_ms, overrun_ms, record.maintenance, record.id)


def _bill(record: SessionRecord) -> Bill | None:
    terms, opened_ms, ended_ms = record.terms, record.opened_ms, record.ended_ms
    if terms is None or terms.tariff is None or opened_ms is None or ended_ms is None:
        return None
    return Bill(
        session=record.id,
        user=record.user,
        project=record.project,
        start_ms=opened_ms,
        end_ms=ended_ms,
        terms=terms,
    )


def _charge_row(instrument: str, line: Line, minutes: int) -> ChargeRow:
    return ChargeRow(
        instrument=instrument,
        gross_cny=line.gross_cny,
        allowance_cny=line.allowance_cny,
        subsidy_cny=line.subsidy_cny,
        allowance_min=line.allowance_min,
        minutes=minutes,
    )


def _change(before: ChargeRow, line: Line) -> Line:
    return Line(
        cause=LineCause.CORRECTION,
        gross_cny=line.gross_cny - before.gross_cny,
        allowance_cny=line.allowance_cny - before.allowance_cny,
        subsidy_cny=line.subsidy_cny - before.subsidy_cny,
        allowance_min=line.allowance_min - before.allowance_min,
    )


def _session_row(record: SessionRecord) -> SessionRow:
    return SessionRow(
        instrument=record.instrument,
        user=record.user,
        project=record.project,
        booking=record.booking,
        state=record.status.value,
        requested_ms=record.requested_ms,
        opened_ms=record.opened_ms,
        ended_ms=record.ended_ms,
        reason=None if record.reason is None else record.reason.value,
    )


def _alert_row(record: AlertRecord) -> AlertRow:
    alert = record.alert
    resolved_ms = alert.since_ms if alert.state is AlertState.RESOLVED else None
    return AlertRow(
        instrument=record.instrument, kind=alert.kind.value, fired_ms=record.fired_ms, resolved_ms=resolved_ms
    )
