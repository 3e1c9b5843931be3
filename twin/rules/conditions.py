"""The conditions of alerts that can be told from a twin: does each hold at a moment, since when, until when at least?

`since_ms` goes by event time, for the link by the time of receipt. Where a twin does not remember since when a thing
has been so, it is the newest moment that it knows of: true if asked at the message that made it so.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from twin.alerts import RULES, AlertKind, Condition, Standing
from twin.instrument import link_at
from twin.physics import free_since, intruded_since, occupancy_at, power_changes, power_class_at, visit_at
from twin.policy import Policy
from twin.state import FOREVER_MS, LinkState, OccupancyState, PowerClass, Twin

ALWAYS_OPEN = (0, FOREVER_MS)
_STANDING_STILL = frozenset(kind for kind, rule in RULES.items() if rule.stands_still)


class Surroundings(msgspec.Struct, frozen=True):
    """What conditions depend on besides the twin; all moments in order, of events none later than now."""

    opening_ms: tuple[int, ...] = ALWAYS_OPEN
    """Opening hours around now as sorted pairs of from and until."""
    grants_ms: tuple[int, ...] = ()
    """When somebody was lately granted access."""
    denials_ms: tuple[int, ...] = ()
    """When cards were lately refused."""
    in_session: bool = False
    """Is a session open or opening?"""


NOTHING_ELSE = Surroundings()


def conditions(
    twin: Twin,
    at_ms: int,
    policy: Policy,
    around: Surroundings = NOTHING_ELSE,
    others: Iterable[tuple[AlertKind, Condition]] = (),
) -> Mapping[AlertKind, Condition]:
    """Every condition that can be told from a twin, at a moment that is not before its newest message was received.

    `others`: those that are told from elsewhere; they stand still in the same way.
    """
    told = {
        AlertKind.POWER_WITHOUT_SESSION: power_without_session(twin, at_ms, policy, around),
        AlertKind.POWER_WITH_RELAY_OFF: power_with_relay_off(twin),
        AlertKind.PRESENCE_WITHOUT_SESSION: presence_without_session(twin, at_ms, policy, around),
        AlertKind.REPEATED_DENIALS: repeated_denials(around.denials_ms, at_ms, policy),
        AlertKind.FORCED_DOOR: forced_door(twin, at_ms, policy, around.grants_ms),
        AlertKind.CONTROLLER_OFFLINE: controller_offline(twin, at_ms, policy),
        AlertKind.CLOCK_SKEW: clock_skew(twin),
    }
    told.update(others)
    return _online_only(told, twin, at_ms, policy)


def _online_only(
    told: dict[AlertKind, Condition], twin: Twin, at_ms: int, policy: Policy
) -> Mapping[AlertKind, Condition]:
    """Some stand still where their rule says so: time when the link was not online counts for nothing."""
    link, link_since_ms = link_at(twin.link, at_ms, policy)
    since_ms = link_since_ms or 0
    is_online = link is LinkState.ONLINE and twin.link is not None
    stale_ms = twin.link.heard_ms + policy.stale_after_ms if is_online and twin.link else FOREVER_MS
    for kind in _STANDING_STILL & told.keys():
        each = told[kind]
        if is_online:
            told[kind] = Condition(each.standing, max(each.since_ms, since_ms), each.next_ms, stale_ms)
        else:
            told[kind] = Condition(Standing.FROZEN, since_ms)
    return told


def power_without_session(twin: Twin, at_ms: int, policy: Policy, around: Surroundings = NOTHING_ELSE) -> Condition:
    """An intrusion is confirmed. A session that is opening is one."""
    power = twin.physics.power
    if power is None or around.in_session:
        return _said(holds=False, since_ms=at_ms if around.in_session else 0)
    told_ms = max(at_ms, power.at_ms)
    visits = twin.book.visits
    next_ms = _first_after(told_ms, power_changes(power, policy, visits))
    intruded_ms = intruded_since(power, told_ms, policy, visits)
    if intruded_ms is not None:
        return _said(holds=True, since_ms=intruded_ms, next_ms=next_ms)
    power_class, since_ms = power_class_at(power, told_ms, policy)
    visit = visit_at(visits, told_ms)
    if visit is not None and power_class is PowerClass.ACTIVE:
        since_ms = max(since_ms, visit.start_ms)  # it works on: what ended an intrusion is the session
    return _said(holds=False, since_ms=since_ms, next_ms=next_ms)


def power_with_relay_off(twin: Twin) -> Condition:
    """The instrument draws power, as last read, while its relay is reported off."""
    power, relay = twin.physics.power, twin.physics.relay
    if power is None or relay is None:
        return _said(holds=False, since_ms=0)
    holds = power.raw is not PowerClass.OFF and not relay.on
    return _said(holds=holds, since_ms=max(power.at_ms, relay.since_ms) if holds else _relay_safe_ms(twin))


def _relay_safe_ms(twin: Twin) -> int:
    """Since when there has been no power, or the relay has been on: the earlier, where both are so."""
    power, relay = twin.physics.power, twin.physics.relay
    off_ms = power.on_end_ms if power is not None and power.raw is PowerClass.OFF else FOREVER_MS
    return min(off_ms, relay.since_ms if relay is not None and relay.on else FOREVER_MS)


def presence_without_session(twin: Twin, at_ms: int, policy: Policy, around: Surroundings) -> Condition:
    """Somebody is at the instrument outside the opening hours, and there is no session."""
    if around.in_session:
        return _said(holds=False, since_ms=at_ms)
    occupancy, opening_ms = twin.physics.occupancy, around.opening_ms
    passed = bisect_right(opening_ms, at_ms)
    turned_ms = opening_ms[passed - 1] if passed else 0
    turns_ms = opening_ms[passed] if passed < len(opening_ms) else FOREVER_MS
    told_ms = max(at_ms, twin.physics.newest[0])
    state, since_ms = occupancy_at(occupancy, told_ms, policy)
    vacant_ms = FOREVER_MS if occupancy is None else occupancy.occupied_end_ms + policy.vacancy_hold_ms
    next_ms = min(turns_ms, _first_after(told_ms, (vacant_ms,)))
    if state is OccupancyState.OCCUPIED:
        is_open = passed % 2 == 1
        left_ms = min(free_since(twin.book.visits, at_ms), at_ms)
        since_ms = turned_ms if is_open else max(turned_ms, since_ms or 0, left_ms)
        return _said(holds=not is_open, since_ms=since_ms, next_ms=next_ms)
    return _said(holds=False, since_ms=since_ms or 0, next_ms=next_ms)


def repeated_denials(denials_ms: Sequence[int], at_ms: int, policy: Policy) -> Condition:
    """So many cards were refused within so long a time up to now."""
    within_ms = policy.denials_within_ms
    firsts_and_lasts = zip(denials_ms, denials_ms[policy.denial_count - 1 :], strict=False)
    spans = [
        (last_ms, first_ms + within_ms) for first_ms, last_ms in firsts_and_lasts if last_ms < first_ms + within_ms
    ]
    since_ms, until_ms = spans.pop() if spans else (0, 0)
    if at_ms >= until_ms:
        return _said(holds=False, since_ms=until_ms)
    while spans and spans[-1][1] >= since_ms:
        since_ms, _ = spans.pop()
    return _said(holds=True, since_ms=since_ms, next_ms=until_ms)


def forced_door(twin: Twin, at_ms: int, policy: Policy, grants_ms: Sequence[int]) -> Condition:
    """The door is open, and nobody was granted access lately."""
    door = twin.physics.door_open
    if door is None or not door.on:
        return _said(holds=False, since_ms=0 if door is None else door.since_ms)
    if not grants_ms:
        return _said(holds=True, since_ms=door.since_ms)
    lapsed_ms = grants_ms[-1] + policy.door_grant_ms
    if at_ms < lapsed_ms:
        return _said(holds=False, since_ms=grants_ms[-1], next_ms=lapsed_ms)
    return _said(holds=True, since_ms=max(door.since_ms, lapsed_ms))


def controller_offline(twin: Twin, at_ms: int, policy: Policy) -> Condition:
    """The controller was heard once and is not any more."""
    link, since_ms = link_at(twin.link, at_ms, policy)
    if twin.link is None or since_ms is None:
        return _said(holds=False, since_ms=0)
    if link is LinkState.OFFLINE:
        return _said(holds=True, since_ms=since_ms)
    offline_ms = twin.link.heard_ms + policy.offline_after_ms
    return Condition(Standing.CLEAR, twin.link.online_since_ms, link_ms=offline_ms)


def clock_skew(twin: Twin) -> Condition:
    """The controller's clock is off by more than the tolerance."""
    return _said(holds=twin.skew_ms != 0, since_ms=0 if twin.link is None else twin.link.heard_ms)


def site_offline(gone_ms: Sequence[int], controllers: int, policy: Policy, broker_gone_ms: int | None) -> Condition:
    """More than half of a site's controllers, of those that are gone now, went within a minute; or the broker is gone.

    `gone_ms`: since when each controller that is offline has been so, in order. `controllers`: how many the site has.
    The gone ones do not tell since when the condition is clear.
    """
    more = controllers // 2
    lasts_ms = (
        gone_ms[first + more]
        for first in range(len(gone_ms) - more)
        if gone_ms[first + more] - gone_ms[first] <= policy.site_within_ms
    )
    since_ms = next(lasts_ms, FOREVER_MS)
    if broker_gone_ms is not None:
        since_ms = min(since_ms, broker_gone_ms)
    return _said(holds=since_ms < FOREVER_MS, since_ms=since_ms)


def _said(*, holds: bool, since_ms: int, next_ms: int = FOREVER_MS) -> Condition:
    return Condition(Standing.HOLDS if holds else Standing.CLEAR, since_ms, next_ms)


def _first_after(at_ms: int, moments_ms: Iterable[int]) -> int:
    return min([each for each in moments_ms if each > at_ms], default=FOREVER_MS)
