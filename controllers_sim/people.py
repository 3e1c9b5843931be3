"""Who comes and goes: visits to one instrument by hour and weekday, and what they change, as pure functions.

A day's visits follow from seed and date alone, so a simulation that starts at 15:00 finds people at work, and one that
is restarted with the same seed finds the same people. All hours are local time of the site.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

from controllers_sim.profiles import Profile, Use
from controllers_sim.wire import Door

MIN_MS = 60_000
DOOR_OPEN_MS = 12_000
CLEANER_AT = time(22, 40)
"""When what was forgotten is switched off."""

# The chance that a visit begins in this hour on a working day: mornings, afternoons, the evening shift of students.
BEGIN_BY_HOUR = (
    0.02, 0.01, 0.01, 0.0, 0.0, 0.0, 0.02, 0.10, 0.38, 0.50, 0.45, 0.20,
    0.12, 0.34, 0.52, 0.48, 0.36, 0.18, 0.14, 0.26, 0.24, 0.14, 0.06, 0.03,
)  # fmt: skip
WEEKDAY_FACTOR = (1.0, 1.05, 1.05, 1.0, 0.9, 0.4, 0.25)


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody at an instrument from `begin_ms` to `end_ms`, using it from `use_ms` to `done_ms`, away in the break."""

    card: str
    begin_ms: int
    use_ms: int
    break_ms: tuple[int, int] | None
    done_ms: int
    end_ms: int
    forgets: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """What sensors could see at one moment."""

    occupied: bool
    door: Door
    use: Use


@dataclass(frozen=True, slots=True)
class Habits:
    """What decides who comes: the instrument's seed and type, the site's time zone, the demand (1 = usual)."""

    seed: int
    profile: Profile
    timezone: ZoneInfo
    demand: float = 1.0


def midnight_ms(day: date, timezone: ZoneInfo) -> int:
    """Give the first moment of a local day, ms since the epoch."""
    return round(datetime.combine(day, time(), timezone).astimezone(UTC).timestamp()) * 1000


def local_day(t_ms: int, timezone: ZoneInfo) -> date:
    """Give the local date of a moment."""
    return datetime.fromtimestamp(t_ms / 1000, timezone).date()


@lru_cache(maxsize=8192)
def visits(habits: Habits, day: date) -> tuple[Visit, ...]:
    """Give the visits of one local day in order; they never overlap and all end with the day."""
    rng = Random(f"{habits.seed}/{day.isoformat()}")
    start_ms = midnight_ms(day, habits.timezone)
    end_of_day_ms = midnight_ms(day + timedelta(days=1), habits.timezone)
    found: list[Visit] = []
    free_ms = start_ms
    for hour in range(24):
        chance = BEGIN_BY_HOUR[hour] * WEEKDAY_FACTOR[day.weekday()] * habits.demand
        begin_ms = start_ms + round((hour + rng.random()) * 60) * MIN_MS
        if rng.random() < chance and begin_ms >= free_ms:
            visit = _visit(rng, habits.profile, begin_ms, end_of_day_ms)
            if visit is not None:
                found.append(visit)
                free_ms = visit.end_ms + 2 * MIN_MS
    return tuple(found)


def _visit(rng: Random, profile: Profile, begin_ms: int, end_of_day_ms: int) -> Visit | None:
    length_ms = round(profile.visit_min * rng.lognormvariate(0.0, 0.35) * MIN_MS)
    end_ms = min(begin_ms + length_ms, end_of_day_ms - rng.randrange(2, 9) * MIN_MS)
    if end_ms - begin_ms < 3 * MIN_MS:
        return None
    settle_ms = min((end_ms - begin_ms) // 6, rng.randrange(2, 9) * MIN_MS)
    use_ms, done_ms = begin_ms + settle_ms, end_ms - settle_ms // 2
    away_ms: tuple[int, int] | None = None
    if done_ms - use_ms > 80 * MIN_MS:
        leave_ms = rng.randrange(use_ms + 20 * MIN_MS, done_ms - 40 * MIN_MS)
        away_ms = (leave_ms, leave_ms + rng.randrange(8, 35) * MIN_MS)
    card = f"{rng.choice(_cards(profile)):08x}"
    return Visit(card, begin_ms, use_ms, away_ms, done_ms, end_ms, forgets=rng.random() < 0.12)


@lru_cache
def _cards(profile: Profile) -> tuple[int, ...]:
    """Give the cards of the two dozen people who know this kind of instrument."""
    rng = Random(profile.name)
    return tuple(rng.getrandbits(32) for _ in range(24))


def scene(habits: Habits, t_ms: int) -> Scene:
    """Give what can be seen of people and instrument at a moment."""
    day = local_day(t_ms, habits.timezone)
    plan = visits(habits, day)
    visit = next((visit for visit in plan if visit.begin_ms <= t_ms < visit.end_ms), None)
    on_since_ms = _on_since(habits, plan, day, t_ms)
    if visit is None:
        moving = any(0 <= t_ms - visit.end_ms < DOOR_OPEN_MS for visit in plan)
        return Scene(occupied=False, door="open" if moving else "closed", use=Use(on_since_ms))
    away = visit.break_ms is not None and visit.break_ms[0] <= t_ms < visit.break_ms[1]
    used = visit.use_ms <= t_ms < visit.done_ms
    door: Door = "open" if t_ms - visit.begin_ms < DOOR_OPEN_MS else "closed"
    return Scene(not away, door, Use(on_since_ms, visit.use_ms if used else None))


def serviced_ms(habits: Habits, t_ms: int) -> int:
    """Give since when an instrument that is never switched off has been on: since its monthly service."""
    day = local_day(t_ms, habits.timezone)
    return midnight_ms(day - timedelta(days=day.toordinal() % 28), habits.timezone)


def _on_since(habits: Habits, plan: tuple[Visit, ...], day: date, t_ms: int) -> int | None:
    if habits.profile.always_on:
        return serviced_ms(habits, t_ms)
    cleaner_ms = round(datetime.combine(day, CLEANER_AT, habits.timezone).timestamp()) * 1000
    on_since_ms: int | None = None
    for visit in plan:
        switched_on_ms = visit.begin_ms + MIN_MS
        if switched_on_ms > t_ms:
            break
        on_since_ms = switched_on_ms if on_since_ms is None else on_since_ms
        switched_off_ms = max(cleaner_ms, visit.end_ms) if visit.forgets else visit.end_ms
        if switched_off_ms <= t_ms:
            on_since_ms = None
    return on_since_ms


def taps(habits: Habits, after_ms: int, until_ms: int) -> tuple[tuple[int, str], ...]:
    """Give the card taps of (after, until]: on coming, and on leaving by those who do not forget."""
    days = sorted({local_day(after_ms, habits.timezone), local_day(until_ms, habits.timezone)})
    found = [
        tap for day in days for visit in visits(habits, day) for tap in _taps_of(visit) if after_ms < tap[0] <= until_ms
    ]
    return tuple(sorted(found))


def _taps_of(visit: Visit) -> tuple[tuple[int, str], ...]:
    coming = (visit.begin_ms + 20_000, visit.card)
    return (coming,) if visit.forgets else (coming, (visit.end_ms - 20_000, visit.card))
