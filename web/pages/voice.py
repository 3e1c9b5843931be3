"""Sentences and moments in the language and the time zone of whoever reads them."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec


class Voice(msgspec.Struct, frozen=True):
    """Speaks one language at one moment."""

    translate: Callable[[str], str]
    zone: ZoneInfo
    now_ms: int

    def say(self, sentence: str, **blanks: object) -> str:
        """A sentence with its `{blanks}` filled in."""
        return self.translate(sentence).format(**blanks)

    def at(self, moment: str) -> str:
        """An RFC 3339 moment by the local clock, with the date where it is not today."""
        return local_moment(moment, self.zone, self.now_ms)


def local_moment(moment: str, zone: ZoneInfo, now_ms: int) -> str:
    """Hours and minutes; with the date where that is not today's, and the year where it is not this one."""
    then = datetime.fromisoformat(moment).astimezone(zone)
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    return f"{then:%m-%d %H:%M}" if then.year == now.year else f"{then:%Y-%m-%d %H:%M}"
