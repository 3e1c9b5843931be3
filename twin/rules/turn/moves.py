"""The session of a turn on its way: every decision goes on record, in order, before it is carried out."""

from typing import assert_never

from msgspec.structs import replace as _replace

from twin.alerts import AlertKind
from twin.instrument import link_at
from twin.parties import is_theirs
from twin.rules import sessions
from twin.rules.credit import CreditCause
from twin.rules.outcome import (
    BookingRecord,
    BookingState,
    Command,
    Do,
    SessionStatus,
)
from twin.rules.turn import attendance, books, lookout, till
from twin.rules.turn.state import Turn
from twin.rules.words import warning_words
from twin.sessions import (
    CloseReason,
    CommandFailed,
    Cooldown,
    CooldownEnded,
    Ignored,
    Open,
    Opening,
    OverrunBegan,
    RelayCommanded,
    SessionClosed,
    SessionOpened,
    SessionRecorded,
    SessionState,
    SessionVoided,
    Step,
    UnsafeToCut,
    UserWarned,
)
from twin.state import FOREVER_MS, LinkState, Visit
from twin.station import Lapsed

SAY_FOR_MS = 60_000
"""A text that the controller shows later than this is not shown any more."""


def hand_over(turn: Turn, at_ms: int) -> None:
    """A session ends as another person's slot begins, before that person asks."""
    step = sessions.hand_over(turn.station.control, at_ms, turn.bookings, turn.policy)
    if step.decisions:
        lookout.come_to(turn, at_ms)
        decide(turn, step, at_ms)


def decide(turn: Turn, step: Step, now_ms: int) -> None:
    """Take a step: what it has decided goes on record, in order."""
    before = turn.station.control.state
    turn.put(control=step.control)
    turn.unwatched |= bool(step.decisions)
    for decision in step.decisions:
        match decision:
            case SessionRecorded() | SessionOpened() | SessionVoided() | SessionClosed():
                _move(turn, decision, before, step.control.state, now_ms)
            case RelayCommanded():
                _command(turn, decision)
            case UserWarned(at_ms=at_ms, slot_end_ms=slot_end_ms):
                say(turn, warning_words(slot_end_ms, turn.scene.zone), at_ms)
            case UnsafeToCut(at_ms=at_ms):
                turn.put(unsafe_ms=at_ms)
            case CommandFailed(at_ms=at_ms):
                lookout.happen(turn, AlertKind.COMMAND_FAILED, at_ms)
            case OverrunBegan() | CooldownEnded() | Ignored():
                pass
            case _:
                assert_never(decision)


def _move(
    turn: Turn,
    decision: SessionRecorded | SessionOpened | SessionVoided | SessionClosed,
    before: SessionState,
    after: SessionState,
    now_ms: int,
) -> None:
    """A session has come further."""
    match decision:
        case SessionRecorded(use=use):
            turn.put(unsafe_ms=None)
            books.record(turn, use, SessionStatus.OPENING)
        case SessionOpened(at_ms=at_ms):
            _opened(turn, after, at_ms, now_ms)
        case SessionVoided(at_ms=at_ms, reason=reason):
            assert isinstance(before, Opening)  # noqa: S101 - only what has not opened is void
            books.record(turn, before.use, SessionStatus.VOID, ended_ms=at_ms, reason=reason)
        case SessionClosed():
            _closed(turn, decision, before, after, now_ms)


def _command(turn: Turn, decision: RelayCommanded) -> None:
    turn.follows.commands.append(
        Command(
            controller=turn.scene.fact.controller,
            id=decision.id,
            at_ms=decision.at_ms,
            expires_ms=decision.expires_ms,
            do=Do.RELAY,
            relay=decision.on,
            reason="session" if decision.on else "end",
        )
    )


def say(turn: Turn, text: str, at_ms: int) -> None:
    """Let the controller show a text, if it can be reached."""
    if link_at(turn.station.twin.link, at_ms, turn.policy)[0] is not LinkState.ONLINE:
        return
    turn.follows.commands.append(
        Command(
            controller=turn.scene.fact.controller,
            id=f"{at_ms}-say",
            at_ms=at_ms,
            expires_ms=at_ms + SAY_FOR_MS,
            do=Do.SAY,
            text=text,
            reason="notice",
        )
    )


def _opened(turn: Turn, state: SessionState, at_ms: int, now_ms: int) -> None:
    assert isinstance(state, Open)  # noqa: S101 - what has just opened is open
    use = state.use
    till.agree(turn, use, at_ms)
    visit = Visit(at_ms, FOREVER_MS, books.overrun_ms(turn, use), use.maintenance, use.id)
    books.amend(turn, (*turn.book.visits, visit), at_ms, now_ms)
    for booking in turn.bookings:
        if is_theirs(use.user, booking) and booking.start_ms - turn.policy.early_ms <= at_ms < booking.end_ms:
            attendance.attend(turn, booking.id)
            turn.follows.bookings.append(BookingRecord(booking.id, BookingState.USED))
    books.record(turn, use, SessionStatus.OPEN, opened_ms=at_ms)


def _closed(turn: Turn, closed: SessionClosed, before: SessionState, after: SessionState, now_ms: int) -> None:
    at_ms, reason = closed.at_ms, closed.reason
    over = after if isinstance(after, Cooldown) else before
    assert isinstance(over, Cooldown | Open)  # noqa: S101 - what has closed was open
    use, opened_ms = over.use, over.opened_ms
    visits = tuple(_replace(each, end_ms=at_ms) if each.session == use.id else each for each in turn.book.visits)
    books.amend(turn, visits, at_ms, now_ms)
    attendance.attend_all(turn, use, opened_ms, at_ms)
    terms = till.charge_session(turn, use, opened_ms, at_ms)
    books.record(turn, use, SessionStatus.CLOSED, opened_ms=opened_ms, ended_ms=at_ms, reason=reason, terms=terms)
    turn.put(terms=None, funds_due_ms=FOREVER_MS)
    if reason is CloseReason.SLOT_END:
        turn.put(lapsed=Lapsed(use, opened_ms, at_ms, terms))
    if reason is CloseReason.IDLE:
        till.lose_credit(turn, use.user.id, CreditCause.IDLE, at_ms, use.id)
        if use.booking is not None:
            attendance.free(turn, use.booking.id, BookingState.RELEASED)


def end(turn: Turn, reason: CloseReason, at_ms: int, ended_ms: int | None = None) -> None:
    """The session is ended by somebody; `ended_ms` where it was over before, at its begin at the earliest."""
    around = turn.bookings, turn.policy
    decide(turn, sessions.close(turn.station.control, reason, at_ms, *around, ended_ms=ended_ms), at_ms)
