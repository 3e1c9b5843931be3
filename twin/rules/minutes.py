"""The minutes of a session: of which kind each is, and which band it falls into.

Minutes are counted from the session's start; one that has begun is a whole one. They are told in runs of one kind and
band, so that the work grows with the spans and bands of a session, not with its length.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from twin.local_time import DAY_MIN, MINUTE_MS, WEEK_MIN, offset_ms, steady_until_ms, week_minute
from twin.state import Category, Span
from twin.tariffs import Band, Kind, Tariff

_PLAIN_PERCENT = 100

KindRun: TypeAlias = tuple[Kind, int]
"""A kind, and for how many minutes."""
BandRun: TypeAlias = tuple[int, int]
"""The percentage of a band, and for how many minutes."""


class Run(msgspec.Struct, frozen=True, gc=False):
    """Minutes that follow each other and cost the same."""

    kind: Kind
    band_percent: int
    minutes: int


def minute_runs(spans: Sequence[Span], start_ms: int, end_ms: int, tariff: Tariff, zone: ZoneInfo) -> Iterator[Run]:
    """All minutes of a session, in order.

    Raises:
        ValueError: the spans do not reach back to the session's start, or hold what no session has.

    """
    kinds = _kind_runs(spans, start_ms, end_ms, tariff.percents())
    bands = _band_runs(start_ms, tariff.bands, zone)
    percent = left = 0
    for kind, run in kinds:
        minutes = run
        while minutes:
            if not left:
                percent, left = next(bands)
            taken = min(minutes, left)
            yield Run(kind, percent, taken)
            minutes -= taken
            left -= taken


def first_minutes(runs: Sequence[Run], minutes: int) -> Iterator[Run]:
    """The runs up to so many minutes."""
    left = minutes
    for run in runs:
        if not left:
            return
        taken = min(run.minutes, left)
        yield Run(run.kind, run.band_percent, taken)
        left -= taken


def _kind_runs(spans: Sequence[Span], start_ms: int, end_ms: int, percents: Mapping[Kind, int]) -> Iterator[KindRun]:
    """The kinds of a session's minutes, the last one begun included.

    A minute within one stretch needs no counting; one with a change in it goes to the kind that covers most of it.
    """
    shares_ms: Counter[Kind] = Counter()
    for kind, since_ms, until_ms in _stretches(spans, start_ms, end_ms):
        at_ms = since_ms
        while at_ms < until_ms:
            whole, into_ms = (until_ms - at_ms) // MINUTE_MS, at_ms % MINUTE_MS
            if whole and not into_ms:
                yield kind, whole
                at_ms += whole * MINUTE_MS
                continue
            piece_ms = min(until_ms - at_ms, MINUTE_MS - into_ms)
            shares_ms[kind] += piece_ms
            at_ms += piece_ms
            if not at_ms % MINUTE_MS:
                yield _most_of(shares_ms, percents), 1
                shares_ms.clear()
    if shares_ms:
        yield _most_of(shares_ms, percents), 1


def _stretches(spans: Sequence[Span], start_ms: int, end_ms: int) -> Iterator[tuple[Kind, int, int]]:
    """The kinds of the session's time, from when until when, in milliseconds after its start."""
    first = bisect_right(spans, start_ms, key=lambda span: span.start_ms) - 1
    if first < 0:
        raise ValueError(f"the ledger does not reach back to the session's start, {start_ms}")
    for index in range(first, len(spans)):
        since_ms = max(spans[index].start_ms, start_ms)
        until_ms = min(spans[index + 1].start_ms, end_ms) if index + 1 < len(spans) else end_ms
        if since_ms >= end_ms:
            return
        yield kind_of(spans[index].category), since_ms - start_ms, until_ms - start_ms


def kind_of(category: Category) -> Kind:
    """What a session's time of a category is charged as.

    Raises:
        ValueError: a session has no such time.

    """
    match category:
        case Category.USE:
            return Kind.USE
        case Category.IDLE | Category.UNKNOWN:
            return Kind.IDLE
        case Category.OVERRUN:
            return Kind.OVERRUN
        case Category.MAINTENANCE | Category.COOLDOWN:
            return Kind.FREE
        case Category.UNAUTHORISED | Category.STANDBY | Category.OFF:
            raise ValueError(f"a session has no {category} time")


def _most_of(shares_ms: Counter[Kind], percents: Mapping[Kind, int]) -> Kind:
    """The kind that covers most of a minute; of those that cover as much of it, the cheapest."""
    return min(shares_ms, key=lambda kind: (-shares_ms[kind], percents[kind], kind))


def _band_runs(start_ms: int, bands: tuple[Band, ...], zone: ZoneInfo) -> Iterator[BandRun]:
    """The percentages of the minutes from a moment on, without end, each with the number of minutes it holds for."""
    if not bands:
        yield from repeat((_PLAIN_PERCENT, WEEK_MIN))
    starts, percents = _week(bands)
    at_ms = start_ms
    while True:
        minute = week_minute(at_ms, offset_ms(at_ms, zone))
        index = bisect_right(starts, minute) - 1
        steady_min = -((at_ms - steady_until_ms(at_ms, zone)) // MINUTE_MS)
        minutes = min(starts[index + 1] - minute, steady_min)
        yield percents[index], minutes
        at_ms += minutes * MINUTE_MS


@lru_cache(maxsize=1024)
def _week(bands: tuple[Band, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """From which minute of the week on which percentage holds; the last start is the week's end."""
    minutes = [_PLAIN_PERCENT] * WEEK_MIN
    for band in reversed(bands):
        length_min = (band.until_minute - band.from_minute) % DAY_MIN or DAY_MIN
        for day in band.weekdays:
            first = (day - 1) * DAY_MIN + band.from_minute
            for minute in range(first, first + length_min):
                minutes[minute % WEEK_MIN] = band.percent
    starts = [minute for minute in range(WEEK_MIN) if not minute or minutes[minute] != minutes[minute - 1]]
    return (*starts, WEEK_MIN), tuple(minutes[start] for start in starts)
