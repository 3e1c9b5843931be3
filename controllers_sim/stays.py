"""What one person means to do at an instrument, from a booking or without one: pure functions of seed and time.

Whether it comes to that depends on whether the instrument gets power: see `attendance`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from random import Random

from controllers_sim import manners
from controllers_sim.manners import MIN_MS, Manner, between
from controllers_sim.people import Habits, midnight_ms
from controllers_sim.plan import Booking

DOOR_MS = 4_000
"""How long a door that closes itself is open: less than what counts as one that was forced."""
FORCED_DOOR_MS = (20_000, 90_000)
BOOKED_ASKS = 3
BOOKED_PATIENCE_MS = 3 * MIN_MS
"""Whoever has a booking and gets no power tries again, but not so often as to look like somebody trying cards."""
STRANGERS_PATIENCE_MS = MIN_MS
INSISTING_MS = 20_000
WORTHWHILE_MS = 5 * MIN_MS
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Stay:
    """One person's intent, ms since the epoch: comes at `begin_ms`, works in [use, done) except in the break, leaves.

    `asks` is how often the card is tried, `patience_ms` apart, while no power comes (0: never, an intruder);
    after `until_ms` no more. Who is not `booked` works only if power comes by that card. Who `forgets` neither taps
    nor switches off on leaving; then work that lasts past `end_ms` goes on by itself.
    """

    card: str
    begin_ms: int
    use_ms: int
    done_ms: int
    end_ms: int
    until_ms: int
    break_ms: tuple[int, int] | None = None
    asks: int = BOOKED_ASKS
    patience_ms: int = BOOKED_PATIENCE_MS
    booked: bool = True
    forgets: bool = False
    door_ms: int = DOOR_MS


def stay_of(booking: Booking, seed: int, mischief: float) -> Stay | None:
    """Give what somebody makes of a booking; None if nobody comes."""
    rng = Random(f"{seed}/{booking.user}/{booking.from_ms}")
    manner = booking.manner or manners.manner_of(rng, mischief)
    if manner is Manner.INSISTING:
        return _stranger(booking.card, booking.from_ms, booking.to_ms, insists=True)
    if manner is Manner.SNEAKING:
        return _intruder(booking.from_ms, booking.to_ms)
    begin_ms = _begin_ms(booking, manner, rng)
    if manner is Manner.ABSENT or booking.to_ms - begin_ms < WORTHWHILE_MS:
        return None
    done_ms = _done_ms(booking, manner, begin_ms, rng)
    use_ms = begin_ms + min(between(rng, manners.SETTLING_MS), (done_ms - begin_ms) // 6)
    end_ms = done_ms + min(MIN_MS, abs(booking.to_ms - done_ms) // 2)
    break_ms: tuple[int, int] | None = None
    if manner is Manner.IDLING:
        break_ms = _long_break(use_ms, done_ms, rng)
    elif manner is Manner.FORGETFUL:
        end_ms = use_ms + round((done_ms - use_ms) * rng.uniform(*manners.FORGETTING_SHARE))
        # What was started runs to its end, or nothing was.
        done_ms = done_ms if rng.random() < 0.5 else end_ms
    forgets = manner is Manner.FORGETFUL
    return Stay(booking.card, begin_ms, use_ms, done_ms, end_ms, booking.to_ms, break_ms, forgets=forgets)


def _begin_ms(booking: Booking, manner: Manner, rng: Random) -> int:
    if manner is Manner.LATE:
        return booking.from_ms + between(rng, manners.LATE_ARRIVAL_MS)
    return booking.from_ms + min(between(rng, manners.ARRIVAL_MS), (booking.to_ms - booking.from_ms) // 3)


def _done_ms(booking: Booking, manner: Manner, begin_ms: int, rng: Random) -> int:
    left_ms = booking.to_ms - begin_ms
    match manner:
        case Manner.OVERSTAYING:
            return booking.to_ms + between(rng, manners.OVERSTAY_MS)
        case Manner.EARLY:
            return begin_ms + round(left_ms * rng.uniform(*manners.EARLY_SHARE))
        case _:
            return booking.to_ms - min(between(rng, manners.PACKING_MS), left_ms // 8)


def _long_break(use_ms: int, done_ms: int, rng: Random) -> tuple[int, int]:
    work_ms = done_ms - use_ms
    leaves_ms = use_ms + round(work_ms * rng.uniform(0.2, 0.4))
    return leaves_ms, min(leaves_ms + between(rng, manners.LONG_BREAK_MS), done_ms - work_ms // 8)


def without_booking(habits: Habits, cards: Sequence[str], mischief: float, day: date) -> tuple[Stay, ...]:
    """Give who tries a card of a local day without a booking, be it one of these or one that nobody knows."""
    rng = Random(f"{habits.seed}/unbooked/{day.isoformat()}")
    if rng.random() >= manners.UNBOOKED_A_DAY * mischief:
        return ()
    begin_ms = midnight_ms(day, habits.timezone) + rng.randrange(9 * HOUR_MS, 20 * HOUR_MS)
    unknown = f"{rng.getrandbits(32):08x}"
    card = unknown if not cards or rng.random() < manners.UNKNOWN_CARD else rng.choice(cards)
    insists = rng.random() < manners.INSISTS
    return (_stranger(card, begin_ms, begin_ms + rng.randrange(15, 40) * MIN_MS, insists=insists),)


def _stranger(card: str, begin_ms: int, done_ms: int, *, insists: bool) -> Stay:
    return Stay(
        card,
        begin_ms,
        use_ms=begin_ms + MIN_MS,
        done_ms=done_ms,
        end_ms=done_ms + MIN_MS,
        until_ms=done_ms,
        asks=3 if insists else 1,
        patience_ms=INSISTING_MS if insists else STRANGERS_PATIENCE_MS,
        booked=False,
    )


@lru_cache(maxsize=4096)
def intruders(habits: Habits, mischief: float, day: date) -> tuple[Stay, ...]:
    """Give who sneaks in in the night that a local day begins with."""
    rng = Random(f"{habits.seed}/intruder/{day.isoformat()}")
    if rng.random() >= manners.INTRUDERS_A_NIGHT * mischief:
        return ()
    begin_ms = midnight_ms(day, habits.timezone) + rng.randrange(HOUR_MS // 2, 4 * HOUR_MS)
    end_ms = begin_ms + rng.randrange(20, 50) * MIN_MS
    forces = rng.random() < manners.FORCES_DOOR
    works = rng.random() < manners.WORKS_AT_NIGHT
    door_ms = between(rng, FORCED_DOOR_MS) if forces else DOOR_MS
    return (_intruder(begin_ms, end_ms, works=works, door_ms=door_ms),)


def _intruder(begin_ms: int, end_ms: int, *, works: bool = True, door_ms: int = DOOR_MS) -> Stay:
    return Stay(
        "",
        begin_ms,
        use_ms=begin_ms + 2 * MIN_MS,
        done_ms=end_ms - MIN_MS if works else begin_ms,
        end_ms=end_ms,
        until_ms=end_ms,
        asks=0,
        door_ms=door_ms,
    )
