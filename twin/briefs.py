"""What the public view of a twin says of its session, its booking and its alerts: nothing personal."""

from collections.abc import Sequence
from typing import assert_never

from twin.alerts import RULES, AlertState, Watch
from twin.parties import Booking
from twin.policy import Policy
from twin.rules import sessions
from twin.rules.outcome import alert_id
from twin.sessions import Control, Cooldown, Free, Open, Opening
from twin.views import AlertBrief, BookingBrief, SessionBrief, rfc3339


def session_brief(control: Control, bookings: Sequence[Booking], policy: Policy) -> SessionBrief | None:
    """The session of an instrument; None: nobody has it, and it does not cool down."""
    state, running = control.state, sessions.running(control, bookings, policy)
    due = None if running is None or running.due_ms is None else rfc3339(running.due_ms)
    match state:
        case Free():
            return None
        case Opening():
            return SessionBrief(state.use.id, "opening", rfc3339(state.use.requested_ms), due)
        case Open():
            return SessionBrief(state.use.id, "open", rfc3339(state.opened_ms), due)
        case Cooldown():
            ends = rfc3339(state.ended_ms + policy.cooldown_max_ms)
            return SessionBrief(state.use.id, "cooldown", rfc3339(state.ended_ms), ends)
        case _:
            assert_never(state)


def booking_brief(bookings: Sequence[Booking], now_ms: int) -> BookingBrief | None:
    """The booking in force; None: there is none."""
    booking = next((each for each in bookings if each.start_ms <= now_ms < each.end_ms), None)
    return None if booking is None else BookingBrief(rfc3339(booking.start_ms), rfc3339(booking.end_ms))


def alert_briefs(instrument: str, watch: Watch) -> tuple[AlertBrief, ...]:
    """The alerts of an instrument that fire."""
    return tuple(
        AlertBrief(
            alert_id(instrument, each, each.fired_ms),
            each.kind.value,
            RULES[each.kind].severity.value,
            rfc3339(each.fired_ms),
        )
        for each in watch.active
        if each.state is AlertState.FIRING
    )
