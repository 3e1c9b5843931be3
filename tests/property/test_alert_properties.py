"""Whatever happens, in whatever order, and however often anybody asks: what alerts may never do."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from twin.alerts import (
    RULES,
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
from twin.events import Arrival, Door, Reading
from twin.instrument import apply
from twin.policy import Policy
from twin.rules.alerts import acknowledge
from twin.rules.conditions import Surroundings, conditions
from twin.rules.watch import Setting, follow, record
from twin.state import FOREVER_MS, NEW_TWIN

S = 1_000
POLICY = Policy(
    intrusion_for_ms=7 * S,
    door_for_ms=5 * S,
    clear_ms=30 * S,
    repeat_ms=90 * S,
    escalate_ms=40 * S,
    offline_for_ms=3 * S,
)
KINDS = (
    AlertKind.POWER_WITHOUT_SESSION,
    AlertKind.FORCED_DOOR,
    AlertKind.OVERRUN,
    AlertKind.CONTROLLER_OFFLINE,
)
END_MS = 1_000 * S


@dataclass(frozen=True)
class Timeline:
    """How the condition of one kind stands: since when, how, and how late that is known."""

    kind: AlertKind
    changes: tuple[tuple[int, Standing, int], ...]

    def at(self, at_ms: int) -> Condition:
        index = bisect_right(self.changes, at_ms, key=lambda change: change[0])
        next_ms = self.changes[index][0] if index < len(self.changes) else FOREVER_MS
        if index == 0:
            return Condition(Standing.CLEAR, 0, next_ms)
        changed_ms, standing, lag_ms = self.changes[index - 1]
        return Condition(standing, changed_ms - lag_ms, next_ms)


@dataclass(frozen=True)
class Story:
    """What conditions do by themselves, and what else happens: moment, word, kind."""

    timelines: tuple[Timeline, ...]
    happenings: tuple[tuple[int, str, AlertKind], ...]
    silences: tuple[Silence, ...]

    def course(self, at_ms: int) -> Mapping[AlertKind, Condition]:
        return {timeline.kind: timeline.at(at_ms) for timeline in self.timelines}


@dataclass
class Told:
    """What a story comes to."""

    watch: Watch
    notices: list[Notice]
    ended: list[Alert]
    acknowledged: list[tuple[int, AlertKind]]


def told(story: Story, asks_ms: tuple[int, ...] = ()) -> Told:
    """Play a story, asking at its own moments and at others besides."""
    outcome = Told(Watch(0), [], [], [])
    setting = Setting("SEM", "EM", story.silences)
    for at_ms, word, kind in sorted((*story.happenings, *((ask_ms, "", KINDS[0]) for ask_ms in asks_ms))):
        _follow(outcome, story, at_ms, setting)
        match word:
            case "acknowledged":
                _acknowledge(outcome, at_ms, kind)
            case "site gone" | "site back":
                gone = frozenset({AlertKind.SITE_OFFLINE} if word == "site gone" else ())
                setting = Setting("SEM", "EM", story.silences, gone)
            case "failed":
                outcome.watch, notices = record(outcome.watch, AlertKind.COMMAND_FAILED, POLICY, setting)
                outcome.notices += notices
        _follow(outcome, story, at_ms, setting)
    _follow(outcome, story, END_MS, setting)
    return outcome


def _follow(outcome: Told, story: Story, now_ms: int, setting: Setting) -> None:
    watched = follow(outcome.watch, story.course, now_ms, POLICY, setting)
    assert watched.due_ms > now_ms
    active = [alert.kind for alert in watched.watch.active]
    assert len(set(active)) == len(active), "at most one active of a kind"
    outcome.watch = watched.watch
    outcome.notices += watched.notices
    outcome.ended += watched.ended


def _acknowledge(outcome: Told, at_ms: int, kind: AlertKind) -> None:
    firing = {alert.kind for alert in outcome.watch.active if alert.state is AlertState.FIRING}
    if kind in firing:
        active = (acknowledge(each, "Li", at_ms) if each.kind is kind else each for each in outcome.watch.active)
        outcome.watch = Watch(outcome.watch.asked_ms, tuple(active))
        outcome.acknowledged.append((at_ms, kind))


def _changes(*, lag_s: int) -> st.SearchStrategy[tuple[tuple[int, Standing, int], ...]]:
    gaps = st.tuples(st.sampled_from([1, 2, 5, 7, 10, 29, 30, 31, 60, 200]), st.sampled_from(Standing))
    return st.lists(st.tuples(gaps, st.integers(0, lag_s)), max_size=12).map(_placed)


def _placed(steps: list[tuple[tuple[int, Standing], int]]) -> tuple[tuple[int, Standing, int], ...]:
    at_s, placed = 0, []
    for (gap_s, standing), lag_s in steps:
        at_s += gap_s
        placed.append((at_s * S, standing, lag_s * S))
    return tuple(placed)


MOMENTS = st.integers(0, 999).map(lambda second: second * S)
SILENCES = st.builds(
    Silence,
    until_ms=MOMENTS,
    author=st.just("Wang"),
    reason=st.just("service"),
    instrument=st.sampled_from([None, "SEM", "XRD"]),
    kind=st.sampled_from([None, *KINDS]),
)
STORIES = st.builds(
    Story,
    timelines=st.tuples(*(st.builds(Timeline, st.just(kind), _changes(lag_s=20)) for kind in KINDS)),
    happenings=st.lists(
        st.tuples(
            MOMENTS,
            st.sampled_from(["acknowledged", "failed", "site gone", "site back"]),
            st.sampled_from([*KINDS, AlertKind.COMMAND_FAILED]),
        ),
        max_size=8,
    ).map(tuple),
    silences=st.lists(SILENCES, max_size=2).map(tuple),
)


def _lives(outcome: Told) -> Iterator[list[Notice]]:
    """The notices of each alert from its firing to its end."""
    for kind in AlertKind:
        life: list[Notice] = []
        for notice in outcome.notices:
            if notice.kind is kind:
                life.append(notice)
                if notice.step is Step.RESOLVED:
                    yield life
                    life = []
        if life:
            yield life


@given(story=STORIES, asks_ms=st.lists(st.integers(0, END_MS), max_size=30).map(tuple))
def test_asking_more_often_changes_nothing(story: Story, asks_ms: tuple[int, ...]) -> None:
    assert told(story, asks_ms) == told(story)


@given(story=STORIES)
def test_alerts_never_flap_faster_than_clear(story: Story) -> None:
    outcome = told(story)
    for life in _lives(outcome):
        assert life[0].step is Step.FIRED
        if life[-1].step is Step.RESOLVED:
            assert life[-1].at_ms - life[0].at_ms >= POLICY.clear_ms
    for kind in AlertKind:
        lives = [life for life in _lives(outcome) if life[0].kind is kind]
        assert all(after[0].at_ms >= before[-1].at_ms for before, after in pairwise(lives))


@given(story=STORIES)
def test_who_has_acknowledged_is_left_in_peace(story: Story) -> None:
    outcome = told(story)
    for at_ms, kind in outcome.acknowledged:
        end_ms = min(
            [each.since_ms for each in outcome.ended if each.kind is kind and each.since_ms > at_ms], default=END_MS
        )
        sent = [each for each in outcome.notices if each.kind is kind and at_ms < each.at_ms < end_ms and each.to]
        assert sent == []


@given(story=STORIES)
def test_people_are_told_in_order_and_at_most_once_that_it_began_and_that_it_is_over(story: Story) -> None:
    for life in _lives(told(story)):
        groups = RULES[life[0].kind].to
        sent = [notice for notice in life if notice.withheld is None]
        moments_ms = [notice.at_ms for notice in life]
        assert moments_ms == sorted(moments_ms)
        assert [notice.to for notice in sent if notice.step in {Step.FIRED, Step.ESCALATED}] == [
            (group,) for group in groups[: sum(notice.step in {Step.FIRED, Step.ESCALATED} for notice in sent)]
        ]
        ends = [notice for notice in life if notice.step is Step.RESOLVED]
        if ends and not sent:
            assert ends[0].withheld is Withheld.CLEARED_UNTOLD
        assert all(bool(notice.to) == (notice.withheld is None) for notice in life)


def _counted(timeline: Timeline, hold_s: int, clear_s: int) -> list[tuple[int, AlertState]]:
    """When an alert fires and is resolved, by counting seconds."""
    found: list[tuple[int, AlertState]] = []
    state, count = None, 0
    for second in range(END_MS // S + 1):
        standing = timeline.at(second * S).standing
        if state is None and standing is Standing.HOLDS:
            state, count = AlertState.PENDING, 0
        if state is AlertState.PENDING and count == hold_s:
            state, count = AlertState.FIRING, 0
            found.append((second * S, state))
        if state is AlertState.FIRING and standing is Standing.CLEAR and count == clear_s:
            found.append((second * S, AlertState.RESOLVED))
            state = None
        elif state is AlertState.PENDING and standing is Standing.CLEAR:
            state = None
        elif state is AlertState.FIRING and standing is Standing.HOLDS:
            count = 0
        elif standing is not Standing.FROZEN:
            count += 1
    return found


@given(changes=_changes(lag_s=0))
def test_counting_seconds_comes_to_the_same(changes: tuple[tuple[int, Standing, int], ...]) -> None:
    timeline = Timeline(AlertKind.POWER_WITHOUT_SESSION, changes)
    notices = told(Story((timeline,), (), ())).notices
    states = {Step.FIRED: AlertState.FIRING, Step.RESOLVED: AlertState.RESOLVED}
    found = [(notice.at_ms, states[notice.step]) for notice in notices if notice.step in states]
    assert found == _counted(timeline, POLICY.intrusion_for_ms // S, POLICY.clear_ms // S)


PAST = st.integers(0, 500).map(lambda second: second * S)
DOORS: st.SearchStrategy[Door | None] = st.sampled_from([None, "open", "closed"])
READINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 10, 29, 45, 89, 90, 100, 400]),
        st.sampled_from([0.0, 10.0, 100.0]),
        st.sampled_from([None, True, False]),
        st.sampled_from([None, True, False]),
        DOORS,
        st.sampled_from([0, -20, 20, 400]),
    ),
    max_size=12,
)


@given(
    readings=READINGS,
    around=st.builds(
        Surroundings,
        opening_ms=st.lists(MOMENTS, min_size=2, max_size=4, unique=True).map(
            lambda each: tuple(sorted(each)[: len(each) // 2 * 2])
        ),
        grants_ms=st.lists(PAST, max_size=4).map(lambda each: tuple(sorted(each))),
        denials_ms=st.lists(PAST, max_size=6).map(lambda each: tuple(sorted(each))),
    ),
    later_ms=st.lists(st.integers(1, 700 * S), min_size=1, max_size=8),
)
def test_conditions_stay_as_they_are_until_they_said_they_might_change(
    readings: list[tuple[int, float, bool | None, bool | None, Door | None, int]],
    around: Surroundings,
    later_ms: list[int],
) -> None:
    twin, now_ms, policy = NEW_TWIN, 500 * S, Policy()
    for seq, (gap_s, watts, relay, occupied, door, skew_s) in enumerate(readings):
        now_ms += gap_s * S
        reading = Reading("b", seq, now_ms + skew_s * S, watts, None, relay, occupied, door)
        _, _, twin = apply(twin, Arrival("c", now_ms, reading), policy)
    now = conditions(twin, now_ms, policy, around)
    for at_ms in sorted(now_ms + each for each in later_ms):
        later = conditions(twin, at_ms, policy, around)
        for kind, condition in now.items():
            next_ms = min(condition.next_ms, condition.link_ms)
            assert next_ms > now_ms
            if at_ms < next_ms:
                assert later[kind] == condition, kind
