"""Where a controller's measurements come from: a simulated instrument with its people, or a recorded trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo

from controllers_sim import people, profiles
from controllers_sim.attendance import Attendance
from controllers_sim.people import Habits, Scene
from controllers_sim.profiles import PROFILES, Use
from controllers_sim.scenario import ControllerEntry, Scenario, zone
from controllers_sim.stays import DOOR_MS, intruders
from controllers_sim.traces import LoopedTrace, read_trace
from controllers_sim.wire import Door


@dataclass(frozen=True, slots=True)
class Observation:
    """What meter, sensors and card reader notice since the last look. None where there is no such sensor."""

    power_w: float
    occupied: bool | None = None
    door: Door | None = None
    cards: tuple[tuple[int, str], ...] = ()


class Source(Protocol):
    """Something a controller is fitted to. All times ms since the epoch."""

    def observe(self, after_ms: int, now_ms: int, powered_since_ms: int | None) -> Observation | None:
        """Look at (after, now]; None where nothing was recorded.

        Power has got through since `powered_since_ms`, 0 where it always has; None while the relay is open.
        """


class Instrument:
    """A simulated instrument with people about it."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits

    def observe(self, after_ms: int, now_ms: int, powered_since_ms: int | None) -> Observation:
        """Look at it: what was on when the relay closed starts up again from there."""
        scene = people.scene(self._habits, now_ms)
        return _observed(self._habits, scene, now_ms, powered_since_ms, people.taps(self._habits, after_ms, now_ms))


class Planned:
    """A simulated instrument whose people follow a plan."""

    def __init__(self, habits: Habits, attendance: Attendance) -> None:
        self.attendance = attendance
        self._habits = habits

    def observe(
        self,
        after_ms: int,  # noqa: ARG002
        now_ms: int,
        powered_since_ms: int | None,
    ) -> Observation:
        """Look at it; looks go forward in time."""
        scene, cards = self.attendance.look(now_ms, powered_since_ms)
        return _observed(self._habits, scene, now_ms, powered_since_ms, tuple((now_ms, card) for card in cards))


class Deserted:
    """A planned instrument in the time before anybody watched: nobody has a session, a few sneak in at night."""

    def __init__(self, habits: Habits, mischief: float) -> None:
        self._habits = habits
        self._mischief = mischief

    def observe(
        self,
        after_ms: int,  # noqa: ARG002
        now_ms: int,
        powered_since_ms: int | None,
    ) -> Observation:
        """Look at it."""
        return _observed(self._habits, self._scene(now_ms), now_ms, powered_since_ms)

    def _scene(self, now_ms: int) -> Scene:
        habits = self._habits
        tonight = intruders(habits, self._mischief, people.local_day(now_ms, habits.timezone))
        present = [stay for stay in tonight if stay.begin_ms <= now_ms < stay.end_ms]
        used_since_ms = next((stay.use_ms for stay in present if stay.use_ms <= now_ms < stay.done_ms), None)
        moving = any(now_ms < stay.begin_ms + stay.door_ms for stay in present) or any(
            0 <= now_ms - stay.end_ms < DOOR_MS for stay in tonight
        )
        on_since_ms = people.serviced_ms(habits, now_ms) if habits.profile.always_on else used_since_ms
        return Scene(bool(present), "open" if moving else "closed", Use(on_since_ms, used_since_ms))


class Recording:
    """A recorded trace, replayed every day at its time of day."""

    def __init__(self, trace: LoopedTrace) -> None:
        self._trace = trace

    def observe(
        self,
        after_ms: int,
        now_ms: int,
        powered_since_ms: int | None,  # noqa: ARG002
    ) -> Observation | None:
        """Give what was recorded in (after, now]."""
        power_w = self._trace.power_w(after_ms, now_ms)
        return None if power_w is None else Observation(power_w)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a controller's measurements come from, live and in the time before its first connection."""

    live: Source
    past: Source


def sources_of(entry: ControllerEntry, scenario: Scenario, cards: Sequence[str] = ()) -> Sources:
    """Build what a scenario's entry describes; `cards` are those of everybody.

    Raises:
        SimulatorError: its trace cannot be read.

    """
    where = zone(scenario.timezone)
    if entry.trace is not None:
        recording = Recording(_looped(entry.trace, where))
        return Sources(recording, recording)
    seed = Random(f"{scenario.seed}/{entry.id}").getrandbits(48)
    habits = Habits(seed, PROFILES[entry.profile or ""], where, entry.demand)
    if entry.bookings is None:
        instrument = Instrument(habits)
        return Sources(instrument, instrument)
    attendance = Attendance(habits, entry.bookings, cards, scenario.mischief)
    return Sources(Planned(habits, attendance), Deserted(habits, scenario.mischief))


def capabilities(entry: ControllerEntry) -> tuple[str, ...]:
    """Name what the controller's birth shall say it can do."""
    relay = () if entry.relay_at_start == "none" else ("relay",)
    return ("power", *relay) if entry.trace is not None else ("power", *relay, "card", "presence", "door")


@lru_cache
def _looped(path: str, timezone: ZoneInfo) -> LoopedTrace:
    return LoopedTrace(read_trace(Path(path)), timezone)


def _observed(
    habits: Habits, scene: Scene, now_ms: int, powered_since_ms: int | None, cards: tuple[tuple[int, str], ...] = ()
) -> Observation:
    power_w = profiles.power_w(habits.profile, habits.seed, now_ms, _powered(scene.use, powered_since_ms))
    return Observation(power_w, scene.occupied, scene.door, cards)


def _powered(use: Use, since_ms: int | None) -> Use:
    """What remains of a use where power has got through only since then."""
    if since_ms is None:
        return Use()
    on_since_ms, used_since_ms = use.on_since_ms, use.used_since_ms
    return Use(
        None if on_since_ms is None else max(on_since_ms, since_ms),
        None if used_since_ms is None else max(used_since_ms, since_ms),
    )
