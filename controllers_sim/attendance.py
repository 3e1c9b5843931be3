"""Everybody who follows a plan at one instrument, and what can be seen of them.

Unlike free visits (`people`) this has a memory: what somebody does next depends on whether the relay closed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

from controllers_sim.people import Habits, Scene, local_day, midnight_ms, serviced_ms
from controllers_sim.persons import Person, Phase
from controllers_sim.plan import Booking
from controllers_sim.profiles import Use
from controllers_sim.stays import Stay, intruders, stay_of, without_booking

RESUMING_MS = (4_000, 40_000)
"""When those arrive whose stay was under way as the simulation began: after the service has set the relay right."""
RESUMED_MS = 60_000
"""They come if they have this much left, even after that."""


class Attendance:
    """The people of one instrument: with bookings, without, and at night. Looks go forward in time.

    `cards` are everybody's; who has no booking here may try all the same. `mischief` 0: nobody misbehaves; 1 is usual.
    """

    def __init__(self, habits: Habits, bookings: Sequence[Booking], cards: Sequence[str], mischief: float) -> None:
        self._habits = habits
        self._cards = sorted({*cards} - {booking.card for booking in bookings})
        self._mischief = mischief
        self._stays = [stay for each in bookings if (stay := stay_of(each, habits.seed, mischief)) is not None]
        self._expected: list[Stay] = []
        self._people: list[Person] = []
        self._on_since_ms: int | None = None
        self._tomorrow_ms: int | None = None

    def look(self, now_ms: int, powered_since_ms: int | None) -> tuple[Scene, tuple[str, ...]]:
        """Give what can be seen now, and the cards tapped since the last look.

        Power has got through since `powered_since_ms`, 0 where it always has; None while the relay is open.
        """
        if self._tomorrow_ms is None:
            self._begin(now_ms, powered_since_ms)
        if self._tomorrow_ms is None or now_ms >= self._tomorrow_ms:
            self._new_day(now_ms)
        while self._expected and self._expected[-1].begin_ms <= now_ms:
            self._people.append(Person(self._expected.pop()))
        tapped = tuple(person.stay.card for person in self._people if self._step(person, now_ms, powered_since_ms))
        self._people = [person for person in self._people if person.phase is not Phase.GONE]
        return self._scene(now_ms), tapped

    def book(self, booking: Booking) -> None:
        """Take in a booking made meanwhile."""
        stay = stay_of(booking, self._habits.seed, self._mischief)
        self._expect([] if stay is None else [stay])

    def _begin(self, now_ms: int, powered_since_ms: int | None) -> None:
        self._expect(stay for stay in self._stays if stay.begin_ms > now_ms)
        if powered_since_ms is not None:
            return  # whether those under way have tapped, nobody can tell
        for stay in self._stays:
            if stay.begin_ms <= now_ms < min(stay.until_ms, stay.end_ms) - RESUMED_MS:
                begin_ms = now_ms + Random(f"{self._habits.seed}/{stay.begin_ms}").randint(*RESUMING_MS)
                self._people.append(Person(replace(stay, begin_ms=begin_ms), resuming=True))

    def _new_day(self, now_ms: int) -> None:
        habits, day = self._habits, local_day(now_ms, self._habits.timezone)
        self._tomorrow_ms = midnight_ms(day + timedelta(days=1), habits.timezone)
        strangers = intruders(habits, self._mischief, day) + without_booking(habits, self._cards, self._mischief, day)
        self._expect(stay for stay in strangers if stay.begin_ms >= now_ms)

    def _expect(self, stays: Iterable[Stay]) -> None:
        """Note who will come; the next one stands last."""
        self._expected = sorted([*self._expected, *stays], key=lambda stay: stay.begin_ms, reverse=True)

    def _step(self, person: Person, now_ms: int, powered_since_ms: int | None) -> bool:
        others = (other for other in self._people if other is not person)
        tapped = person.step(now_ms, powered_since_ms, taken=any(other.phase is Phase.INSIDE for other in others))
        self._switch(person, now_ms, powered_since_ms)
        return tapped

    def _switch(self, person: Person, now_ms: int, powered_since_ms: int | None) -> None:
        """Follow the instrument's own switch: on when somebody begins to work, off when a tidy person leaves."""
        if powered_since_ms is None or (person.phase is Phase.LEFT and not person.stay.forgets):
            self._on_since_ms = None
        elif self._on_since_ms is None and person.works(now_ms):
            self._on_since_ms = person.used_since_ms(now_ms)

    def _scene(self, now_ms: int) -> Scene:
        people = self._people
        used_since_ms = min((each.used_since_ms(now_ms) for each in people if each.works(now_ms)), default=None)
        on_since_ms = serviced_ms(self._habits, now_ms) if self._habits.profile.always_on else self._on_since_ms
        return Scene(
            occupied=any(person.is_present(now_ms) for person in people),
            door="open" if any(person.moves_door(now_ms) for person in people) else "closed",
            use=Use(on_since_ms, used_since_ms),
        )
