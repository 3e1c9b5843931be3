"""What people did while the controller was cut off: its buffered cards open and close sessions at their own time.

A card that went in waits for the one that came out. Where none comes, the session goes on if its people are still
there; else it ended when use did, as the power shows.
"""

from msgspec.structs import replace as _replace

from twin.events import Card
from twin.parties import RunningSession, is_theirs
from twin.requests import Unlock
from twin.rules import access, sessions
from twin.rules.outcome import SessionStatus
from twin.rules.session_timers import slot_end
from twin.rules.turn import attendance, books, moves, wishes
from twin.rules.turn.state import Heard, Turn
from twin.sessions import CloseReason, Free, Open, Use
from twin.state import FOREVER_MS, Visit
from twin.station import CardIn, Terms
from twin.tariffs import Payer


def due_ms(turn: Turn) -> int:
    """When a card that went in has waited long enough for the one that came out."""
    card_in = turn.station.card_in
    return FOREVER_MS if card_in is None else card_in.due_ms


def hear(turn: Turn, heard: Heard) -> None:
    """A message of the past: more may come, so whoever went in is waited for a while longer."""
    card_in, message = turn.station.card_in, heard.arrival.message
    if card_in is not None:
        turn.put(card_in=_replace(card_in, due_ms=_patience_ms(turn, heard)))
    if isinstance(message, Card) and message.hist and message.granted:
        _tap(turn, message, heard)


def settle(turn: Turn, at_ms: int) -> None:
    """Nobody came out: is somebody still there, and if not, since when?"""
    card_in = turn.station.card_in
    if card_in is None:
        return
    if _goes_on(turn, card_in, at_ms):
        turn.put(card_in=None)
        step = sessions.resumed(turn.station.control, card_in.use, card_in.at_ms, at_ms)
        moves.decide(turn, step, at_ms)
    else:
        _close(turn, _end_of_use(turn, card_in, at_ms), CloseReason.RECONCILED)


def _patience_ms(turn: Turn, heard: Heard) -> int:
    return heard.arrival.received_ms + turn.policy.reconcile_after_ms


def _tap(turn: Turn, card: Card, heard: Heard) -> None:
    """A card that the controller accepted by itself."""
    holder = turn.scene.directory.holder(card.card)
    if holder is None:
        return
    card_in, state = turn.station.card_in, turn.station.control.state
    if card.action != "in" and card_in is not None and _is_of(card_in.use, holder.user.id, holder.user.groups):
        _close(turn, heard.at_ms, CloseReason.USER)
    elif card.action != "in" and isinstance(state, Open) and is_theirs(holder.user, _running(state.use)):
        _end(turn, heard)
    elif card.action != "out":
        if card_in is not None:
            _close(turn, min(heard.at_ms, _end_of_use(turn, card_in, heard.at_ms)), CloseReason.RECONCILED)
        wish = Unlock(number=heard.arrival.number, at_ms=heard.at_ms, instrument=turn.code, user=holder.user.id)
        decision = access.decide(wishes.question(turn, wish, holder, access.Origin.GRANT))
        use = wishes.use_of(turn, wish, decision, holder)
        turn.put(card_in=CardIn(use, heard.at_ms, _patience_ms(turn, heard)))


def _running(use: Use) -> RunningSession:
    return RunningSession(use.user.id, use.booking.group if use.booking else None)


def _is_of(use: Use, user: str, groups: frozenset[str]) -> bool:
    return use.user.id == user or (use.booking is not None and use.booking.group in groups)


def _end(turn: Turn, heard: Heard) -> None:
    """The session that was open when the controller was cut off ended then and there."""
    control, at_ms = turn.station.control, heard.arrival.received_ms
    around = (turn.bookings, turn.policy)
    step = sessions.close(control, CloseReason.USER, at_ms, *around, ended_ms=heard.at_ms)
    moves.decide(turn, step, at_ms)


def _goes_on(turn: Turn, card_in: CardIn, at_ms: int) -> bool:
    """Is the instrument free but for them, in use, and their slot not over?"""
    control = turn.station.control
    end_ms = slot_end(card_in.use, turn.bookings)
    in_time = end_ms is None or at_ms < end_ms + turn.policy.grace_ms
    signals = control.signals
    is_used = signals.is_online(at_ms) and signals.relay_on is not False and at_ms < signals.busy_until_ms
    return isinstance(control.state, Free) and in_time and is_used


def _end_of_use(turn: Turn, card_in: CardIn, at_ms: int) -> int:
    """When power was last active; where nobody measures it, when the slot was over."""
    power, end_ms = turn.book.physics.power, slot_end(card_in.use, turn.bookings)
    if not turn.book.physics.has_meter or power is None:
        return max(card_in.at_ms, min(at_ms, end_ms if end_ms is not None else at_ms))
    return max(card_in.at_ms, min(at_ms, power.active_end_ms))


def _close(turn: Turn, ended_ms: int, reason: CloseReason) -> None:
    """A whole session of the past goes into the books, unless another one is in its way."""
    card_in = turn.station.card_in
    assert card_in is not None  # noqa: S101 - whoever comes out went in
    turn.put(card_in=None)
    use, opened_ms, ended_ms = card_in.use, card_in.at_ms, max(card_in.at_ms, ended_ms)
    if any(each.start_ms < ended_ms and opened_ms < each.end_ms for each in turn.book.visits):
        return
    holder = turn.scene.directory.users.get(use.user.id)
    terms = Terms(holder.payer if holder else Payer.INTERNAL, turn.scene.fact.prices.in_force(opened_ms))
    visit = Visit(opened_ms, ended_ms, books.overrun_ms(turn, use), use.maintenance, use.id)
    books.insert(turn, visit)
    books.record(turn, use, SessionStatus.CLOSED, opened_ms=opened_ms, ended_ms=ended_ms, reason=reason, terms=terms)
    attendance.attend_all(turn, use, opened_ms, ended_ms)
