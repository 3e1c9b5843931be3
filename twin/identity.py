"""Which messages a twin has heard: `(controller, boot, seq)` names a message for ever.

Sequence numbers come almost always one after the other, so what was heard of a boot is a few closed ranges. Both bounds
below are far beyond what a working controller reaches; where a boot has more gaps than that, the oldest gap is closed,
so that a minute can never be counted twice.
"""

from bisect import bisect_right

from twin.state import SeenBoot

MAX_BOOTS = 64
MAX_RANGES = 512


def remember(seen: tuple[SeenBoot, ...], boot: str, seq: int) -> tuple[SeenBoot, ...] | None:
    """`seen` with one more message; None: it has been heard before."""
    newest = seen[-1] if seen else None
    if newest is not None and newest.boot == boot and seq == newest.ranges[-1] + 1:
        return (*seen[:-1], SeenBoot(boot, (*newest.ranges[:-1], seq)))
    known = _find(seen, boot)
    if known is None:
        return (*seen, SeenBoot(boot, (seq, seq)))[-MAX_BOOTS:]
    if _is_within(known.ranges, seq):
        return None
    grown = SeenBoot(boot, _with(known.ranges, seq))
    return tuple(grown if each is known else each for each in seen)


def _is_within(ranges: tuple[int, ...], seq: int) -> bool:
    index = bisect_right(ranges, seq)
    return index % 2 == 1 or (index > 0 and ranges[index - 1] == seq)


def _find(seen: tuple[SeenBoot, ...], boot: str) -> SeenBoot | None:
    for known in reversed(seen):
        if known.boot == boot:
            return known
    return None


def _with(ranges: tuple[int, ...], seq: int) -> tuple[int, ...]:
    index = bisect_right(ranges, seq)
    left, right = list(ranges[:index]), list(ranges[index:])
    joins_left = bool(left) and left[-1] == seq - 1
    joins_right = bool(right) and right[0] == seq + 1
    if joins_left:
        left.pop()
    else:
        left.append(seq)
    if joins_right:
        right.pop(0)
    else:
        right.insert(0, seq)
    merged = (*left, *right)
    return merged if len(merged) <= 2 * MAX_RANGES else (merged[0], *merged[3:])
