"""What a replay has otherwise than it is stored."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from twin.replay.records import Records, Segments, Window
from twin.state import Category
from twin.views import rfc3339

NOTHING_THERE = "-"
_R = TypeVar("_R", bound=msgspec.Struct)


class Difference(msgspec.Struct, frozen=True):
    """One thing of which the two say something different."""

    kind: str
    """session, segment, alert or charge."""
    instrument: str
    what: str
    stored: str
    replayed: str


def differences(stored: Records, replayed: Records, window: Window, codes: Iterable[str]) -> list[Difference]:
    """All differences within a window at these instruments, by kind and then in order."""
    return [
        *_rows("session", stored.sessions, replayed.sessions),
        *(each for code in codes for each in _segments(code, stored.segments, replayed.segments, window)),
        *_rows("alert", stored.alerts, replayed.alerts),
        *_rows("charge", stored.charges, replayed.charges),
    ]


def _rows(kind: str, stored: dict[str, _R], replayed: dict[str, _R]) -> Iterator[Difference]:
    for key in sorted(stored.keys() | replayed.keys()):
        one, other = stored.get(key), replayed.get(key)
        if one != other:
            names = [name for name in _names(one or other) if _value(one, name) != _value(other, name)]
            instrument = str(_value(one or other, "instrument") or "the site")
            yield Difference(kind, instrument, key, _told(one, names), _told(other, names))


def _names(row: msgspec.Struct | None) -> Sequence[str]:
    return () if row is None else row.__struct_fields__


def _value(row: msgspec.Struct | None, name: str) -> object:
    return None if row is None else getattr(row, name)


def _told(row: msgspec.Struct | None, names: Iterable[str]) -> str:
    """The values that differ, for people."""
    if row is None:
        return NOTHING_THERE
    return ", ".join(f"{name.removesuffix('_ms')} {_worded(name, getattr(row, name))}" for name in names)


def _worded(name: str, value: object) -> str:
    match value:
        case None:
            return NOTHING_THERE
        case int() if name.endswith("_ms"):
            return rfc3339(value)
        case Decimal():
            return f"{value:.2f}"
        case _:
            return str(value)


def _segments(
    code: str, stored: dict[str, Segments], replayed: dict[str, Segments], window: Window
) -> Iterator[Difference]:
    """Stretches of time of which the two ledgers say something different, each as long as it can be."""
    one, other = (ledgers.get(code, Segments()).within(window) for ledgers in (stored, replayed))
    moments = sorted({start_ms for start_ms, _ in (*one, *other)})
    since_ms, before = window.from_ms, (NOTHING_THERE, NOTHING_THERE)
    for at_ms in [*moments, window.until_ms]:
        now = (_at(one, at_ms), _at(other, at_ms)) if at_ms < window.until_ms else (NOTHING_THERE, NOTHING_THERE)
        if now != before:
            if before[0] != before[1]:
                yield Difference("segment", code, f"{rfc3339(since_ms)} to {rfc3339(at_ms)}", *before)
            since_ms, before = at_ms, now


def _at(stretches: Sequence[tuple[int, Category]], at_ms: int) -> str:
    index = bisect_right(stretches, at_ms, key=lambda each: each[0]) - 1
    return NOTHING_THERE if index < 0 else stretches[index][1].value
