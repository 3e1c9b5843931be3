"""Commands on their way: sent once they are recorded, again until they are confirmed, never when they have expired.

What the relay of a controller was told before is not sent again once it is told something else: a controller does what
comes last.
"""

import heapq
from collections.abc import Callable, Iterable
from itertools import count

from twin.rules.outcome import Command

AGAIN_MS = 2_000
"""How long an answer is waited for: the controller may just have been connecting. One that comes twice is done once."""
MOST = 10_000
"""More than these are not kept: the oldest are forgotten, and what they were for is noticed as any other drift."""


class Outbox:
    """What has been decided and recorded, and no controller has answered yet.

    `clock`: ms since the epoch. `miss` is told of each that had expired before its turn to be sent came.
    """

    def __init__(self, clock: Callable[[], int], miss: Callable[[Command], None]) -> None:
        self._clock = clock
        self._miss = miss
        self._commands: dict[tuple[str, str], Command] = {}
        self._relays: dict[str, tuple[str, str]] = {}
        """What the relay of each controller was last told."""
        self._due: list[tuple[int, int, tuple[str, str]]] = []
        self._order = count()
        self.expired = 0
        """How many were never confirmed."""

    def __len__(self) -> int:
        return len(self._commands)

    def put(self, commands: Iterable[Command]) -> None:
        """These are recorded: they may be sent from now on."""
        for each in commands:
            if len(self._commands) >= MOST:
                self._drop(next(iter(self._commands)))
            key = each.controller, each.id
            if each.relay is not None:
                self._commands.pop(self._relays.get(each.controller, key), None)
                self._relays[each.controller] = key
            self._commands[key] = each
            heapq.heappush(self._due, (each.at_ms, next(self._order), key))

    def confirm(self, controller: str, id: str) -> None:  # noqa: A002 - as the wire calls it
        """A controller has answered, whatever it says."""
        self._commands.pop((controller, id), None)

    def next(self) -> Command | None:
        """The command whose turn it is, if any; it is due again unless it is confirmed."""
        now_ms = self._clock()
        while self._due and self._due[0][0] <= now_ms:
            due_ms, _, key = heapq.heappop(self._due)
            command = self._commands.get(key)
            if command is None:
                continue
            if command.expires_ms <= now_ms:
                self._drop(key)
                if due_ms == command.at_ms:
                    self._miss(command)
                continue
            heapq.heappush(self._due, (now_ms + AGAIN_MS, next(self._order), key))
            return command
        return None

    def _drop(self, key: tuple[str, str]) -> None:
        del self._commands[key]
        self.expired += 1
