"""The alerts of a turn: followed through time, told of single events, seen to by people."""

from collections.abc import Mapping
from functools import partial

from msgspec.structs import replace as _replace

from twin.alerts import RULES, Alert, AlertKind, AlertState, Clash, Condition, Notice, Watch, Watched
from twin.alerts import Step as Told
from twin.physics import occupancy_at
from twin.requests import Acknowledge, Resolve
from twin.rules import alerts, watch
from twin.rules.conditions import ALWAYS_OPEN, Surroundings, conditions
from twin.rules.outcome import (
    AlertRecord,
    NoticeRecord,
    alert_id,
)
from twin.rules.session_conditions import session_conditions
from twin.rules.turn.state import Turn
from twin.sessions import (
    Open,
    Opening,
)
from twin.state import OccupancyState, Twin

CLASHES_KEPT = 8
"""Of one alert: how many conflicts it names, the last ones."""


def follow(turn: Turn, at_ms: int) -> None:
    """All alerts up to a moment, by what is known now."""
    seen = turn.station.watch
    if not turn.unwatched and at_ms < turn.station.alerts_due_ms:
        _ask_at(turn, at_ms)
        return
    turn.unwatched = False
    seen = seen if seen.asked_ms else Watch(at_ms)
    _note(turn, watch.follow(seen, partial(_conditions, turn), at_ms, turn.policy, turn.scene.setting))


def come_to(turn: Turn, at_ms: int) -> None:
    """Alerts up to a moment by what was so before it; at the moment itself they see what has become of it."""
    follow(turn, at_ms - 1)
    if turn.station.watch.asked_ms:
        _ask_at(turn, at_ms)
    turn.unwatched = True


def _ask_at(turn: Turn, at_ms: int) -> None:
    seen = turn.station.watch
    if seen.asked_ms < at_ms:
        turn.put(watch=_replace(seen, asked_ms=at_ms))


def see_to(turn: Turn, wish: Acknowledge | Resolve) -> None:
    """Somebody sees to an alert; one that does not fire any more is left alone."""
    active = turn.station.watch.active
    firing = next((each for each in active if each.kind is wish.kind and each.state is AlertState.FIRING), None)
    if firing is None:
        return
    seen = watch.seen_to(firing, wish)
    left = [each for each in active if each is not firing] + [seen] * (seen.state is AlertState.FIRING)
    turn.put(watch=_replace(turn.station.watch, active=watch.in_order(left)))
    turn.follows.alerts.append(AlertRecord(turn.code, firing.fired_ms, seen))
    if seen.state is AlertState.RESOLVED:
        over = Notice(seen.kind, wish.at_ms, Told.RESOLVED, RULES[seen.kind].to[: seen.told])
        turn.follows.notices.append(NoticeRecord(alert_id(turn.code, seen, firing.fired_ms), over))


def calm_down(turn: Turn, at_ms: int) -> None:
    """What could not be cut has stopped by itself: should it work again, that is another matter."""
    signals = turn.station.control.signals
    has_stopped = signals.relay_on is False or at_ms >= (signals.active_until_ms or 0)
    if turn.station.unsafe_ms is not None and has_stopped:
        turn.put(unsafe_ms=None)
        turn.unwatched = True


def happen(turn: Turn, kind: AlertKind, at_ms: int, clash: Clash | None = None) -> None:
    """A single event that an alert is about."""
    follow(turn, at_ms)
    seen, notices = watch.record(turn.station.watch, kind, turn.policy, turn.scene.setting)
    if clash is not None:
        seen = _replace(seen, active=tuple(_with(each, clash) if each.kind is kind else each for each in seen.active))
    _note(turn, Watched(seen, (), notices, min([turn.station.alerts_due_ms, *map(alerts.next_due, seen.active)])))


def _with(alert: Alert, clash: Clash) -> Alert:
    return _replace(alert, clashes=(*alert.clashes, clash)[-CLASHES_KEPT:])


def _conditions(turn: Turn, at_ms: int) -> Mapping[AlertKind, Condition]:
    twin, control = turn.station.twin, turn.station.control
    around = Surroundings(
        _opening_ms(turn, twin, at_ms),
        turn.station.grants_ms,
        turn.station.denials_ms,
        in_session=isinstance(control.state, Open | Opening) or turn.station.card_in is not None,
    )
    unsafe_ms, relay = turn.station.unsafe_ms, twin.physics.relay
    of_session = session_conditions(control, at_ms, turn.bookings, turn.policy, relay=relay, unsafe_ms=unsafe_ms)
    return conditions(twin, at_ms, turn.policy, around, of_session)


def _opening_ms(turn: Turn, twin: Twin, at_ms: int) -> tuple[int, ...]:
    occupancy = twin.physics.occupancy
    if occupancy is None or occupancy_at(occupancy, at_ms, turn.policy)[0] is not OccupancyState.OCCUPIED:
        return ALWAYS_OPEN  # it matters only where somebody is
    return turn.scene.directory.opening_times(turn.code, at_ms)


def _note(turn: Turn, watched: Watched) -> None:
    """Alerts that have fired, changed or ended, and what people are told."""
    before = set(turn.station.watch.active)
    turn.put(watch=watched.watch, alerts_due_ms=watched.due_ms)
    changed = [each for each in watched.watch.active if each.state is AlertState.FIRING and each not in before]
    for alert in (*watched.ended, *changed):
        turn.follows.alerts.append(AlertRecord(turn.code, alert.fired_ms, alert))
    for notice in watched.notices:
        alert = watch.told_of(notice, (*watched.ended, *watched.watch.active))
        turn.follows.notices.append(NoticeRecord(alert_id(turn.code, alert, alert.fired_ms), notice))
        if notice.step is Told.FIRED and notice.at_ms == alert.fired_ms:  # not when people are told of it later
            turn.fired.append(alert)
