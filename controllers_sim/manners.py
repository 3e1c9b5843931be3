"""How people behave towards their bookings: how often and by how much, decided by chance that is handed in.

The rates are those of a well-run shared facility on an ordinary week at `mischief` 1: high enough that each thing is
seen within a day at some fifty instruments, low enough that most people are what most people are.
"""

from enum import Enum
from random import Random

MIN_MS = 60_000
MAX_MISCHIEF = 2.0
"""At twice the usual rates nobody is left who simply comes and goes."""


class Manner(Enum):
    """What somebody makes of a booking."""

    PUNCTUAL = "punctual"
    LATE = "late"
    ABSENT = "absent"
    FORGETFUL = "forgetful"
    OVERSTAYING = "overstaying"
    EARLY = "early"
    IDLING = "idling"
    INSISTING = "insisting"
    """Has no booking in truth, and tries the card several times in a row."""
    SNEAKING = "sneaking"
    """Has no card either, and works if there is power."""


RATES: dict[Manner, float] = {
    Manner.LATE: 0.10,  # a lecture that ran over, a sample that was not ready
    Manner.ABSENT: 0.05,  # no-shows: facilities that charge nothing for them count 3 to 8%
    Manner.FORGETFUL: 0.08,  # what makes facilities end sessions by themselves
    Manner.OVERSTAYING: 0.07,  # a scan takes longer than booked
    Manner.EARLY: 0.12,  # people book more than they need
    Manner.IDLING: 0.06,  # lunch, a meeting: the instrument waits
}
UNBOOKED_A_DAY = 0.2
"""People who try their card without a booking, per instrument and day."""
INSISTS = 0.3
"""Of those, how many try three times in a row."""
UNKNOWN_CARD = 0.3
"""Of those, how many hold a card nobody knows: visitors, a canteen card."""
INTRUDERS_A_NIGHT = 0.04
"""People about at night, per instrument: seldom, but not so seldom that a demo never sees one."""
FORCES_DOOR = 0.1
"""Of those, how many break a door open; the others came in behind somebody or never left."""
WORKS_AT_NIGHT = 0.6
"""Of those, how many want to use the instrument if it has power; the others are only there."""

ARRIVAL_MS = (-5 * MIN_MS, 10 * MIN_MS)
LATE_ARRIVAL_MS = (15 * MIN_MS, 25 * MIN_MS)
"""After the start; still within the half hour after which a facility gives a slot away."""
OVERSTAY_MS = (12 * MIN_MS, 45 * MIN_MS)
PACKING_MS = (2 * MIN_MS, 6 * MIN_MS)
"""How long before the end of the slot a considerate person stops working."""
SETTLING_MS = (MIN_MS, 6 * MIN_MS)
LONG_BREAK_MS = (40 * MIN_MS, 75 * MIN_MS)
EARLY_SHARE = (0.40, 0.75)
"""How much of the slot those use who end early."""
FORGETTING_SHARE = (0.30, 0.70)
"""When in their work those leave who forget to log off."""


def manner_of(rng: Random, mischief: float) -> Manner:
    """Draw one person's manner; `mischief` 0 makes everybody punctual, 1 is usual."""
    draw = rng.random()
    for manner, rate in RATES.items():
        if draw < rate * mischief:
            return manner
        draw -= rate * mischief
    return Manner.PUNCTUAL


def between(rng: Random, bounds_ms: tuple[int, int]) -> int:
    """Draw a duration."""
    return rng.randint(*bounds_ms)
