"""The minute ledger: every moment of an instrument falls in exactly one category.

The ledger follows from *what happened*, not from the order in which it was heard of: `advance` takes messages in the
order of their time, `settle` lets time pass, and `refold` computes anew from a kept mark when a message comes late.
Each returns the new book and, where what is written must change, the `Rewrite` that makes the ledger agree with it.
"""

from collections.abc import Iterable

import msgspec

from twin.decisions import Mark, Rewrite
from twin.events import Ack, Arrival, Birth, Card, Death, Reading
from twin.instrument import is_history, observe
from twin.physics import confirmed_at, power_changes, power_class_at
from twin.policy import Policy
from twin.state import FOREVER_MS, Book, Category, Coverage, Physics, PowerClass, Span

MARK_EVERY_MS = 2 * 3_600_000
"""How much of the past a late message can make us read again, at most."""


def category_at(physics: Physics, coverage: Coverage, at_ms: int, policy: Policy) -> Category:
    """The category of a moment not before the newest message. First match wins."""
    if not _is_known(coverage, at_ms):
        return Category.UNKNOWN
    power = physics.power
    if power is None:
        return Category.OFF
    if confirmed_at(power, at_ms, policy) is not None:
        return Category.UNAUTHORISED
    power_class, _ = power_class_at(power, at_ms, policy)
    return Category.OFF if power_class is PowerClass.OFF else Category.STANDBY


def _is_known(coverage: Coverage, at_ms: int) -> bool:
    if at_ms >= coverage.dead_since_ms:
        return False
    return at_ms < coverage.told_until_ms or coverage.contact_since_ms <= at_ms < coverage.contact_until_ms


def advance(
    book: Book, arrival: Arrival, at_ms: int, policy: Policy, physics: Physics | None = None
) -> tuple[Book, tuple[Span, ...] | None]:
    """The book after a message that is newer than all in it, and the spans to write if they change.

    `physics`: the state after the message where the caller has worked it out already.
    """
    message = arrival.message
    if isinstance(message, Death):
        return _advance_death(book, message, arrival.received_ms, policy)
    before = _told_on(book.coverage) if is_history(message) and message.boot == book.boot else book.coverage
    coverage = _cover(before, message, arrival.received_ms, at_ms, policy)
    after = physics or observe(book.physics, message, (at_ms, message.boot, message.seq), policy)
    category = category_at(after, coverage, at_ms, policy)
    due_ms = next_due(after, coverage, at_ms, policy)
    if at_ms < book.due_ms and category is book.spans[-1].category and before is book.coverage and _is_settled(book):
        return Book(after, message.boot, coverage, book.spans, due_ms), None
    spans = _joined(_spans_until(book, before, at_ms, policy), Span(at_ms, category))
    return Book(after, message.boot, coverage, spans[-2:], due_ms), changed_spans(book.spans, spans)


def _advance_death(book: Book, message: Death, at_ms: int, policy: Policy) -> tuple[Book, tuple[Span, ...] | None]:
    if message.boot != book.boot or book.coverage.dead_since_ms != FOREVER_MS:
        return book, None
    # A clock that is a little ahead may have told of a moment after its own death.
    dead_ms = max(at_ms, book.physics.newest[0] + 1)
    dead = msgspec.structs.replace(book.coverage, dead_since_ms=dead_ms)
    return settle(msgspec.structs.replace(book, coverage=dead), dead_ms, policy)


def settle(book: Book, now_ms: int, policy: Policy) -> tuple[Book, tuple[Span, ...] | None]:
    """The book when time has come to `now_ms` without a message, and the spans to write if they change."""
    spans = _spans_until(book, book.coverage, now_ms + 1, policy)
    due_ms = next_due(book.physics, book.coverage, max(now_ms, book.physics.newest[0]), policy)
    return msgspec.structs.replace(book, spans=spans, due_ms=due_ms), changed_spans(book.spans, spans)


def refold(
    controller: str, base: Book, told: Iterable[tuple[int, Arrival]], now_ms: int, policy: Policy
) -> tuple[Book, Rewrite, tuple[Mark, ...]]:
    """The ledger computed anew: `told` are (event time, message) after `base`, in the order of their time."""
    book, written, marks = base, base.spans, []
    for at_ms, arrival in told:
        crossed = crosses_mark(book, at_ms)
        book, spans = advance(book, arrival, at_ms, policy)
        written = overlaid(written, spans)
        if crossed and not isinstance(arrival.message, Death):
            marks.append(Mark(controller, at_ms, book))
    book, spans = settle(book, now_ms, policy)
    return book, Rewrite(controller, overlaid(written, spans)), tuple(marks)


def crosses_mark(book: Book, at_ms: int) -> bool:
    """Is a mark due after a message at `at_ms`?"""
    return at_ms // MARK_EVERY_MS != book.physics.newest[0] // MARK_EVERY_MS


def overlaid(written: tuple[Span, ...], spans: tuple[Span, ...] | None) -> tuple[Span, ...]:
    """What is written once `spans` have replaced everything from their start on."""
    if spans is None:
        return written
    keep = len(written)
    while keep and written[keep - 1].start_ms >= spans[0].start_ms:
        keep -= 1
    return written[:keep] + spans


def changed_spans(old: tuple[Span, ...], new: tuple[Span, ...]) -> tuple[Span, ...] | None:
    """The spans from the first difference on; None where nothing differs. `old` and `new` begin with the same span."""
    if old == new:
        return None
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    return new[same:] or new[-1:]


def _told_on(coverage: Coverage) -> Coverage:
    """A buffered message of the boot that was thought dead: only its connection had been."""
    if coverage.dead_since_ms == FOREVER_MS:
        return coverage
    return msgspec.structs.replace(coverage, dead_since_ms=FOREVER_MS)


def _cover(
    coverage: Coverage, message: Reading | Birth | Card | Ack, received_ms: int, at_ms: int, policy: Policy
) -> Coverage:
    stale_ms = policy.stale_after_ms
    if is_history(message):
        return Coverage(
            max(coverage.told_until_ms, at_ms + stale_ms), coverage.contact_since_ms, coverage.contact_until_ms
        )
    told_ms = max(coverage.told_until_ms, min(at_ms, received_ms) + stale_ms)
    since_ms, until_ms = received_ms, received_ms + stale_ms
    if since_ms <= coverage.contact_until_ms and coverage.contact_since_ms <= until_ms:
        since_ms, until_ms = min(since_ms, coverage.contact_since_ms), max(until_ms, coverage.contact_until_ms)
    elif since_ms < coverage.contact_since_ms:
        since_ms, until_ms = coverage.contact_since_ms, coverage.contact_until_ms
    return Coverage(told_ms, since_ms, until_ms)


def _spans_until(book: Book, coverage: Coverage, end_ms: int, policy: Policy) -> tuple[Span, ...]:
    """The spans up to the newest message and those that follow by time alone, if they start before `end_ms`."""
    spans = tuple(span for span in book.spans if span.start_ms <= book.physics.newest[0])
    due_ms = next_due(book.physics, coverage, book.physics.newest[0], policy)
    while due_ms < end_ms:
        spans = _joined(spans, Span(due_ms, category_at(book.physics, coverage, due_ms, policy)))
        due_ms = next_due(book.physics, coverage, due_ms, policy)
    return spans


def _is_settled(book: Book) -> bool:
    """Nothing has been written to the ledger beyond the newest message."""
    return book.spans[-1].start_ms <= book.physics.newest[0]


def _joined(spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """One more span at the end: none of length zero, no two neighbours of one category."""
    if spans[-1].category is span.category:
        return spans
    if spans[-1].start_ms < span.start_ms:
        return (*spans, span)
    return _joined(spans[:-1], span) if len(spans) > 1 else (span,)


def next_due(physics: Physics, coverage: Coverage, at_ms: int, policy: Policy) -> int:
    """The first moment after `at_ms` at which the category may change by itself; `FOREVER_MS` if none."""
    dues = [coverage.told_until_ms, coverage.contact_since_ms, coverage.contact_until_ms, coverage.dead_since_ms]
    if physics.power is not None:
        dues += power_changes(physics.power, policy)
    return min((due for due in dues if due > at_ms), default=FOREVER_MS)
