"""The ledger of the fleet against the oracle, on random streams; and what must not make a difference to it."""

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.oracle import Oracle
from tests.property.service import Service
from tests.property.streams import (
    END_MS,
    PAST_MS,
    T0,
    Events,
    arrivals,
    at_ms,
    last_ms,
    policies,
    profile,
    sent_ms,
    short_times,
    streams,
    told_streams,
)
from twin.decisions import Verdict
from twin.events import Arrival, Event, Tick
from twin.policy import Policy
from twin.state import NEW_BOOK, Category, Span

pytestmark = pytest.mark.usefixtures(short_times.__name__)
__all__ = ["short_times"]


def served(events: Events, policy: Policy, until_ms: int) -> Service:
    """The service once all this has happened."""
    service = Service(policy)
    for _ in steps(service, events):
        pass
    service.commit(until_ms)
    return service


def steps(service: Service, events: Events) -> Iterator[None]:
    """Let one after the other happen."""
    now_ms = T0
    for event in events:
        if event is None:
            service.commit(now_ms)
        else:
            now_ms = at_ms(event)
            service.handle(event)
        yield


@profile(250)
@given(streams, policies)
def test_the_ledger_is_what_the_rules_say(events: Events, policy: Policy) -> None:
    end_ms = last_ms(events) + END_MS
    service, oracle = served(events, policy, end_ms), Oracle(arrivals(events), policy)
    for t_ms in range(T0 - PAST_MS, end_ms + 1):
        assert service.category(t_ms) is oracle.category(t_ms), t_ms - T0


@profile(80)
@given(streams, policies)
def test_the_spans_partition_time_after_every_rewrite(events: Events, policy: Policy) -> None:
    service = Service(policy)
    for _ in steps(service, events):
        assert service.ledger[0].start_ms == 0
        for span, following in pairwise(service.ledger):
            assert span.start_ms < following.start_ms
            assert span.category is not following.category


@profile(80)
@given(streams, policies)
def test_nothing_is_written_about_the_future(events: Events, policy: Policy) -> None:
    service = Service(policy)
    for event in events:
        if event is not None:
            service.handle(event)
            assert service.ledger[-1].start_ms <= at_ms(event)


@profile(80)
@given(streams, policies, st.lists(st.integers(0, 400), max_size=30), st.sampled_from([1, 7]))
def test_ticks_at_any_moments_change_nothing(events: Events, policy: Policy, extra: list[int], every: int) -> None:
    end_ms = last_ms(events) + END_MS
    without = arrivals(events)
    moments = [T0 + 3 * each for each in extra] + list(range(T0, end_ms, every))
    ticks: list[Event] = [Tick(moment) for moment in moments if moment <= end_ms]
    with_ticks = sorted([*without, *ticks], key=at_ms)
    assert served(with_ticks, policy, end_ms).ledger == served(without, policy, end_ms).ledger


@profile(80)
@given(streams, policies)
def test_duplicates_change_nothing(events: Events, policy: Policy) -> None:
    service, now_ms = Service(policy), T0
    heard: list[Arrival] = []
    for event in events:
        now_ms = now_ms if event is None else at_ms(event)
        service.commit(now_ms) if event is None else service.handle(event)
        if isinstance(event, Arrival) and service.verdicts[-1] in {Verdict.LIVE, Verdict.LATE}:
            heard.append(event)
        service.handle(Tick(now_ms))  # an event lets time pass before it happens, whatever it turns out to be
        for known in heard[-3:]:
            before, ledger = service.twin, service.ledger
            again = service.handle(msgspec.structs.replace(known, received_ms=now_ms))
            if again.verdict is Verdict.DUPLICATE:
                assert (service.twin, service.ledger) == (before, ledger)
                assert (again.changed, again.rewrites, again.marks, again.refolds) == ((), (), (), ())
            else:
                assert not hasattr(known.message, "seq"), "only a death has no identity"


@profile(80)
@given(streams, policies, st.data())
def test_computed_anew_from_any_mark_it_is_the_same(events: Events, policy: Policy, data: st.DataObject) -> None:
    end_ms = last_ms(events) + END_MS
    service = served(events, policy, end_ms)
    written = service.ledger
    base = data.draw(st.sampled_from([NEW_BOOK, *(mark.book for mark in service.marks)]))
    service.refold(base, end_ms)
    assert service.ledger == written
    service.forget()
    service.refold(NEW_BOOK, end_ms)
    assert service.ledger == written


@profile(80)
@given(streams, policies, st.sets(st.integers(0, 80), max_size=6))
def test_a_restart_at_any_moment_changes_nothing(events: Events, policy: Policy, restarts: set[int]) -> None:
    end_ms = last_ms(events) + END_MS
    service, now_ms = Service(policy), T0
    for index, event in enumerate(events):
        now_ms = now_ms if event is None else at_ms(event)
        service.commit(now_ms) if event is None else service.handle(event)
        if index in restarts:
            service.commit(now_ms)  # a checkpoint is written when all that it follows from is
            service.restart()
    service.commit(end_ms)
    oracle = Oracle(arrivals(events), policy)
    assert service.ledger == spans_of(oracle, end_ms)


def spans_of(oracle: Oracle, end_ms: int) -> tuple[Span, ...]:
    """The oracle's ledger."""
    return tuple(_spans(oracle, end_ms))


def _spans(oracle: Oracle, end_ms: int) -> Iterator[Span]:
    last = Span(0, Category.UNKNOWN)
    yield last
    for t_ms in range(T0 - PAST_MS, end_ms + 1):
        if oracle.category(t_ms) is not last.category:
            last = Span(t_ms, oracle.category(t_ms))
            yield last


@profile(80)
@given(told_streams, policies, st.data())
def test_the_order_of_arrival_makes_a_difference_to_contact_only(
    told: list[Arrival], policy: Policy, data: st.DataObject
) -> None:
    """The same messages, received at other moments and so in another order, none beyond the tolerance.

    The two ledgers are equal at every moment for which a message vouches by its own time. At any other moment each is
    either unknown, or what the instrument did, the same in both: the receipt decides whether it is known, never what.
    """
    delays = st.integers(0, policy.clock_tolerance_ms)
    others = [msgspec.structs.replace(each, received_ms=sent_ms(each) + data.draw(delays)) for each in told]
    others.sort(key=lambda arrival: arrival.received_ms)
    end_ms = max(arrival.received_ms for arrival in told + others) + END_MS
    one, other = served(told, policy, end_ms), served(others, policy, end_ms)
    for t_ms in range(T0 - PAST_MS, end_ms):
        pair = {one.category(t_ms), other.category(t_ms)}
        if any(sent_ms(each) <= t_ms < sent_ms(each) + policy.stale_after_ms for each in told):
            assert len(pair) == 1, t_ms - T0
        else:
            assert len(pair - {Category.UNKNOWN}) <= 1, t_ms - T0
