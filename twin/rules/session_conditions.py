"""The conditions of alerts that are about a session, its relay, and what is left running after it."""

from collections.abc import Iterable, Sequence

from twin.alerts import AlertKind, Condition, Standing
from twin.parties import Booking
from twin.policy import AtSlotEnd, Policy
from twin.rules.session_timers import others_begin
from twin.sessions import Control, Open
from twin.state import Reported


def session_conditions(
    control: Control,
    at_ms: int,
    bookings: Sequence[Booking],
    policy: Policy,
    *,
    relay: Reported | None,
    unsafe_ms: int | None,
) -> Iterable[tuple[AlertKind, Condition]]:
    """Every condition that can be told from a session and its signals, at a moment not before they were heard."""
    return (
        (AlertKind.IDLE_SESSION, idle_session(control, at_ms)),
        (AlertKind.OVERRUN, overrun(control, at_ms, bookings, policy)),
        (AlertKind.RELAY_MISMATCH, relay_mismatch(control, relay, at_ms)),
        (AlertKind.UNSAFE_TO_CUT, unsafe_to_cut(control, unsafe_ms, at_ms)),
    )


def idle_session(control: Control, at_ms: int) -> Condition:
    """A session is open, the instrument does not work, and nobody is there."""
    if not isinstance(control.state, Open) or control.state.use.maintenance:
        return Condition(Standing.CLEAR, at_ms)
    busy_ms = control.signals.busy_until_ms
    if at_ms < busy_ms:
        return Condition(Standing.CLEAR, at_ms, busy_ms)
    return Condition(Standing.HOLDS, max(control.state.opened_ms, busy_ms))


def overrun(control: Control, at_ms: int, bookings: Sequence[Booking], policy: Policy) -> Condition:
    """A session goes on though another person's slot has begun; where the clock ends sessions, none does."""
    state = control.state
    if not isinstance(state, Open) or state.use.booking is None or policy.at_slot_end is AtSlotEnd.END:
        return Condition(Standing.CLEAR, at_ms)
    begins_ms = max(others_begin(state.use, bookings), state.opened_ms)
    if at_ms < begins_ms:
        return Condition(Standing.CLEAR, at_ms, begins_ms)
    return Condition(Standing.HOLDS, begins_ms)


def relay_mismatch(control: Control, relay: Reported | None, at_ms: int) -> Condition:
    """The relay is reported other than it was commanded."""
    order = control.order
    if order is None or relay is None or not control.signals.has_relay or order.on is relay.on:
        return Condition(Standing.CLEAR, at_ms)
    return Condition(Standing.HOLDS, max(order.sent_ms, relay.since_ms))


def unsafe_to_cut(control: Control, unsafe_ms: int | None, at_ms: int) -> Condition:
    """The instrument works on though the longest cooldown has passed."""
    ends_ms = control.signals.active_until_ms
    if unsafe_ms is None or ends_ms is None or control.signals.relay_on is False or at_ms >= ends_ms:
        return Condition(Standing.CLEAR, at_ms)
    return Condition(Standing.HOLDS, unsafe_ms, ends_ms)
