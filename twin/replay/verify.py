"""Does everything that is stored follow from the log?"""

from collections.abc import Collection

import msgspec

from twin.replay.differences import Difference, differences
from twin.replay.records import Window
from twin.replay.run import Progress, Replay
from twin.replay.stored import read_records
from twin.store.log import Log


class Verified(msgspec.Struct, frozen=True):
    """What a comparison has found, and how fast the replay was."""

    window: Window
    instruments: int
    sessions: int
    """How many of each were compared."""
    alerts: int
    charges: int
    events: int
    seconds: float
    core_s: float
    """Of one core."""
    telling_s: float
    """Of these, with the rules; the rest is reading."""
    differences: tuple[Difference, ...]


async def verify(log: Log, window: Window, codes: Collection[str], progress: Progress) -> Verified:
    """Replay a window at these instruments and compare. Raises IncompatibleVersionError."""
    replayed = await Replay(log, codes).run(window, progress)
    progress("Comparing", None)
    stored = await read_records(log, codes, window, with_site=len(codes) == len(log.codes))
    found = differences(stored, replayed.records, window, sorted(codes))
    return Verified(
        window=window,
        instruments=len(codes),
        sessions=len(stored.sessions),
        alerts=len(stored.alerts),
        charges=len(stored.charges),
        events=replayed.events,
        seconds=replayed.seconds,
        core_s=replayed.core_s,
        telling_s=replayed.telling_s,
        differences=tuple(found),
    )
