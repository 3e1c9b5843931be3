"""Ledgers computed anew by other sessions than those that were known."""

from twin.events import Arrival, Reading
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
