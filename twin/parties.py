"""People, projects, qualifications and bookings: frozen values, as the rules see them.

Whoever asks the rules makes these from what it knows; the rules look up nothing. Times are milliseconds since the
epoch, UTC. Every stretch of time is half open, `[from, until)`; one without an end ends at `FOREVER_MS`. Money is
exact, in CNY.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from twin.state import FOREVER_MS


class UserCategory(StrEnum):
    """What a person is to the university; opening hours and prices go by it."""

    STUDENT = "student"
    TEACHER = "teacher"
    STAFF = "staff"
    EXTERNAL = "external"


class Level(StrEnum):
    """What a qualification allows, in the order of height. Who holds one holds those below it."""

    SUPERVISED = "supervised"
    """With somebody qualified beside them."""
    INDEPENDENT = "independent"
    """Alone."""
    NIGHT = "night"
    """Alone, and when nobody else is about."""
    OPERATOR = "operator"
    """For others."""

    def reaches(self, required: "Level") -> bool:
        """Is this as high as `required`?"""
        order = list(Level)
        return order.index(self) >= order.index(required)


class DowntimeCause(StrEnum):
    """Why an instrument is out of service."""

    FAULT = "fault"
    OUTAGE = "outage"
    """Planned: maintenance, a power cut."""
    RETIRED = "retired"


class _Value(msgspec.Struct, frozen=True, gc=False):
    """Immutable and compact."""


class Ban(_Value, frozen=True):
    """Somebody is shut out from an instrument, or (None) from all of them."""

    instrument: str | None
    from_ms: int
    until_ms: int = FOREVER_MS


class User(_Value, frozen=True):
    """Somebody who asks."""

    id: str
    category: UserCategory
    credit: int
    """Points."""
    active: bool = True
    """Not disabled."""
    valid_until_ms: int = FOREVER_MS
    groups: frozenset[str] = frozenset()
    """Research groups that they belong to."""
    operates: frozenset[str] = frozenset()
    """Instruments on which they have operate rights."""
    bans: tuple[Ban, ...] = ()


class Project(_Value, frozen=True):
    """An account that sessions are charged to."""

    id: str
    payers: frozenset[str]
    """Users who may charge it."""
    balance_cny: Decimal
    credit_line_cny: Decimal = Decimal(0)
    """How far below zero the balance may go."""
    instruments: frozenset[str] | None = None
    """Instruments that it may pay for; None: all."""
    from_ms: int = 0
    until_ms: int = FOREVER_MS

    @property
    def available_cny(self) -> Decimal:
        """What can still be spent."""
        return self.balance_cny + self.credit_line_cny


class Qualification(_Value, frozen=True):
    """What somebody has shown to be able to do. One that is good for a last day ends when that day ends."""

    instrument: str
    level: Level
    from_ms: int = 0
    until_ms: int = FOREVER_MS


class Booking(_Value, frozen=True):
    """An instrument kept for somebody, and for their group where one is named. Cancelled and freed ones are none."""

    id: str
    instrument: str
    user: str
    start_ms: int
    end_ms: int
    group: str | None = None
    estimate_cny: Decimal = Decimal(0)
    project: str | None = None
    """Which is to pay."""


class RunningSession(_Value, frozen=True):
    """The session of an instrument that is open or opening. In cooldown there is none any more."""

    user: str
    group: str | None = None
    """That of its booking."""
    due_ms: int | None = None
    """When it is to end; None: nobody knows."""


class Downtime(_Value, frozen=True):
    """An instrument out of service. A fault ends when it is repaired, not by the clock: until then it has no end."""

    cause: DowntimeCause
    from_ms: int
    until_ms: int = FOREVER_MS


def is_theirs(user: User, held: Booking | RunningSession) -> bool:
    """Does a booking or session belong to this person, or to a group of theirs?"""
    return held.user == user.id or held.group in user.groups
