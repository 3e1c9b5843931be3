"""What waited at the broker: until when, and when it came."""

import pytest

from twin.events import Death, Reading
from twin.stream.backlog import Backlog, came_at

NOW_MS, HANDED_OUT_MS = 1_000_000, 1_900_000


def reading(ts: int, *, hist: bool = False) -> Reading:
    return Reading(boot="b", seq=1, ts=ts, power_w=1.0, hist=hist)


def test_it_is_over_when_its_own_mark_is_back() -> None:
    backlog = Backlog()
    assert backlog.is_over
    before = backlog.begin()
    assert not backlog.is_over
    mark = backlog.begin()
    backlog.hear(before)
    backlog.hear(b"somebody else's")
    assert not backlog.is_over
    backlog.hear(mark)
    assert backlog.is_over


def test_marks_of_two_services_differ() -> None:
    assert Backlog().begin() != Backlog().begin()


def test_it_is_over_when_the_broker_is_gone() -> None:
    backlog = Backlog()
    backlog.begin()
    backlog.end()
    assert backlog.is_over


def test_a_mark_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("twin.stream.backlog.time.monotonic", lambda: now_s)
    backlog = Backlog()
    assert not backlog.is_stuck()
    backlog.begin()
    now_s += 9
    backlog.move()
    now_s += 9
    assert not backlog.is_stuck()
    now_s += 2
    assert backlog.is_stuck()


@pytest.mark.parametrize(
    ("ts", "skew_ms", "came_ms"),
    [
        (1_200_000, 0, 1_200_000),
        (1_000_000, 0, 1_000_000),
        (1_900_000, 0, 1_900_000),
        (1_900_001, 0, NOW_MS),  # a clock that is ahead tells nothing
        (999_999, 0, NOW_MS),  # nor does one that is behind: what came before came before
        (4_800_000, 3_600_000, 1_200_000),  # known to be an hour ahead
        (-2_400_000, -3_600_000, 1_200_000),
    ],
)
def test_a_message_came_when_its_controller_says_if_that_can_be(ts: int, skew_ms: int, came_ms: int) -> None:
    assert came_at(reading(ts), skew_ms, NOW_MS, HANDED_OUT_MS) == came_ms


def test_what_has_no_time_of_its_own_came_with_what_was_before_it() -> None:
    assert came_at(Death(boot="b"), 0, NOW_MS, HANDED_OUT_MS) == NOW_MS
    assert came_at(reading(1_200_000, hist=True), 0, NOW_MS, HANDED_OUT_MS) == NOW_MS
