"""Opening hours: local time of day and calendar, laid over the one time that the rules know.

The only pure module that knows a calendar. It never asks what time it is. Where clocks change, local times are read as
RFC 5545 (3.3.5) reads them: a time that the clock shows twice is the first of the two, and one that it skips is counted
on with the offset from before (02:30 is then shown as 03:30).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from twin.local_time import DAY_MIN
from twin.parties import UserCategory

LOOK_AHEAD_DAYS = 400
"""Who is not let in for this long is told no date."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


class Opening(msgspec.Struct, frozen=True, gc=False):
    """Open from one minute of the local day up to another; the day ends at minute 1440."""

    from_minute: int
    until_minute: int

    def __post_init__(self) -> None:
        if not 0 <= self.from_minute < self.until_minute <= DAY_MIN:
            raise ValueError(f"no opening: minute {self.from_minute} to {self.until_minute} of a day")


Day: TypeAlias = tuple[Opening, ...]
"""Closed when empty. Who is open past midnight closes at minute 1440 and opens at minute 0 of the next day."""

ALL_DAY: Day = (Opening(0, DAY_MIN),)


class Hours(msgspec.Struct, frozen=True, gc=False):
    """When people of one category are let in."""

    weekly: tuple[Day, Day, Day, Day, Day, Day, Day]
    """Monday first."""
    holidays: dict[date, Day] = {}
    """Dates with hours of their own: a day off, or a weekend that is worked."""

    def on(self, day: date) -> Day:
        """The hours of a date."""
        return self.holidays.get(day, self.weekly[day.weekday()])


ALWAYS = Hours((ALL_DAY,) * 7)


class OpeningHours(msgspec.Struct, frozen=True, gc=False):
    """The hours of an instrument, in the time zone of its site. A category without hours is not let in."""

    zone: ZoneInfo
    hours: dict[UserCategory, Hours]


def is_open(opening: OpeningHours, category: UserCategory, at_ms: int) -> bool:
    """Are people of this category let in at this moment?"""
    return any(from_ms <= at_ms < until_ms for from_ms, until_ms in _stretches(opening, category, at_ms, days=2))


def opens_ms(opening: OpeningHours, category: UserCategory, at_ms: int) -> int | None:
    """When people of this category are let in next, after a moment at which they are not; None: not in sight."""
    stretches = _stretches(opening, category, at_ms, days=LOOK_AHEAD_DAYS)
    return next((from_ms for from_ms, until_ms in stretches if at_ms < from_ms < until_ms), None)


def opening_times(opening: OpeningHours, at_ms: int) -> tuple[int, ...]:
    """When anybody but staff is let in, from yesterday until tomorrow, as sorted pairs of from and until."""
    guests = [each for each in UserCategory if each is not UserCategory.STAFF]
    stretches = sorted(each for guest in guests for each in _stretches(opening, guest, at_ms, days=3))
    times: list[int] = []
    for from_ms, until_ms in stretches:
        if times and from_ms <= times[-1]:
            times[-1] = max(times[-1], until_ms)
        else:
            times += (from_ms, until_ms)
    return tuple(times)


def hours_between(opening: OpeningHours, category: UserCategory, from_ms: int, until_ms: int) -> tuple[int, ...]:
    """The moments between two others at which people of this category begin or cease to be let in."""
    days = (until_ms - from_ms) // 86_400_000 + 3
    edges = {edge for stretch in _stretches(opening, category, from_ms, days=days) for edge in stretch}
    return tuple(sorted(edge for edge in edges if from_ms < edge < until_ms))


def local_day(zone: ZoneInfo, at_ms: int) -> tuple[int, int]:
    """When the local day of a moment begins and ends, in ms."""
    day = _date(zone, at_ms)
    return _moment_ms(zone, day, 0), _moment_ms(zone, day + _DAY, 0)


def _stretches(opening: OpeningHours, category: UserCategory, at_ms: int, *, days: int) -> Iterator[tuple[int, int]]:
    """When it is open, from the day before a moment on, in order."""
    hours = opening.hours.get(category)
    if hours is None:
        return
    first = _date(opening.zone, at_ms) - _DAY
    for day in (first + _DAY * ahead for ahead in range(days)):
        for each in sorted(hours.on(day), key=_start):
            yield _moment_ms(opening.zone, day, each.from_minute), _moment_ms(opening.zone, day, each.until_minute)


def _start(opening: Opening) -> int:
    return opening.from_minute


def _date(zone: ZoneInfo, at_ms: int) -> date:
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).date()


def _moment_ms(zone: ZoneInfo, day: date, minute: int) -> int:
    local = datetime.combine(day, time.min, zone) + timedelta(minutes=minute)
    return (local - _EPOCH) // timedelta(milliseconds=1)
