"""The one alert that is about the site: most of its controllers gone at once, or the broker.

While it fires nobody is told of the controllers one by one.
"""

from bisect import bisect_left, insort

from twin.alerts import Alert, AlertKind, AlertState, Condition, Watch
from twin.instrument import link_at
from twin.policy import Policy
from twin.requests import Acknowledge, Resolve
from twin.rules import alerts, watch
from twin.rules.conditions import site_offline
from twin.rules.outcome import AlertRecord, Consequences, NoticeRecord, alert_id
from twin.state import FOREVER_MS, LinkState, Twin
from twin.station import SiteState


class SiteWatch:
    """Which controllers are gone since when, and the alert that follows. It belongs to the fleet."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self._gone: dict[str, int] = {}
        self._moments_ms: list[int] = []
        """The values of `_gone` in order: thousands go at once when a network is cut."""
        self.due_ms = FOREVER_MS
        self.controllers = 0
        """How many the site has."""
        self._broker_gone_ms: int | None = None
        self._watch = Watch(0)

    @property
    def is_offline(self) -> bool:
        """Does the alert fire?"""
        return any(each.state is AlertState.FIRING for each in self._watch.active)

    @property
    def active(self) -> tuple[Alert, ...]:
        """The alert, while it is pending or fires."""
        return self._watch.active

    @property
    def state(self) -> SiteState:
        """What is to be recorded."""
        return SiteState(self._watch, self._broker_gone_ms)

    def restore(self, state: SiteState) -> None:
        """Go on from where it was recorded, once all controllers are noted."""
        self._watch, self._broker_gone_ms = state.watch, state.broker_gone_ms
        if state.watch.asked_ms:
            self._followed(state.watch.asked_ms, Consequences())

    def hear_of(self, controller: str, gone_ms: int | None, at_ms: int) -> Consequences:
        """A controller has gone, or is back (None)."""
        follows = self.pass_time(at_ms)
        self.note(controller, gone_ms)
        return self._followed(at_ms, follows)

    def note(self, controller: str, gone_ms: int | None) -> None:
        """Since when a controller has been gone (None: it is not), as it is restored."""
        before_ms = self._gone.pop(controller, None)
        if before_ms is not None:
            del self._moments_ms[bisect_left(self._moments_ms, before_ms)]
        if gone_ms is not None:
            self._gone[controller] = gone_ms
            insort(self._moments_ms, gone_ms)

    def gone_since(self, controller: str) -> int | None:
        """Since when a controller has been gone, as far as has been heard; None: it is not."""
        return self._gone.get(controller)

    def hear_of_broker(self, at_ms: int, *, up: bool) -> Consequences:
        """The broker is in reach, or is not."""
        follows = self.pass_time(at_ms)
        self._broker_gone_ms = None if up else at_ms
        return self._followed(at_ms, follows)

    def pass_time(self, at_ms: int) -> Consequences:
        """What comes due up to a moment, by what was known until then."""
        seen = self._watch
        if at_ms < self.due_ms and seen.asked_ms:
            self._watch = Watch(max(seen.asked_ms, at_ms), seen.active)
            return Consequences()
        return self._followed(at_ms, Consequences())

    def see_to(self, wish: Acknowledge | Resolve) -> Consequences:
        """Somebody sees to the alert, if it fires."""
        follows = self.pass_time(wish.at_ms)
        firing = next((each for each in self._watch.active if each.state is AlertState.FIRING), None)
        if firing is None:
            return follows
        seen = watch.seen_to(firing, wish)
        self._watch = Watch(wish.at_ms, (seen,) if seen.state is AlertState.FIRING else ())
        follows.alerts.append(AlertRecord(None, firing.fired_ms, seen))
        return follows

    def _condition(self, _: int) -> dict[AlertKind, Condition]:
        gone = site_offline(self._moments_ms, self.controllers, self.policy, self._broker_gone_ms)
        return {AlertKind.SITE_OFFLINE: gone}

    def _followed(self, at_ms: int, follows: Consequences) -> Consequences:
        seen = self._watch if self._watch.asked_ms else Watch(at_ms)
        before = set(seen.active)
        watched = watch.follow(seen, self._condition, at_ms, self.policy)
        self._watch = watched.watch
        self.due_ms = min([watched.due_ms, *map(alerts.next_due, watched.watch.active)])
        changed = [each for each in watched.watch.active if each.state is AlertState.FIRING and each not in before]
        for alert in (*watched.ended, *changed):
            follows.alerts.append(AlertRecord(None, alert.fired_ms, alert))
        for notice in watched.notices:
            told_of = watch.told_of(notice, (*watched.ended, *watched.watch.active))
            follows.notices.append(NoticeRecord(alert_id(None, told_of, told_of.fired_ms), notice))
        return follows


def gone_since(twin: Twin, at_ms: int, policy: Policy) -> int | None:
    """Since when a controller has been gone; None: it is not, or never was there."""
    link, since_ms = link_at(twin.link, at_ms, policy)
    return since_ms if link is LinkState.OFFLINE else None
