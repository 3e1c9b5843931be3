"""For which time a controller is known to have been there: arithmetic over sorted ranges of time.

The link goes by the time of receipt, what messages tell of by their own time, and the ledger knows a moment by either.
So each message vouches for `stale_after` twice: from its receipt, and from its own time where that is earlier. Both end
where the controller's death is received after the message. A buffered message vouches for the time since the message
before it as well, if that is of the same boot and not longer ago: only the connection was dead.
"""

from bisect import bisect_left, bisect_right

from twin.state import FOREVER_MS, Coverage


def is_known(coverage: Coverage, at_ms: int) -> bool:
    """Was the controller known to be there at this moment?"""
    return bisect_right(coverage.ranges, at_ms) % 2 == 1


def vouched(
    coverage: Coverage, told: tuple[int, int], received_ms: int, stale_ms: int, dead_ms: int = FOREVER_MS
) -> Coverage:
    """The coverage after a message that vouches for the time from `told[0]` to `told[1]`, and `stale_ms` from then on.

    `told[0] <= told[1] <= received_ms`; `dead_ms` is when the controller died after it was received.
    """
    ranges = coverage.ranges
    until_ms = min(received_ms + stale_ms, dead_ms)
    if ranges and ranges[-2] <= told[0] and received_ms <= ranges[-1]:
        return Coverage((*ranges[:-1], until_ms), coverage.deaths_ms) if until_ms > ranges[-1] else coverage
    ranges = _united(ranges, told[0], min(told[1] + stale_ms, dead_ms))
    return Coverage(_united(ranges, received_ms, until_ms), coverage.deaths_ms)


def cut(coverage: Coverage, dead_ms: int) -> Coverage:
    """The coverage once the controller's death has been received, after all that is in it."""
    if dead_ms in coverage.deaths_ms:
        return coverage
    index = bisect_left(coverage.ranges, dead_ms)
    kept = coverage.ranges[:index]
    return Coverage((*kept, dead_ms) if index % 2 else kept, (*coverage.deaths_ms, dead_ms))


def recent(coverage: Coverage, horizon_ms: int) -> Coverage:
    """The coverage without what ended before a moment."""
    ranges, deaths_ms = coverage.ranges, coverage.deaths_ms
    ended = bisect_left(ranges, horizon_ms) // 2 * 2
    return Coverage(ranges[ended:], deaths_ms[bisect_left(deaths_ms, horizon_ms) :])


def _united(ranges: tuple[int, ...], since_ms: int, until_ms: int) -> tuple[int, ...]:
    """The union of ranges and one more; those that touch become one."""
    if since_ms >= until_ms:
        return ranges
    left, right = bisect_left(ranges, since_ms), bisect_right(ranges, until_ms)
    start = () if left % 2 else (since_ms,)
    end = () if right % 2 else (until_ms,)
    return ranges[:left] + start + end + ranges[right:]
