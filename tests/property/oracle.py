"""What the rules say, millisecond by millisecond: slow, plain, and without anything of the twin but its values.

The oracle is given everything that has arrived so far, in the order of arrival, and answers for any moment by looking
at all of it again. It keeps no state and knows nothing of holds that "run out": a class is the highest of a window.

Where the page leaves a choice, the one made is:

- A reading that another one of the same millisecond replaces was in force at that millisecond.
- *Unknown.* A message vouches for `stale_after` from its receipt (that is the link) and, where it tells of an earlier
  time, for `stale_after` from that time too ("replaced once buffered readings arrive"). A death received after the
  message ends both. A buffered message vouches besides for the time since the message before it in time, if that is of
  the same boot and not more than `stale_after` ago: the controller lived, only its connection did not.
- The current boot is that of the newest message that moved the live state.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from twin.events import Ack, Arrival, Birth, Card, Death, Reading
from twin.policy import Policy
from twin.state import Category, LinkState, OccupancyState, PowerClass

HISTORY_MS = 400 * 24 * 3_600_000

Key = tuple[int, str, int]


@dataclass(frozen=True)
class Told:
    """A message that counts, when it was received and of what time it tells."""

    at_ms: int
    received_ms: int
    message: Reading | Birth | Card | Ack

    @property
    def key(self) -> Key:
        return self.at_ms, self.message.boot, self.message.seq

    @property
    def buffered(self) -> bool:
        return isinstance(self.message, Reading | Card) and self.message.hist


class Oracle:
    """The twin of one controller by the letter of the rules, after these arrivals."""

    def __init__(self, arrivals: list[Arrival], policy: Policy) -> None:
        self.policy = policy
        self.told: list[Told] = []
        """What counts, in the order of receipt."""
        self.live: list[Told] = []
        """What moved the live state."""
        self.deaths: list[int] = []
        self._identities: set[tuple[str, int]] = set()
        self._skew_ms = 0
        for arrival in arrivals:
            self._hear(arrival)

    def _hear(self, arrival: Arrival) -> None:
        message, received_ms = arrival.message, arrival.received_ms
        if isinstance(message, Death):
            current = self.live[-1].message.boot if self.live else None
            if message.boot == current and self.link(received_ms) is not LinkState.OFFLINE:
                self.deaths.append(received_ms)
            return
        if (message.boot, message.seq) in self._identities:
            return
        apart_ms = message.ts - received_ms
        told = Told(received_ms, received_ms, message)
        if told.buffered:
            told = Told(message.ts - self._skew_ms, received_ms, message)
            if told.at_ms > received_ms + self.policy.clock_tolerance_ms or told.at_ms <= received_ms - HISTORY_MS:
                return
        elif abs(apart_ms) <= self.policy.clock_tolerance_ms:
            told = Told(message.ts, received_ms, message)
        if not told.buffered:
            self._skew_ms = apart_ms if abs(apart_ms) > self.policy.clock_tolerance_ms else 0
        self._identities.add((message.boot, message.seq))
        self.told.append(told)
        if not told.buffered and (not self.live or told.key > self.live[-1].key):
            self.live.append(told)

    def link(self, t_ms: int) -> LinkState:
        """The link at a moment not before the last receipt."""
        if not self.told:
            return LinkState.NEVER
        heard_ms = self.told[-1].received_ms
        if any(death_ms >= heard_ms for death_ms in self.deaths) or t_ms - heard_ms >= self.policy.offline_after_ms:
            return LinkState.OFFLINE
        return LinkState.STALE if t_ms - heard_ms >= self.policy.stale_after_ms else LinkState.ONLINE

    @cached_property
    def live_line(self) -> "Line":
        """The instrument by what moved the live state."""
        return Line(self.live, self.policy)

    @cached_property
    def line(self) -> "Line":
        """The instrument by everything, each message in its place in time."""
        return Line(sorted(self.told, key=lambda told: told.key), self.policy)

    def category(self, t_ms: int) -> Category:
        """The ledger's category at a moment."""
        if not self.is_known(t_ms):
            return Category.UNKNOWN
        if self.line.is_intrusion(t_ms):
            return Category.UNAUTHORISED
        return Category.OFF if self.line.power_class(t_ms) in {None, PowerClass.OFF} else Category.STANDBY

    def is_known(self, t_ms: int) -> bool:
        """Does any message vouch for this moment?"""
        return any(self._vouches(told, t_ms) for told in self.told) or self.is_bridged(t_ms)

    def _vouches(self, told: Told, t_ms: int) -> bool:
        if any(told.received_ms <= death_ms <= t_ms for death_ms in self.deaths):
            return False
        since = (told.received_ms, min(told.at_ms, told.received_ms))
        return any(since_ms <= t_ms < since_ms + self.policy.stale_after_ms for since_ms in since)

    def is_bridged(self, t_ms: int) -> bool:
        """Does a buffered message vouch for the time since the one before it?"""
        ordered = self.line.told
        return any(
            later.buffered
            and later.message.boot == earlier.message.boot
            and later.at_ms - earlier.at_ms <= self.policy.stale_after_ms
            and earlier.at_ms <= t_ms < min(later.at_ms, later.received_ms)
            for earlier, later in pairwise(ordered)
        )


class Line:
    """An instrument on the line of time; `told` in the order of time."""

    def __init__(self, told: list[Told], policy: Policy) -> None:
        self.told = told
        self.policy = policy
        self._readings = [(each.at_ms, each.message) for each in told if isinstance(each.message, Reading)]
        self._presence = [(at_ms, r.occupied) for at_ms, r in self._readings if r.occupied is not None]
        self._classes: dict[int, PowerClass | None] = {}

    def raw_of(self, reading: Reading) -> PowerClass:
        if reading.power_w >= self.policy.active_w:
            return PowerClass.ACTIVE
        return PowerClass.STANDBY if reading.power_w >= self.policy.standby_w else PowerClass.OFF

    def raw(self, t_ms: int) -> PowerClass | None:
        """The class of the watts as last read."""
        index = bisect_right(self._readings, t_ms, key=lambda each: each[0])
        return self.raw_of(self._readings[index - 1][1]) if index else None

    def power_class(self, t_ms: int) -> PowerClass | None:
        """The highest raw class in force at any moment of `(t - power_hold, t]`."""
        if t_ms not in self._classes:
            self._classes[t_ms] = self._power_class(t_ms)
        return self._classes[t_ms]

    def _power_class(self, t_ms: int) -> PowerClass | None:
        since_ms = t_ms - self.policy.power_hold_ms
        before = self.raw(since_ms)  # in force at `since` itself, which is not in the window, and at what follows it
        raws = [self.raw_of(reading) for at_ms, reading in self._readings if since_ms < at_ms <= t_ms]
        return max(raws if before is None else [*raws, before], default=None)

    def is_intrusion(self, t_ms: int) -> bool:
        """Class active, and raw active for `confirm` in total since the class became so."""
        active_ms, before_ms = 0, t_ms
        while active_ms < self.policy.confirm_ms and self.power_class(before_ms - 1) is PowerClass.ACTIVE:
            before_ms -= 1
            active_ms += self.raw(before_ms) is PowerClass.ACTIVE
        return self.power_class(t_ms) is PowerClass.ACTIVE and active_ms >= self.policy.confirm_ms

    def occupancy(self, t_ms: int) -> OccupancyState:
        """Occupied if reported so at any moment of `(t - vacancy_hold, t]`."""
        since_ms = t_ms - self.policy.vacancy_hold_ms
        index = bisect_right(self._presence, since_ms, key=lambda each: each[0])
        reports = [occupied for at_ms, occupied in self._presence if since_ms < at_ms <= t_ms]
        reports += [self._presence[index - 1][1]] if index else []
        if not reports:
            return OccupancyState.UNKNOWN
        return OccupancyState.OCCUPIED if any(reports) else OccupancyState.VACANT

    def relay(self, t_ms: int) -> bool | None:
        """The relay as last reported."""
        said = [told.message.relay for told in self.told if told.at_ms <= t_ms and not isinstance(told.message, Card)]
        return next((relay for relay in reversed(said) if relay is not None), None)

    def door(self, t_ms: int) -> str | None:
        """The door as last reported."""
        said = [reading.door for at_ms, reading in self._readings if at_ms <= t_ms]
        return next((door for door in reversed(said) if door is not None), None)
