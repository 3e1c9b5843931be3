"""What was told to the service, in the order of telling, and what it commanded."""

from dataclasses import dataclass, field
from typing import TypeAlias

from benchmarks.simulation.site import Site
from twin.events import Ack, Birth, Card, Death, Message, Reading
from twin.requests import Lock, Unlock


@dataclass(frozen=True)
class Heard:
    """A message of a controller as it was received, s since the epoch."""

    number: int
    at_s: int
    controller: str
    message: Message


@dataclass(frozen=True)
class Command:
    """What the service said to the relay of a controller."""

    at_s: int
    controller: str
    id: str
    on: bool


Told: TypeAlias = Heard | Unlock | Lock
Spoken: TypeAlias = Reading | Birth | Card | Ack
"""A message with a time of its own."""


@dataclass
class Trace:
    """All of a simulation that the oracle may look at."""

    site: Site
    told: list[Told] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    end_s: int = 0
    restarts: int = 0

    def heard(self, controller: str) -> list[Heard]:
        """What one controller said, in the order of receipt."""
        return [each for each in self.told if isinstance(each, Heard) and each.controller == controller]

    def asked(self, instrument: str) -> list[Unlock | Lock]:
        """What people asked for at their screens."""
        return [each for each in self.told if isinstance(each, Unlock | Lock) and each.instrument == instrument]


def spoken(message: Message) -> Spoken:
    """The message, if it has a time of its own. Raises TypeError."""
    if isinstance(message, Death):
        raise TypeError("a death has no time but that of its receipt")
    return message
