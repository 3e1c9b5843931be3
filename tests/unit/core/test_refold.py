"""Ledgers computed anew by other sessions than those that were known."""

import msgspec

from twin.events import Arrival, Death, Reading
from twin.instrument import order_key
from twin.policy import Policy
from twin.rules import ledger
from twin.state import NEW_BOOK, Category, Span, Visit

S = 1000
NOW = 1_700_000_000_000


def told(seq: int, at_ms: int) -> tuple[int, Arrival]:
    return at_ms, Arrival("c", at_ms, Reading("b", seq, at_ms, 0.0))


def test_a_session_between_two_readings_is_not_overlooked() -> None:
    at_ms, first = told(0, NOW)
    base, _ = ledger.advance(NEW_BOOK, first, at_ms, Policy())
    visit = Visit(NOW + 10 * S, NOW + 20 * S, session="1")
    _, rewrite, _ = ledger.refold("c", base, [told(1, NOW + 60 * S)], NOW + 60 * S, Policy(), visits=(visit,))
    assert rewrite.spans[-3:] == (
        Span(NOW, Category.OFF),
        Span(NOW + 10 * S, Category.IDLE),
        Span(NOW + 20 * S, Category.OFF),
    )


def test_a_session_that_ended_with_the_last_message_before_is_over() -> None:
    """A mark holds the book as the message left it, before it was known what the message would end."""
    during = Visit(NOW - 60 * S, session="1")
    at_ms, tap = told(0, NOW)
    base, _ = ledger.advance(msgspec.structs.replace(NEW_BOOK, visits=(during,)), tap, at_ms, Policy())
    assert base.spans[-1] == Span(NOW, Category.IDLE)
    over = msgspec.structs.replace(during, end_ms=NOW)
    _, rewrite, _ = ledger.refold("c", base, [told(1, NOW + 3 * S)], NOW + 3 * S, Policy(), visits=(over,))
    assert rewrite.spans[-1] == Span(NOW, Category.OFF)


def test_a_death_that_is_older_than_the_newest_message_is_not_forgotten() -> None:
    """Stamps may be ahead, and a death has none: it was received after a message that tells of a later time."""
    ahead_ms, first = told(0, NOW + 2 * S)
    base, _ = ledger.advance(NEW_BOOK, msgspec.structs.replace(first, received_ms=NOW), ahead_ms, Policy())
    death = Arrival("c", NOW + S, Death("b"))
    assert ledger.comes_after(base, order_key(NOW + S, death), death)
    again = Arrival("c", NOW + 9 * S, Reading("b2", 0, NOW + 9 * S, 0.0))
    _, rewrite, _ = ledger.refold("c", base, [(NOW + S, death), (NOW + 9 * S, again)], NOW + 9 * S, Policy())
    assert rewrite.spans[-2:] == (Span(NOW + S, Category.UNKNOWN), Span(NOW + 9 * S, Category.OFF))
