"""Which messages have been heard: ranges against a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from twin.identity import MAX_BOOTS, MAX_RANGES, remember
from twin.state import SeenBoot

Seen = tuple[SeenBoot, ...]
messages = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 40)), max_size=80)


def is_seen(seen: Seen, boot: str, seq: int) -> bool:
    return remember(seen, boot, seq) is None


def heard(told: list[tuple[str, int]]) -> Seen:
    seen: Seen = ()
    for boot, seq in told:
        seen = remember(seen, boot, seq) or seen
    return seen


@given(messages)
def test_ranges_know_what_a_set_knows(told: list[tuple[str, int]]) -> None:
    seen: Seen = ()
    known: set[tuple[str, int]] = set()
    for boot, seq in told:
        assert is_seen(seen, boot, seq) is ((boot, seq) in known)
        seen = remember(seen, boot, seq) or seen
        known.add((boot, seq))
    for boot in "abc":
        for seq in range(42):
            assert is_seen(seen, boot, seq) is ((boot, seq) in known)


@given(messages)
def test_ranges_are_sorted_apart_and_as_few_as_can_be(told: list[tuple[str, int]]) -> None:
    for each in heard(told):
        firsts, lasts = each.ranges[::2], each.ranges[1::2]
        assert all(first <= last for first, last in zip(firsts, lasts, strict=True))
        assert all(last + 1 < first for last, first in zip(lasts, firsts[1:], strict=False))


@given(st.permutations(range(30)))
def test_a_whole_boot_is_one_range_in_whatever_order(numbers: list[int]) -> None:
    assert heard([("a", seq) for seq in numbers]) == (SeenBoot("a", (0, 29)),)


def test_the_newest_boots_are_kept() -> None:
    seen = heard([(f"boot-{number}", 0) for number in range(MAX_BOOTS + 10)])
    assert len(seen) == MAX_BOOTS
    assert not is_seen(seen, "boot-9", 0)
    assert is_seen(seen, "boot-10", 0)


def test_too_many_gaps_close_the_oldest_so_that_nothing_is_counted_twice() -> None:
    seen = heard([("a", 2 * number) for number in range(MAX_RANGES + 5)])
    assert len(seen[0].ranges) == 2 * MAX_RANGES
    assert all(is_seen(seen, "a", 2 * number) for number in range(MAX_RANGES + 5))
    assert is_seen(seen, "a", 1), "the oldest gap is closed"
    assert not is_seen(seen, "a", 2 * (MAX_RANGES + 5) - 3), "the newest is open"


def test_the_largest_numbers_of_the_wire() -> None:
    seen = heard([("a", 2**53), ("a", 0), ("a", 2**53 - 1)])
    assert seen == (SeenBoot("a", (0, 0, 2**53 - 1, 2**53)),)
