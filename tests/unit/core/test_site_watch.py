"""The alert about the site as a whole: who sees to it, and how it goes on after the service was down."""

import pytest

from twin.alerts import Acknowledgement, Alert, AlertKind, AlertState
from twin.policy import Policy
from twin.requests import Acknowledge, Resolve
from twin.rules.outcome import Consequences
from twin.rules.site import SiteWatch
from twin.state import FOREVER_MS

NOW_MS = 1_700_000_000_000
CLEAR_MS = Policy().clear_ms


def _wish(kind: type[Acknowledge | Resolve], at_ms: int) -> Acknowledge | Resolve:
    return kind(number=1, at_ms=at_ms, instrument=None, kind=AlertKind.SITE_OFFLINE, user="Li")


def _without_broker() -> SiteWatch:
    site = SiteWatch()
    site.hear_of_broker(NOW_MS, up=False)
    return site


def _alerts(follows: Consequences) -> list[Alert]:
    return [each.alert for each in follows.alerts]


def test_a_new_site_is_quiet() -> None:
    site = SiteWatch()
    assert (site.is_offline, site.active, site.due_ms, site.gone_since("c")) == (False, (), FOREVER_MS, None)
    assert site.policy == Policy()


def test_the_broker_gone_fires_and_back_ends_it() -> None:
    site = SiteWatch()
    gone = site.hear_of_broker(NOW_MS, up=False)
    (record,) = gone.alerts
    assert (record.id, record.instrument, record.fired_ms) == (f"site.SITE_OFFLINE.{NOW_MS}", None, NOW_MS)
    assert [each.alert for each in gone.notices] == [record.id]
    assert (site.is_offline, site.due_ms) == (True, NOW_MS + Policy().repeat_ms)
    site.hear_of_broker(NOW_MS + 1_000, up=True)
    assert site.due_ms == NOW_MS + 1_000 + CLEAR_MS
    assert _alerts(site.pass_time(site.due_ms - 1)) == []
    (over,) = _alerts(site.pass_time(site.due_ms))
    assert (over.state, over.fired_ms, site.is_offline, site.active) == (AlertState.RESOLVED, NOW_MS, False, ())


def test_more_than_half_gone_fires_and_a_return_ends_it() -> None:
    site = SiteWatch()
    site.controllers = 3
    assert _alerts(site.hear_of("a", NOW_MS, NOW_MS)) == []
    assert _alerts(site.hear_of("c", None, NOW_MS)) == [], "that was never gone"
    (fired,) = _alerts(site.hear_of("b", NOW_MS + 1_000, NOW_MS + 1_000))
    assert (fired.state, site.gone_since("a"), site.gone_since("b")) == (AlertState.FIRING, NOW_MS, NOW_MS + 1_000)
    site.hear_of("a", None, NOW_MS + 2_000)
    assert (site.gone_since("a"), site.gone_since("b")) == (None, NOW_MS + 1_000)
    assert site.is_offline
    site.pass_time(NOW_MS + 2_000 + CLEAR_MS)
    assert not site.is_offline


def test_somebody_takes_it_upon_themselves() -> None:
    site = _without_broker()
    at_ms = NOW_MS + 5_000
    (seen,) = _alerts(site.see_to(_wish(Acknowledge, at_ms)))
    assert (seen.state, seen.acknowledged) == (AlertState.FIRING, Acknowledgement("Li", at_ms))
    assert site.active == (seen,)
    (record,) = site.see_to(_wish(Acknowledge, at_ms + 1)).alerts
    assert (record.instrument, record.fired_ms, record.alert) == (None, NOW_MS, seen), "the first to do so counts"


def test_somebody_says_that_it_is_over() -> None:
    site = _without_broker()
    at_ms = NOW_MS + 5_000
    (over,) = _alerts(site.see_to(_wish(Resolve, at_ms)))
    assert (over.state, over.since_ms) == (AlertState.RESOLVED, at_ms)
    assert (site.is_offline, site.active) == (False, ())


@pytest.mark.parametrize("kind", [Acknowledge, Resolve])
def test_what_does_not_fire_is_not_seen_to(kind: type[Acknowledge | Resolve]) -> None:
    site = SiteWatch()
    site.hear_of_broker(NOW_MS, up=True)
    assert _alerts(site.see_to(_wish(kind, NOW_MS + 5_000))) == []


def _restarted(before: SiteWatch) -> SiteWatch:
    after = SiteWatch()
    after.restore(before.state)
    return after


def test_it_goes_on_after_the_service_was_down() -> None:
    site = _restarted(_without_broker())
    assert site.is_offline
    for at_ms, up in ((NOW_MS + 10_000, False), (NOW_MS + 60_000, True)):
        site.hear_of_broker(at_ms, up=up)
        assert site.is_offline
        site = _restarted(site)
    assert site.due_ms == NOW_MS + 60_000 + CLEAR_MS, "it has been clear since the broker was back"
    (over,) = _alerts(site.pass_time(site.due_ms))
    assert (over.state, over.fired_ms) == (AlertState.RESOLVED, NOW_MS)


def test_a_broker_that_was_gone_is_gone_until_it_is_back() -> None:
    site = _restarted(_without_broker())
    site.pass_time(NOW_MS + 2 * CLEAR_MS)
    assert site.is_offline
    site = _without_broker()
    site.hear_of_broker(NOW_MS + 1_000, up=True)
    site.hear_of_broker(NOW_MS + 2_000, up=False)
    site = _restarted(site)
    assert _alerts(site.pass_time(NOW_MS + 2 * CLEAR_MS)) == [], "the same alert goes on"
    assert site.is_offline
