"""The conditions of alerts that are about a session: does each hold, since when, and until when at least?"""

import pytest
from msgspec.structs import replace

from tests.rules.session_tables import LI, SIGNALS, WANG, WORKING
from twin.alerts import Condition, Standing
from twin.parties import Booking
from twin.policy import AtSlotEnd, Policy
from twin.rules.session_conditions import idle_session, overrun, relay_mismatch, unsafe_to_cut
from twin.sessions import Control, Open, Order, OrderState, Signals, Use
from twin.state import Reported

MINE = Booking("B1", "SEM", LI.id, 0, 1_000)
NEXT = Booking("B2", "SEM", WANG.id, 2_000, 3_000)
OPEN = Open(Use("S1", LI, 100, MINE), 100)
ALERT_ONLY = Policy(at_slot_end=AtSlotEnd.ALERT)
ORDERED_ON = Order(True, OrderState.CONFIRMED, 10_100, 100)


def clear(since_ms: int, *next_ms: int) -> Condition:
    return Condition(Standing.CLEAR, since_ms, *next_ms)


def holds(since_ms: int, *next_ms: int) -> Condition:
    return Condition(Standing.HOLDS, since_ms, *next_ms)


def test_a_session_is_idle_from_when_it_opened_or_was_last_busy() -> None:
    busy = replace(SIGNALS, active_until_ms=500)
    assert idle_session(Control(signals=SIGNALS), 400) == clear(400)
    assert idle_session(Control(OPEN, signals=SIGNALS), 400) == holds(100)
    assert idle_session(Control(OPEN, signals=busy), 499) == clear(499, 500)
    assert idle_session(Control(OPEN, signals=busy), 500) == holds(500)


def test_an_overrun_begins_with_the_slot_of_somebody_else() -> None:
    control = Control(OPEN, signals=WORKING)
    assert overrun(control, 1_999, (MINE, NEXT), ALERT_ONLY) == clear(1_999, 2_000)
    assert overrun(control, 2_000, (MINE, NEXT), ALERT_ONLY) == holds(2_000)
    assert overrun(control, 2_000, (MINE, NEXT), Policy()) == clear(2_000)
    walked_in = Control(replace(OPEN, use=replace(OPEN.use, booking=None)), signals=WORKING)
    assert overrun(walked_in, 2_000, (NEXT,), ALERT_ONLY) == clear(2_000)
    assert overrun(Control(signals=WORKING), 2_000, (NEXT,), ALERT_ONLY) == clear(2_000)
    late = Control(replace(OPEN, opened_ms=2_500), signals=WORKING)
    assert overrun(late, 2_600, (MINE, NEXT), ALERT_ONLY) == holds(2_500)


@pytest.mark.parametrize(
    ("order", "relay", "has_relay", "expected"),
    [
        (ORDERED_ON, Reported(False, 50), True, holds(100)),
        (ORDERED_ON, Reported(False, 200), True, holds(200)),
        (ORDERED_ON, Reported(True, 200), True, clear(300)),
        (ORDERED_ON, Reported(False, 200), False, clear(300)),
        (ORDERED_ON, None, True, clear(300)),
        (None, Reported(True, 200), True, clear(300)),
    ],
)
def test_a_relay_differs_from_when_it_was_told_or_reported(
    order: Order | None,
    relay: Reported | None,
    has_relay: bool,  # noqa: FBT001
    expected: Condition,
) -> None:
    control = Control(order=order, signals=replace(SIGNALS, has_relay=has_relay))
    assert relay_mismatch(control, relay, 300) == expected


@pytest.mark.parametrize(
    ("unsafe_ms", "signals", "expected"),
    [
        (200, replace(WORKING, active_until_ms=900, relay_on=True), holds(200, 900)),
        (200, replace(WORKING, active_until_ms=900, relay_on=None), holds(200, 900)),
        (200, replace(WORKING, active_until_ms=301, relay_on=True), holds(200, 301)),
        (200, replace(WORKING, active_until_ms=300, relay_on=True), clear(300)),
        (200, replace(WORKING, active_until_ms=900, relay_on=False), clear(300)),
        (200, replace(WORKING, active_until_ms=None, relay_on=True), clear(300)),
        (None, replace(WORKING, active_until_ms=900, relay_on=True), clear(300)),
    ],
)
def test_power_is_unsafe_to_cut_until_it_stops_or_is_cut(
    unsafe_ms: int | None, signals: Signals, expected: Condition
) -> None:
    assert unsafe_to_cut(Control(signals=signals), unsafe_ms, 300) == expected
