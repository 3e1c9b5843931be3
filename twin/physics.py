"""Power and presence with their holds: pure arithmetic over intervals of time.

A reading's values hold until the next reading. The class at `t` is the highest raw value in force at any moment of
`(t - hold, t]`: raw power in force on `[a, b)` therefore counts for `t < b + hold`, and a class rises at once but falls
`hold` late. Nothing is ever stored about the future: each function derives what holds at the moment asked about.
"""

from collections.abc import Sequence

from twin.policy import Policy
from twin.state import FOREVER_MS, Occupancy, OccupancyState, Power, PowerClass, Visit


def raw_class(power_w: float, policy: Policy) -> PowerClass:
    """The class of a power as read."""
    if power_w >= policy.active_w:
        return PowerClass.ACTIVE
    return PowerClass.STANDBY if power_w >= policy.standby_w else PowerClass.OFF


def visit_at(visits: Sequence[Visit], at_ms: int) -> Visit | None:
    """The session that is open at a moment, else the last one before it."""
    for visit in reversed(visits):
        if visit.start_ms <= at_ms:
            return visit
    return None


def free_since(visits: Sequence[Visit], at_ms: int) -> int:
    """Since when there has been no session: 0 if there never was one, `FOREVER_MS` while one is open."""
    visit = visit_at(visits, at_ms) if visits else None
    if visit is None:
        return 0
    return FOREVER_MS if at_ms < visit.end_ms else visit.end_ms


def power_after(power: Power | None, power_w: float, at_ms: int, policy: Policy, free_ms: int = 0) -> Power:
    """The power once a reading of `power_w` has come into force at `at_ms`, not before `power.at_ms`.

    `free_ms`: as `free_since` says of `at_ms`. What is drawn during a session does not count for an intrusion.
    """
    raw = raw_class(power_w, policy)
    if power is None:
        return Power(
            power_w, at_ms, raw, raw, at_ms, _end(raw is PowerClass.ACTIVE), _end(raw > PowerClass.OFF), 0, None
        )
    # A class whose hold runs out at this very moment lives on if the reading renews it: hence `at_ms - 1`.
    power_class, since_ms = power_class_at(power, at_ms - 1, policy)
    if raw > power_class:
        power_class, since_ms = raw, at_ms
    active_ms, confirmed_ms = 0, None
    if power_class is PowerClass.ACTIVE and since_ms < at_ms:
        active_ms, confirmed_ms = _active_total(power, at_ms, free_ms), _confirmed_by(power, at_ms, policy, free_ms)
    active_end_ms, on_end_ms = power.active_end_ms, power.on_end_ms
    if raw is not power.raw:
        active_end_ms = _end(raw is PowerClass.ACTIVE, active_end_ms, at_ms)
        on_end_ms = _end(raw > PowerClass.OFF, on_end_ms, at_ms)
    return Power(power_w, at_ms, raw, power_class, since_ms, active_end_ms, on_end_ms, active_ms, confirmed_ms)


def _end(in_force: bool, end_ms: int = 0, at_ms: int = 0) -> int:  # noqa: FBT001
    if in_force:
        return FOREVER_MS
    return at_ms if end_ms == FOREVER_MS else end_ms


def _active_total(power: Power, at_ms: int, free_ms: int) -> int:
    """Raw active power in total, since the class became active or the session ended, whichever is later."""
    counted_ms = power.active_ms if free_ms <= power.at_ms else 0
    return counted_ms + (max(0, at_ms - max(power.at_ms, free_ms)) if power.raw is PowerClass.ACTIVE else 0)


def power_class_at(power: Power, at_ms: int, policy: Policy) -> tuple[PowerClass, int]:
    """The class at a moment not before the last reading, and since when."""
    power_class, since_ms = power.power_class, power.class_since_ms
    if power_class is PowerClass.ACTIVE and at_ms >= power.active_end_ms + policy.power_hold_ms:
        power_class, since_ms = PowerClass.STANDBY, power.active_end_ms + policy.power_hold_ms
    if power_class is PowerClass.STANDBY and at_ms >= power.on_end_ms + policy.power_hold_ms:
        power_class, since_ms = PowerClass.OFF, power.on_end_ms + policy.power_hold_ms
    return power_class, since_ms


def cools_until(power: Power, at_ms: int, policy: Policy, visits: Sequence[Visit]) -> int | None:
    """Until when, at the latest, an instrument cools down after its session; None: at this moment it does not.

    It does from the session's end until the class is not active, for at most `cooldown_max`.
    """
    free_ms = free_since(visits, at_ms)
    power_class, since_ms = power_class_at(power, at_ms, policy)
    still_works = power_class is PowerClass.ACTIVE and 0 < free_ms < FOREVER_MS and since_ms <= free_ms
    return free_ms + policy.cooldown_max_ms if still_works and at_ms < free_ms + policy.cooldown_max_ms else None


def intruded_since(power: Power, at_ms: int, policy: Policy, visits: Sequence[Visit] = ()) -> int | None:
    """Since when an intrusion has been confirmed, at a moment not before the last reading; None: there is none.

    There is no session and no cooldown, the class is active, and raw power has been so for `confirm` in total since it
    became so or the session ended.
    """
    free_ms = free_since(visits, at_ms)
    if free_ms == FOREVER_MS or power_class_at(power, at_ms, policy)[0] is not PowerClass.ACTIVE:
        return None
    if free_ms and cools_until(power, at_ms, policy, visits) is not None:
        return None
    confirmed_ms = _confirmed_by(power, at_ms, policy, free_ms)
    if confirmed_ms is None or not free_ms or power_class_at(power, at_ms, policy)[1] > free_ms:
        return confirmed_ms
    return max(confirmed_ms, free_ms + policy.cooldown_max_ms)


def _confirmed_by(power: Power, at_ms: int, policy: Policy, free_ms: int) -> int | None:
    if power.confirmed_ms is not None and free_ms <= power.at_ms:
        return power.confirmed_ms
    due_ms = _confirm_due(power, policy, free_ms)
    return due_ms if due_ms <= at_ms else None


def _confirm_due(power: Power, policy: Policy, free_ms: int) -> int:
    """When active power will be confirmed if nothing changes; `FOREVER_MS` if it will not."""
    is_new = free_ms > power.at_ms
    if power.raw is not PowerClass.ACTIVE or free_ms == FOREVER_MS or (power.confirmed_ms is not None and not is_new):
        return FOREVER_MS
    counted_ms = 0 if is_new else power.active_ms
    return max(power.at_ms, free_ms) + max(0, policy.confirm_ms - counted_ms)


def power_changes(power: Power, policy: Policy, visits: Sequence[Visit] = ()) -> tuple[int, ...]:
    """The moments at which the class, cooldown or intrusion may change by the passing of time alone.

    `visits` are those that may be in force after the last reading.
    """
    hold_ms = policy.power_hold_ms
    falls = (power.active_end_ms + hold_ms, power.on_end_ms + hold_ms)
    if not visits:
        return (*falls, _confirm_due(power, policy, 0))
    changes, is_alone = [*falls], len(visits) == 1
    for visit in visits:
        end_ms = visit.end_ms
        if end_ms < FOREVER_MS and (is_alone or not _is_used(visits, max(power.at_ms, end_ms))):
            changes += (end_ms, end_ms + policy.cooldown_max_ms, _confirm_due(power, policy, end_ms))
    return tuple(changes)


def _is_used(visits: Sequence[Visit], at_ms: int) -> bool:
    """Is somebody at the instrument at a moment? Then only the end of their visit matters."""
    return any(visit.start_ms <= at_ms < visit.end_ms for visit in visits)


def occupancy_after(occupancy: Occupancy | None, occupied: bool, at_ms: int, policy: Policy) -> Occupancy:  # noqa: FBT001
    """The presence once a report has come into force at `at_ms`."""
    if occupancy is None:
        return Occupancy(occupied, at_ms, _end(occupied))
    vacant_ms = occupancy.occupied_end_ms + policy.vacancy_hold_ms
    if occupied is occupancy.occupied and (occupied or occupancy.since_ms >= vacant_ms):
        return occupancy
    before, since_ms = occupancy_at(occupancy, at_ms - 1, policy)
    if since_ms is None or (occupied and before is not OccupancyState.OCCUPIED):
        since_ms = at_ms
    return Occupancy(occupied, since_ms, _end(occupied, occupancy.occupied_end_ms, at_ms))


def occupancy_at(occupancy: Occupancy | None, at_ms: int, policy: Policy) -> tuple[OccupancyState, int | None]:
    """Presence at a moment not before the last report, and since when; unknown where nobody ever reported."""
    if occupancy is None:
        return OccupancyState.UNKNOWN, None
    vacant_ms = occupancy.occupied_end_ms + policy.vacancy_hold_ms
    if occupancy.occupied_end_ms and at_ms < vacant_ms:
        return OccupancyState.OCCUPIED, occupancy.since_ms
    return OccupancyState.VACANT, max(occupancy.since_ms, vacant_ms if occupancy.occupied_end_ms else 0)
