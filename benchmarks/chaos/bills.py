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
from twin.state import FOREVER_MS
from twin.tariffs import Tariff

MINUTE_MS = 60_000
ACTIVE_FROM_W = 40.0
Stretch = tuple[int, int]


class Story(msgspec.Struct, frozen=True):
    """One instrument's time, ms since the epoch: when it worked, and when that may not be known."""

    active: tuple[Stretch, ...]
    open: tuple[Stretch, ...]
    work_ends: frozenset[int] = frozenset()
    """When it stopped to work."""


def story_of(messages: Iterable[Made], *, hold_ms: int, stale_ms: int) -> Story:
    """From those messages of one controller that are stored."""
    told = sorted(messages, key=lambda each: (each.message["ts"], each.message["boot"], each.message["seq"]))
    work_ends = frozenset(end_ms for _, end_ms in _active(told, 0))
    return Story(tuple(_active(told, hold_ms)), tuple(_open(told, stale_ms)), work_ends)


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


def bounds(
    story: Story, start_ms: int, end_ms: int, tariff: Tariff, *, overrun_ms: int = FOREVER_MS
) -> tuple[Decimal, Decimal]:
    """The least and the most that a session may cost that is past its slot from `overrun_ms` on."""
    least = most = Fraction()
    for minute_ms in range(start_ms, end_ms, MINUTE_MS):
        prices = _minute(story, (minute_ms, min(minute_ms + MINUTE_MS, end_ms)), tariff, overrun_ms)
        least, most = least + min(prices), most + max(prices)
    return rounded(least), rounded(most)


def _minute(story: Story, minute: Stretch, tariff: Tariff, overrun_ms: int) -> tuple[Fraction, Fraction]:
    """The price if nothing of what is left open was known, and if all of it was."""
    over, slot = (max(minute[0], overrun_ms), minute[1]), (minute[0], min(minute[1], overrun_ms))
    gaps = _near(story.open, minute)
    over_ms, open_over_ms = _common(minute, over), sum(_common(over, gap) for gap in gaps)
    used_ms = sum(_common(slot, each) for each in _near(story.active, slot))
    open_used_ms = sum(
        _common((max(slot[0], gap[0]), min(slot[1], gap[1])), each) for gap in gaps for each in _near(story.active, gap)
    )
    known = _price(tariff, over_ms, used_ms, minute)
    return _price(tariff, over_ms - open_over_ms, used_ms - open_used_ms, minute), known


def _price(tariff: Tariff, over_ms: int, used_ms: int, minute: Stretch) -> Fraction:
    """By what covers most of it; of two that cover the same by the cheaper one."""
    kinds = (
        (over_ms, tariff.overrun_percent),
        (used_ms, tariff.use_percent),
        (minute[1] - minute[0] - over_ms - used_ms, tariff.idle_percent),
    )
    longest_ms = max(each_ms for each_ms, _ in kinds)
    percent = min(percent for each_ms, percent in kinds if each_ms == longest_ms)
    return Fraction(tariff.rates.internal) / 60 * percent / 100


def _near(stretches: Sequence[Stretch], stretch: Stretch) -> Sequence[Stretch]:
    """Those that may overlap this one; they are in order and apart."""
    first = max(0, bisect_left(stretches, (stretch[0], 0)) - 1)
    return stretches[first : bisect_left(stretches, (stretch[1], 0))]


def _common(one: Stretch, other: Stretch) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))
