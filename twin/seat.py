"""One station in the fleet: what is set for it, its last books, and when its timer is set."""

import msgspec

from twin.directory import InstrumentFact
from twin.events import Arrival, Reading
from twin.instrument import next_change
from twin.rules.outcome import Refold
from twin.state import FOREVER_MS, Book, OrderKey, Physics, Twin
from twin.station import Station

TRAIL_EVERY_MS = 60_000
TRAIL_LENGTH = 3
"""Messages overtaken by a few minutes are common; with a few books of that time no mark need be read for them."""


class Seat:
    """One station in the fleet, what is set for it, its last books, and when its timer is set."""

    __slots__ = ("fact", "refolding", "rules_due_ms", "station", "timer_ms", "trail")

    def __init__(self, station: Station, fact: InstrumentFact) -> None:
        self.station = station
        self.fact = fact
        self.timer_ms = FOREVER_MS
        self.rules_due_ms = FOREVER_MS
        """When the rules have something to do though nobody says anything; what only confirms does not change it."""
        self.trail: tuple[Book, ...] = ()
        self.refolding = False

    def due_ms(self, now_ms: int) -> int:
        """When something may happen after a moment though nobody says anything."""
        return min(next_change(self.station.twin, now_ms, self.fact.policy), self.rules_due_ms)

    @property
    def told_ms(self) -> int:
        """Until when it has been told anything."""
        link = self.station.twin.link
        return max(self.station.watch.asked_ms, self.station.control.settled_ms, 0 if link is None else link.heard_ms)

    def leave_trail(self, book: Book) -> None:
        """Keep a book, if the last one kept is a minute older."""
        if not self.trail or book.physics.newest[0] - self.trail[-1].physics.newest[0] >= TRAIL_EVERY_MS:
            self.trail = (*self.trail, book)[-TRAIL_LENGTH:]

    def outdated(self, since_ms: int, key: OrderKey | None = None) -> Refold:
        """Its ledger is to be computed anew from a moment on, by the last book that is kept from before it.

        `key`: the place at that moment of the message that is to go in, where that is known.
        """
        self.refolding = True
        before = (since_ms, "", -2) if key is None or since_ms < key[0] else key
        base = next((book for book in reversed(self.trail) if book.physics.newest < before), None)
        return Refold(self.fact.controller, since_ms, base)


def only_confirms(before: Twin, after: Twin, arrival: Arrival) -> bool:
    """Does a message tell nothing new of the link, nor of what the rules look at but the watts?"""
    was, link = before.link, after.link
    if was is None or link is None or was.dead_since_ms is not None or was.online_since_ms != link.online_since_ms:
        return False
    if not isinstance(arrival.message, Reading) or before.skew_ms != after.skew_ms or before.boot != after.boot:
        return False
    return before.physics is after.physics or _looks_alike(before.physics, after.physics)


def _looks_alike(before: Physics, after: Physics) -> bool:
    if before.power is None or after.power is None or before.power.raw is not after.power.raw:
        return False
    if before.relay is not after.relay or before.door_open is not after.door_open:
        return False
    if before.occupancy is None or after.occupancy is None:
        return before.occupancy is after.occupancy
    return before.occupancy.occupied is after.occupancy.occupied


def with_twin(station: Station, twin: Twin) -> Station:
    """The station with another twin."""
    return msgspec.structs.replace(station, twin=twin)


def shared(station: Station) -> Station:
    """Let live state and book be one value while they agree, so that a message is worked out once for both."""
    live, book = station.twin.physics, station.twin.book
    if book.physics is live or book.physics != live:
        return station
    twin = msgspec.structs.replace(station.twin, book=msgspec.structs.replace(book, physics=live))
    return with_twin(station, twin)
