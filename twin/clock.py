"""The time of day, as the service is told it."""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Milliseconds since the epoch."""


def system_clock() -> int:
    """The machine's clock: the only place where the service reads it."""
    return time.time_ns() // 1_000_000
