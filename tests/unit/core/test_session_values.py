"""What access and screens are told of a session, and what a twin says to it."""

import pytest

from tests.rules.session_tables import GRANTED, LI, SIGNALS, WANG
from twin.events import Arrival, Birth, Reading
from twin.instrument import apply
from twin.parties import Booking, RunningSession
from twin.policy import AtSlotEnd, Policy
from twin.rules.session_signals import signals_of
from twin.rules.sessions import advance, close, next_due, observe, open_, running
from twin.sessions import CloseReason, Control, Free, Open, Opening, Order, OrderState, Signals, Use, UserWarned
from twin.state import FOREVER_MS, NEW_TWIN, Twin

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
MINE = Booking("B1", "SEM", LI.id, START_MS, START_MS + HOUR_MS, "Lab")
LATER = Booking("B2", "SEM", WANG.id, START_MS + 2 * HOUR_MS, START_MS + 3 * HOUR_MS)
POLICY = Policy()


def _opening(booking: Booking | None, policy: Policy, *bookings: Booking) -> Control:
    use = Use("S1", LI, START_MS, booking)
    return open_(Control(signals=SIGNALS), use, GRANTED, bookings, policy).control


@pytest.mark.parametrize(
    ("booking", "policy", "due_ms"),
    [
        (MINE, POLICY, START_MS + 65 * 60_000),
        (MINE, Policy(overrun=True), START_MS + 2 * HOUR_MS),
        (MINE, Policy(at_slot_end=AtSlotEnd.ALERT), None),
        (None, POLICY, START_MS + 2 * HOUR_MS),
        (None, Policy(at_slot_end=AtSlotEnd.ALERT), START_MS + 2 * HOUR_MS),
    ],
)
def test_access_is_told_who_is_there_and_until_when(booking: Booking | None, policy: Policy, due_ms: int) -> None:
    bookings = (MINE, LATER)
    expected = RunningSession("Li", "Lab" if booking else None, due_ms)
    opening = _opening(booking, policy, *bookings)
    assert isinstance(opening.state, Opening)
    assert running(opening, bookings, policy) == expected
    reported = Signals(relay_on=True, online_from_ms=0, online_until_ms=FOREVER_MS)
    opened = observe(opening, reported, START_MS + 1, bookings, policy).control
    assert isinstance(opened.state, Open)
    assert running(opened, bookings, policy) == expected
    closed = close(opened, CloseReason.STAFF, START_MS + 2, bookings, policy).control
    assert running(closed, bookings, policy) is None


def test_a_walk_in_that_nobody_follows_has_no_end() -> None:
    assert running(_opening(None, POLICY), (), POLICY) == RunningSession("Li", None, None)


def test_without_a_session_nothing_comes_due() -> None:
    assert next_due(Control(), (MINE, LATER), POLICY) == FOREVER_MS
    assert running(Control(), (MINE, LATER), POLICY) is None


def test_a_session_that_was_over_before_it_opened_lasted_no_time() -> None:
    opened = _opening(None, POLICY)
    opened = observe(opened, Signals(relay_on=True), START_MS + 5, (), POLICY).control
    step = close(opened, CloseReason.RECONCILED, START_MS + 9, (), POLICY, ended_ms=START_MS - 1)
    assert [each.at_ms for each in step.decisions] == [START_MS + 5]


def test_a_session_does_not_end_in_the_future() -> None:
    opened = observe(_opening(None, POLICY), Signals(relay_on=True), START_MS + 5, (), POLICY).control
    step = close(opened, CloseReason.RECONCILED, START_MS + 9, (), POLICY, ended_ms=START_MS + 99)
    assert [each.at_ms for each in step.decisions] == [START_MS + 9]


def _heard(*messages: Birth | Reading) -> Twin:
    twin = NEW_TWIN
    for message in messages:
        twin = apply(twin, Arrival("C", message.ts, message), POLICY)[-1]
    return twin


def _reading(seq: int, at_ms: int, power_w: float, *, occupied: bool | None = None) -> Reading:
    return Reading("b", seq, at_ms, power_w, relay=True, occupied=occupied)


def test_a_twin_that_was_never_heard_says_nothing() -> None:
    assert signals_of(NEW_TWIN, POLICY, has_relay=True, has_meter=True) == Signals()


def test_power_and_presence_last_as_long_as_their_holds() -> None:
    working = _heard(_reading(0, START_MS, 100, occupied=True))
    assert signals_of(working, POLICY, has_relay=True, has_meter=True) == Signals(
        relay_on=True,
        active_until_ms=FOREVER_MS,
        occupied_until_ms=FOREVER_MS,
        boot="b",
        online_from_ms=START_MS,
        online_until_ms=START_MS + 90_000,
    )
    done = _heard(_reading(0, START_MS, 100, occupied=True), _reading(1, START_MS + 1_000, 3, occupied=False))
    signals = signals_of(done, POLICY, has_relay=True, has_meter=True)
    assert (signals.active_until_ms, signals.occupied_until_ms) == (START_MS + 61_000, START_MS + 121_000)
    assert signals.online_until_ms == START_MS + 91_000


def test_a_controller_without_a_meter_says_nothing_of_power() -> None:
    signals = signals_of(_heard(_reading(0, START_MS, 0)), POLICY, has_relay=False, has_meter=False)
    assert (signals.active_until_ms, signals.has_relay, signals.busy_until_ms) == (None, False, FOREVER_MS)


def test_what_a_controller_was_not_told_is_sent_when_it_is_back() -> None:
    gone = Signals(relay_on=True, online_from_ms=FOREVER_MS, online_until_ms=0)
    waiting = Control(order=Order(False, OrderState.WAITING, START_MS + 10_000, START_MS), signals=gone)
    back = Signals(relay_on=True, online_from_ms=START_MS + 60_000, online_until_ms=FOREVER_MS)
    step = observe(waiting, back, START_MS + 60_000, (), POLICY)
    assert step.control.order == Order(False, OrderState.SENT, START_MS + 70_000, START_MS + 60_000)
    assert isinstance(step.control.state, Free)


def test_a_warning_says_of_which_session_and_which_end() -> None:
    opened = observe(_opening(MINE, POLICY, MINE), Signals(relay_on=True), START_MS + 5, (MINE,), POLICY).control
    warned_ms = MINE.end_ms - POLICY.warn_before_end_ms
    assert advance(opened, warned_ms, (MINE,), POLICY).decisions == (UserWarned(warned_ms, "S1", MINE.end_ms),)
