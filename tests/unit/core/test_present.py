"""The fleet's present: nothing happens at a moment that is over, and nothing runs ahead of the clock."""

import pytest

from twin.events import Reading
from twin.present import MAX_TIMERS, PAUSE_MS, Present
from twin.stream.backlog import Backlog
from twin.stream.inbox import Inbox
from twin.stream.packets import Delivery

NOW_MS = 1_000_000


class Moment:
    """A present with a clock that is set by hand, and no timers."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.inbox = Inbox()
        self.backlog = Backlog()
        self.present = Present(self.inbox, self.backlog, lambda: self.now_ms)
        self.present.begin(NOW_MS - 1000)

    def let_pass(self) -> int | None:
        passed_ms = self.present.passed_ms(lambda until_ms, _: until_ms)
        if passed_ms is not None:
            self.present.let_pass(passed_ms)
        return passed_ms

    def receive(self, received_ms: int) -> None:
        self.inbox.put([Delivery("topic", b"", received_ms, 1, 1, 1)])


@pytest.fixture
def moment() -> Moment:
    return Moment()


def test_what_comes_within_a_millisecond_that_is_over_comes_in_the_next(moment: Moment) -> None:
    assert moment.present.received_ms((), NOW_MS, 0) == NOW_MS
    assert moment.let_pass() == NOW_MS
    assert moment.present.received_ms((), NOW_MS, 0) == NOW_MS + 1
    assert moment.present.earliest_ms(NOW_MS - 5) == NOW_MS + 1


def test_the_present_never_runs_ahead_of_the_clock_by_more(moment: Moment) -> None:
    for _ in range(10):
        moment.let_pass()
        moment.present.come_to(moment.present.earliest_ms(NOW_MS))
    assert moment.present.at_ms == NOW_MS + 1
    assert moment.let_pass() is None
    moment.now_ms += 1
    assert moment.let_pass() == NOW_MS + 1


def test_it_is_looked_again_as_soon_as_the_millisecond_is_over(moment: Moment) -> None:
    moment.let_pass()
    assert moment.present.wait_s(due_ms=NOW_MS + 700) == 0.7
    moment.present.come_to(NOW_MS + 1)
    assert moment.present.wait_s(due_ms=NOW_MS + 700) == 0.001
    moment.now_ms += 50
    assert moment.present.wait_s(due_ms=NOW_MS) == 0.001  # never in no time: others want their turn


def test_time_passes_up_to_what_waits(moment: Moment) -> None:
    moment.receive(NOW_MS - 300)
    assert moment.let_pass() == NOW_MS - 300
    assert moment.let_pass() is None
    assert moment.present.behind_s() == 0.3


def test_a_clock_that_is_set_back_stands_still(moment: Moment) -> None:
    moment.let_pass()
    moment.now_ms -= 3_600_000
    assert moment.let_pass() is None
    assert moment.present.now_ms() == NOW_MS
    assert moment.present.received_ms((), moment.now_ms, 0) == NOW_MS + 1


def test_what_waited_at_the_broker_came_when_it_says(moment: Moment) -> None:
    mark = moment.backlog.begin()
    said = Reading(boot="b", seq=1, ts=NOW_MS - 400, power_w=1.0)
    assert moment.present.received_ms([said], NOW_MS, 0) == NOW_MS - 400
    assert moment.present.received_ms([said], NOW_MS, 100) == NOW_MS - 500
    moment.present.come_to(NOW_MS - 400)
    assert moment.let_pass() == NOW_MS - 400  # and no further: more may have waited
    assert moment.let_pass() is None
    moment.backlog.hear(mark)
    assert moment.let_pass() == NOW_MS


def test_what_came_due_in_a_long_pause_happens_bit_by_bit(moment: Moment) -> None:
    asked: list[tuple[int, int]] = []

    def within_reach(until_ms: int, timers: int) -> int:
        asked.append((until_ms, timers))
        return NOW_MS - 900

    assert moment.present.passed_ms(within_reach) == NOW_MS
    moment.now_ms += PAUSE_MS
    assert moment.present.passed_ms(within_reach) == NOW_MS - 900
    assert asked == [(NOW_MS + PAUSE_MS, MAX_TIMERS)]
