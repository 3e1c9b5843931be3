"""Everything that follows from one event at one instrument: `evaluate` holds all ordering.

Time is let pass first, each thing that comes due at its own moment, then the event happens, then what is due at this
very moment. So it makes no difference how often anybody looks, and a replay of the same events gives the same result.
What follows is recorded before it is carried out.
"""

from typing import TypeAlias, assert_never

from twin.alerts import Alert, AlertKind
from twin.decisions import Verdict
from twin.directory import UserFact
from twin.events import Ack, Card
from twin.policy import OnUnauthorised
from twin.requests import Acknowledge, Lock, Resolve, Unlock, Unsent
from twin.rules import access, sessions
from twin.rules.credit import CreditCause
from twin.rules.outcome import (
    Consequences,
)
from twin.rules.turn import attendance, books, lookout, moves, offline, till, wishes
from twin.rules.turn.state import Changed, Heard, Scene, Turn
from twin.rules.words import funds_words
from twin.sessions import (
    CloseReason,
    Cooldown,
    Free,
    Open,
)
from twin.state import FOREVER_MS
from twin.station import Station

Cause: TypeAlias = Heard | Unlock | Lock | Acknowledge | Resolve | Unsent | Changed | None
"""None: only time has passed."""


def evaluate(station: Station, cause: Cause, at_ms: int, scene: Scene) -> tuple[Station, Consequences]:
    """The station after an event that the service was told at `at_ms`, and what follows."""
    turn = Turn(station, scene)
    if not isinstance(cause, Changed):
        due_ms = _pass_time(turn, at_ms - 1)  # what was due before, each thing at its own moment
        if due_ms == at_ms:
            moves.hand_over(turn, at_ms)  # at the begin of another's slot the instrument is theirs already
    _take(turn, cause, at_ms)  # twin, then access, then session
    _pass_time(turn, at_ms)  # what is due at this very moment: people and controllers come first
    books.keep(turn, at_ms)  # whatever the ledger owes to the passing of time
    lookout.calm_down(turn, at_ms)
    _watch(turn, at_ms)  # alerts see what has become of everything, and may lead to more
    return turn.station, turn.follows


def looked(station: Station, at_ms: int, scene: Scene) -> Station | None:
    """The station when it was only time to look at its alerts again, and nothing has become of them.

    As for most timers: links that might have gone stale have not. None: there is more to it, `evaluate` it.
    """
    turn = Turn(station, scene)
    if min(_due_ms(turn), station.twin.book.due_ms) <= at_ms or station.unsafe_ms is not None:
        return None
    lookout.follow(turn, at_ms)
    turn.settle(at_ms)
    return None if turn.fired or turn.follows.alerts or turn.follows.notices else turn.station


def next_due(station: Station, scene: Scene, now_ms: int) -> int:
    """When the rules have something to do though nobody says anything new; what its twin comes to is not among it.

    A link that is online now is taken to stay so: messages that only confirm see to that, and if none come, then that
    is looked at anew.
    """
    turn = Turn(station, scene)
    turn.stay_online(now_ms)
    due_ms = _due_ms(turn)
    return due_ms if _is_quiet(station) else min(due_ms, station.alerts_due_ms)


def _is_quiet(station: Station) -> bool:
    """Can no alert come of it unless the twin changes? There is none, no session, nobody, and the door is shut."""
    physics = station.twin.physics
    occupancy, door = physics.occupancy, physics.door_open
    is_empty = occupancy is None or occupancy.occupied_end_ms < FOREVER_MS
    is_shut = door is None or not door.on
    return is_empty and is_shut and not station.watch.active and isinstance(station.control.state, Free)


def question(station: Station, scene: Scene, wish: Unlock, holder: UserFact) -> access.Question:
    """What a wish at a screen depends on."""
    return wishes.question(Turn(station, scene), wish, holder, access.Origin.SCREEN)


def _pass_time(turn: Turn, until_ms: int) -> int:
    """Everything that comes due up to a moment; gives when more does."""
    while (due_ms := _due_ms(turn)) <= until_ms:
        lookout.come_to(turn, due_ms)
        if due_ms == _session_due_ms(turn):
            control = turn.station.control
            moves.decide(turn, sessions.advance(control, due_ms, turn.bookings, turn.policy), due_ms)
        elif due_ms == offline.due_ms(turn):
            offline.settle(turn, due_ms)
        elif due_ms == turn.station.funds_due_ms:
            _warn(turn, due_ms)
        else:
            attendance.miss(turn, due_ms)
    _watch(turn, until_ms)
    turn.settle(until_ms)
    return due_ms


def _take(turn: Turn, cause: Cause, at_ms: int) -> None:
    """Let the event happen."""
    lookout.come_to(turn, at_ms)
    match cause:
        case Heard():
            _hear(turn, cause)
        case Unlock():
            offline.greet(turn, cause.user, at_ms)
            wishes.unlock(turn, cause)
        case Lock():
            offline.greet(turn, None, at_ms)
            wishes.lock(turn, cause)
        case Acknowledge() | Resolve():
            lookout.see_to(turn, cause)
        case Unsent():
            control, around = turn.station.control, (turn.bookings, turn.policy)
            moves.decide(turn, sessions.unsent(control, cause.command, at_ms, *around), at_ms)
        case Changed(gone=gone):
            if gone is not None:
                attendance.give_back(turn, gone, at_ms)
            turn.settle(at_ms)  # what a new fact puts into the past is due now
            books.look_again(turn, at_ms)
        case None:
            books.look_again(turn, at_ms)
        case _:
            assert_never(cause)


def _hear(turn: Turn, heard: Heard) -> None:
    arrival, message = heard.arrival, heard.arrival.message
    at_ms = arrival.received_ms
    books.enter(turn, heard)
    offline.hold(turn, at_ms)
    control, around = turn.station.control, (turn.bookings, turn.policy)
    if isinstance(message, Ack) and not message.ok:
        moves.decide(turn, sessions.command_refused(control, at_ms, *around, message.cmd), at_ms)
    event_ms = heard.at_ms if heard.verdict is Verdict.LIVE else None
    is_report = event_ms is not None and getattr(message, "relay", None) is not None
    control, signals = turn.station.control, turn.signals()
    answers = message.cmd if isinstance(message, Ack) else ""
    step = sessions.observe(control, signals, at_ms, *around, event_ms=event_ms, is_report=is_report, answers=answers)
    moves.decide(turn, step, at_ms)
    if heard.verdict is Verdict.LATE:
        offline.hear(turn, heard)
    elif isinstance(message, Card):
        offline.greet(turn, _holder(turn, message), at_ms)
        wishes.tap(turn, message, arrival)


def _holder(turn: Turn, card: Card) -> str:
    holder = turn.scene.directory.holder(card.card)
    return "" if holder is None else holder.user.id


def _due_ms(turn: Turn) -> int:
    station = turn.station
    return min(_session_due_ms(turn), offline.due_ms(turn), station.funds_due_ms, attendance.no_show_due_ms(turn))


def _warn(turn: Turn, at_ms: int) -> None:
    """The user is told when a session has used up most of what its project had, and all of it."""
    percent = till.look_at_funds(turn, at_ms)
    if percent is not None:
        moves.say(turn, funds_words(percent), at_ms)


def _session_due_ms(turn: Turn) -> int:
    return sessions.next_due(turn.station.control, turn.bookings, turn.policy)


def _watch(turn: Turn, at_ms: int) -> None:
    """All alerts up to a moment; what follows from those that have fired, besides telling people."""
    lookout.follow(turn, at_ms)
    while turn.fired:
        _carry_out(turn, turn.fired.pop(0))
        lookout.follow(turn, at_ms)


def _carry_out(turn: Turn, alert: Alert) -> None:
    state, at_ms = turn.station.control.state, alert.fired_ms
    if alert.kind is AlertKind.OVERRUN and isinstance(state, Open):
        till.lose_credit(turn, state.use.user.id, CreditCause.OVERRUN, at_ms, state.use.id)
    cuts = turn.policy.on_unauthorised is OnUnauthorised.CUT
    if alert.kind is AlertKind.POWER_WITHOUT_SESSION and cuts and isinstance(state, Free | Cooldown):
        moves.end(turn, CloseReason.EMERGENCY, max(at_ms, turn.station.control.settled_ms))
