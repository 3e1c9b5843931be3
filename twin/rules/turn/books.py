"""The books of a turn: messages, sessions and outages into the ledger, sessions on record."""

from msgspec.structs import replace as _replace

from twin.decisions import Mark
from twin.instrument import order_key
from twin.rules import ledger
from twin.rules.outcome import (
    SessionRecord,
    SessionStatus,
)
from twin.rules.session_timers import slot_end
from twin.rules.turn.state import Heard, Turn, outages_of
from twin.sessions import (
    CloseReason,
    Open,
    Use,
    VoidReason,
)
from twin.state import FOREVER_MS, Outage, Span, Visit
from twin.station import Terms


def enter(turn: Turn, heard: Heard) -> None:
    """The message into the books: at the end, or, where it comes late, in its place by computing them anew."""
    before, after = turn.station.twin, heard.twin
    if order_key(heard.at_ms, heard.arrival) < before.book.physics.newest:
        turn.put(twin=_replace(after, book=before.book))
        _refold(turn, ledger.reached_ms(heard.arrival.message, heard.at_ms, turn.policy))
        return
    shared = before.book.physics is before.physics and after.physics is not before.physics
    physics = after.physics if shared else None
    book, spans = ledger.advance(before.book, heard.arrival, heard.at_ms, turn.policy, physics=physics)
    if ledger.crosses_mark(before.book, book):
        turn.follows.marks.append(Mark(heard.arrival.controller, heard.at_ms, book))
    turn.put(twin=_replace(after, book=book))
    _write(turn, spans)
    if (since_ms := ledger.disturbed_ms(before.book.visits, spans)) is not None:
        _refold(turn, since_ms)  # it was held up on its way, and the session has been charged without it


def keep(turn: Turn, at_ms: int) -> None:
    """What the ledger comes to by the passing of time alone."""
    if turn.book.due_ms <= at_ms:
        book, spans = ledger.settle(turn.book, at_ms, turn.policy)
        turn.put(twin=_replace(turn.station.twin, book=book))
        _write(turn, spans)


def look_again(turn: Turn, at_ms: int) -> None:
    """What the scene shows may have changed: slots that end at another time, other outages."""
    before = turn.book.visits
    visits, outages = tuple(_visit_now(turn, each) for each in before), _outages(turn)
    known = tuple(each for each in turn.book.outages if each.until_ms >= _horizon_ms(turn))
    if (visits, outages) != (before, known):
        moved = [*_moved(before, visits), *_moved_outages(known, outages)]
        amend(turn, visits, min(moved, default=at_ms), at_ms, outages)
    state = turn.station.control.state
    if visits != before and isinstance(state, Open):
        record(turn, state.use, SessionStatus.OPEN, opened_ms=state.opened_ms)


def _visit_now(turn: Turn, visit: Visit) -> Visit:
    state = turn.station.control.state
    if isinstance(state, Open) and visit.session == state.use.id:
        return _replace(visit, overrun_ms=overrun_ms(turn, state.use))
    return visit


def _horizon_ms(turn: Turn) -> int:
    """How far back the book reaches."""
    return turn.book.physics.newest[0] - turn.policy.clock_tolerance_ms


def _outages(turn: Turn) -> tuple[Outage, ...]:
    return outages_of(turn.scene.fact, _horizon_ms(turn))


def overrun_ms(turn: Turn, use: Use) -> int:
    """From when on a session is overrun: past the end of its booking and grace."""
    end_ms = slot_end(use, turn.bookings)
    return FOREVER_MS if end_ms is None else end_ms + turn.policy.grace_ms


def record(
    turn: Turn,
    use: Use,
    status: SessionStatus,
    *,
    opened_ms: int | None = None,
    ended_ms: int | None = None,
    reason: CloseReason | VoidReason | None = None,
    terms: Terms | None = None,
) -> None:
    """The session as it stands goes on record."""
    until_ms = overrun_ms(turn, use)
    turn.follows.sessions.append(
        SessionRecord(
            id=use.id,
            instrument=turn.code,
            user=use.user.id,
            project=use.project,
            booking=None if use.booking is None else use.booking.id,
            status=status,
            requested_ms=use.requested_ms,
            opened_ms=opened_ms,
            ended_ms=ended_ms,
            overrun_ms=None if until_ms == FOREVER_MS else until_ms,
            reason=reason,
            override_reason=use.override_reason,
            maintenance=use.maintenance,
            terms=terms or turn.station.terms,
        )
    )


def amend(
    turn: Turn, visits: tuple[Visit, ...], since_ms: int, now_ms: int, outages: tuple[Outage, ...] | None = None
) -> None:
    """The books with other sessions or outages, none of which has changed before `since_ms`."""
    book, outages = turn.book, _outages(turn) if outages is None else outages
    if since_ms < book.physics.newest[0]:
        new = _replace(book, visits=visits, outages=outages)
        _refold(turn, since_ms)
    else:
        new, spans = ledger.amended(book, visits, outages, now_ms, turn.policy)
        _write(turn, spans)
    turn.put(twin=_replace(turn.station.twin, book=new))


def insert(turn: Turn, visit: Visit) -> None:
    """A session of the past: the ledger, and so its bill, are computed anew from its start."""
    visits = tuple(sorted((*turn.book.visits, visit), key=_start))
    _refold(turn, visit.start_ms)
    turn.put(twin=_replace(turn.station.twin, book=_replace(turn.book, visits=visits)))


def shorten(turn: Turn, session: str, ended_ms: int) -> None:
    """A session of the past ended before: ledger and bill are computed anew from there."""
    visits = tuple(_replace(each, end_ms=ended_ms) if each.session == session else each for each in turn.book.visits)
    _refold(turn, ended_ms)
    turn.put(twin=_replace(turn.station.twin, book=_replace(turn.book, visits=visits)))


def _start(visit: Visit) -> int:
    return visit.start_ms


def _refold(turn: Turn, since_ms: int) -> None:
    known_ms = turn.follows.refold_ms
    turn.follows.refold_ms = since_ms if known_ms is None else min(known_ms, since_ms)


def _write(turn: Turn, spans: tuple[Span, ...] | None) -> None:
    if spans is not None:
        turn.follows.spans = ledger.overlaid(turn.follows.spans or (), spans)


def _moved(before: tuple[Visit, ...], after: tuple[Visit, ...]) -> list[int]:
    """The moments from which on sessions are booked otherwise than before."""
    pairs = zip(before, after, strict=True)
    return [min(old.overrun_ms, new.overrun_ms) for old, new in pairs if old != new]


def _moved_outages(before: tuple[Outage, ...], after: tuple[Outage, ...]) -> list[int]:
    changed = set(before) ^ set(after)
    return [min(each.from_ms, each.until_ms) for each in changed]
