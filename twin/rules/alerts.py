"""The life of one alert: when it fires, whom it is told to, how often, and when it is over.

`advance` is asked whenever what the alert depends on changes, and at the moment that `next_due` names. Whatever came
due before then happens at its own time. Of things that fall on the same moment

- an alert that was due to fire fires, even if its condition ends right then: long enough is long enough;
- an alert that was due to be resolved goes on if its condition holds again right then;
- an alert that is resolved is not repeated or escalated first.
"""

from collections.abc import Iterator
from typing import assert_never

from msgspec.structs import replace

from twin.alerts import (
    RULES,
    Acknowledgement,
    Alert,
    AlertKind,
    AlertState,
    Condition,
    Notice,
    Standing,
    Step,
    Withheld,
)
from twin.policy import Policy
from twin.state import FOREVER_MS


def advance(
    alert: Alert | None,
    kind: AlertKind,
    condition: Condition | None,
    at_ms: int,
    policy: Policy,
    *,
    hindrance: Withheld | None = None,
) -> tuple[Alert | None, tuple[Notice, ...]]:
    """The alert at a moment, and what people are told of it until then. A resolved one is returned once.

    `condition`: how it stands from this moment on; None where nothing new is said. `hindrance`: what inhibits or
    silences the alert.
    """
    before: tuple[Notice, ...] = ()
    if alert is not None:
        alert, before = _played(alert, at_ms - 1, policy, hindrance)
        if alert.state is AlertState.RESOLVED:
            return alert, before
        if alert.state is AlertState.PENDING and alert.due_ms == at_ms:
            alert = _fired(alert, at_ms)
    if condition is not None:
        alert = _faced(alert, kind, condition, at_ms, policy)
    if alert is None:
        return None, before
    alert, now = _played(alert if hindrance else _released(alert, at_ms), at_ms, policy, hindrance)
    return alert, before + now


def happen(
    alert: Alert | None, kind: AlertKind, at_ms: int, policy: Policy, *, hindrance: Withheld | None = None
) -> tuple[Alert, tuple[Notice, ...]]:
    """The alert once the single event that it is about has happened, for the first time or again.

    `alert` is one that `advance` has brought to `at_ms`, and not resolved.
    """
    now = Condition(Standing.HOLDS, at_ms)
    firing = _fired(_held(None, kind, now, at_ms, policy), at_ms) if alert is None else alert
    return _played(replace(firing, due_ms=at_ms + policy.clear_ms), at_ms, policy, hindrance)


def acknowledge(alert: Alert, by: str, at_ms: int) -> Alert:
    """The alert once a person has taken it upon themselves; the first to do so counts.

    Raises:
        ValueError: it is not firing.

    """
    if alert.state is not AlertState.FIRING:
        raise ValueError(f"{alert.kind} is {alert.state}: only a firing alert is acknowledged")
    return replace(alert, acknowledged=alert.acknowledged or Acknowledgement(by, at_ms))


def next_due(alert: Alert | None) -> int:
    """When something next happens to the alert by itself; `FOREVER_MS` if nothing does."""
    if alert is None or alert.state is AlertState.RESOLVED:
        return FOREVER_MS
    return min(alert.due_ms, alert.tell_ms, alert.escalate_ms, alert.repeat_ms)


def _faced(alert: Alert | None, kind: AlertKind, condition: Condition, at_ms: int, policy: Policy) -> Alert | None:
    """The alert as its condition leaves it."""
    match condition.standing:
        case Standing.HOLDS:
            return _held(alert, kind, condition, at_ms, policy)
        case Standing.CLEAR:
            return None if alert is None else _cleared(alert, condition, at_ms, policy)
        case Standing.FROZEN:
            return None if alert is None else _stopped(alert, at_ms)
        case _:
            assert_never(condition.standing)


def _held(alert: Alert | None, kind: AlertKind, condition: Condition, at_ms: int, policy: Policy) -> Alert:
    if alert is None:
        hold_ms, since_ms = RULES[kind].hold_ms, min(condition.since_ms, at_ms)
        due_ms = at_ms if hold_ms is None else max(at_ms, since_ms + hold_ms(policy))
        return Alert(kind, AlertState.PENDING, since_ms, due_ms)
    if alert.state is AlertState.FIRING:
        return replace(alert, due_ms=FOREVER_MS, left_ms=None)
    return alert if alert.left_ms is None else replace(alert, due_ms=at_ms + alert.left_ms, left_ms=None)


def _cleared(alert: Alert, condition: Condition, at_ms: int, policy: Policy) -> Alert | None:
    if alert.state is AlertState.PENDING:
        return None
    if alert.left_ms is not None and alert.left_ms < FOREVER_MS:
        return replace(alert, due_ms=at_ms + alert.left_ms, left_ms=None)
    if alert.due_ms < FOREVER_MS:
        return alert
    clear_since_ms = max(alert.since_ms, min(condition.since_ms, at_ms))  # it cannot have been clear before it fired
    return replace(alert, due_ms=max(at_ms, clear_since_ms + policy.clear_ms), left_ms=None)


def _stopped(alert: Alert, at_ms: int) -> Alert:
    if alert.left_ms is not None:
        return alert
    left_ms = FOREVER_MS if alert.due_ms == FOREVER_MS else alert.due_ms - at_ms
    return replace(alert, due_ms=FOREVER_MS, left_ms=left_ms)


def _released(alert: Alert, at_ms: int) -> Alert:
    """The alert once nothing hinders: what is owed is due now."""
    if not alert.owed:
        return alert
    return replace(
        alert,
        owed=(),
        tell_ms=at_ms if Step.FIRED in alert.owed else alert.tell_ms,
        escalate_ms=at_ms if Step.ESCALATED in alert.owed else alert.escalate_ms,
        repeat_ms=at_ms if Step.REPEATED in alert.owed else alert.repeat_ms,
    )


def _played(
    alert: Alert, until_ms: int, policy: Policy, hindrance: Withheld | None
) -> tuple[Alert, tuple[Notice, ...]]:
    """The alert after all that comes due up to a moment, each at its own time."""
    notices: list[Notice] = []
    while (due_ms := next_due(alert)) <= until_ms:
        if alert.due_ms == due_ms and alert.state is AlertState.PENDING:
            alert = _fired(alert, due_ms)
            continue
        alert, notice = _over(alert, hindrance) if alert.due_ms == due_ms else _stepped(alert, policy, hindrance)
        notices.append(notice)
    return alert, tuple(notices)


def _fired(alert: Alert, at_ms: int) -> Alert:
    return Alert(alert.kind, AlertState.FIRING, at_ms, FOREVER_MS, tell_ms=at_ms, fired_ms=at_ms)


def _over(alert: Alert, hindrance: Withheld | None) -> tuple[Alert, Notice]:
    """The alert resolved; those who were told that it began are told that it is over."""
    kind, at_ms, told = alert.kind, alert.due_ms, RULES[alert.kind].to[: alert.told]
    seen, fired_ms = alert.acknowledged, alert.fired_ms
    ended = Alert(
        kind,
        AlertState.RESOLVED,
        at_ms,
        FOREVER_MS,
        told=alert.told,
        acknowledged=seen,
        fired_ms=fired_ms,
        clashes=alert.clashes,
    )
    reason = hindrance if alert.told else Withheld.CLEARED_UNTOLD
    return ended, Notice(kind, at_ms, Step.RESOLVED, () if reason else told, reason)


def _stepped(alert: Alert, policy: Policy, hindrance: Withheld | None) -> tuple[Alert, Notice]:
    """The alert after the next thing that people are to be told of it, or are not."""
    at_ms, step = min(_steps(alert))
    reason = hindrance if alert.acknowledged is None else Withheld.ACKNOWLEDGED
    if reason is None:
        return _told(alert, step, at_ms, policy)
    owed = alert.owed if reason is Withheld.ACKNOWLEDGED else (*alert.owed, step)
    return replace(_without(alert, step), owed=owed), Notice(alert.kind, at_ms, step, (), reason)


def _steps(alert: Alert) -> Iterator[tuple[int, Step]]:
    yield alert.tell_ms, Step.FIRED
    yield alert.escalate_ms, Step.ESCALATED
    yield alert.repeat_ms, Step.REPEATED


def _without(alert: Alert, step: Step) -> Alert:
    match step:
        case Step.FIRED:
            return replace(alert, tell_ms=FOREVER_MS)
        case Step.ESCALATED:
            return replace(alert, escalate_ms=FOREVER_MS)
        case _:
            return replace(alert, repeat_ms=FOREVER_MS)


def _told(alert: Alert, step: Step, at_ms: int, policy: Policy) -> tuple[Alert, Notice]:
    groups = RULES[alert.kind].to
    if step is Step.REPEATED:
        alert = replace(alert, repeat_ms=at_ms + policy.repeat_ms)
        return alert, Notice(alert.kind, at_ms, step, groups[: alert.told])
    told = alert.told + 1
    escalate_ms = at_ms + policy.escalate_ms if told < len(groups) else FOREVER_MS
    repeat_ms = at_ms + policy.repeat_ms if step is Step.FIRED else alert.repeat_ms
    alert = replace(alert, told=told, tell_ms=FOREVER_MS, escalate_ms=escalate_ms, repeat_ms=repeat_ms)
    return alert, Notice(alert.kind, at_ms, step, groups[told - 1 : told])
