"""What a session costs by what the instrument really drew: to the millisecond, and with no rule of the service.

Time for which nobody can say whether the service could know of the controller is left open: it counts once as it was,
and once as unknown. A bill must lie between the two, which are nearly always one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import msgspec

from benchmarks.chaos.book import Made
from benchmarks.simulation.bill_oracle import rounded
from twin.tariffs import Tariff

MINUTE_MS = 60_000
ACTIVE_FROM_W = 40.0
Stretch = tuple[int, int]


class Story(msgspec.Struct, frozen=True):
    """One instrument's time, ms since the epoch: when it worked, and when that may not be known."""

    active: tuple[Stretch, ...]
    open: tuple[Stretch, ...]


def story_of(messages: Iterable[Made], *, hold_ms: int, stale_ms: int) -> Story:
    """From those messages of one controller that are stored."""
    told = sorted(messages, key=lambda each: (each.message["ts"], each.message["boot"], each.message["seq"]))
    return Story(tuple(_active(told, hold_ms)), tuple(_open(told, stale_ms)))


def _active(told: Sequence[Made], hold_ms: int) -> Iterable[Stretch]:
    """At or above the threshold until the next reading says otherwise, and the hold after it; joined."""
    readings = [
        (each.message["ts"], each.message["power_w"] >= ACTIVE_FROM_W) for each in told if each.kind == "reading"
    ]
    joined: list[Stretch] = []
    for (start_ms, works), (end_ms, _) in pairwise(readings):
        if not works:
            continue
        if joined and start_ms <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end_ms + hold_ms)
        else:
            joined.append((start_ms, end_ms + hold_ms))
    return joined


def _open(told: Sequence[Made], stale_ms: int) -> Iterable[Stretch]:
    """Between two messages that are far apart, of different boots, or with others between them that are not stored."""
    for before, after in pairwise(told):
        start_ms, end_ms = before.message["ts"], after.message["ts"]
        follows = before.message["boot"] == after.message["boot"] and after.message["seq"] == before.message["seq"] + 1
        if not follows or end_ms - start_ms > stale_ms:
            yield start_ms, end_ms


def bounds(story: Story, start_ms: int, end_ms: int, tariff: Tariff) -> tuple[Decimal, Decimal]:
    """The least and the most that a session may cost."""
    least = most = Fraction()
    for minute_ms in range(start_ms, end_ms, MINUTE_MS):
        stretch = minute_ms, min(minute_ms + MINUTE_MS, end_ms)
        low, high = _minute(story, stretch, tariff)
        least, most = least + low, most + high
    return rounded(least), rounded(most)


def _minute(story: Story, stretch: Stretch, tariff: Tariff) -> tuple[Fraction, Fraction]:
    use = Fraction(tariff.rates.internal) / 60 * tariff.use_percent / 100
    idle = Fraction(tariff.rates.internal) / 60 * tariff.idle_percent / 100
    length_ms = stretch[1] - stretch[0]
    used_ms = sum(_common(stretch, each) for each in _near(story.active, stretch))
    in_doubt_ms = sum(
        _common((max(stretch[0], gap[0]), min(stretch[1], gap[1])), each)
        for gap in _near(story.open, stretch)
        for each in _near(story.active, gap)
    )
    low, high = (use if 2 * ms > length_ms else idle for ms in (used_ms - in_doubt_ms, used_ms))
    return low, high


def _near(stretches: Sequence[Stretch], stretch: Stretch) -> Sequence[Stretch]:
    """Those that may overlap this one; they are in order and apart."""
    first = max(0, bisect_left(stretches, (stretch[0], 0)) - 1)
    return stretches[first : bisect_left(stretches, (stretch[1], 0))]


def _common(one: Stretch, other: Stretch) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))
