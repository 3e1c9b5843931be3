"""A controller and its instrument as physics: a load, a relay, somebody in front of it, and messages about them."""

import random
from collections.abc import Callable
from typing import Protocol

from benchmarks.simulation.site import Equipment, Habits
from benchmarks.simulation.trace import Command
from benchmarks.simulation.wire import Wire
from twin.events import Ack, Birth, Card, Death, Message, Reading


class Clock(Protocol):
    """The time of the world, and what is to happen at a later one."""

    now_s: int

    def at(self, at_s: int, act: Callable[[], None]) -> None:
        """Let something happen at a moment."""


class Device:
    """One instrument with its controller."""

    def __init__(
        self,
        one: Equipment,
        clock: Clock,
        chance: random.Random,
        deliver: Callable[[str, Message], None],
        *,
        calm: bool,
        habits: Habits,
    ) -> None:
        self.one = one
        self._habits = habits
        self._clock = clock
        self._chance = chance
        self._wire = Wire(chance, lambda message: deliver(one.fact.controller, message), self._hurry, calm=calm)
        self._boots = 0
        self._seq = 0
        self._read_s = 0
        self.load_w = 0.0
        self.occupied = False
        self.relay = False if one.relay else None

    @property
    def powered(self) -> bool:
        """Can the instrument draw power?"""
        return self.relay is not False

    @property
    def connected(self) -> bool:
        """Is it connected to the broker?"""
        return self._wire.up

    @property
    def _boot(self) -> str:
        return f"boot{self._boots}"

    def start(self) -> None:
        """Be switched on for the first time."""
        self._wire.send(self._birth())
        self.changed()
        self._beat()

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _birth(self) -> Birth:
        one = self.one
        caps = [name for name, has in (("power", one.metered), ("relay", one.relay), ("presence", one.presence)) if has]
        now_ms = self._clock.now_s * 1000
        return Birth(self._boot, self._next_seq(), now_ms, relay=self.relay, caps=(*caps, "card"))

    def _beat(self) -> None:
        self._read()
        self._clock.at(
            self._clock.now_s + self._chance.randrange(self.one.beat_s * 2 // 3, self.one.beat_s), self._beat
        )

    def changed(self) -> None:
        """Tell of a change, one second later if something was told this second."""
        later_s = self._clock.now_s + (self._read_s >= self._clock.now_s)
        self._clock.at(later_s, self._read)

    def _hurry(self) -> None:
        self._clock.at(self._clock.now_s + self._chance.randrange(1, 50), self._read)

    def _read(self) -> None:
        now_s = self._clock.now_s
        if self._read_s >= now_s:
            return
        self._read_s = now_s
        one = self.one
        watts = self.load_w if one.metered and self.powered else 0.0
        reading = Reading(
            self._boot,
            self._next_seq(),
            now_s * 1000,
            watts,
            relay=self.relay,
            occupied=self.occupied if one.presence else None,
        )
        self._wire.send(reading)

    def set_load(self, watts: float) -> None:
        """What it draws while it can."""
        self.load_w = watts
        self.changed()

    def set_occupied(self, *, occupied: bool) -> None:
        """Somebody comes or goes."""
        self.occupied = occupied
        if self.one.presence:
            self.changed()

    def tap(self, card: str) -> None:
        """Somebody holds a card to the reader; a controller that is cut off lets nobody in."""
        if self.connected:
            self._wire.send(Card(self._boot, self._next_seq(), self._clock.now_s * 1000, card, "tap"))

    def obey(self, command: Command) -> None:
        """A command arrives, if it does: it is followed, with or without a word, refused or lost."""
        draw = self._chance.random()
        disobeying = self._habits.disobeying
        if not self.connected or draw < disobeying / 2:
            return
        then_s = self._clock.now_s + max(self._habits.answer_s, self._chance.randrange(4))
        if draw < disobeying:
            self._clock.at(then_s, lambda: self._answer(command, ok=False))
        else:
            self._clock.at(then_s, lambda: self._switch(command, tell=draw > 0.2))

    def _switch(self, command: Command, *, tell: bool) -> None:
        self.relay = command.on
        if tell:
            self._answer(command, ok=True)
        self.changed()

    def _answer(self, command: Command, *, ok: bool) -> None:
        ack = Ack(self._boot, self._next_seq(), self._clock.now_s * 1000, command.id, ok, relay=self.relay)
        self._wire.send(ack)

    def lose(self, until_s: int, *, death_after_s: int | None, reboot: bool) -> None:
        """Be cut off for a while, noticed by the broker or not; what is measured is kept unless it reboots."""
        if not self.connected:
            return
        dying = self._boot
        self._wire.lose(forget=reboot)
        if death_after_s is not None:
            self._clock.at(self._clock.now_s + death_after_s, lambda: self._wire.deliver(Death(dying)))
        self._clock.at(until_s, lambda: self._return(reboot=reboot))

    def _return(self, *, reboot: bool) -> None:
        if reboot:
            self._boots, self._seq = self._boots + 1, 0
        for message in self._wire.restore(self._birth()):
            later_s = self._clock.now_s + self._chance.randrange(1, 20)
            self._clock.at(later_s, lambda message=message: self._wire.deliver(message))  # type: ignore[misc]  # bound early
        self.changed()
