"""The brake on guessing passwords: after a few failures each further attempt has to wait, twice as long every time."""

from collections import OrderedDict
from collections.abc import Hashable

import msgspec

LONGEST_WAIT_MS = 15 * 60_000
FORGET_AFTER_MS = 60 * 60_000


class _Failures(msgspec.Struct, frozen=True):
    count: int
    last_ms: int


class Brake:
    """Counts failures by key, in bounded memory: when it is full, the key that failed longest ago is forgotten."""

    def __init__(self, free: int, capacity: int = 10_000) -> None:
        self._free = free
        self._capacity = capacity
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def wait_ms(self, key: Hashable, now_ms: int) -> int:
        """How long this key has to wait before its next attempt; 0 where it may go ahead."""
        failures = self._failures.get(key)
        if failures is None or failures.count < self._free:
            return 0
        pause_ms = min(LONGEST_WAIT_MS, 1000 << min(failures.count - self._free, 20))
        return max(0, failures.last_ms + pause_ms - now_ms)

    def count(self, key: Hashable, now_ms: int) -> None:
        """Count an attempt as failed. Do so before it is looked at, so that many at once gain nothing."""
        before = self._failures.pop(key, None)
        if before is None or now_ms - before.last_ms > FORGET_AFTER_MS:
            before = _Failures(0, now_ms)
        self._failures[key] = _Failures(before.count + 1, now_ms)
        if len(self._failures) > self._capacity:
            self._failures.popitem(last=False)

    def clear(self, key: Hashable) -> None:
        """Forget the failures of a key: it has succeeded."""
        self._failures.pop(key, None)
