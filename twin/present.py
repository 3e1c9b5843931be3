"""The fleet's present: what it has been told, up to when time has passed, and at which moment the next thing happens.

Theory. A log that is replayed has events with their moments and nothing else: whatever is due at a moment happens after
all events of that moment. So time is let pass only as far as everything received before has been told; and once it has
been let pass, what comes next comes later, by a millisecond if need be.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import structlog

from twin.clock import Clock
from twin.events import Message
from twin.stream.backlog import Backlog, came_at
from twin.stream.inbox import Inbox

log = structlog.get_logger(__name__)

PAUSE_MS = 2_000
MAX_TIMERS = 250
"""What has come due in a pause longer than that happens so many stations at a time: some tenths of a second."""

WithinReach: TypeAlias = Callable[[int, int], int]
"""The latest moment up to one by which no more timers than so many ring."""


class Present:
    """Where the fleet is in time, between what it has been told and what waits in the inbox."""

    def __init__(self, inbox: Inbox, backlog: Backlog, clock: Clock) -> None:
        self._inbox = inbox
        self._backlog = backlog
        self._clock = clock
        self.at_ms = 0
        """What was received until then has been told."""
        self._over_ms = 0
        """What was due until then has happened: nothing can happen at it any more."""
        self._latest_ms = 0

    def begin(self, at_ms: int) -> None:
        """Go on from a moment that is over."""
        self.at_ms = self._over_ms = at_ms

    def now_ms(self) -> int:
        """By the clock. It never runs backwards, whatever the machine's clock does."""
        self._latest_ms = max(self._latest_ms, self._clock())
        return self._latest_ms

    def earliest_ms(self, at_ms: int = 0) -> int:
        """When something of that moment happens, as it is told now."""
        return max(self.at_ms, self._over_ms + 1, at_ms)

    def received_ms(self, messages: Sequence[Message], handed_out_ms: int, skew_ms: int) -> int:
        """When the broker received a delivery: one moment, however many messages there are in it.

        `handed_out_ms`: when it reached the service. `skew_ms`: how far its controller's clock is off.
        """
        if self._backlog.is_over:
            return self.earliest_ms(handed_out_ms)
        came = (came_at(each, skew_ms, self.at_ms, handed_out_ms) for each in messages)
        return self.earliest_ms(max(came, default=0))

    def come_to(self, at_ms: int) -> None:
        """Something is told that happens then."""
        self.at_ms = at_ms

    def let_pass(self, until_ms: int) -> None:
        """What is due until then happens."""
        self.at_ms = self._over_ms = until_ms

    def until_ms(self) -> int:
        """Nothing is left that was received before that moment."""
        if self._backlog.is_stuck():
            log.warning("backlog.unmarked")
            self._backlog.end()
        if not self._backlog.is_over:
            return self.at_ms
        now_ms, oldest_ms = self.now_ms(), self._inbox.oldest_ms()
        return now_ms if oldest_ms is None else min(now_ms, oldest_ms)

    def passed_ms(self, within_reach: WithinReach) -> int | None:
        """Up to when time may be let pass at once: after a pause so far that boards and health checks get their turn.

        None: this millisecond is over, and the present must not run ahead of the clock.
        """
        until_ms = self.until_ms()
        if until_ms <= self._over_ms:
            return None
        until_ms = max(self.at_ms, until_ms)
        return until_ms if until_ms - self.at_ms < PAUSE_MS else max(self.at_ms, within_reach(until_ms, MAX_TIMERS))

    def wait_s(self, due_ms: int) -> float:
        """How long nothing need be told, if nothing is received and nothing else is due."""
        is_told = self.at_ms > self._over_ms  # but time has not been let pass since
        return max(0.001, ((self.at_ms if is_told else due_ms) - self._clock()) / 1000)

    def behind_s(self) -> float:
        """How far the fleet is behind, while something waits to be told."""
        is_abreast = self._backlog.is_over and not self._inbox
        return 0.0 if is_abreast else max(0, self.now_ms() - self.at_ms) / 1000
