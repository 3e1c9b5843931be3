"""What follows from an event, as records for the store and answers for whoever asked."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import chain

import msgspec

from twin.alerts import Alert, Notice
from twin.decisions import Mark, Rewrite, Verdict
from twin.permission import AccessDecision
from twin.rules.billing import Charge, Line
from twin.rules.credit import CreditLine
from twin.sessions import CloseReason, VoidReason
from twin.state import Book, OrderKey, Span
from twin.station import Terms


class _Record(msgspec.Struct, frozen=True, gc=False):
    """Immutable and compact."""


class SessionStatus(StrEnum):
    """How far a session has come."""

    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"
    VOID = "void"


class SessionRecord(_Record, frozen=True, kw_only=True):
    """A session as it stands; a newer record of the same id takes its place."""

    id: str
    instrument: str
    user: str
    project: str | None
    booking: str | None
    status: SessionStatus
    requested_ms: int
    opened_ms: int | None = None
    ended_ms: int | None = None
    overrun_ms: int | None = None
    reason: CloseReason | VoidReason | None = None
    override_reason: str | None = None
    maintenance: bool = False
    terms: Terms | None = None


class ChargeRecord(_Record, frozen=True, kw_only=True):
    """A line in the account of a project: of a session, or of a booking that nobody came to."""

    at_ms: int
    user: str
    project: str | None
    line: Line
    session: str | None = None
    booking: str | None = None
    charge: Charge | None = None
    """The minutes behind it."""


class CreditRecord(_Record, frozen=True):
    """A line in the credit of a person."""

    user: str
    line: CreditLine


class AlertRecord(_Record, frozen=True):
    """An alert that has fired, as it stands."""

    instrument: str | None
    fired_ms: int
    alert: Alert

    @property
    def id(self) -> str:
        """What it is called outside."""
        return alert_id(self.instrument, self.alert, self.fired_ms)


def alert_id(instrument: str | None, alert: Alert, fired_ms: int) -> str:
    """The name of an alert: an instrument has at most one of a kind at a time."""
    return f"{instrument or 'site'}.{alert.kind.value}.{fired_ms}"


class NoticeRecord(_Record, frozen=True):
    """What people are told of an alert, or why they are not."""

    alert: str
    notice: Notice


class Do(StrEnum):
    """What a controller can be told to do."""

    RELAY = "relay"
    SAY = "say"


class Command(_Record, frozen=True, kw_only=True):
    """A command to a controller, which ignores it from `expires_ms` on."""

    controller: str
    id: str
    at_ms: int
    expires_ms: int
    do: Do
    reason: str
    relay: bool | None = None
    text: str | None = None


class BookingState(StrEnum):
    """What has become of a booking."""

    USED = "used"
    NO_SHOW = "no_show"
    RELEASED = "released"
    """Its people did not use it any more: the rest can be booked again."""


class BookingRecord(_Record, frozen=True):
    """A booking whose state has changed."""

    id: str
    state: BookingState


class Answer(_Record, frozen=True):
    """What somebody who asked is told, once it is recorded."""

    number: int
    decision: AccessDecision | None = None
    """Of an unlock."""
    session: str | None = None
    """Which was opened, is open, or has been ended."""


class Consequences(msgspec.Struct):
    """Everything that follows from one event at one instrument, in the order in which it followed."""

    sessions: list[SessionRecord] = []
    charges: list[ChargeRecord] = []
    credit: list[CreditRecord] = []
    alerts: list[AlertRecord] = []
    notices: list[NoticeRecord] = []
    commands: list[Command] = []
    bookings: list[BookingRecord] = []
    answers: list[Answer] = []
    marks: list[Mark] = []
    spans: tuple[Span, ...] | None = None
    refold_ms: int | None = None
    """From when on the ledger must be computed anew."""


def _newest(book: Book) -> OrderKey:
    return book.physics.newest


class Refold(_Record, frozen=True):
    """A ledger that must be computed anew from a moment on, with the stored messages."""

    controller: str
    at_ms: int
    base: Book | None
    """From where, if the fleet remembers so far back; else from the last mark before that moment."""

    def joined(self, other: "Refold | None") -> "Refold":
        """Both in one go: from the earlier moment on, by the earlier book, or by a mark where either has no book."""
        if other is None:
            return self
        books = [each.base for each in (self, other) if each.base is not None]
        base = None if len(books) == 1 else min(books, key=_newest, default=None)
        return Refold(self.controller, min(self.at_ms, other.at_ms), base)


class Outcome(msgspec.Struct):
    """All consequences of one event."""

    verdict: Verdict = Verdict.LIVE
    at_ms: int = 0
    """The event's time: the controller's where that can be believed, else the time of receipt."""
    changed: tuple[str, ...] = ()
    """Controllers whose station has changed: to be checkpointed and shown."""
    rewrites: tuple[Rewrite, ...] = ()
    marks: tuple[Mark, ...] = ()
    refolds: tuple[Refold, ...] = ()
    consequences: tuple[Consequences, ...] = ()


class Bill(_Record, frozen=True, kw_only=True):
    """A session that is over, to be charged by the ledger as it stands."""

    session: str
    user: str
    project: str | None
    start_ms: int
    end_ms: int
    terms: Terms


class Billed(_Record, frozen=True):
    """What a bill comes to; the terms in it are those by which it was computed."""

    bill: Bill
    charge: Charge


def together(outcomes: Sequence[Outcome], at_ms: int, verdict: Verdict = Verdict.LIVE) -> Outcome:
    """All that follows from several things, in order."""
    if not outcomes:
        return Outcome(verdict, at_ms)
    if len(outcomes) == 1 and outcomes[0].at_ms == at_ms and outcomes[0].verdict is verdict:
        return outcomes[0]
    return Outcome(
        verdict,
        at_ms,
        tuple(dict.fromkeys(chain.from_iterable(each.changed for each in outcomes))),
        tuple(chain.from_iterable(each.rewrites for each in outcomes)),
        tuple(chain.from_iterable(each.marks for each in outcomes)),
        tuple(chain.from_iterable(each.refolds for each in outcomes)),
        tuple(chain.from_iterable(each.consequences for each in outcomes)),
    )
