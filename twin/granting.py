"""Tells controllers, ahead of time, what they may allow while they are cut off. It is on record before it is sent.

What may have changed is looked for once a second, by what is cheap to compare. What a controller would be told is
worked out only then, or when nobody has looked for a while: money is spent, and time brings new bookings into sight.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from twin.clock import Clock
from twin.directory import GrantsFact, InstrumentFact
from twin.fleet import Fleet
from twin.parties import Booking
from twin.recorder import Recorder
from twin.registry import Connected
from twin.requests import Learnt
from twin.stream.grants import wire_grants

log = structlog.get_logger(__name__)

ROUND_S = 1.0
LOOK_EVERY_MS = 600_000
"""How long a controller is left alone though nothing that it goes by seems to have changed."""
SLICE_S = 0.02
PAUSE_S = 0.05
"""The fleet belongs to the messages: so much time is taken at once, and then so much left to them."""


class _Seen(NamedTuple):
    """What a controller's grants go by; compared by identity, for facts are wholes."""

    instrument: InstrumentFact
    bookings: tuple[Booking, ...]
    freed: tuple[str, ...]
    revision: int

    def is_same(self, other: "_Seen") -> bool:
        mine, theirs = tuple(self)[:3], tuple(other)[:3]
        return self.revision == other.revision and all(a is b for a, b in zip(mine, theirs, strict=True))


class Granting:
    """Looks after the grants of all controllers; `put` publishes to a controller what it is told."""

    def __init__(
        self,
        fleet: Fleet,
        recorder: Recorder,
        connected: Mapping[str, Connected],
        put: Callable[[str, bytes], None],
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._recorder = recorder
        self._connected = connected
        self._put = put
        self._clock = clock
        self._seen: dict[str, tuple[_Seen, int]] = {}
        self._under_way: set[str] = set()

    async def run(self) -> None:
        """Look, for ever. What was told before the service started is published again."""
        for fact in self._fleet.directory.grants.values():
            self._publish(fact)
        while True:
            await asyncio.sleep(ROUND_S)
            await self._look()

    async def _look(self) -> None:
        since_s = time.monotonic()
        for controller in [each for each in self._fleet if each in self._connected]:
            if controller not in self._under_way and self._is_due(controller):
                self._look_at(controller)
            if time.monotonic() - since_s > SLICE_S:
                await asyncio.sleep(PAUSE_S)
                since_s = time.monotonic()

    def _look_at(self, controller: str) -> None:
        fact = self._fleet.grants(controller, self._clock())
        if fact is not None:
            self._under_way.add(controller)
            recorded = self._recorder.ask(lambda number, at_ms: Learnt(number=number, at_ms=at_ms, fact=fact))
            recorded.add_done_callback(lambda _: self._issued(fact))

    def _is_due(self, controller: str) -> bool:
        now_ms, seen = self._clock(), self._present(controller)
        before, looked_ms = self._seen.get(controller, (None, 0))
        if before is not None and before.is_same(seen) and now_ms < looked_ms + LOOK_EVERY_MS:
            return False
        self._seen[controller] = seen, now_ms
        return True

    def _present(self, controller: str) -> _Seen:
        directory = self._fleet.directory
        code = self._connected[controller].instrument
        return _Seen(
            directory.instruments[code],
            directory.bookings(code),
            self._fleet.station(controller).freed,
            directory.revision,
        )

    def _issued(self, fact: GrantsFact) -> None:
        """It is on record: what comes of it will be known, whatever happens."""
        self._under_way.discard(fact.controller)
        self._publish(fact)

    def _publish(self, fact: GrantsFact) -> None:
        known = self._connected.get(fact.controller)
        if known is None:  # it is not fitted to anything any more
            return
        self._put(fact.controller, wire_grants(fact, known.grant_key))
        log.debug("grants.issued", controller=fact.controller, version=fact.version, windows=len(fact.windows))
