"""The way from a controller to the service: connections that are lost, messages twice, overtaken, and late.

What is doubled or overtaken arrives together with the next message, so that none but the newest ever moves live state.
"""

import random
from collections.abc import Callable
from typing import Final

import msgspec

from benchmarks.simulation.trace import Spoken
from twin.events import Card, Death, Message, Reading

DOUBLED: Final = 0.01
OVERTAKEN: Final = 0.01


class Wire:
    """One controller's connection to the broker."""

    def __init__(
        self, chance: random.Random, deliver: Callable[[Message], None], hurry: Callable[[], None], *, calm: bool
    ) -> None:
        self._hurry = hurry  # the next message is to come soon: one is waiting to be overtaken
        self._chance = chance
        self._deliver = deliver
        self._calm = calm
        self._held: list[Spoken] = []
        self._buffer: list[Reading | Card] = []
        self.up = True

    def send(self, message: Spoken) -> None:
        """Bring a message on its way. Without a connection, readings and cards are kept, the rest is lost."""
        if not self.up:
            if isinstance(message, Reading | Card):
                self._buffer.append(msgspec.structs.replace(message, hist=True))
            return
        held, self._held = self._held, []
        self._pass(message, overtakable=not held)
        for each in held:
            self._deliver(each)

    def _pass(self, message: Spoken, *, overtakable: bool) -> None:
        draw = 1.0 if self._calm else self._chance.random()
        if overtakable and isinstance(message, Reading) and draw < OVERTAKEN:
            self._held.append(message)
            self._hurry()
            return
        self._deliver(message)
        if draw > 1 - DOUBLED and not self._calm:
            self._held.append(message)

    def lose(self, *, forget: bool) -> None:
        """The connection is gone."""
        self.up = False
        held, self._held = self._held, []
        self._buffer = [] if forget else [_buffered(each) for each in held if isinstance(each, Reading)]

    def restore(self, first: Spoken) -> list[Reading | Card]:
        """It is back; `first` is said at once, and what was kept meanwhile is to be sent."""
        self.up = True
        buffer, self._buffer = self._buffer, []
        self._deliver(first)
        return buffer

    def deliver(self, message: Reading | Card | Death) -> None:
        """Bring over what nothing can happen to any more."""
        self._deliver(message)


def _buffered(reading: Reading) -> Reading:
    return msgspec.structs.replace(reading, hist=True)
