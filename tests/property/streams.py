"""Random streams of one controller: gaps, reboots, buffers, duplicates, reordering, clocks that are off, deaths.

Durations are ten thousand times shorter than by default, so that the oracle can look at every millisecond.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from tests.property.service import CONTROLLER
from twin import seat
from twin.events import Ack, Arrival, Birth, Card, Death, Door, Event, Message, Reading, Tick
from twin.policy import Policy
from twin.rules import ledger

T0 = 1_700_000_000_000
PAST_MS = 250
"""No stream tells of more than this before its beginning."""
END_MS = 60
"""So long after the last event nothing changes by the passing of time any more."""

Events: TypeAlias = Sequence[Event | None]
"""What comes to the service; None is a moment at which it commits."""


def profile(max_examples: int) -> settings:
    """How long to search."""
    return settings(max_examples=max_examples)


@pytest.fixture(scope="module")
def short_times() -> Iterator[None]:
    """Marks and trails as dense as, by the streams' measure of time, they never are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "MARK_EVERY_MS", 40)
        patch.setattr(seat, "TRAIL_EVERY_MS", 7)
        yield


policies = st.builds(
    lambda stale, silent, tolerance, hold, vacancy, confirm: Policy(
        stale_after_ms=stale,
        offline_after_ms=stale + silent,
        clock_tolerance_ms=tolerance,
        power_hold_ms=hold,
        vacancy_hold_ms=vacancy,
        confirm_ms=confirm,
    ),
    stale=st.sampled_from([9, 9, 3, 14]),
    silent=st.sampled_from([21, 21, 0, 5]),
    tolerance=st.sampled_from([30, 30, 0, 7]),
    hold=st.sampled_from([6, 6, 1, 20]),
    vacancy=st.sampled_from([12, 12, 1, 3]),
    confirm=st.sampled_from([3, 3, 1, 8, 15]),
)


@dataclass(frozen=True)
class Step:
    """What happens next, `gap_ms` after the step before."""

    what: str
    gap_ms: int
    watts: float
    occupied: bool | None
    relay: bool | None
    jitter_ms: int
    count: int


steps = st.builds(
    Step,
    what=st.sampled_from(
        ["live"] * 8
        + ["buffered"] * 2
        + ["overtaken", "death", "death of another", "reboot", "birth", "card", "ack"]
        + ["repeat", "tick", "tick", "commit", "lost clock"]
    ),
    gap_ms=st.sampled_from([0, 1, 2, 3, 5, 8, 9, 10, 21, 33]),
    watts=st.sampled_from([0.0, 4.9, 5.0, 39.9, 40.0, 200.0]),
    occupied=st.sampled_from([None, True, False]),
    relay=st.sampled_from([None, True, False]),
    jitter_ms=st.sampled_from([0, 0, 0, 1, 2, 6]),
    count=st.integers(1, 5),
)
scripts = st.integers(1, 32).flatmap(lambda size: st.lists(steps, min_size=size, max_size=size))
offsets = st.sampled_from([0, 0, 0, -1, 2, 6, -6, 12, 28, -25])
"""How far the controller's clock is ahead."""


_DOORS: tuple[Door | None, ...] = (None, "open", "closed")


class Teller:
    """Turns a script into events."""

    def __init__(self, offset_ms: int) -> None:
        self._offset_ms = offset_ms
        self._now_ms = T0
        self._boots = ["a"]
        self._numbers = {"a": 0}
        self._events: list[Event | None] = []
        self._sent: list[Message] = []

    def tell(self, script: list[Step]) -> Events:
        """The events of a script."""
        for step in script:
            # What comes in the very millisecond after a death is left out: there the order of arrival alone decides.
            after_death = bool(self._events) and isinstance(getattr(self._events[-1], "message", None), Death)
            self._now_ms += max(step.gap_ms, 1 if after_death else 0)
            self._take(step)
        return self._events

    def _take(self, step: Step) -> None:
        clock_ms = self._now_ms + self._offset_ms
        match step.what:
            case "live":
                self._send(self._reading(step, clock_ms - step.jitter_ms))
            case "overtaken":
                self._send(self._reading(step, clock_ms - 4 * step.jitter_ms - 4))
            case "buffered":
                self._flush(step)
            case "death":
                self._arrive(Death(self._boots[-1]))
            case "death of another":
                self._arrive(Death(self._boots[0]))
            case "tick":
                self._events.append(Tick(self._now_ms))
            case "commit":
                self._events.append(None)
            case _:
                self._take_rarer(step, clock_ms)

    def _take_rarer(self, step: Step, clock_ms: int) -> None:
        match step.what:
            case "lost clock":
                self._offset_ms = 60 * (step.count - 3)
                self._send(self._reading(step, self._now_ms + self._offset_ms))
            case "reboot":
                self._boots.append(f"{'zb'[len(self._boots) % 2]}{len(self._boots)}")
                self._numbers[self._boots[-1]] = 0
                self._send(Birth(*self._next(clock_ms), relay=step.relay))
            case "birth":
                self._send(Birth(*self._next(clock_ms), relay=step.relay))
            case "card":
                self._send(Card(*self._next(clock_ms), "5e", "tap", hist=step.count == 1))
            case "ack":
                self._send(Ack(*self._next(clock_ms - step.jitter_ms), "cmd", ok=True, relay=step.relay))
            case _:
                if self._sent:
                    self._arrive(self._sent[-step.count % len(self._sent)])

    def _flush(self, step: Step) -> None:
        """A buffer of readings, some of which may be of the boot before."""
        boot = self._boots[-1 if step.jitter_ms < 2 else 0]
        for index in range(step.count):
            age_ms = (step.count - index) * (step.jitter_ms + 3) + 7 * step.jitter_ms
            watts = step.watts if index % 2 else 200.0 - step.watts
            reading = self._reading(step, self._now_ms + self._offset_ms - age_ms, boot)
            self._send(Reading(reading.boot, reading.seq, reading.ts, watts, occupied=step.occupied, hist=True))

    def _reading(self, step: Step, ts: int, boot: str | None = None) -> Reading:
        boot, seq, ts = self._next(ts, boot)
        door = _DOORS[step.count % 3]
        return Reading(boot, seq, ts, step.watts, relay=step.relay, occupied=step.occupied, door=door)

    def _next(self, ts: int, boot: str | None = None) -> tuple[str, int, int]:
        boot = boot or self._boots[-1]
        seq = self._numbers[boot]
        self._numbers[boot] += 1
        return boot, seq, ts

    def _send(self, message: Message) -> None:
        self._sent.append(message)
        self._arrive(message)

    def _arrive(self, message: Message) -> None:
        self._events.append(Arrival(CONTROLLER, self._now_ms, message))


streams = st.builds(lambda script, offset_ms: Teller(offset_ms).tell(script), scripts, offsets)


def _told(times: list[int], readings: list[tuple[float, bool]]) -> list[Arrival]:
    return sorted(
        (
            Arrival(CONTROLLER, T0 + time, Reading("a", seq, T0 + time, watts, hist=hist))
            for seq, (time, (watts, hist)) in enumerate(zip(sorted(times), readings, strict=False))
        ),
        key=lambda arrival: arrival.received_ms,
    )


told_streams = st.builds(
    _told,
    st.lists(st.integers(0, 200), min_size=1, max_size=25),
    st.lists(
        st.tuples(st.sampled_from([0.0, 5.0, 40.0]), st.sampled_from([False] * 4 + [True])),
        min_size=25,
        max_size=25,
    ),
)
"""Messages received the moment they were sent."""


def last_ms(events: Events) -> int:
    """When the last event came."""
    return max((at_ms(event) for event in events if event is not None), default=T0)


def at_ms(event: Event) -> int:
    """When an event comes to the service."""
    return event.received_ms if isinstance(event, Arrival) else event.now_ms


def sent_ms(arrival: Arrival) -> int:
    """When the controller sent a message, by its own clock."""
    assert not isinstance(arrival.message, Death)
    return arrival.message.ts


def arrivals(events: Events) -> list[Arrival]:
    """The messages among the events."""
    return [event for event in events if isinstance(event, Arrival)]
