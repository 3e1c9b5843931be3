"""What people did while the controller was cut off: its buffered cards open and close sessions at their own time.

A card that went in waits for the one that came out. Where none comes, the session goes on if its people are still
there; else it ended when use did, as the power shows. No session goes on for longer than the clock would have let it.

What cannot stand beside the books is told, never passed over: a grant that was not to be used, or two who were in at
once. The session is booked all the same, for somebody was there; of two, each moment belongs to one.
"""

from msgspec.structs import replace as _replace

from twin.alerts import AlertKind, Clash, Conflict
from twin.directory import UserFact
from twin.events import Arrival, Card, Event
from twin.grants import Former, Window
from twin.instrument import is_history
from twin.parties import RunningSession, User, is_theirs
from twin.requests import Request, Unlock
from twin.rules import access, grants, sessions
from twin.rules.outcome import SessionStatus
from twin.rules.session_timers import ends_ms, slot_end
from twin.rules.turn import attendance, books, lookout, moves, wishes
from twin.rules.turn.state import Heard, Turn
from twin.sessions import CloseReason, Cooldown, Free, Open, OrderState, RelayCommanded, Step, Use
from twin.state import FOREVER_MS, Visit
from twin.station import CardIn, Lapsed, Station, Terms
from twin.tariffs import Payer


def due_ms(turn: Turn) -> int:
    """When a card that went in has waited long enough for the one that came out, or a relay for either."""
    card_in = turn.station.card_in
    return min(turn.station.held_off_ms, FOREVER_MS if card_in is None else card_in.due_ms)


def needs_ledger(station: Station, controller: str, event: Event | Request, at_ms: int) -> bool:
    """Is a session settled by what the power shows, by the time an event has happened?"""
    card_in = station.card_in
    if card_in is None:
        return False
    if isinstance(event, Arrival) and event.controller == controller and isinstance(event.message, Card):
        return is_history(event.message) or card_in.due_ms <= at_ms
    return card_in.due_ms <= at_ms


def hear(turn: Turn, heard: Heard) -> None:
    """A message of the past: more may come, so whoever went in is waited for a while longer."""
    card_in, message = turn.station.card_in, heard.arrival.message
    if card_in is not None:
        turn.put(card_in=_replace(card_in, due_ms=_patience_ms(turn, heard.arrival.received_ms)))
    if isinstance(message, Card) and message.hist and message.granted:
        _tap(turn, message, heard)


def hold(turn: Turn, at_ms: int) -> None:
    """A controller is back: what it has kept may follow.

    A relay that is to be off is left alone while it may have let in the next one by itself.
    """
    control, card_in = turn.station.control, turn.station.card_in
    order = control.order
    if control.signals.is_online(at_ms):
        return
    if card_in is not None:
        turn.put(card_in=_replace(card_in, due_ms=_patience_ms(turn, at_ms)))
    if order is None or order.on:
        return
    is_as_told = order.state is OrderState.CONFIRMED and not turn.signals().relay_on
    if not is_as_told and _may_be_taken(turn, order.sent_ms, at_ms):
        held_off_ms = _patience_ms(turn, at_ms)
        turn.put(control=_replace(control, order=None), held_off_ms=held_off_ms)


def greet(turn: Turn, user: str | None, at_ms: int) -> None:
    """Somebody asks, and may be in already, by the controller's own decision: then that is their session.

    `user`: who asks; None: whoever is in is concerned.
    """
    card_in = turn.station.card_in
    if card_in is None or not _has_room(turn, card_in, at_ms):
        return
    holder = None if user is None else turn.scene.directory.users.get(user)
    if user is None or (holder is not None and _is_of(card_in.use, holder.user)):
        _resume(turn, card_in, at_ms)


def settle(turn: Turn, at_ms: int) -> None:
    """Nobody came out: is somebody still there, and if not, since when?"""
    if turn.station.held_off_ms <= at_ms:
        turn.put(held_off_ms=FOREVER_MS)
    card_in = turn.station.card_in
    if card_in is not None and card_in.due_ms > at_ms:
        return
    if card_in is not None and not turn.station.control.signals.is_online(at_ms):
        turn.put(card_in=_replace(card_in, due_ms=FOREVER_MS))  # it is cut off again: the rest is told when it is back
        return
    if card_in is not None and _goes_on(turn, card_in, at_ms):
        _resume(turn, card_in, at_ms)
        return
    if card_in is not None:
        _close(turn, _end_of_use(turn, card_in, at_ms), CloseReason.RECONCILED, at_ms)
    moves.decide(turn, sessions.left(turn.station.control, at_ms, turn.policy), at_ms)


def _resume(turn: Turn, card_in: CardIn, at_ms: int) -> None:
    turn.put(card_in=None)
    moves.decide(turn, sessions.taken_over(turn.station.control, at_ms), at_ms)
    moves.decide(turn, sessions.resumed(turn.station.control, card_in.use, card_in.at_ms, at_ms), at_ms)


def _patience_ms(turn: Turn, received_ms: int) -> int:
    return received_ms + turn.policy.reconcile_after_ms


def _may_be_taken(turn: Turn, since_ms: int, at_ms: int) -> bool:
    """Could the controller let in anybody by itself from a moment on but the people of the session that had ended?"""
    fact, lapsed = turn.scene.directory.grants.get(turn.scene.fact.controller), turn.station.lapsed
    own = None if lapsed is None or lapsed.use.booking is None else lapsed.use.booking.id
    issued: tuple[Window | Former, ...] = () if fact is None else (*fact.windows, *fact.former)
    return any(each.booking != own and each.from_ms <= at_ms and since_ms < each.to_ms for each in issued)


def _tap(turn: Turn, card: Card, heard: Heard) -> None:
    """A card that the controller accepted by itself."""
    holder = turn.scene.directory.holder(card.card)
    if holder is None:
        _clash(turn, Conflict.UNKNOWN_CARD, None, heard.at_ms, heard.arrival.received_ms)
    elif card.action != "in" and _goes_out(turn, holder.user, heard):
        return
    elif card.action != "out" and not _is_in(turn, holder.user, heard.at_ms):
        _comes_in(turn, card, holder, heard)


def _goes_out(turn: Turn, user: User, heard: Heard) -> bool:
    """Does a card end a session: one that began meanwhile, that is open, or that the clock has ended since?"""
    card_in, state, lapsed = turn.station.card_in, turn.station.control.state, turn.station.lapsed
    told_ms = heard.arrival.received_ms
    if card_in is not None and card_in.at_ms <= heard.at_ms and _is_of(card_in.use, user):
        _close(turn, heard.at_ms, CloseReason.USER, told_ms)
        turn.put(held_off_ms=_patience_ms(turn, told_ms))
    elif isinstance(state, Open) and state.opened_ms <= heard.at_ms and _is_of(state.use, user):
        _end(turn, heard)
    elif lapsed is not None and lapsed.opened_ms <= heard.at_ms < lapsed.ended_ms and _is_of(lapsed.use, user):
        _shorten(turn, lapsed, heard.at_ms, CloseReason.USER)
        if isinstance(state, Free | Cooldown):
            _let_be(turn, told_ms)
    else:
        return False
    return True


def _is_in(turn: Turn, user: User, at_ms: int) -> bool:
    """Were they in at a moment by the books? A controller that did not know says that they came in."""
    state, lapsed = turn.station.control.state, turn.station.lapsed
    if isinstance(state, Open) and state.opened_ms <= at_ms:
        return _is_of(state.use, user)
    return lapsed is not None and lapsed.opened_ms <= at_ms < lapsed.ended_ms and _is_of(lapsed.use, user)


def _comes_in(turn: Turn, card: Card, holder: UserFact, heard: Heard) -> None:
    """Somebody went in, and whoever was in before had left."""
    at_ms, told_ms, user = heard.at_ms, heard.arrival.received_ms, holder.user.id
    issued = turn.scene.directory.grants.get(turn.scene.fact.controller)
    conflict = grants.misuse(issued, card.grant, user, at_ms, turn.policy)
    if conflict is not None:
        _clash(turn, conflict, user, at_ms, told_ms)
    card_in, lapsed = turn.station.card_in, turn.station.lapsed
    if card_in is not None:
        _close(turn, min(at_ms, _end_of_use(turn, card_in, at_ms)), CloseReason.RECONCILED, told_ms)
    if lapsed is not None and (slot_end(lapsed.use, turn.bookings) or FOREVER_MS) <= at_ms < lapsed.ended_ms:
        _shorten(turn, lapsed, at_ms, CloseReason.SLOT_END)  # it was let go on until there was somebody else
    wish = Unlock(number=heard.arrival.number, at_ms=at_ms, instrument=turn.code, user=user)
    decision = access.decide(wishes.question(turn, wish, holder, access.Origin.GRANT))
    use = wishes.use_of(turn, wish, decision, holder)
    turn.put(card_in=CardIn(use, at_ms, _patience_ms(turn, told_ms)))
    if isinstance(turn.station.control.state, Free | Cooldown):
        moves.decide(turn, sessions.taken_over(turn.station.control, told_ms), told_ms)


def _is_of(use: Use, user: User) -> bool:
    return is_theirs(user, RunningSession(use.user.id, use.booking.group if use.booking else None))


def _end(turn: Turn, heard: Heard) -> None:
    """The session that was open when the controller was cut off ended then and there.

    Its relay is left alone for a while if the controller has switched it since, or may have let in somebody else.
    """
    control, at_ms = turn.station.control, heard.arrival.received_ms
    around = (turn.bookings, turn.policy)
    step = sessions.close(control, CloseReason.USER, at_ms, *around, ended_ms=heard.at_ms)
    if control.signals.relay_on and not _may_be_taken(turn, heard.at_ms, at_ms):
        moves.decide(turn, step, at_ms)
        return
    decisions = tuple(each for each in step.decisions if not isinstance(each, RelayCommanded))
    moves.decide(turn, Step(_replace(step.control, order=None), decisions), at_ms)
    _let_be(turn, at_ms)


def _let_be(turn: Turn, at_ms: int) -> None:
    """The relay is as the controller has switched it; what is to become of it waits for cards that may follow."""
    moves.decide(turn, sessions.taken_over(turn.station.control, at_ms), at_ms)
    turn.put(held_off_ms=_patience_ms(turn, at_ms))


def _shorten(turn: Turn, lapsed: Lapsed, ended_ms: int, reason: CloseReason) -> None:
    """A session that the clock had ended was over before: its bill is corrected once the ledger is computed anew."""
    turn.put(lapsed=_replace(lapsed, ended_ms=ended_ms))
    books.shorten(turn, lapsed.use.id, ended_ms)
    times_ms = {"opened_ms": lapsed.opened_ms, "ended_ms": ended_ms}
    books.record(turn, lapsed.use, SessionStatus.CLOSED, **times_ms, reason=reason, terms=lapsed.terms)


def _goes_on(turn: Turn, card_in: CardIn, at_ms: int) -> bool:
    """Is the instrument free but for them, in use, and their time not over?"""
    signals = turn.station.control.signals
    is_used = signals.is_online(at_ms) and signals.relay_on is not False and at_ms < signals.busy_until_ms
    return is_used and _has_room(turn, card_in, at_ms)


def _has_room(turn: Turn, card_in: CardIn, at_ms: int) -> bool:
    """Can their session go on: is nobody else's in its way, and their time not over?"""
    times_ms = card_in.at_ms, at_ms
    is_free = isinstance(turn.station.control.state, Free | Cooldown) and _room(turn, *times_ms) == times_ms
    return is_free and at_ms < _over_ms(turn, card_in)


def _over_ms(turn: Turn, card_in: CardIn) -> int:
    """When the clock ends their session, by all that is known."""
    over_ms = ends_ms(Open(card_in.use, card_in.at_ms), turn.bookings, turn.policy)
    return FOREVER_MS if over_ms is None else max(card_in.at_ms, over_ms)


def _end_of_use(turn: Turn, card_in: CardIn, at_ms: int) -> int:
    """When power was last active; where nobody measures it, when the slot was over."""
    power, end_ms = turn.book.physics.power, slot_end(card_in.use, turn.bookings)
    if not turn.book.physics.has_meter or power is None:
        return max(card_in.at_ms, min(at_ms, end_ms if end_ms is not None else at_ms))
    return max(card_in.at_ms, min(at_ms, power.active_end_ms))


def _close(turn: Turn, ended_ms: int, reason: CloseReason, told_ms: int) -> None:
    """A whole session of the past goes into the books, as far as no other one is in its way."""
    card_in = turn.station.card_in
    assert card_in is not None  # noqa: S101 - whoever comes out went in
    turn.put(card_in=None)
    use, over_ms = card_in.use, _over_ms(turn, card_in)
    if over_ms < ended_ms:
        ended_ms, reason = over_ms, CloseReason.SLOT_END
    times_ms = card_in.at_ms, max(card_in.at_ms, ended_ms)
    room_ms = _room(turn, *times_ms)
    if room_ms != times_ms:
        _clash(turn, Conflict.OVERLAP, use.user.id, card_in.at_ms, told_ms)
    if room_ms is None:
        return
    opened_ms, ended_ms = room_ms
    holder = turn.scene.directory.users.get(use.user.id)
    terms = Terms(holder.payer if holder else Payer.INTERNAL, turn.scene.fact.prices.in_force(opened_ms))
    visit = Visit(opened_ms, ended_ms, books.overrun_ms(turn, use), use.maintenance, use.id)
    books.insert(turn, visit)
    books.record(turn, use, SessionStatus.CLOSED, opened_ms=opened_ms, ended_ms=ended_ms, reason=reason, terms=terms)
    attendance.attend_all(turn, use, opened_ms, ended_ms)


def _room(turn: Turn, from_ms: int, until_ms: int) -> tuple[int, int] | None:
    """What other sessions leave of a stretch of time; None: nothing."""
    wanted = from_ms, until_ms
    for each in turn.book.visits:
        if each.start_ms <= from_ms < each.end_ms:
            from_ms = each.end_ms
        elif from_ms < each.start_ms < until_ms:
            until_ms = each.start_ms
    return (from_ms, until_ms) if from_ms < until_ms or (from_ms, until_ms) == wanted else None


def _clash(turn: Turn, conflict: Conflict, user: str | None, at_ms: int, told_ms: int) -> None:
    lookout.happen(turn, AlertKind.OFFLINE_CONFLICT, told_ms, Clash(conflict, at_ms, user))
