"""Alerts in small: defaults, silences, acknowledgement, a site that goes, and telling events."""

import msgspec
import pytest

from twin.alerts import (
    RULES,
    Acknowledgement,
    Alert,
    AlertKind,
    AlertState,
    Condition,
    Notice,
    Silence,
    Standing,
    Step,
    Watch,
    Withheld,
)
from twin.events import Arrival, Reading
from twin.instrument import apply
from twin.policy import Policy, layered
from twin.requests import Acknowledge, Resolve
from twin.rules.alerts import acknowledge, advance, happen, next_due
from twin.rules.conditions import (
    Surroundings,
    controller_offline,
    presence_without_session,
    repeated_denials,
    site_offline,
)
from twin.rules.watch import Setting, follow, record, seen_to
from twin.state import FOREVER_MS, NEW_TWIN

POLICY = Policy()
FIRING = Alert(AlertKind.OVERRUN, AlertState.FIRING, 1_000, FOREVER_MS, tell_ms=1_000)


def test_the_defaults_are_those_of_the_rules() -> None:
    hold_s = {kind: None if rule.hold_ms is None else rule.hold_ms(POLICY) // 1000 for kind, rule in RULES.items()}
    assert hold_s == {
        AlertKind.POWER_WITHOUT_SESSION: 0,
        AlertKind.POWER_WITH_RELAY_OFF: 30,
        AlertKind.PRESENCE_WITHOUT_SESSION: 600,
        AlertKind.REPEATED_DENIALS: 0,
        AlertKind.FORCED_DOOR: 5,
        AlertKind.RELAY_MISMATCH: 10,
        AlertKind.COMMAND_FAILED: None,
        AlertKind.UNSAFE_TO_CUT: 0,
        AlertKind.IDLE_SESSION: 900,
        AlertKind.NO_SHOW: None,
        AlertKind.OVERRUN: 0,
        AlertKind.CONTROLLER_OFFLINE: 0,
        AlertKind.OFFLINE_CONFLICT: None,
        AlertKind.CLOCK_SKEW: 60,
        AlertKind.SITE_OFFLINE: 0,
    }
    assert (POLICY.clear_ms, POLICY.repeat_ms, POLICY.escalate_ms) == (30_000, 4 * 3_600_000, 15 * 60_000)
    assert (POLICY.denial_count, POLICY.denials_within_ms, POLICY.door_grant_ms) == (3, 300_000, 60_000)


@pytest.mark.parametrize("override", [{"repeat_ms": 59_999}, {"clear_ms": 999}, {"denial_count": 0}])
def test_nobody_is_told_without_end(override: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        layered(override)


def test_a_controller_explains_its_alerts_and_the_site_its_controllers() -> None:
    assert RULES[AlertKind.SITE_OFFLINE].inhibited_by is None
    assert RULES[AlertKind.CONTROLLER_OFFLINE].inhibited_by is AlertKind.SITE_OFFLINE
    assert RULES[AlertKind.OFFLINE_CONFLICT].inhibited_by is None, "it comes while CONTROLLER_OFFLINE is firing still"
    others = set(AlertKind) - {AlertKind.SITE_OFFLINE, AlertKind.CONTROLLER_OFFLINE, AlertKind.OFFLINE_CONFLICT}
    assert {RULES[kind].inhibited_by for kind in others} == {AlertKind.CONTROLLER_OFFLINE}


@pytest.mark.parametrize(
    ("instrument", "platform", "kind", "matches"),
    [
        (None, None, None, True),
        ("SEM", "EM", AlertKind.OVERRUN, True),
        ("SEM", None, None, True),
        (None, "EM", None, True),
        (None, None, AlertKind.OVERRUN, True),
        ("XRD", "EM", AlertKind.OVERRUN, False),
        ("SEM", "NMR", AlertKind.OVERRUN, False),
        ("SEM", "EM", AlertKind.NO_SHOW, False),
    ],
)
def test_a_silence_matches_where_all_that_it_names_agree(
    instrument: str | None,
    platform: str | None,
    kind: AlertKind | None,
    matches: bool,  # noqa: FBT001
) -> None:
    silence = Silence(10_000, "Wang", "service", instrument, platform, kind)
    assert silence.matches("SEM", "EM", AlertKind.OVERRUN, 9_999) is matches
    assert not silence.matches("SEM", "EM", AlertKind.OVERRUN, 10_000)


def test_who_acknowledges_first_has_it() -> None:
    alert = acknowledge(acknowledge(FIRING, "Li", 2_000), "Wang", 3_000)
    assert alert.acknowledged is not None
    assert (alert.acknowledged.by, alert.acknowledged.at_ms) == ("Li", 2_000)


@pytest.mark.parametrize("state", [AlertState.PENDING, AlertState.RESOLVED])
def test_only_what_fires_is_acknowledged(state: AlertState) -> None:
    with pytest.raises(ValueError, match=f"OVERRUN is {state}"):
        acknowledge(msgspec.structs.replace(FIRING, state=state), "Li", 2_000)


def test_an_alert_says_when_to_ask_again() -> None:
    holds = Condition(Standing.HOLDS, 0)
    pending, _ = advance(None, AlertKind.FORCED_DOOR, holds, 0, POLICY)
    assert next_due(pending) == 5_000
    firing, notices = advance(pending, AlertKind.FORCED_DOOR, holds, 5_000, POLICY)
    assert [notice.step for notice in notices] == [Step.FIRED]
    assert next_due(firing) == 5_000 + POLICY.repeat_ms
    clearing, _ = advance(firing, AlertKind.FORCED_DOOR, Condition(Standing.CLEAR, 9_000), 9_000, POLICY)
    assert next_due(clearing) == 39_000
    resolved, notices = advance(clearing, AlertKind.FORCED_DOOR, None, 50_000, POLICY)
    assert resolved is not None
    assert (resolved.state, resolved.since_ms, next_due(resolved)) == (AlertState.RESOLVED, 39_000, FOREVER_MS)
    assert [(notice.step, notice.at_ms) for notice in notices] == [(Step.RESOLVED, 39_000)]
    assert next_due(None) == FOREVER_MS


def test_nothing_fires_before_it_was_known() -> None:
    firing, notices = advance(None, AlertKind.FORCED_DOOR, Condition(Standing.HOLDS, 1_000), 60_000, POLICY)
    assert firing is not None
    assert (firing.since_ms, [notice.at_ms for notice in notices]) == (60_000, [60_000])


@pytest.mark.parametrize(
    ("refused_s", "holds_s"),
    [
        ((), None),
        ((0, 299), None),
        ((0, 100, 300), None),
        ((0, 100, 299), (299, 300)),
        ((0, 100, 200, 290), (200, 400)),
        ((0, 100, 200, 300), (200, 400)),
        ((0, 100, 200, 310), (310, 400)),
        ((0, 100, 200, 500, 550, 560), (560, 800)),
    ],
)
def test_refused_cards_are_too_many_from_the_third_until_one_is_long_ago(
    refused_s: tuple[int, ...], holds_s: tuple[int, int] | None
) -> None:
    refused_ms = [each * 1000 for each in refused_s]
    if holds_s is None:
        assert repeated_denials(refused_ms, 310_000, POLICY) == Condition(Standing.CLEAR, 0)
        return
    since_ms, until_ms = (each * 1000 for each in holds_s)
    assert repeated_denials(refused_ms, until_ms - 1, POLICY) == Condition(Standing.HOLDS, since_ms, until_ms)
    assert repeated_denials(refused_ms, until_ms, POLICY) == Condition(Standing.CLEAR, until_ms)


def test_a_watch_says_when_to_ask_again() -> None:
    quiet = follow(Watch(0), lambda _: {}, 1_000, POLICY)
    assert (quiet.watch, quiet.due_ms) == (Watch(1_000), FOREVER_MS)
    may_change = {AlertKind.FORCED_DOOR: Condition(Standing.CLEAR, 0, 7_000)}
    assert follow(Watch(0), lambda _: may_change, 1_000, POLICY).due_ms == 7_000
    silenced = Setting(silences=(Silence(3_000, "Wang", "service"),))
    assert follow(Watch(0), lambda _: may_change, 1_000, POLICY, silenced).due_ms == 3_000


def test_time_does_not_run_backwards() -> None:
    assert follow(Watch(5_000), lambda _: {}, 1_000, POLICY).watch == Watch(5_000)


def test_an_event_that_is_silenced_is_not_told_when_it_is_over() -> None:
    setting = Setting("SEM", "EM", (Silence(60_000, "Wang", "service"),))
    watch, notices = record(Watch(1_000), AlertKind.NO_SHOW, POLICY, setting)
    assert notices == (Notice(AlertKind.NO_SHOW, 1_000, Step.FIRED, (), Withheld.SILENCED),)
    watched = follow(watch, lambda _: {}, 90_000, POLICY, setting)
    assert watched.notices == (Notice(AlertKind.NO_SHOW, 31_000, Step.RESOLVED, (), Withheld.CLEARED_UNTOLD),)
    assert [(alert.state, alert.since_ms) for alert in watched.ended] == [(AlertState.RESOLVED, 31_000)]


def test_an_event_that_happens_again_is_the_same_alert() -> None:
    first, told = happen(None, AlertKind.COMMAND_FAILED, 1_000, POLICY)
    again, nothing = happen(first, AlertKind.COMMAND_FAILED, 20_000, POLICY)
    assert (first.since_ms, again.since_ms, again.due_ms) == (1_000, 1_000, 50_000)
    assert (len(told), nothing) == (1, ())


@pytest.mark.parametrize(
    ("gone_s", "controllers", "since_s"),
    [
        ((), 3, None),
        ((0,), 2, None),
        ((0, 10), 4, None),
        ((0, 10), 3, 10),
        ((10, 0, 60), 4, 60),
        ((0, 10, 61), 4, None),
        ((0, 100, 110, 120), 5, 120),
        ((0, 5, 10, 200), 4, 10),
        ((7,), 1, 7),
    ],
)
def test_a_site_is_gone_with_more_than_half_of_its_controllers_within_a_minute(
    gone_s: tuple[int, ...], controllers: int, since_s: int | None
) -> None:
    condition = site_offline(sorted(each * 1000 for each in gone_s), controllers, POLICY, None)
    assert condition.standing is (Standing.CLEAR if since_s is None else Standing.HOLDS)
    if since_s is not None:
        assert condition.since_ms == since_s * 1000


def test_a_site_is_gone_with_its_broker() -> None:
    assert site_offline([], 1_000, POLICY, 5_000) == Condition(Standing.HOLDS, 5_000)
    assert site_offline([1_000], 1, POLICY, 5_000) == Condition(Standing.HOLDS, 1_000)


def test_an_alert_that_is_over_still_says_when_it_fired() -> None:
    holds, clear = Condition(Standing.HOLDS, 1_000), Condition(Standing.CLEAR, 2_000)
    alert, _ = advance(None, AlertKind.CLOCK_SKEW, holds, 61_000, POLICY)
    for condition, at_ms in ((clear, 70_000), (None, 200_000)):
        alert, _ = advance(alert, AlertKind.CLOCK_SKEW, condition, at_ms, POLICY)
    assert alert == Alert(AlertKind.CLOCK_SKEW, AlertState.RESOLVED, 91_000, FOREVER_MS, told=1, fired_ms=61_000)


def test_who_saw_to_an_alert_is_known_when_it_is_over() -> None:
    seen = acknowledge(msgspec.structs.replace(FIRING, tell_ms=FOREVER_MS, told=1, due_ms=9_000), "Li", 2_000)
    over, notices = advance(seen, AlertKind.OVERRUN, None, 9_000, POLICY)
    assert over is not None
    assert (over.state, over.acknowledged) == (AlertState.RESOLVED, Acknowledgement("Li", 2_000))
    assert notices == (Notice(AlertKind.OVERRUN, 9_000, Step.RESOLVED, RULES[AlertKind.OVERRUN].to[:1]),)


def test_the_end_of_an_alert_that_is_silenced_is_told_to_nobody() -> None:
    ending = msgspec.structs.replace(FIRING, tell_ms=FOREVER_MS, told=1, due_ms=9_000)
    _, notices = advance(ending, AlertKind.OVERRUN, None, 9_000, POLICY, hindrance=Withheld.SILENCED)
    assert notices == (Notice(AlertKind.OVERRUN, 9_000, Step.RESOLVED, (), Withheld.SILENCED),)


def test_an_alert_is_seen_to_at_the_moment_of_the_wish() -> None:
    kind = AlertKind.OVERRUN
    seen = seen_to(FIRING, Acknowledge(number=7, at_ms=5_000, instrument="SEM", kind=kind, user="Li"))
    assert seen == msgspec.structs.replace(FIRING, acknowledged=Acknowledgement("Li", 5_000))
    over = seen_to(FIRING, Resolve(number=7, at_ms=5_000, instrument="SEM", kind=kind, user="Li"))
    assert over == msgspec.structs.replace(FIRING, state=AlertState.RESOLVED, since_ms=5_000)


def test_a_controller_that_was_never_heard_is_not_missed() -> None:
    assert controller_offline(NEW_TWIN, 9_000_000, POLICY) == Condition(Standing.CLEAR, 0)


def test_who_is_there_before_the_first_opening_has_been_so_since_they_came() -> None:
    reading = Reading("b", 0, 1_000_000, 0, occupied=True)
    twin = apply(NEW_TWIN, Arrival("C", 1_000_000, reading), POLICY)[-1]
    around = Surroundings(opening_ms=(2_000_000, 3_000_000))
    expected = Condition(Standing.HOLDS, 1_000_000, 2_000_000)
    assert presence_without_session(twin, 1_500_000, POLICY, around) == expected
