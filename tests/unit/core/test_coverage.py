"""Ranges of time against a plain set of milliseconds."""

from hypothesis import given
from hypothesis import strategies as st

from twin.rules.coverage import cut, is_known, recent, vouched
from twin.state import FOREVER_MS, Coverage

times = st.integers(0, 60)


@st.composite
def messages(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Since when and until when told of, when received, when dead."""
    since, told, received, dead = sorted(draw(st.tuples(times, times, times, times)))
    return since, told, received, draw(st.sampled_from([dead, FOREVER_MS]))


def vouched_for(message: tuple[int, int, int, int], stale_ms: int) -> set[int]:
    since, told, received, dead = message
    spans = (since, told + stale_ms), (received, received + stale_ms)
    return {t for start, end in spans for t in range(start, end) if t < dead}


def known(coverage: Coverage) -> set[int]:
    return {t for t in range(120) if is_known(coverage, t)}


@given(st.lists(messages(), max_size=12), st.integers(1, 20))
def test_ranges_know_what_a_set_knows(heard: list[tuple[int, int, int, int]], stale_ms: int) -> None:
    coverage, expected = Coverage(), set[int]()
    for message in heard:
        since, told, received, dead = message
        coverage = vouched(coverage, (since, told), received, stale_ms, dead)
        expected |= vouched_for(message, stale_ms)
        assert known(coverage) == expected
        assert list(coverage.ranges) == sorted(set(coverage.ranges)), "apart, and none empty"
        assert len(coverage.ranges) % 2 == 0


@given(st.lists(messages(), max_size=6), st.integers(1, 20), times)
def test_a_death_cuts_all_that_comes_after_it(
    heard: list[tuple[int, int, int, int]], stale_ms: int, dead_ms: int
) -> None:
    coverage = Coverage()
    for since, told, received, dead in heard:
        coverage = vouched(coverage, (since, told), received, stale_ms, dead)
    after = cut(coverage, dead_ms)
    assert known(after) == {t for t in known(coverage) if t < dead_ms}
    assert cut(after, dead_ms) == after


@given(st.lists(messages(), max_size=6), times)
def test_what_is_over_can_be_forgotten(heard: list[tuple[int, int, int, int]], horizon_ms: int) -> None:
    coverage = Coverage()
    for since, told, received, dead in heard:
        coverage = vouched(coverage, (since, told), received, 9, dead)
    assert {t for t in known(recent(coverage, horizon_ms)) if t >= horizon_ms} == {
        t for t in known(coverage) if t >= horizon_ms
    }
    assert all(until >= horizon_ms for until in recent(coverage, horizon_ms).ranges[1::2])


def test_what_is_vouched_for_twice_ends_with_the_longer() -> None:
    coverage = Coverage((0, 10, 50, 90), (10,))
    assert vouched(coverage, (60, 60), 60, 9) == coverage
    assert vouched(coverage, (60, 60), 60, 31) == Coverage((0, 10, 50, 91), (10,))


def test_deaths_are_forgotten_with_what_they_ended() -> None:
    coverage = Coverage((0, 10, 20, 30, 40, 50), (10, 30, 50))
    assert recent(coverage, 31) == Coverage((40, 50), (50,))
    assert recent(coverage, 30) == Coverage((20, 30, 40, 50), (30, 50))
