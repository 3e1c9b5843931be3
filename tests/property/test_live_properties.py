"""The live twin against the oracle at any moment, and the timers that make it change by itself."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.oracle import Line, Oracle
from tests.property.service import CONTROLLER, Service
from tests.property.streams import END_MS, T0, Events, at_ms, policies, profile, short_times, streams
from twin.events import Arrival, Reading, Tick
from twin.policy import Policy
from twin.rules.ledger import category_at
from twin.state import LinkState, PowerClass
from twin.views import TwinView, rfc3339, view_of

pytestmark = pytest.mark.usefixtures(short_times.__name__)
__all__ = ["short_times"]

NAMES = {PowerClass.OFF: "off", PowerClass.STANDBY: "standby", PowerClass.ACTIVE: "active", None: None}
A = TypeVar("A")


def view(service: Service, now_ms: int) -> TwinView:
    return view_of("i", CONTROLLER, service.twin, service.policy, now_ms=now_ms, rev=0)


def since(value: Callable[[int], A], t_ms: int) -> int:
    """How far back the value at a moment reaches without a break."""
    while value(t_ms - 1) == value(t_ms):
        t_ms -= 1
    return t_ms


def moments(events: Events) -> Iterator[tuple[int, list[Arrival]]]:
    """Each moment at which something came, the one before the next, and all that had arrived by then."""
    told: list[Arrival] = []
    coming = [event for event in events if event is not None]
    for event, following in pairwise([*coming, None]):
        assert event is not None
        if isinstance(event, Arrival):
            told.append(event)
        yield at_ms(event), told
        later_ms = at_ms(event) + END_MS if following is None else at_ms(following) - 1
        if later_ms > at_ms(event):
            yield later_ms, told


@profile(120)
@given(streams, policies)
def test_the_live_view_is_what_the_rules_say(events: Events, policy: Policy) -> None:
    service, applied = Service(policy), 0
    for now_ms, told in moments(events):
        for arrival in told[applied:]:
            service.handle(arrival)
        applied = len(told)
        oracle = Oracle(told, policy)
        check_live(view(service, now_ms), oracle, now_ms)


def check_live(shown: TwinView, oracle: Oracle, now_ms: int) -> None:
    line: Line = oracle.live_line
    assert shown.link is oracle.link(now_ms)
    assert shown.stale is (oracle.link(now_ms) is not LinkState.ONLINE)
    # What a clock that is ahead tells of is shown at once.
    read = max([now_ms] + [told.at_ms for told in oracle.live if isinstance(told.message, Reading)])
    at = max([now_ms] + [told.at_ms for told in oracle.live])
    assert (shown.power.power_class, shown.power.raw) == (NAMES[line.power_class(read)], NAMES[line.raw(read)])
    assert shown.intrusion == ("confirmed" if line.is_intrusion(read) else "no")
    assert shown.occupancy is line.occupancy(at)
    assert shown.relay.reported == {True: "on", False: "off", None: "unknown"}[line.relay(at)]
    assert shown.door == (line.door(at) or "unknown")
    if shown.power.since is not None:
        assert shown.power.since == rfc3339(since(line.power_class, read))
    if shown.occupancy_since is not None:
        assert shown.occupancy_since == rfc3339(since(line.occupancy, at))


@profile(100)
@given(streams, policies)
def test_once_late_messages_are_worked_in_the_state_is_the_ledgers(events: Events, policy: Policy) -> None:
    service, applied = Service(policy), 0
    for now_ms, told in moments(events):
        for arrival in told[applied:]:
            service.handle(arrival)
        applied = len(told)
        service.commit(now_ms)
        state = view(service, now_ms).state
        assert state is service.category(now_ms)
        assert state is Oracle(told, policy).category(now_ms)
        assert view(service, now_ms).since == rfc3339(service.ledger[-1].start_ms)


@profile(100)
@given(streams, policies)
def test_nothing_changes_by_time_alone_without_a_timer(events: Events, policy: Policy) -> None:
    """Time is let pass only when a timer rings; then the ledger has been written up to every moment."""
    service, now_ms = Service(policy), T0
    for event in events:
        if not isinstance(event, Arrival):
            continue
        live_until(service, now_ms, event.received_ms)
        now_ms = event.received_ms
        service.handle(event)
        if service.fleet.next_due_ms() <= now_ms:
            service.commit(now_ms)
    live_until(service, now_ms, now_ms + END_MS)


def live_until(service: Service, start_ms: int, end_ms: int) -> None:
    service.commit(start_ms)
    for t_ms in range(start_ms + 1, end_ms):
        rings = service.fleet.next_due_ms() <= t_ms
        if rings:
            service.handle(Tick(t_ms))
        else:
            assert look(service, t_ms) == look(service, t_ms - 1)
        assert service.category(t_ms) is category_at(service.twin.book, t_ms, service.policy)
        assert service.fleet.next_due_ms() > t_ms


def look(service: Service, t_ms: int) -> tuple[object, ...]:
    """What can change by time alone."""
    shown = view(service, t_ms)
    return shown.link, shown.power, shown.occupancy, shown.intrusion, shown.state


@profile(100)
@given(streams, policies, st.integers(0, 3))
def test_early_ticks_are_harmless(events: Events, policy: Policy, early_ms: int) -> None:
    plain, ticked = Service(policy), Service(policy)
    for event in events:
        if isinstance(event, Arrival):
            plain.handle(event)
            ticked.handle(Tick(event.received_ms - early_ms))
            ticked.handle(event)
    end_ms = max([at_ms(event) for event in events if event is not None], default=T0) + END_MS
    plain.commit(end_ms)
    ticked.commit(end_ms)
    assert plain.ledger == ticked.ledger
    assert plain.twin == ticked.twin
