"""What one transaction is to hold, when several things happen to the same twin."""

from itertools import permutations

import msgspec
import pytest

from twin.decisions import Mark, Rewrite, Verdict
from twin.rules.outcome import Outcome, Refold
from twin.state import NEW_BOOK, Category, Span
from twin.store import Batch

PHYSICS, LATER = NEW_BOOK.physics, (15, "boot", 1)


def late(at_ms: int, *, remembered: bool) -> Outcome:
    return Outcome(Verdict.LATE, at_ms, ("c0",), refolds=(Refold("c0", at_ms, NEW_BOOK if remembered else None),))


@pytest.mark.parametrize("outcomes", list(permutations([late(18, remembered=True), late(22, remembered=False)])))
def test_a_ledger_is_computed_anew_from_the_earliest_late_message(outcomes: tuple[Outcome, ...]) -> None:
    batch = Batch("b")
    for outcome in outcomes:
        batch.add(outcome)
    # The fleet has no book from before the message at 22, so none of its books will do: a mark before 18 is needed.
    assert batch.refolds == {"c0": Refold("c0", 18, None)}


def test_of_two_remembered_books_the_earlier_one_is_the_base() -> None:
    batch = Batch("b")
    for at_ms in (30, 10, 20):
        batch.add(late(at_ms, remembered=True))
    assert batch.refolds == {"c0": Refold("c0", 10, NEW_BOOK)}


def test_a_message_that_reaches_further_back_does_not_make_the_base_a_later_book() -> None:
    batch, later = Batch("b"), msgspec.structs.replace(NEW_BOOK, physics=msgspec.structs.replace(PHYSICS, newest=LATER))
    for refold in (Refold("c0", 20, NEW_BOOK), Refold("c0", 10, later)):
        batch.add(Outcome(Verdict.LATE, 20, ("c0",), refolds=(refold,)))
    assert batch.refolds == {"c0": Refold("c0", 10, NEW_BOOK)}


def test_rewrites_of_one_ledger_are_laid_over_each_other() -> None:
    batch = Batch("b")
    off, standby, unknown = Span(10, Category.OFF), Span(20, Category.STANDBY), Span(15, Category.UNKNOWN)
    batch.add(Outcome(rewrites=(Rewrite("c0", (off, standby)), Rewrite("c1", (off,)))))
    batch.add(Outcome(rewrites=(Rewrite("c0", (unknown,)),)))
    assert batch.spans == {"c0": (off, unknown), "c1": (off,)}


def test_a_ledger_computed_anew_leaves_what_the_batch_says_of_the_time_before() -> None:
    batch = Batch("b")
    off, use, idle, standby = (
        Span(start, category)
        for start, category in ((10, Category.OFF), (20, Category.USE), (30, Category.IDLE), (30, Category.STANDBY))
    )
    early, overtaken, other = Mark("c0", 12, NEW_BOOK), Mark("c0", 32, NEW_BOOK), Mark("c1", 32, NEW_BOOK)
    batch.add(Outcome(rewrites=(Rewrite("c0", (off, use, idle)),), marks=(early, overtaken, other)))
    batch.refolded("c0", 25, Outcome(rewrites=(Rewrite("c0", (use, standby)),), marks=(Mark("c0", 34, NEW_BOOK),)))
    assert batch.spans == {"c0": (off, use, standby)}
    assert [(each.controller, each.at_ms) for each in batch.marks] == [("c0", 12), ("c1", 32), ("c0", 34)]
