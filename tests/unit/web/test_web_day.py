"""A day of the ledger laid out, on the days when the clocks change too."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from tests.unit.web.campus import START_MS, Campus
from twin.interface import LedgerDay, LedgerSegment
from twin.state import Category
from web.pages.day import day_view

BERLIN = ZoneInfo("Europe/Berlin")


def day_of(start: str, end: str, minutes: float, day: str) -> LedgerDay:
    segment = LedgerSegment(start, end, Category.USE, minutes)
    return LedgerDay("X", day, "Europe/Berlin", (segment,), {Category.USE: minutes, Category.OFF: 0.0}, minutes)


@pytest.mark.parametrize(
    ("day", "start", "end", "at", "length"),
    [
        ("2025-06-01", "2025-06-01T10:00:00+02:00", "2025-06-01T11:00:00+02:00", 600, 1440),
        ("2025-03-30", "2025-03-30T10:00:00+02:00", "2025-03-30T11:00:00+02:00", 540, 1380),
        ("2025-10-26", "2025-10-26T10:00:00+01:00", "2025-10-26T11:00:00+01:00", 660, 1500),
    ],
)
def test_segments_lie_where_their_time_is(day: str, start: str, end: str, at: float, length: int) -> None:
    view = day_view(day_of(start, end, 60, day), BERLIN, date(2025, 12, 1))
    (stretch,) = view.stretches
    assert (stretch.start, stretch.at, stretch.minutes, view.length) == ("10:00:00", at, 60, length)
    assert view.hours[0].label == "00"
    assert view.minutes == {Category.USE: 60}


async def test_today_has_no_next_day() -> None:
    campus = Campus()
    today = date(2025, 10, 9)
    view = day_view(await campus.ledger("SEM-000", today), campus.timezone, today)
    assert view.is_today
    assert view.next is None
    assert sum(s.minutes for s in view.stretches) == pytest.approx(view.total)
    assert campus.clock_ms == START_MS
    past = day_view(await campus.ledger("SEM-000", date(2025, 10, 8)), campus.timezone, today)
    assert past.next == today
    assert past.total == 1440
