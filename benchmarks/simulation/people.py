"""What people do: they come for their bookings or without, early, late or never, work, pause, forget and sneak in."""

import random
from collections.abc import Callable
from typing import TypeAlias

from benchmarks.simulation.devices import Clock, Device
from benchmarks.simulation.site import DAY_S, Site
from twin.parties import Booking
from twin.requests import Lock, Unlock
from twin.sessions import CloseReason

Teller: TypeAlias = Callable[[Callable[[int, int], Unlock | Lock]], None]


class People:
    """Everybody at one instrument, from the first day to the last."""

    def __init__(self, site: Site, device: Device, clock: Clock, chance: random.Random, ask: "Screens") -> None:
        self._site = site
        self._device = device
        self._clock = clock
        self._chance = chance
        self._ask = ask
        self._there = False
        self._habits = site.habits
        self._active_w, self._standby_w = device.one.active_w, device.one.standby_w

    def plan(self) -> None:
        """Let all days be planned; what comes of them depends on who is let in."""
        code = self._device.one.fact.code
        for booking in self._site.bookings:
            if booking.instrument == code:
                self._plan_booked(booking)
        for day in range(self._site.days):
            midnight_s = self._site.start_s + day * DAY_S
            for _ in range(2):
                if self._chance.random() >= self._habits.unbooked_a_day / 2:
                    continue
                self._plan_unbooked(midnight_s + self._odd(8 * 3600, 20 * 3600))
            if self._chance.random() < self._habits.sneaking_a_night:
                self._clock.at(midnight_s + self._odd(0, 5 * 3600), self._sneak)
            if self._chance.random() < self._habits.ended_by_staff_a_day:
                lock = CloseReason.EMERGENCY if self._chance.random() < 0.4 else CloseReason.STAFF
                self._clock.at(
                    midnight_s + self._odd(8 * 3600, 22 * 3600),
                    lambda lock=lock: self._ask.lock(code, self._site.staff, lock),  # type: ignore[misc]  # bound early
                )

    def _odd(self, from_s: int, until_s: int) -> int:
        """A second that is on no whole minute, where bookings begin and end."""
        return self._chance.randrange(from_s, until_s) // 60 * 60 + self._chance.randrange(1, 60)

    def _plan_booked(self, booking: Booking) -> None:
        draw, habits = self._chance.random(), self._habits
        if draw < habits.absent:
            return
        start_s, end_s = booking.start_ms // 1000, booking.end_ms // 1000
        come_s = start_s + (
            self._odd(31 * 60, 45 * 60) if draw < habits.absent + habits.late else self._odd(-habits.early_s, 20 * 60)
        )
        leave_s = end_s + (self._odd(60, 3600) if draw > 1 - habits.overstaying else self._odd(-20 * 60, 0))
        if leave_s > come_s + 600:
            self._clock.at(come_s, lambda: self._come(booking.user, leave_s, None))

    def _plan_unbooked(self, come_s: int) -> None:
        user = self._chance.choice([*(each.user.id for each in self._site.users), self._site.staff, self._site.staff])
        leave_s = come_s + self._odd(900, 7200)
        alert_only = self._device.one.policy.at_slot_end == "alert"
        override = "to help" if user == self._site.staff and not alert_only else None
        self._clock.at(come_s, lambda: self._come(user, leave_s, override))

    def _come(self, user: str, leave_s: int, override: str | None) -> None:
        if self._there:
            return
        self._there = True
        self._device.set_occupied(occupied=True)
        if override is None and self._chance.random() < 0.5:
            self._device.tap(self._site.card(user))
        else:
            self._ask.unlock(self._device.one.fact.code, user, override)
        self._clock.at(self._clock.now_s + 25, lambda: self._begin(user, leave_s))

    def _begin(self, user: str, leave_s: int) -> None:
        """Work, if there is power; without a relay some work though they were refused."""
        if not self._device.powered:
            self._go()
            return
        now_s = self._clock.now_s
        self._load(now_s + 5, self._standby_w)
        at_s = now_s + self._chance.randrange(30, 200)
        while at_s < leave_s - 120:
            self._load(at_s, self._active_w)
            at_s += self._chance.choice([70, 400, 1500, 4000])
            self._load(min(at_s, leave_s - 100), self._standby_w if self._chance.random() < 0.8 else 0.0)
            at_s += self._chance.choice([20, 45, 100, 300, 2500])
        if self._chance.random() < 0.1:
            self._clock.at(now_s + (leave_s - now_s) // 3, lambda: self._device.set_occupied(occupied=False))
        self._clock.at(leave_s, lambda: self._leave(user))

    def _load(self, at_s: int, watts: float) -> None:
        self._clock.at(at_s, lambda: self._device.set_load(watts))

    def _leave(self, user: str) -> None:
        now_s = self._clock.now_s
        draw = self._chance.random()
        if draw < 0.15:  # the measurement goes on without them
            self._load(now_s + 3, self._active_w)
            self._load(now_s + self._odd(300, 9000), self._standby_w)
        if self._chance.random() < 0.5:
            self._load(now_s + 9100, 0.0)
        if draw < 1 - self._habits.forgetting:
            self._log_off(user)
        self._clock.at(now_s + 9, self._go)

    def _log_off(self, user: str) -> None:
        """By card, or by phone; whoever has been thrown out does not ask to be let in again."""
        if self._chance.random() < 0.5:
            self._device.tap(self._site.card(user))
        else:
            self._ask.lock(self._device.one.fact.code, user, CloseReason.USER)

    def _go(self) -> None:
        self._there = False
        self._device.set_occupied(occupied=False)

    def _sneak(self) -> None:
        """At night, past the relay where there is one that is off: with no more than the clock as a witness."""
        if self._there or self._device.load_w > 0:
            return
        now_s = self._clock.now_s
        for _ in range(self._chance.randrange(1, 4)):
            self._load(now_s, self._active_w)
            now_s += self._chance.choice([8, 25, 70, 1200])
            self._load(now_s, self._chance.choice([0.0, self._standby_w]))
            now_s += self._chance.choice([15, 50, 90])
        self._load(now_s + 40, 0.0)


class Screens:
    """Web pages and phones."""

    def __init__(self, clock: Clock, tell: Teller) -> None:
        self._clock = clock
        self._tell = tell

    def unlock(self, instrument: str, user: str, override: str | None) -> None:
        """Somebody asks for an instrument."""
        self._tell(
            lambda number, at_ms: Unlock(
                number=number, at_ms=at_ms, instrument=instrument, user=user, override_reason=override
            )
        )

    def lock(self, instrument: str, user: str, reason: CloseReason) -> None:
        """Somebody ends a session."""
        self._tell(
            lambda number, at_ms: Lock(number=number, at_ms=at_ms, instrument=instrument, user=user, reason=reason)
        )
