"""Waiting between attempts: longer each time, with jitter so that many clients do not return as one."""

import asyncio
import random


class Backoff:
    """0.1 s at first, doubling up to 5 s, each time between half and all of it."""

    def __init__(self, first_s: float = 0.1, most_s: float = 5.0) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self.next_s = first_s

    def reset(self) -> None:
        """The attempt succeeded."""
        self.next_s = self._first_s

    async def wait(self) -> None:
        """Wait for the next attempt."""
        wait_s = self.next_s * random.uniform(0.5, 1.0)  # noqa: S311
        self.next_s = min(self._most_s, self.next_s * 2)
        await asyncio.sleep(wait_s)
