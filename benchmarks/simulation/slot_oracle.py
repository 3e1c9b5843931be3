"""Whose slot it is at one instrument: the bookings that stand, and those of others that end a session."""

import itertools
from dataclasses import dataclass
from typing import Final

from benchmarks.simulation.access_oracle import end_s, start_s, theirs
from benchmarks.simulation.site import Equipment
from twin.directory import UserFact
from twin.parties import Booking
from twin.policy import AtSlotEnd
from twin.sessions import CloseReason

LONG_AGO: Final = -1


@dataclass(frozen=True)
class Session:
    """Somebody's use of an instrument, s from the start of the simulation."""

    person: UserFact
    booking: Booking | None
    requested_s: int
    opened_s: int = LONG_AGO
    ended_s: int | None = None
    reason: CloseReason | None = None
    cooled_s: int | None = None
    """When the cooldown after it ended."""


class Slots:
    """The bookings of one instrument; times are s from the start of the simulation."""

    def __init__(self, one: Equipment, bookings: list[Booking], seconds: int) -> None:
        self.standing = list(bookings)
        self.no_shows: list[int] = []
        self.freed: dict[str, int] = {}
        """By booking, when it was found that nobody had come."""
        self.clock_s = 0
        """Before this second of the session no clock ends it, nor is it in another's slot."""
        self.shows: dict[int, list[Booking]] = {}
        """When it is looked whether somebody has come."""
        self._policy = one.policy
        self._seconds = seconds
        self._rivals: list[Booking] = []
        for booking in bookings:
            show_s = min(start_s(booking) + one.policy.no_show_ms // 1000, end_s(booking))
            self.shows.setdefault(show_s, []).append(booking)

    def follow(self, session: Session) -> None:
        """A session is open: bookings of others that begin after it was asked for matter, the first one first."""
        person = session.person
        others = [each for each in self.standing if not theirs(person, each) and start_s(each) > session.requested_s]
        self._rivals = sorted(others, key=start_s)
        booking = session.booking
        slot_over_s = self._seconds if booking is None else end_s(booking) + self._policy.grace_ms // 1000
        self.clock_s = min([slot_over_s, *map(start_s, self._rivals)])

    def free(self, at_s: int, booking: Booking) -> None:
        """Nobody came."""
        self.standing.remove(booking)
        self.no_shows.append(at_s)
        self.freed[booking.id] = at_s

    def offer(self, booking: Booking | None) -> None:
        """Whoever had it has been idle for too long: others may have the rest."""
        self.standing = [each for each in self.standing if each is not booking]

    def other_began(self, at_s: int) -> bool:
        """Has another person's booking begun?"""
        return bool(self._rivals) and start_s(self._rivals[0]) <= at_s

    def may_overrun(self, slot_end_s: int) -> bool:
        """May a session go on past the end of its slot, as nobody else comes soon?"""
        until_s = slot_end_s + self._policy.overrun_free_ms // 1000
        return self._policy.overrun and not any(slot_end_s <= start_s(each) < until_s for each in self._rivals)

    def in_others_slot(self, at_s: int) -> bool:
        """Is the session in another person's slot?"""
        if self._policy.at_slot_end is not AtSlotEnd.ALERT:
            return False
        begun = itertools.takewhile(lambda each: start_s(each) <= at_s, self._rivals)
        return any(at_s < end_s(each) for each in begun)
