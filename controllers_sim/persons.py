"""One person at one instrument: what they mean to do, and how far its power lets them.

    coming ──card──► asking ──power──► inside ──end──► left ──work done──► gone
      └──no card──────────────────────►  │                                  ▲
                     asking ◄──no power──┘                                  │
                     asking ──as often as they care to ask, and no power────┘

Where there is power all along, asking takes no longer than the next look.
"""

from dataclasses import dataclass
from enum import Enum

from controllers_sim.manners import MIN_MS
from controllers_sim.stays import DOOR_MS, Stay

NOTICE_MS = MIN_MS
"""How long it takes somebody to see that the power is gone and to do something about it."""
LINE_MS = 20 * MIN_MS
"""How long people wait for the one before them to leave before they try their card all the same."""


class Phase(Enum):
    """How far somebody has come."""

    COMING = "coming"
    ASKING = "asking"
    INSIDE = "inside"
    LEFT = "left"
    GONE = "gone"


@dataclass(slots=True)
class Person:
    """Somebody with a stay in mind; `resuming` if it was under way before anybody looked, so that it needs no card.

    Times in ms: `since_ms` when the phase began, `dark_ms` since when power is missed.
    """

    stay: Stay
    resuming: bool = False
    phase: Phase = Phase.COMING
    since_ms: int = 0
    entered_ms: int = 0
    asked: int = 0
    dark_ms: int | None = None

    def step(self, now_ms: int, powered_since_ms: int | None, *, taken: bool) -> bool:
        """Go on as far as possible; says whether the card was tapped. `taken`: somebody else is inside."""
        match self.phase:
            case Phase.COMING:
                return now_ms >= self.stay.begin_ms and self._come(now_ms, powered_since_ms, taken=taken)
            case Phase.ASKING:
                return self._wait(now_ms, powered_since_ms)
            case Phase.INSIDE:
                return self._remain(now_ms, powered_since_ms)
            case Phase.LEFT:
                self._let_run(now_ms, powered_since_ms)
                return False
            case Phase.GONE:
                return False

    def works(self, now_ms: int) -> bool:
        """Whether the instrument is meant to be in use."""
        begun = self.phase in {Phase.INSIDE, Phase.LEFT}
        return begun and self.stay.use_ms <= now_ms < self.stay.done_ms and not self.is_away(now_ms)

    def used_since_ms(self, now_ms: int) -> int:
        """Since when, if it is."""
        pause_ms = self.stay.break_ms
        back_ms = pause_ms[1] if pause_ms is not None and now_ms >= pause_ms[1] else 0
        return max(self.stay.use_ms, back_ms, self.entered_ms)

    def is_away(self, now_ms: int) -> bool:
        """Whether this is the break."""
        return self.stay.break_ms is not None and self.stay.break_ms[0] <= now_ms < self.stay.break_ms[1]

    def is_present(self, now_ms: int) -> bool:
        """Whether a sensor at the instrument sees them; who waits for power does so outside, at the reader."""
        return self.phase is Phase.INSIDE and not self.is_away(now_ms)

    def moves_door(self, now_ms: int) -> bool:
        """Whether the door stands open for their coming or going."""
        match self.phase:
            case Phase.INSIDE:
                return now_ms < self.since_ms + self.stay.door_ms
            case Phase.LEFT:
                return now_ms < self.since_ms + DOOR_MS
            case _:
                return False

    def _come(self, now_ms: int, powered_since_ms: int | None, *, taken: bool) -> bool:
        stay = self.stay
        if stay.asks == 0 or (self.resuming and powered_since_ms is not None):
            self._go_in(now_ms)
            return False
        if taken and stay.booked and now_ms < stay.begin_ms + LINE_MS:
            return False
        return self._ask(now_ms)

    def _wait(self, now_ms: int, powered_since_ms: int | None) -> bool:
        stay = self.stay
        if powered_since_ms is not None and (stay.booked or powered_since_ms >= stay.begin_ms):
            self._go_in(now_ms)
            return False
        return now_ms >= self.since_ms + stay.patience_ms and self._ask(now_ms)

    def _remain(self, now_ms: int, powered_since_ms: int | None) -> bool:
        stay = self.stay
        if now_ms >= stay.end_ms:
            self._pass_to(Phase.LEFT, now_ms)
            return stay.asks > 0 and not stay.forgets and powered_since_ms is not None
        if powered_since_ms is not None or stay.asks == 0 or self.is_away(now_ms):
            self.dark_ms = None
            return False
        if self.dark_ms is None:
            self.dark_ms = now_ms
        return now_ms >= self.dark_ms + NOTICE_MS and self._ask(now_ms)

    def _let_run(self, now_ms: int, powered_since_ms: int | None) -> None:
        over = now_ms >= self.stay.done_ms or powered_since_ms is None
        if over and now_ms >= self.since_ms + DOOR_MS:
            self._pass_to(Phase.GONE, now_ms)

    def _ask(self, now_ms: int) -> bool:
        """Tap the card, or give up."""
        if self.asked >= self.stay.asks or now_ms >= self.stay.until_ms:
            self._pass_to(Phase.GONE, now_ms)
            return False
        self.asked += 1
        self._pass_to(Phase.ASKING, now_ms)
        return True

    def _go_in(self, now_ms: int) -> None:
        self.asked = 0
        self.entered_ms = now_ms
        self._pass_to(Phase.INSIDE, now_ms)

    def _pass_to(self, phase: Phase, now_ms: int) -> None:
        self.phase, self.since_ms, self.dark_ms = phase, now_ms, None
