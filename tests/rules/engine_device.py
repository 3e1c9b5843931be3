"""A controller as the tables of the engine have it: it reports every 30 s, and does as it is told at once."""

from collections.abc import Callable
from typing import Any

import msgspec

from tests.rules.tables import duration_ms, said_in
from twin.events import Ack, Arrival, Birth, Card, Death, Message, Reading
from twin.rules.outcome import Command
from twin.state import FOREVER_MS

EVERY_MS = 30_000


class Device:
    """What a controller measures, and what it makes of commands."""

    def __init__(self, name: str, lacks: list[str]) -> None:
        self.name = name
        self._lacks = {each.removeprefix("without ") for each in lacks}
        self._boots = 1
        self._seq = -1
        self._ahead_ms = 0
        self._obeys = "obeys"
        self._is_heard = True
        self._died = False
        self._values: dict[str, Any] = {"power_w": 0.0, "occupied": False, "relay": "relay" in self._lacks}
        self.due_ms = FOREVER_MS
        """When it reports next."""

    def begin(self, now_ms: int) -> list[Arrival]:
        """It is connected for the first time."""
        caps = tuple(each for each, name in (("power", "meter"), ("relay", "relay")) if name not in self._lacks)
        birth = Birth(*self._next(now_ms), relay=self._values["relay"], caps=(*caps, "reader"))
        return [Arrival(self.name, now_ms, birth), self._reading(now_ms)]

    def report(self, now_ms: int) -> list[Arrival]:
        """What it measures, if it is time for that."""
        return [self._reading(now_ms)] if self.due_ms <= now_ms else []

    def obey(self, command: Command, now_ms: int) -> list[Arrival]:
        """Its answer to a command to the relay."""
        if not self._is_heard or self._obeys == "ignores":
            return []
        if self._obeys == "obeys":
            self._values["relay"] = command.relay
            if not command.relay:
                self._values["power_w"] = 0.0
        ok = self._obeys == "obeys"
        ack = Ack(*self._next(now_ms), command.id, ok=ok, relay=self._values["relay"])
        return [Arrival(self.name, now_ms, ack), self._reading(now_ms)]

    def card(self, card: str, action: Any, now_ms: int) -> list[Arrival]:
        """Somebody holds a card to it."""
        return [Arrival(self.name, now_ms, Card(*self._next(now_ms), card, action))]

    def told_card(self, card: str, action: Any, at_ms: int, now_ms: int, grant: str | None) -> list[Arrival]:
        """A card that it accepted by itself at a moment, told later."""
        message = Card(*self._next(at_ms), card, action, granted=True, grant=grant, hist=True)
        return [Arrival(self.name, now_ms, message)]

    def happen(self, event: str, now_ms: int, clock_ms: Callable[[str], int] = duration_ms) -> list[Arrival]:
        """Something happens to it; `clock_ms` reads the times of a table."""
        match event.split():
            case ["obeys" | "ignores" | "refuses"]:
                self._obeys = event
            case ["goes", "silent"]:
                self._is_heard, self.due_ms = False, FOREVER_MS
            case ["dies"]:
                self._is_heard, self._died, self.due_ms = False, True, FOREVER_MS
                return [Arrival(self.name, now_ms, Death(f"boot-{self._boots}"))]
            case ["reboots"] | ["comes", "back"] if self._died or event == "reboots":
                if event == "reboots":  # with its relay open, before anybody notices that it was gone
                    self._values |= {"relay": False, "power_w": 0.0}
                self._is_heard, self._died, self._boots, self._seq = True, False, self._boots + 1, -1
                return self.begin(now_ms)
            case ["comes", "back"]:
                self._is_heard = True
                return [self._reading(now_ms)]
            case ["clock", "is", length, "ahead"]:
                self._ahead_ms = duration_ms(length)
            case ["tells", "of", *_]:
                return self._tells(event.removeprefix("tells of "), now_ms, clock_ms)
            case _:
                self._values |= said_in(event)
                return [self._reading(now_ms)] if self._is_heard else []
        return []

    def _tells(self, event: str, now_ms: int, clock_ms: Callable[[str], int]) -> list[Arrival]:
        """Buffered readings, of one moment or of a stretch of time."""
        times, _, saying = event.partition(": ")
        first, _, last = times.partition(" to ")
        moments = range(clock_ms(first), clock_ms(last or first) + 1, EVERY_MS)
        told = self._values | said_in(saying)
        return [Arrival(self.name, now_ms, Reading(*self._next(at_ms), **told, hist=True)) for at_ms in moments]

    def _reading(self, now_ms: int) -> Arrival:
        self.due_ms = now_ms + EVERY_MS
        message: Message = Reading(*self._next(now_ms), **self._values)
        if "meter" in self._lacks:
            message = msgspec.structs.replace(message, power_w=0.0)
        return Arrival(self.name, now_ms, message)

    def _next(self, ts: int) -> tuple[str, int, int]:
        self._seq += 1
        return f"boot-{self._boots}", self._seq, ts + self._ahead_ms
