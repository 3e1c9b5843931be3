"""All alerts of one instrument through time: `follow` lets each thing happen at its due time, however late it is asked.

What it is asked about is a course: the conditions at any moment, by all that is known now. When something new becomes
known at `t`, follow the old course to `t` and then the new one:

    watched = follow(watch, old_course, t, policy)
    watched = follow(watched.watch, new_course, t, policy)
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from twin.alerts import (
    RULES,
    Alert,
    AlertKind,
    AlertState,
    Condition,
    Notice,
    Silence,
    Standing,
    Watch,
    Watched,
    Withheld,
)
from twin.policy import Policy
from twin.requests import Acknowledge, Resolve
from twin.rules.alerts import acknowledge, advance, happen, next_due
from twin.state import FOREVER_MS

Course: TypeAlias = Callable[[int], Mapping[AlertKind, Condition]]


class Setting(msgspec.Struct, frozen=True):
    """Where an instrument stands, and what keeps people from being told of its alerts."""

    instrument: str = ""
    platform: str = ""
    silences: tuple[Silence, ...] = ()
    inhibiting: frozenset[AlertKind] = frozenset()
    """Kinds that are firing elsewhere and inhibit here: `SITE_OFFLINE`."""


ANYWHERE = Setting()


def _rank(kind: AlertKind) -> int:
    by = RULES[kind].inhibited_by
    return 0 if by is None else 1 + _rank(by)


_ORDER = tuple(sorted(AlertKind, key=_rank))
"""What inhibits comes before what it inhibits."""


@dataclass
class _Round:
    """The alerts on their way through time."""

    active: dict[AlertKind, Alert]
    policy: Policy
    setting: Setting
    ended: list[Alert] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def advance(self, conditions: Mapping[AlertKind, Condition], at_ms: int) -> None:
        """All alerts at a moment, those that inhibit others first."""
        holding = {kind for kind, each in conditions.items() if each.standing is Standing.HOLDS}
        for kind in sorted(holding | self.active.keys(), key=_ORDER.index):
            self._advance(kind, conditions.get(kind), at_ms)

    def _advance(self, kind: AlertKind, condition: Condition | None, at_ms: int) -> None:
        hindrance = hindered(kind, self.active.values(), at_ms, self.setting)
        before = self.active.pop(kind, None)
        alert, notices = advance(before, kind, condition, at_ms, self.policy, hindrance=hindrance)
        self.notices += notices
        if alert is not None and alert.state is AlertState.RESOLVED:
            self.ended.append(alert)
        elif alert is not None:
            self.active[kind] = alert

    def watched(self, asked_ms: int, due_ms: int) -> Watched:
        return Watched(Watch(asked_ms, in_order(self.active.values())), tuple(self.ended), tuple(self.notices), due_ms)


def follow(watch: Watch, course: Course, now_ms: int, policy: Policy, setting: Setting = ANYWHERE) -> Watched:
    """The alerts once time has come to `now_ms`, by a course that has been true since the watch was last asked.

    A moment before that is not gone back to.
    """
    going = _Round({alert.kind: alert for alert in watch.active}, policy, setting)
    at_ms = watch.asked_ms
    while True:
        conditions = course(at_ms)
        going.advance(conditions, at_ms)
        due_ms = link_ms = FOREVER_MS
        for each in conditions.values():
            if at_ms < each.next_ms < due_ms:
                due_ms = each.next_ms
            if at_ms < each.link_ms < link_ms:
                link_ms = each.link_ms
        due_ms = min(due_ms, _next_due(going.active.values(), setting.silences, at_ms))
        if min(due_ms, link_ms) > now_ms:
            return going.watched(max(watch.asked_ms, now_ms), due_ms)
        at_ms = min(due_ms, link_ms)


def record(
    watch: Watch, kind: AlertKind, policy: Policy, setting: Setting = ANYWHERE
) -> tuple[Watch, tuple[Notice, ...]]:
    """The watch once a single event that an alert is about has happened, at the moment last asked about."""
    hindrance = hindered(kind, watch.active, watch.asked_ms, setting)
    active = {alert.kind: alert for alert in watch.active}
    active[kind], notices = happen(active.get(kind), kind, watch.asked_ms, policy, hindrance=hindrance)
    return Watch(watch.asked_ms, in_order(active.values())), notices


def hindered(kind: AlertKind, active: Iterable[Alert], at_ms: int, setting: Setting = ANYWHERE) -> Withheld | None:
    """What keeps people from being told of an alert of that kind at a moment."""
    firing = {alert.kind for alert in active if alert.state is AlertState.FIRING}
    if RULES[kind].inhibited_by in firing | setting.inhibiting:
        return Withheld.INHIBITED
    if any(each.matches(setting.instrument, setting.platform, kind, at_ms) for each in setting.silences):
        return Withheld.SILENCED
    return None


def _next_due(active: Iterable[Alert], silences: Iterable[Silence], at_ms: int) -> int:
    """The first moment after `at_ms` at which something happens to an alert by itself, or may."""
    dues = [*map(next_due, active), *(each.until_ms for each in silences)]
    return min([due_ms for due_ms in dues if due_ms > at_ms], default=FOREVER_MS)


def in_order(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Alerts as a watch keeps them."""
    return tuple(sorted(alerts, key=lambda alert: alert.kind))


def seen_to(firing: Alert, wish: Acknowledge | Resolve) -> Alert:
    """A firing alert once somebody has taken it upon themselves, or said that it is over."""
    if isinstance(wish, Acknowledge):
        return acknowledge(firing, wish.user, wish.at_ms)
    return msgspec.structs.replace(firing, state=AlertState.RESOLVED, since_ms=wish.at_ms)


def told_of(notice: Notice, alerts: Iterable[Alert]) -> Alert:
    """The alert that a notice is about: the last of its kind that had fired by then."""
    fired = (each for each in alerts if each.kind is notice.kind and each.fired_ms <= notice.at_ms)
    return max(fired, key=lambda each: each.fired_ms)
