"""Opening hours: what cannot be, and that no clock is read."""

import inspect
import re
from zoneinfo import ZoneInfo

import pytest

from twin import hours
from twin.hours import ALL_DAY, ALWAYS, Hours, Opening, OpeningHours, is_open, local_day, opens_ms
from twin.parties import UserCategory

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
HOUR_MS = 3_600_000
NOON_MS = 1_772_424_000_000  # Monday, 2 March 2026, 12:00 in Shanghai


@pytest.mark.parametrize(("from_minute", "until_minute"), [(-1, 10), (10, 10), (11, 10), (0, 1441)])
def test_an_opening_lies_in_a_day(from_minute: int, until_minute: int) -> None:
    with pytest.raises(ValueError, match="no opening"):
        Opening(from_minute, until_minute)


def test_what_is_always_open_has_no_seam_at_midnight() -> None:
    opening = OpeningHours(BERLIN, {UserCategory.STAFF: ALWAYS})
    moments = range(NOON_MS, NOON_MS + 60 * 24 * HOUR_MS, HOUR_MS // 2)
    assert all(is_open(opening, UserCategory.STAFF, at_ms) for at_ms in moments)
    assert not is_open(opening, UserCategory.STUDENT, NOON_MS)


def test_openings_need_not_be_written_in_order() -> None:
    day = (Opening(14 * 60, 15 * 60), Opening(13 * 60, 14 * 60))
    opening = OpeningHours(SHANGHAI, {UserCategory.STAFF: Hours((day,) * 7)})
    assert opens_ms(opening, UserCategory.STAFF, NOON_MS) == NOON_MS + HOUR_MS


def test_an_opening_far_ahead_is_not_in_sight() -> None:
    far = Hours(((),) * 7, {hours.date(2030, 1, 1): ALL_DAY})
    assert opens_ms(OpeningHours(SHANGHAI, {UserCategory.STAFF: far}), UserCategory.STAFF, NOON_MS) is None


@pytest.mark.parametrize(
    ("noon_ms", "zone", "length_h"),
    [
        (NOON_MS, SHANGHAI, 24),
        (1_774_778_400_000, BERLIN, 23),  # 29 March 2026
        (1_792_926_000_000, BERLIN, 25),  # 25 October 2026
    ],
)
def test_a_local_day(noon_ms: int, zone: ZoneInfo, length_h: int) -> None:
    from_ms, until_ms = local_day(zone, noon_ms)
    assert until_ms - from_ms == length_h * HOUR_MS
    assert local_day(zone, from_ms) == local_day(zone, until_ms - 1) == (from_ms, until_ms)
    assert until_ms == local_day(zone, until_ms)[0]


def test_the_time_is_never_asked_for() -> None:
    assert not re.search(r"\b(now|today|utcnow)\(", inspect.getsource(hours))
