"""What a controller measured before its first connection, ready to be told as after a long outage.

The readings bear the boot before the present one. They are made when their turn comes, so that a month costs no memory.
"""

from collections.abc import Iterator
from itertools import count, islice

from controllers_sim import wire
from controllers_sim.sources import Source
from controllers_sim.wire import Message, Reading

SPACING_MS = 30_000
"""Between two readings: well below the 90 s of silence after which a controller counts as gone."""


class Past:
    """The readings of the `length_ms` before `until_ms`, ms since the epoch, in arrays, the oldest first.

    `relay` is how it stood all the while. Cards and the meter's total were not kept; a trace's gaps stay gaps.
    """

    def __init__(
        self, controller_id: str, source: Source, until_ms: int, length_ms: int, *, relay: bool | None
    ) -> None:
        self._source = source
        self._relay = relay
        self._boot = f"{until_ms:x}-before"
        self._seqs = count()
        self._topic = wire.topic(controller_id, "reading")
        self._readings = self._make(range(until_ms - length_ms, until_ms, SPACING_MS))
        self._head: list[Reading] = []

    def head(self) -> Message | None:
        """Give the next message, the same one until `delivered`; None at the end."""
        self._head = self._head or list(islice(self._readings, wire.MAX_ARRAY))
        return Message(self._topic, wire.encode(self._head)) if self._head else None

    def delivered(self) -> None:
        """Note that the broker has acknowledged the head."""
        self._head = []

    def _make(self, moments_ms: range) -> Iterator[Reading]:
        for at_ms in moments_ms:
            seen = self._source.observe(at_ms - SPACING_MS, at_ms, 0)
            if seen is not None:
                power_w = round(seen.power_w, 1) if self._relay is not False else 0.0
                yield Reading(
                    self._boot,
                    next(self._seqs),
                    at_ms,
                    power_w,
                    relay=self._relay,
                    occupied=seen.occupied,
                    door=seen.door,
                    hist=True,
                )
