"""Who comes to bookings, and what becomes of those that nobody comes to."""

from bisect import bisect_left
from itertools import islice

from twin.alerts import AlertKind
from twin.instrument import link_at
from twin.parties import Booking, is_theirs
from twin.rules.credit import CreditCause, is_late_cancellation
from twin.rules.outcome import (
    BookingRecord,
    BookingState,
)
from twin.rules.turn import lookout, till
from twin.rules.turn.state import Turn
from twin.sessions import (
    Open,
    Opening,
    Use,
)
from twin.state import FOREVER_MS, LinkState


def no_show_due_ms(turn: Turn) -> int:
    """When the first booking is over that nobody came to, of those that were not looked at before."""
    settled_ms, attended = turn.station.control.settled_ms, turn.station.attended
    if not settled_ms:
        return FOREVER_MS
    bookings, due_ms = turn.bookings, FOREVER_MS
    for booking in islice(bookings, bisect_left(bookings, settled_ms - turn.policy.no_show_ms, key=_start_ms), None):
        if booking.start_ms >= due_ms:
            break  # those that begin later are over later
        if settled_ms <= (over_ms := _no_show_ms(turn, booking)) < due_ms and booking.id not in attended:
            due_ms = over_ms
    return due_ms


def _start_ms(booking: Booking) -> int:
    return booking.start_ms


def _no_show_ms(turn: Turn, booking: Booking) -> int:
    return min(booking.start_ms + turn.policy.no_show_ms, booking.end_ms)


def miss(turn: Turn, at_ms: int) -> None:
    """What becomes of bookings whose time to come is over."""
    attended = turn.station.attended
    is_offline = link_at(turn.station.twin.link, at_ms, turn.policy)[0] is LinkState.OFFLINE
    is_cut_off = is_offline or turn.station.card_in is not None
    for booking in turn.bookings:
        if _no_show_ms(turn, booking) != at_ms or booking.id in attended:
            continue
        if _is_there(turn, booking) or is_cut_off or _may_be_told_of(turn, booking):  # its cards may tell of them later
            attend(turn, booking.id)
        else:
            free(turn, booking.id, BookingState.NO_SHOW)
            till.lose_credit(turn, booking.user, CreditCause.NO_SHOW, at_ms, booking.id)
            till.charge_no_show(turn, booking, at_ms)
            lookout.happen(turn, AlertKind.NO_SHOW, at_ms)
    turn.settle(at_ms)


def _is_there(turn: Turn, booking: Booking) -> bool:
    state = turn.station.control.state
    return isinstance(state, Open | Opening) and is_theirs(state.use.user, booking)


def _may_be_told_of(turn: Turn, booking: Booking) -> bool:
    """Has the controller, which might have let them in by itself, only just come back?"""
    fact = turn.scene.directory.grants.get(turn.scene.fact.controller)
    is_just_back = any(each.kind is AlertKind.CONTROLLER_OFFLINE for each in turn.station.watch.active)
    return fact is not None and is_just_back and any(each.booking == booking.id for each in fact.windows)


def attend(turn: Turn, booking: str) -> None:
    """Its people have come."""
    if booking in turn.station.attended:
        return
    known = {each.id for each in turn.scene.directory.bookings(turn.code)}
    turn.put(attended=(*(each for each in turn.station.attended if each in known), booking))


def attend_all(turn: Turn, use: Use, opened_ms: int, ended_ms: int) -> None:
    """Who was there when a booking of theirs began has come, by whatever right."""
    for booking in turn.bookings:
        if is_theirs(use.user, booking) and booking.start_ms <= ended_ms and opened_ms < booking.end_ms:
            attend(turn, booking.id)


def free(turn: Turn, booking: str, state: BookingState) -> None:
    """It stands no more; what is left of it can be booked again."""
    known = {each.id for each in turn.scene.directory.bookings(turn.code)}
    turn.put(freed=(*(each for each in turn.station.freed if each in known), booking))
    turn.follows.bookings.append(BookingRecord(booking, state))


def give_back(turn: Turn, booking: Booking, at_ms: int) -> None:
    """Its people do not come. That is too late for others if it was to begin soon, or has begun."""
    came = booking.id in turn.station.attended or booking.id in turn.station.freed
    if not came and at_ms < booking.end_ms and is_late_cancellation(at_ms, booking.start_ms, turn.policy):
        till.lose_credit(turn, booking.user, CreditCause.LATE_CANCELLATION, at_ms, booking.id)
        till.charge_no_show(turn, booking, at_ms)
