"""A day of the ledger as a page shows it: a ribbon of 24 hours, a table, minutes per category."""

from collections.abc import Iterator
from datetime import date as Date  # noqa: N812 - a day has a date
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from twin.interface import LedgerDay, LedgerSegment
from twin.state import Category
from web.pages.words import STATES


class Stretch(NamedTuple):
    """A segment on the ribbon; positions in minutes from the day's start."""

    category: Category
    start: str
    end: str
    at: float
    minutes: float


class Hour(NamedTuple):
    """A mark on the ribbon's scale."""

    at: int
    label: str


class DayView(NamedTuple):
    """What the template needs of a day."""

    date: Date
    previous: Date
    next: Date | None
    length: int
    """Minutes: 1440, or 1380 or 1500 at a clock change."""
    stretches: list[Stretch]
    hours: list[Hour]
    minutes: dict[Category, float]
    total: float
    is_today: bool


def day_view(ledger: LedgerDay, zone: ZoneInfo, today: Date) -> DayView:
    """A day's ledger laid out."""
    day = Date.fromisoformat(ledger.date)
    start, end = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    return DayView(
        date=day,
        previous=day - timedelta(days=1),
        next=day + timedelta(days=1) if day < today else None,
        length=_minutes(start, end),
        stretches=[_stretch(segment, start, zone) for segment in ledger.segments],
        hours=list(_hours(start, end, zone)),
        minutes={category: ledger.minutes[category] for category in STATES if ledger.minutes.get(category)},
        total=ledger.total,
        is_today=day == today,
    )


def _midnight(day: Date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _minutes(start: datetime, end: datetime) -> int:
    """True minutes between two moments, whatever the clocks on the wall did in between."""
    return round((end.timestamp() - start.timestamp()) / 60)


def _stretch(segment: LedgerSegment, start: datetime, zone: ZoneInfo) -> Stretch:
    begins, ends = (datetime.fromisoformat(moment).astimezone(zone) for moment in (segment.start, segment.end))
    at = (begins.timestamp() - start.timestamp()) / 60
    return Stretch(segment.category, f"{begins:%H:%M:%S}", f"{ends:%H:%M:%S}", at, segment.minutes)


def _hours(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Hour]:
    for at in range(0, _minutes(start, end) + 1, 180):
        moment = datetime.fromtimestamp(start.timestamp() + at * 60, zone)
        yield Hour(at, f"{moment:%H}")
