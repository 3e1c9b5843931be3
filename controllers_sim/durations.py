"""Durations as people write them: `500ms`, `1.5s`, `30s`, `5m`, `2h`."""

import re

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")


def duration_ms(text: str) -> int:
    """Read a duration, ms.

    Raises:
        ValueError: it is not a number with a unit, or it is zero.

    """
    found = _FORM.fullmatch(text.strip())
    value_ms = round(float(found[1]) * _UNIT_MS[found[2]]) if found else 0
    if value_ms <= 0:
        raise ValueError(f"{text!r} is not a duration: write a number and ms, s, m or h, such as 30s")
    return value_ms
