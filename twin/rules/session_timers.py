"""What the session of an instrument comes to by the passing of time alone, and when. The theory is in `sessions`.

`bookings` are those of the instrument that stand, by their start.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple, assert_never

from twin.parties import Booking, is_theirs
from twin.policy import AtSlotEnd, Policy
from twin.sessions import Control, Cooldown, Free, Open, Opening, Order, OrderState, OverrunReason, Signals, Use
from twin.state import FOREVER_MS


class Timer(Enum):
    """What comes due."""

    COMMAND_EXPIRED = auto()
    DRIFT = auto()
    WARNING = auto()
    OTHERS_SLOT = auto()
    GRACE_OVER = auto()
    IDLE = auto()
    SAFE = auto()
    COOLDOWN_RAN_OUT = auto()


class Due(NamedTuple):
    """A timer and its moment."""

    at_ms: int
    timer: Timer


def next_timer(control: Control, bookings: Sequence[Booking], policy: Policy) -> Due | None:
    """The first timer; of those of one moment the one that is written down first below. None: nothing will come."""
    return min(_dues(control, bookings, policy), key=_moment, default=None)


def _moment(due: Due) -> int:
    return due.at_ms


def _dues(control: Control, bookings: Sequence[Booking], policy: Policy) -> Iterator[Due]:
    order, state = control.order, control.state
    if order is not None and (order.state is OrderState.SENT or isinstance(state, Opening)):
        yield Due(order.expires_ms, Timer.COMMAND_EXPIRED)
    elif order is not None and (drift_ms := _drift(order, control, policy)) is not None:
        yield Due(drift_ms, Timer.DRIFT)
    match state:
        case Free() | Opening():
            pass
        case Open():
            yield from _ends(state, bookings, policy, control.settled_ms)
            yield from _idle(state, control.signals, policy)
        case Cooldown():
            yield Due(max(state.ended_ms, control.signals.active_until_ms or 0), Timer.SAFE)
            yield Due(state.ended_ms + policy.cooldown_max_ms, Timer.COOLDOWN_RAN_OUT)
        case _:
            assert_never(state)


def _drift(order: Order, control: Control, policy: Policy) -> int | None:
    """When a relay that is not as ordered is commanded again. None: it is as it should be, or that would not be safe.

    What is off may go on only for a session, and only where the controller has started anew: whoever switched it off by
    hand had a reason. What is on may go off when nobody uses it and it does not work, if that was not to be so at once.
    """
    signals, state = control.signals, control.state
    if order.on is signals.relay_on or signals.relay_on is None or not signals.has_relay:
        return None
    wait_ms = min(policy.heal_ms << min(order.tries, 16), policy.heal_most_ms)
    next_ms = order.sent_ms + wait_ms if order.unsent_ms is None else order.unsent_ms
    due_ms = max(next_ms, (order.drift_ms or 0) + policy.command_timeout_ms, signals.online_from_ms)
    if order.on:
        is_safe = isinstance(state, Open) and order.boot != signals.boot
    elif order.urgent:
        is_safe = not isinstance(state, Open)
    else:
        is_safe = isinstance(state, Free)
        due_ms = max(due_ms, signals.active_until_ms or 0)
    return due_ms if is_safe and due_ms < signals.online_until_ms else None


def _ends(state: Open, bookings: Sequence[Booking], policy: Policy, settled_ms: int) -> Iterator[Due]:
    end_ms = slot_end(state.use, bookings)
    if end_ms is not None and state.opened_ms < end_ms and end_ms not in {state.warned_for_ms, state.overran_for_ms}:
        yield Due(max(end_ms - policy.warn_before_end_ms, state.opened_ms), Timer.WARNING)
    if end_ms is None or policy.at_slot_end is AtSlotEnd.END:
        yield Due(max(others_begin(state.use, bookings, settled_ms), state.opened_ms), Timer.OTHERS_SLOT)
    if end_ms is not None and end_ms != state.overran_for_ms:
        yield Due(max(end_ms + policy.grace_ms, state.opened_ms), Timer.GRACE_OVER)


def slot_end(use: Use, bookings: Sequence[Booking]) -> int | None:
    """The end of the session's booking as it stands now, else as it stood when it was granted. None: walked in."""
    if use.booking is None:
        return None
    own = use.booking.id
    for booking in bookings:
        if booking.id == own:
            return booking.end_ms
    return use.booking.end_ms


def others_begin(use: Use, bookings: Sequence[Booking], over_ms: int = 0) -> int:
    """When the first booking of another person begins after the request; `FOREVER_MS` if none does.

    One that was over at `over_ms` does not count: it became known when nobody could come for it any more.
    """
    later = islice(bookings, bisect_right(bookings, use.requested_ms, key=_start), None)
    return next(
        (each.start_ms for each in later if each.end_ms > over_ms and not is_theirs(use.user, each)), FOREVER_MS
    )


def _start(booking: Booking) -> int:
    return booking.start_ms


def goes_on(use: Use, bookings: Sequence[Booking], policy: Policy) -> OverrunReason | None:
    """Why a session goes on when slot and grace are over; None: it does not."""
    end_ms = slot_end(use, bookings)
    if end_ms is None or policy.at_slot_end is AtSlotEnd.ALERT:
        return OverrunReason.ALERT_ONLY
    is_free = others_begin(use, bookings) > end_ms + policy.overrun_free_ms
    return OverrunReason.FREE if policy.overrun and is_free else None


def ends_ms(state: Open, bookings: Sequence[Booking], policy: Policy) -> int | None:
    """When the clock will end a session, by all that is known; None: it will not."""
    end_ms, others_ms = slot_end(state.use, bookings), others_begin(state.use, bookings)
    if end_ms is not None and policy.at_slot_end is AtSlotEnd.ALERT:
        return None
    if end_ms is not None and end_ms != state.overran_for_ms and goes_on(state.use, bookings, policy) is None:
        others_ms = min(others_ms, end_ms + policy.grace_ms)
    return None if others_ms == FOREVER_MS else others_ms


def _idle(state: Open, signals: Signals, policy: Policy) -> Iterator[Due]:
    if state.use.maintenance:
        return  # who repairs an instrument need not switch it on
    idle_ms, since_ms = _idle_run(state, signals)
    due_ms = since_ms + policy.idle_release_ms - idle_ms
    if due_ms <= signals.online_until_ms:
        yield Due(due_ms, Timer.IDLE)


def idle_total(state: Open, signals: Signals, at_ms: int) -> int:
    """For how long the session has been idle at a moment, time when the link was not online left out."""
    idle_ms, since_ms = _idle_run(state, signals)
    return idle_ms + max(0, min(at_ms, signals.online_until_ms) - since_ms)


def _idle_run(state: Open, signals: Signals) -> tuple[int, int]:
    """Idle time counted already, and from when on more is counted."""
    if signals.busy_until_ms > state.idle_told_ms:
        return 0, max(signals.busy_until_ms, signals.online_from_ms)
    return state.idle_ms, max(state.idle_told_ms, signals.online_from_ms)
