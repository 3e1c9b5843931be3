"""What waited at the broker while nobody took it: until when, and when it was received there.

MQTT does not say when the broker received a message. But it hands messages out in the order in which they came, so a
mark that the service publishes itself comes back after everything that waited. Until then a message is taken to have
come when its controller says it did, as far as that is possible: then a session ends between the same two readings as
it would have, had the service been there all the time.
"""

import time
from itertools import count

from twin.events import Death, Message
from twin.instrument import is_history

PATIENCE_S = 10.0
"""A mark that has not come back although nothing else came for so long never will."""


class Backlog:
    """Is there anything left that waited? Over until a connection is made, and again once its mark is back."""

    def __init__(self) -> None:
        self._marks = count(1)
        self._name = f"{time.time_ns():x}"
        self._mark: bytes | None = None
        self._moved_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whatever is received now has been sent now."""
        return self._mark is None

    def begin(self) -> bytes:
        """What is received from now on may have waited; gives the mark that is to be published."""
        self._mark = b"%s-%d" % (self._name.encode(), next(self._marks))
        self._moved_s = time.monotonic()
        return self._mark

    def end(self) -> None:
        """There is nobody to wait for."""
        self._mark = None

    def hear(self, mark: bytes) -> None:
        """A mark is back; one of an earlier connection means nothing."""
        if mark == self._mark:
            self._mark = None

    def move(self) -> None:
        """Something else has come."""
        self._moved_s = time.monotonic()

    def is_stuck(self) -> bool:
        """Nothing comes any more, and the mark has not come either."""
        return self._mark is not None and time.monotonic() - self._moved_s > PATIENCE_S


def came_at(message: Message, skew_ms: int, now_ms: int, handed_out_ms: int) -> int:
    """When a message that has waited was received by the broker, in ms since the epoch.

    `skew_ms`: how far the controller's clock was last seen to be off. `now_ms`: when the message before it was
    received; `handed_out_ms`: when this one reached the service. What has no time of its own comes with the one before.
    """
    if isinstance(message, Death) or is_history(message):
        return now_ms
    said_ms = message.ts - skew_ms
    return said_ms if now_ms <= said_ms <= handed_out_ms else now_ms
