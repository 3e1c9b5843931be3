"""What would have been billed and alerted by other policies and prices."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal

import msgspec

from twin.replay.overrides import Overrides
from twin.replay.records import Records, Window
from twin.replay.run import Progress, Replay
from twin.replay.stored import read_records
from twin.store.log import Log
from twin.tariffs import NOTHING

SITE = "the site"
TOTAL = "total"


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one instrument, or of all."""

    charged: int
    """Sessions and bookings that were charged."""
    minutes: int
    gross_cny: Decimal
    net_cny: Decimal
    alerts: dict[str, int]


class Tried(msgspec.Struct, frozen=True):
    """One instrument, or the total: as it was, and as it would have been."""

    instrument: str
    was: Sums
    would_be: Sums


class WhatIf(msgspec.Struct, frozen=True):
    """All instruments, the total last."""

    window: Window
    events: int
    seconds: float
    core_s: float
    """Of one core."""
    telling_s: float
    instruments: tuple[Tried, ...]


async def what_if(overrides: Overrides, log: Log, window: Window, codes: Collection[str], progress: Progress) -> WhatIf:
    """Replay a window by other policies and prices, beside what is stored. Raises OverrideError."""
    replayed = await Replay(log, codes, overrides.applied).run(window, progress)
    stored = await read_records(log, codes, window, with_site=len(codes) == len(log.codes))
    return WhatIf(
        window=window,
        events=replayed.events,
        seconds=replayed.seconds,
        core_s=replayed.core_s,
        telling_s=replayed.telling_s,
        instruments=tuple(side_by_side(stored, replayed.records, codes)),
    )


def side_by_side(stored: Records, tried: Records, codes: Iterable[str]) -> Iterator[Tried]:
    """Every instrument of which there is something to say, the site, and the total."""
    for code in [*sorted(codes), SITE, TOTAL]:
        was, would_be = _sums(stored, code), _sums(tried, code)
        if code == TOTAL or any(each.charged or each.alerts for each in (was, would_be)):
            yield Tried(code, was, would_be)


def _sums(records: Records, code: str) -> Sums:
    charges = [each for each in records.charges.values() if code in {each.instrument, TOTAL}]
    alerts = [each for each in records.alerts.values() if code in {each.instrument or SITE, TOTAL}]
    return Sums(
        charged=len(charges),
        minutes=sum(each.minutes for each in charges),
        gross_cny=sum((each.gross_cny for each in charges), NOTHING),
        net_cny=sum((each.net_cny for each in charges), NOTHING),
        alerts=dict(sorted(Counter(each.kind for each in alerts).items())),
    )
