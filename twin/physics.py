"""Power and presence with their holds: pure arithmetic over intervals of time.

A reading's values hold until the next reading. The class at `t` is the highest raw value in force at any moment of
`(t - hold, t]`: raw power in force on `[a, b)` therefore counts for `t < b + hold`, and a class rises at once but falls
`hold` late. Nothing is ever stored about the future: each function derives what holds at the moment asked about.
"""

from twin.policy import Policy
from twin.state import FOREVER_MS, Occupancy, OccupancyState, Power, PowerClass


def raw_class(power_w: float, policy: Policy) -> PowerClass:
    """The class of a power as read."""
    if power_w >= policy.active_w:
        return PowerClass.ACTIVE
    return PowerClass.STANDBY if power_w >= policy.standby_w else PowerClass.OFF


def power_after(power: Power | None, power_w: float, at_ms: int, policy: Policy) -> Power:
    """The power once a reading of `power_w` has come into force at `at_ms`, not before `power.at_ms`."""
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
        active_ms, confirmed_ms = _active_total(power, at_ms), _confirmed_by(power, at_ms, policy)
    return Power(
        power_w,
        at_ms,
        raw,
        power_class,
        since_ms,
        _end(raw is PowerClass.ACTIVE, power.active_end_ms, at_ms),
        _end(raw > PowerClass.OFF, power.on_end_ms, at_ms),
        active_ms,
        confirmed_ms,
    )


def _end(in_force: bool, end_ms: int = 0, at_ms: int = 0) -> int:  # noqa: FBT001
    if in_force:
        return FOREVER_MS
    return at_ms if end_ms == FOREVER_MS else end_ms


def _active_total(power: Power, at_ms: int) -> int:
    return power.active_ms + (at_ms - power.at_ms if power.raw is PowerClass.ACTIVE else 0)


def power_class_at(power: Power, at_ms: int, policy: Policy) -> tuple[PowerClass, int]:
    """The class at a moment not before the last reading, and since when."""
    power_class, since_ms = power.power_class, power.class_since_ms
    if power_class is PowerClass.ACTIVE and at_ms >= power.active_end_ms + policy.power_hold_ms:
        power_class, since_ms = PowerClass.STANDBY, power.active_end_ms + policy.power_hold_ms
    if power_class is PowerClass.STANDBY and at_ms >= power.on_end_ms + policy.power_hold_ms:
        power_class, since_ms = PowerClass.OFF, power.on_end_ms + policy.power_hold_ms
    return power_class, since_ms


def confirmed_at(power: Power, at_ms: int, policy: Policy) -> int | None:
    """When raw active power had lasted for `confirm` in total within the present active class; None if it has not."""
    if power_class_at(power, at_ms, policy)[0] is not PowerClass.ACTIVE:
        return None
    return _confirmed_by(power, at_ms, policy)


def _confirmed_by(power: Power, at_ms: int, policy: Policy) -> int | None:
    if power.confirmed_ms is not None:
        return power.confirmed_ms
    due_ms = confirm_due(power, policy)
    return due_ms if due_ms <= at_ms else None


def confirm_due(power: Power, policy: Policy) -> int:
    """When active power will be confirmed if nothing changes; `FOREVER_MS` if it will not."""
    if power.raw is not PowerClass.ACTIVE or power.confirmed_ms is not None:
        return FOREVER_MS
    return power.at_ms + max(0, policy.confirm_ms - power.active_ms)


def power_changes(power: Power, policy: Policy) -> tuple[int, int, int]:
    """The moments at which the class or the confirmation may change by the passing of time alone."""
    hold_ms = policy.power_hold_ms
    return power.active_end_ms + hold_ms, power.on_end_ms + hold_ms, confirm_due(power, policy)


def occupancy_after(occupancy: Occupancy | None, occupied: bool, at_ms: int, policy: Policy) -> Occupancy:  # noqa: FBT001
    """The presence once a report has come into force at `at_ms`."""
    if occupancy is None:
        return Occupancy(occupied, at_ms, _end(occupied))
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
