"""Where a moment stands in the local week, and for how long local clocks run evenly from then on.

Arithmetic with the rules of a time zone; nothing here knows what time it is.
"""

from bisect import bisect_left
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000
DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN
_THURSDAY_MIN = 3 * DAY_MIN  # the epoch began on one, weeks begin on Monday
_HORIZON_MS = 6 * 60 * MINUTE_MS  # no zone changes its clocks and back within it
_MS = timedelta(milliseconds=1)


def offset_ms(at_ms: int, zone: ZoneInfo) -> int:
    """How far local clocks are ahead of UTC at this moment."""
    offset = datetime.fromtimestamp(at_ms // 1000, zone).utcoffset()
    return (offset or timedelta()) // _MS


def week_minute(at_ms: int, ahead_ms: int) -> int:
    """The minute of the local week, from Monday 00:00 on, where local clocks are so far ahead."""
    return ((at_ms + ahead_ms) // MINUTE_MS + _THURSDAY_MIN) % WEEK_MIN


def steady_until_ms(at_ms: int, zone: ZoneInfo) -> int:
    """A later moment up to which, exclusive, clocks do not change; the change itself where one is near."""
    horizon_ms = at_ms + _HORIZON_MS
    ahead_ms = offset_ms(at_ms, zone)
    if offset_ms(horizon_ms, zone) == ahead_ms:
        return horizon_ms
    moments = range(at_ms, horizon_ms)
    return at_ms + bisect_left(moments, x=True, key=lambda moment_ms: offset_ms(moment_ms, zone) != ahead_ms)


def month_of(at_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """The local calendar month of a moment: when it began, and when the next one begins."""
    first = datetime.fromtimestamp(at_ms // 1000, zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return int(first.timestamp()) * 1000, int(following.timestamp()) * 1000
