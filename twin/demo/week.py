"""The demo's bookings: busy days, some evenings and nights, quiet weekends; computed from the date alone."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from twin.demo import community, site
from twin.demo.prices import tariffs
from twin.enrolment import NewBooking, NewPerson, register_bookings
from twin.models.times import Booking
from twin.parties import UserCategory
from twin.rules.billing import charge
from twin.state import Category, Span
from twin.store.rows import to_ms
from twin.tariffs import Tariff

DAYS = 8
"""Today and the next seven."""
COMES_WITHIN = timedelta(minutes=20)
"""Whose booking began longer ago than this will not come any more."""
DAY_MIN = (8 * 60, 18 * 60)
EVENING_MIN = (18 * 60, 22 * 60)
NIGHT_MIN = (22 * 60, 32 * 60)
"""Minutes of the local day; a night ends the next morning."""
_OPEN_MIN = (8 * 60, 22 * 60)
"""Students are let in between."""


class _Chances(NamedTuple):
    """How many of a hundred instruments are booked by day, in the evening, at night."""

    day: int
    evening: int
    night: int


_WORKDAY, _WEEKEND = _Chances(100, 46, 25), _Chances(45, 24, 14)
_QUIETLY = _Chances(100, 8, 4)
"""What nobody runs overnight: a freezer is opened for a moment, by day."""


class Slot(NamedTuple):
    """Minutes of a local day; one that begins or ends beyond minute 1440 does so the next day."""

    from_min: int
    until_min: int


async def register_week(zone: ZoneInfo, now: datetime) -> None:
    """Book what is missing; bookings whose time began while nobody could come are given back without blame."""
    await Booking.filter(state="confirmed", start__lt=now - COMES_WITHIN).update(state="released")
    today = now.astimezone(zone).date()
    wanted = [each for each in bookings(_days(today, DAYS), zone) if each.start >= now]
    known = set(await Booking.filter(start__gte=now).values_list("instrument__code", "person__username", "start"))
    await register_bookings(each for each in wanted if (each.instrument, each.username, each.start) not in known)


async def register_past(zone: ZoneInfo, now: datetime, days: int) -> None:
    """Book the days before, as far as they have begun."""
    today = now.astimezone(zone).date()
    wanted = bookings(_days(today - timedelta(days=days), days + 1), zone)
    await register_bookings(each for each in wanted if each.start < now)


def under_way(zone: ZoneInfo, now: datetime) -> Iterator[NewBooking]:
    """The bookings that have begun and are not over."""
    yesterday = now.astimezone(zone).date() - timedelta(days=1)
    return (each for each in bookings(_days(yesterday, 2), zone) if each.start < now < each.until)


def bookings(days: Iterable[date], zone: ZoneInfo) -> Iterator[NewBooking]:
    """Everybody's bookings that begin on these local days."""
    for day in days:
        for code, _ in site.connected().values():
            for number, slot in enumerate(_slots(day, code)):
                start, until = (_moment(day, minute, zone) for minute in slot)
                yield booking(code, who(code, start, until, zone, about=(day, number)), start, until, zone)


def who(code: str, start: datetime, until: datetime, zone: ZoneInfo, about: Sequence[object]) -> NewPerson:
    """Whoever books: one of those who may work with the instrument at that time; `about` decides who."""
    users = [person for person in community.users_of(code) if _is_let_in(person, start, until, zone)]
    own = [person for person in users if person.username == community.STUDENT]
    if own and not chance(10, *about, code, "own"):
        return own[0]
    return users[chance(len(users), *about, code, "who")]


def booking(code: str, person: NewPerson, start: datetime, until: datetime, zone: ZoneInfo) -> NewBooking:
    """A booking with its estimate; one in four is for the person alone, the others for the group."""
    tariff = _prices()[code]
    used = [Span(to_ms(start), Category.USE)]
    estimate = charge(used, to_ms(start), to_ms(until), tariff, person.payer, zone=zone)
    return NewBooking(
        instrument=code,
        username=person.username,
        group=person.groups[0] if person.groups and chance(4, code, start, "group") else None,
        project=community.project_of(person),
        start=start,
        until=until,
        estimate_cny=estimate.line.net_cny,
    )


def chance(ways: int, *about: object) -> int:
    """One of so many ways, always the same for the same thing."""
    digest = hashlib.sha256(repr([str(each) for each in about]).encode()).digest()
    return int.from_bytes(digest[:4], "big") % ways


def _days(first: date, count: int) -> Iterator[date]:
    return (first + timedelta(days=ahead) for ahead in range(count))


def _slots(day: date, code: str) -> Iterator[Slot]:
    """One after another with pauses between them."""
    chances = _WORKDAY if day.weekday() < 5 else _WEEKEND
    if code.startswith("FRZ"):
        chances = min(chances, _QUIETLY, key=lambda each: each.evening)
    if chance(100, day, code, "day") < chances.day:
        yield from _chain(DAY_MIN, day, code)
    if chance(100, day, code, "evening") < chances.evening:
        begin_min = EVENING_MIN[0] + 30 * chance(3, day, code, "evening begins")
        yield Slot(begin_min, EVENING_MIN[1] - 15 * chance(3, day, code, "evening ends"))
    if chance(100, day, code, "night") < chances.night:
        begin_min = NIGHT_MIN[0] + 30 * chance(2, day, code, "night begins")
        yield Slot(begin_min, NIGHT_MIN[1] - 60 * chance(4, day, code, "night ends"))


def _chain(within_min: tuple[int, int], day: date, code: str) -> Iterator[Slot]:
    minute, end_min = within_min
    minute += 15 * chance(5, day, code, "first")
    while end_min - minute >= 60:
        length_min = _length_min(code, chance(6, day, code, minute))
        yield Slot(minute, min(minute + length_min, end_min))
        minute += length_min + 15 * chance(6, day, code, minute, "pause")


def _length_min(code: str, draw: int) -> int:
    return 60 if code.startswith("FRZ") else 60 + 30 * draw


def _is_let_in(person: NewPerson, start: datetime, until: datetime, zone: ZoneInfo) -> bool:
    """Students have the day."""
    if person.category is not UserCategory.STUDENT:
        return True
    midnight = datetime.combine(start.astimezone(zone).date(), time.min, zone)
    open_min, close_min = _OPEN_MIN
    return midnight + timedelta(minutes=open_min) <= start and until <= midnight + timedelta(minutes=close_min)


def _moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    return (datetime.combine(day, time.min, zone) + timedelta(minutes=minute)).astimezone(UTC)


@cache
def _prices() -> dict[str, Tariff]:
    return {tariff.instrument: tariff for tariff in tariffs()}
