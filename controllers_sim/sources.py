"""Where a controller's measurements come from: a simulated instrument with its people, or a recorded trace."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo

from controllers_sim import people, profiles
from controllers_sim.people import Habits
from controllers_sim.profiles import PROFILES, Use
from controllers_sim.scenario import ControllerEntry, zone
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
        habits = self._habits
        scene = people.scene(habits, now_ms)
        use = _powered(scene.use, powered_since_ms)
        power_w = profiles.power_w(habits.profile, habits.seed, now_ms, use)
        return Observation(power_w, scene.occupied, scene.door, people.taps(habits, after_ms, now_ms))


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


def source_of(entry: ControllerEntry, seed: int, timezone: str) -> Source:
    """Build what a scenario's entry describes.

    Raises:
        SimulatorError: its trace cannot be read.

    """
    where = zone(timezone)
    if entry.trace is not None:
        return Recording(_looped(entry.trace, where))
    habits = Habits(Random(f"{seed}/{entry.id}").getrandbits(48), PROFILES[entry.profile or ""], where, entry.demand)
    return Instrument(habits)


def capabilities(entry: ControllerEntry) -> tuple[str, ...]:
    """Name what the controller's birth shall say it can do."""
    relay = () if entry.relay == "none" else ("relay",)
    return ("power", *relay) if entry.trace is not None else ("power", *relay, "card", "presence", "door")


@lru_cache
def _looped(path: str, timezone: ZoneInfo) -> LoopedTrace:
    return LoopedTrace(read_trace(Path(path)), timezone)


def _powered(use: Use, since_ms: int | None) -> Use:
    """What remains of a use where power has got through only since then."""
    if since_ms is None:
        return Use()
    on_since_ms, used_since_ms = use.on_since_ms, use.used_since_ms
    return Use(
        None if on_since_ms is None else max(on_since_ms, since_ms),
        None if used_since_ms is None else max(used_since_ms, since_ms),
    )
