"""The one inbox: whatever the service is told waits here until it is worked on.

QoS 1 messages are bounded from outside: the broker holds back what goes beyond its limit of unacknowledged ones. It
does not hold QoS 0 messages, so while `MAX_UNHELD` messages or `MAX_UNHELD_BYTES` wait, those are dropped, and counted.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from twin.stream.packets import Delivery

log = structlog.get_logger(__name__)

MAX_MESSAGES = 250
MAX_BYTES = 1_000_000
"""What is worked on in one go, so that boards and health checks get their turn in between."""
MAX_UNHELD = 50_000
MAX_UNHELD_BYTES = 64_000_000


class Inbox:
    """Deliveries in the order of their arrival."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._dropping = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Add what was received."""
        for delivery in deliveries:
            if delivery.qos == 0 and (len(self._waiting) >= MAX_UNHELD or self._bytes >= MAX_UNHELD_BYTES):
                self._drop(delivery)
            else:
                self._waiting.append(delivery)
                self._bytes += len(delivery.payload)
        self._filled.set()

    def put_back(self, deliveries: Sequence[Delivery]) -> None:
        """These were taken too early: they are the first to be taken again, in the same order."""
        self._waiting.extendleft(reversed(deliveries))
        self._bytes += sum(len(each.payload) for each in deliveries)

    def _drop(self, delivery: Delivery) -> None:
        if not self._dropping:  # one line a flood: it must not become one of the log
            log.warning("inbox.dropping", topic=delivery.topic, waiting=len(self._waiting), bytes=self._bytes)
        self._dropping = True
        self.dropped += 1

    def oldest_ms(self) -> int | None:
        """When the delivery that has waited longest was received."""
        return self._waiting[0].received_ms if self._waiting else None

    def nudge(self) -> None:
        """Let whoever waits to `take` go on, with nothing if need be."""
        self._filled.set()

    async def take(self, timeout_s: float) -> list[Delivery]:
        """What can be worked on in one go; empty when nothing came in time, or at a nudge."""
        if not self._waiting:
            self._filled.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._filled.wait()
            except TimeoutError:
                return []
        return self._next()

    def _next(self) -> list[Delivery]:
        taken: list[Delivery] = []
        size = 0
        while self._waiting and len(taken) < MAX_MESSAGES and size < MAX_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1].payload)
        self._bytes -= size
        self._dropping = self._dropping and bool(self._waiting)
        return taken
