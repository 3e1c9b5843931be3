"""Check 10 of access: whose slot is it?

A booking lets its people in during `[start - early, end)`, whether or not the slot before it has ended: if its people
are still there, check 9 says so. Without a booking one may walk in, where the instrument allows it, unless somebody
else's booking covers the moment or begins within `walk_in_free`. *Within* includes its end, as it does for the clocks
of controllers: a booking that begins after exactly that time is in the way.

Which code a refusal has, the first that fits:

1. TOO_EARLY: an own booking begins later today;
2. SLOT_OVER: an own booking has ended today;
3. BOOKED_BY_OTHER: somebody else's covers the moment; where one may walk in, also if it begins too soon;
4. TOO_EARLY: an own booking begins on another day;
5. NO_BOOKING.

So what a person has today is named before what others have, and a booking of next week hides neither.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from twin.parties import Booking, User, is_theirs
from twin.permission import AccessCode, Refusal, SlotHeld
from twin.policy import Policy


class Slots(msgspec.Struct, frozen=True, gc=False):
    """The bookings of an instrument as one person sees them, by their start."""

    own: tuple[Booking, ...]
    others: tuple[Booking, ...]


def slots_of(user: User, instrument: str, bookings: Sequence[Booking]) -> Slots:
    """Own bookings, those of own groups included, and those of everybody else."""
    here = sorted((each for each in bookings if each.instrument == instrument), key=_place)
    own = tuple(each for each in here if is_theirs(user, each))
    return Slots(own, tuple(each for each in here if not is_theirs(user, each)))


def covering(slots: Slots, at_ms: int, policy: Policy) -> Booking | None:
    """The own booking that lets its people in at a moment; of two, the one that began first."""
    return next((each for each in slots.own if each.start_ms - policy.early_ms <= at_ms < each.end_ms), None)


def may_walk_in(slots: Slots, at_ms: int, policy: Policy) -> bool:
    """Does nobody else's booking stand in the way of somebody without one?"""
    return not any(each.start_ms <= at_ms + policy.walk_in_free_ms and at_ms < each.end_ms for each in slots.others)


def slot_refusal(slots: Slots, at_ms: int, today: tuple[int, int], policy: Policy) -> Refusal | None:
    """Check 10; `today` is the local day of the moment, from and until."""
    if covering(slots, at_ms, policy) or (policy.walk_in and may_walk_in(slots, at_ms, policy)):
        return None
    day_ms, tomorrow_ms = today
    ahead = next((each for each in slots.own if each.start_ms > at_ms), None)
    over_ms = max((each.end_ms for each in slots.own if day_ms <= each.end_ms <= at_ms), default=None)
    if ahead and ahead.start_ms < tomorrow_ms:
        code = AccessCode.TOO_EARLY
    elif over_ms is not None:
        code = AccessCode.SLOT_OVER
    elif policy.walk_in or any(each.start_ms <= at_ms < each.end_ms for each in slots.others):
        code = AccessCode.BOOKED_BY_OTHER
    else:
        code = AccessCode.TOO_EARLY if ahead else AccessCode.NO_BOOKING
    free_from_ms = _free_from_ms(slots, at_ms, policy)
    return Refusal(
        code,
        SlotHeld(
            opens_ms=ahead.start_ms - policy.early_ms if ahead else None,
            over_ms=over_ms,
            free_from_ms=free_from_ms,
            free_until_ms=next((each.start_ms for each in slots.others if each.start_ms > free_from_ms), None),
            walk_in=policy.walk_in,
        ),
    )


def _free_from_ms(slots: Slots, at_ms: int, policy: Policy) -> int:
    """The first moment, from this one on, at which one could walk in: it is now, or some booking ends."""
    ends_ms = sorted(each.end_ms for each in slots.others if each.end_ms > at_ms)
    return next(moment_ms for moment_ms in (at_ms, *ends_ms) if may_walk_in(slots, moment_ms, policy))


def _place(booking: Booking) -> tuple[int, int, str, Decimal]:
    """Where a booking stands among others; total, so that their order does not matter."""
    return booking.start_ms, booking.end_ms, booking.id, booking.estimate_cny
